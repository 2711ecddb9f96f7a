"""The search parameters on Patient that FHIR does not define, or not rightly, and a Patient's keys under each.

`profiles/SearchParameter-*.json` publish them; the FHIRPath expression there finds what the function here does. None
tells a matricule, and every form of a Patient has the same values.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from fhir_ins.fhir.dates import span_of
from fhir_ins.fhir.search_parameters import PARAMETERS as OF_FHIR
from fhir_ins.fhir.search_parameters import Keys, ParametersByType, Resource, SearchParameter, keys_of, named
from fhir_ins.fhir.search_values import Kind, Token, Value
from fhir_ins.frcore.canonical import (
    BIRTH_LIST_GIVEN_NAME,
    BIRTH_PLACE,
    IDENTITY_RELIABILITY,
    IDENTITY_STATUSES,
    INSEE_CODE,
    OURS,
    STATUSES_OF_OURS,
)
from fhir_ins.frcore.elements import Json, extensions
from fhir_ins.frcore.reliability import INSI, PROVISIONAL, VALIDATED
from fhir_ins.ins.identity import Identity
from fhir_ins.ins.status import Status

IDENTITY_STATUS = "identity-status"
_MOTHERS_MAIDEN_NAME = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"
_OUR_CODES = frozenset(status.value for status in Status)


def further_keys(patient: Json, identity: Identity) -> Keys:
    """What finds a Patient beyond FHIR's own parameters: what its form says, and the status its record has."""
    status = Token(STATUSES_OF_OURS, identity.status.value)
    return keys_of(patient, _FURTHER) | Keys(tokens=frozenset({(IDENTITY_STATUS, status)}))


def _birth_places(patient: Resource) -> Iterator[Value]:
    for place in extensions(patient, BIRTH_PLACE):
        for code in extensions(place.get("valueAddress", {}), INSEE_CODE):
            yield from _token(code)


def _birth_lists(patient: Resource) -> Iterator[Value]:
    for name in patient.get("name", ()):
        for listed in extensions(name, BIRTH_LIST_GIVEN_NAME):
            if listed.get("valueString"):
                yield listed["valueString"]


def _mothers_maiden_names(patient: Resource) -> Iterator[Value]:
    for said in extensions(patient, _MOTHERS_MAIDEN_NAME):
        if said.get("valueString"):
            yield said["valueString"]


def _statuses(patient: Resource) -> Iterator[Value]:
    """Codes of FR Core only: a code of ours that a client wrote must not pass for the status of the record."""
    for reliability in extensions(patient, IDENTITY_RELIABILITY):
        yield from (Token(IDENTITY_STATUSES, code) for code in _conveyed(reliability) - _OUR_CODES)


def _insi_calls(patient: Resource) -> Iterator[Value]:
    """The date in the server's own statement, the one of PROV or VALI; a client may write others elsewhere."""
    for reliability in extensions(patient, IDENTITY_RELIABILITY):
        methods = {token.code for part in extensions(reliability, "methodCollection") for token in _token(part)}
        if INSI not in methods or not _conveyed(reliability) & {PROVISIONAL, VALIDATED}:
            continue
        for date in extensions(reliability, "dateCollection"):
            if span := span_of(date.get("valueDate", "")):
                yield span


def _conveyed(reliability: Json) -> set[str]:
    """The codes of FR Core's own code system that one repetition states."""
    tokens = (token for part in extensions(reliability, "identityStatus") for token in _token(part))
    return {token.code for token in tokens if token.system == IDENTITY_STATUSES}


def _token(extension: Json) -> Iterator[Token]:
    coding = extension.get("valueCoding", {})
    if coding.get("code"):
        yield Token(coding.get("system"), coding["code"])


_DEFINITIONS = f"{OURS}/SearchParameter"

_FURTHER: Mapping[str, SearchParameter] = named(
    [
        SearchParameter(
            "birth-place-cog",
            Kind.TOKEN,
            f"{_DEFINITIONS}/patient-birth-place-cog",
            "COG code of the birth place: a commune, or 99 and a country",
            _birth_places,
        ),
        SearchParameter(
            "birth-list-given-name",
            Kind.STRING,
            f"{_DEFINITIONS}/patient-birth-list-given-name",
            "Start of the list of all birth given names",
            _birth_lists,
        ),
        SearchParameter(
            IDENTITY_STATUS,
            Kind.TOKEN,
            f"{_DEFINITIONS}/patient-identity-status",
            "A code identityReliability conveys (PROV, VALI, HOMA, DOUT, FICT…), or the status of the record: "
            "provisoire, recuperee, validee, qualifiee",
            _statuses,
        ),
        SearchParameter(
            "ins-call-date",
            Kind.DATE,
            f"{_DEFINITIONS}/patient-ins-call-date",
            "The day INSi last gave this identity",
            _insi_calls,
        ),
        # IHE PDQm's: the expression of R4's registry names an extension that R4 does not have, for this one.
        SearchParameter(
            "mothersMaidenName",
            Kind.STRING,
            "http://hl7.org/fhir/SearchParameter/patient-extensions-Patient-mothersMaidenName",
            "The mother's maiden name",
            _mothers_maiden_names,
        ),
    ]
)

_IDENTIFIER = replace(
    OF_FHIR["Patient"]["identifier"], documentation="An identifier; an INS matches for a qualified identity only"
)

PARAMETERS = ParametersByType({"Patient": {"identifier": _IDENTIFIER, **_FURTHER}})
