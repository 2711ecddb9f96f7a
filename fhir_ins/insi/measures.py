"""What is counted of the téléservice, for /metrics. Labels are codes and tenants, never anything of a person."""

from prometheus_client import Counter, Gauge, Histogram

CALLS = Counter("fhir_ins_insi_calls", "Calls made to INSi, by what came of them.", ["tenant", "operation", "code"])
SECONDS = Histogram(
    "fhir_ins_insi_call_seconds",
    "Duration of the calls made to INSi.",
    ["tenant", "operation"],
    buckets=(0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 20, 60),
)
JOINED = Counter("fhir_ins_insi_joined", "Questions answered by the same one already in flight.", ["tenant"])
REFUSED = Counter("fhir_ins_insi_refused", "Questions INSi was not asked, by the reason.", ["tenant", "reason"])
GOING = Gauge("fhir_ins_insi_conversations", "Conversations with INSi going on.", ["tenant"])
WAITING = Gauge("fhir_ins_insi_waiting", "Conversations that wait for their turn.", ["tenant"])
BREAKER_OPEN = Gauge("fhir_ins_insi_breaker_open", "1 while INSi is left alone after failures, else 0.", ["tenant"])
