"""The addresses of the server, the hottest first: a router tries them in this order."""

from fhir_ins.api.addresses import Address, Offer
from fhir_ins.api.bundle import bundle
from fhir_ins.api.capabilities import capabilities
from fhir_ins.api.context import BASE
from fhir_ins.api.create import create
from fhir_ins.api.delete import conditional_delete, delete
from fhir_ins.api.docs import docs
from fhir_ins.api.everything import everything
from fhir_ins.api.health import live, ready
from fhir_ins.api.history import history_instance, history_system, history_type
from fhir_ins.api.ins_fetch import ins_fetch, ins_fetch_instance
from fhir_ins.api.ins_identity import ins_identity
from fhir_ins.api.ins_scan import ins_scan
from fhir_ins.api.ins_verify import ins_verify, ins_verify_instance
from fhir_ins.api.meta import meta, meta_add, meta_delete, meta_of_system, meta_of_type
from fhir_ins.api.metrics import metrics
from fhir_ins.api.negotiation import Format
from fhir_ins.api.openapi import openapi
from fhir_ins.api.patch import conditional_patch, patch
from fhir_ins.api.read import read
from fhir_ins.api.search import search, search_system
from fhir_ins.api.smart_configuration import smart_configuration
from fhir_ins.api.update import conditional_update, update
from fhir_ins.api.validate import validate, validate_instance
from fhir_ins.api.vread import vread

_ID = "{id:fhir_id}"
_ANY = f"{BASE}/{{type:fhir_type}}"
_PATIENT = f"{BASE}/{{type:patient}}"
_COMPARTMENT = f"{BASE}/{{compartment:fhir_type}}"

ROUTES = [
    Address(
        f"{_ANY}/{_ID}",
        GET=Offer(read, "read"),
        PUT=Offer(update, "update"),
        PATCH=Offer(patch, "patch"),
        DELETE=Offer(delete, "delete"),
    ),
    Address(
        _ANY,
        GET=Offer(search, "search-type"),
        POST=Offer(create, "create"),
        PUT=Offer(conditional_update, "update"),
        PATCH=Offer(conditional_patch, "patch"),
        DELETE=Offer(conditional_delete, "delete"),
    ),
    Address(f"{_ANY}/_search", POST=Offer(search, "search-type")),
    Address(f"{_PATIENT}/$ins-fetch", POST=ins_fetch),
    Address(f"{_PATIENT}/$ins-verify", POST=ins_verify),
    Address(f"{_PATIENT}/$ins-scan", POST=ins_scan),
    Address(f"{_PATIENT}/{_ID}/$ins-identity", formats=tuple(Format), GET=ins_identity, POST=ins_identity),
    Address(f"{_PATIENT}/{_ID}/$ins-fetch", POST=ins_fetch_instance),
    Address(f"{_PATIENT}/{_ID}/$ins-verify", POST=ins_verify_instance),
    Address(f"{_PATIENT}/{_ID}/$everything", GET=everything, POST=everything),
    Address(f"{_ANY}/{_ID}/_history/{{vid}}", GET=Offer(vread, "vread")),
    Address(f"{_ANY}/{_ID}/_history", GET=Offer(history_instance, "history-instance")),
    Address(f"{_ANY}/_history", GET=Offer(history_type, "history-type")),
    Address(f"{_ANY}/$validate", GET=validate, POST=validate),
    Address(f"{_ANY}/{_ID}/$validate", GET=validate_instance, POST=validate_instance),
    Address(f"{_ANY}/$meta", GET=Offer(meta_of_type, "history-type"), POST=Offer(meta_of_type, "history-type")),
    Address(f"{_ANY}/{_ID}/$meta", GET=Offer(meta, "vread"), POST=Offer(meta, "vread")),
    Address(f"{_ANY}/{_ID}/$meta-add", POST=Offer(meta_add, "update")),
    Address(f"{_ANY}/{_ID}/$meta-delete", POST=Offer(meta_delete, "update")),
    Address(f"{_COMPARTMENT}/{_ID}/{{type:fhir_type}}", GET=Offer(search, "search-type")),
    Address(f"{_COMPARTMENT}/{_ID}/{{type:fhir_type}}/_search", POST=Offer(search, "search-type")),
    Address(f"{BASE}/metadata", public=True, GET=capabilities),
    Address(f"{BASE}/_history", GET=history_system),
    Address(f"{BASE}/$meta", GET=meta_of_system, POST=meta_of_system),
    Address(f"{BASE}/_search", POST=search_system),
    Address(BASE, GET=search_system, POST=bundle),
    Address(f"{BASE}/.well-known/smart-configuration", formats=(), public=True, GET=smart_configuration),
    Address("/health/live", formats=(), public=True, GET=live),
    Address("/health/ready", formats=(), public=True, GET=ready),
    Address("/metrics", formats=(), public=True, GET=metrics),
    Address("/openapi.json", formats=(), public=True, GET=openapi),
    Address("/docs", formats=(), public=True, GET=docs),
]
