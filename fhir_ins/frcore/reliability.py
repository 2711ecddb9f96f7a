"""The extension fr-core-identity-reliability: what a client claims in it, and what the server states in it.

In FR Core 2.2.0 and IHE PAM, VALI says the document was checked; qualifiée is VALI with an INS present, and both
provisoire and récupérée go out as PROV. Several statuses or attributes repeat the whole extension (issue 112).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhir_ins.fhir.outcome import Issue
from fhir_ins.frcore.canonical import (
    COLLECTION_METHODS,
    IDENTITY_RELIABILITY,
    IDENTITY_STATUSES,
    VALIDATION_MODES,
)
from fhir_ins.frcore.elements import Json, extension_value, extensions, with_extension, with_list
from fhir_ins.ins.identity import Identity
from fhir_ins.ins.status import Attribute

PROVISIONAL = "PROV"
VALIDATED = "VALI"

# Documents of high confidence among the codes of the extension's value set (RNIV 1 for the kinds of document).
SUFFICIENT_MEANS = frozenset({"AC", "AN", "CE", "CN", "CS", "DC", "IE", "LE", "PA"})
# fr-core-vs-mode-validation-identity-ins: what an INS Patient may say of them in 2.2.0.
_MEANS_WITH_A_CODE = frozenset({"AN", "CN", "LE", "PA"})

_SERVER_PARTS = frozenset({"identityStatus", "validationDate", "validationMode"})
_COLLECTION_PARTS = frozenset({"methodCollection", "dateCollection"})
_STATUSES = frozenset({PROVISIONAL, "RECUP", VALIDATED, "QUAL"})
_JUDGED: tuple[tuple[str, str | None, frozenset[str]], ...] = (
    ("identityStatus", IDENTITY_STATUSES, _STATUSES),
    ("validationDate", None, frozenset()),
    ("validationMode", VALIDATION_MODES, frozenset()),
)
_ATTRIBUTES = {attribute.value: attribute for attribute in Attribute}


@dataclass(frozen=True, slots=True)
class Claim:
    """What a Patient says of its own reliability. `present`: it carries the extension at all."""

    present: bool
    status: str | None
    validation_date: str | None
    validation_mode: str | None
    attributes: frozenset[Attribute]


def claim_of(patient: Mapping[str, Any]) -> Claim:
    """Read every repetition; codes of other meanings (HOMD, DESA, CACH…) claim nothing and stay in the resource."""
    found = list(extensions(patient, IDENTITY_RELIABILITY))
    stating = [extension for extension in found if _code(extension) in (PROVISIONAL, VALIDATED)]
    main = next((extension for extension in stating if _code(extension) == VALIDATED), next(iter(stating), {}))
    mode = extension_value(main, "validationMode", "Coding") or {}
    return Claim(
        present=bool(found),
        status=_code(main),
        validation_date=extension_value(main, "validationDate", "Date"),
        validation_mode=mode.get("code"),
        attributes=frozenset(_ATTRIBUTES[code] for extension in found if (code := _code(extension)) in _ATTRIBUTES),
    )


def misused_parts(patient: Mapping[str, Any]) -> list[Issue]:
    """An issue for each part that stands twice in its repetition, or whose code is not of FR Core's code system.

    Other systems use the same codes with other meanings (unpublished FR Core: VALI without INSi), so none is guessed.
    """
    issues = []
    for index, extension in enumerate(patient.get("extension", ())):
        if extension.get("url") != IDENTITY_RELIABILITY:
            continue
        for name, system, codes in _JUDGED:
            parts = list(extensions(extension, name))
            codings = [part.get("valueCoding", {}) for part in parts]
            systems = {coding.get("system", system) for coding in codings if not codes or coding.get("code") in codes}
            if len(parts) > 1 or systems - {system}:
                of = f", with a code of {system}" if system else ""
                text = f"{name} stands once in each identityReliability{of}."
                issues.append(Issue("business-rule", text, f"Patient.extension[{index}]"))
    return issues


def without_statement(patient: Json) -> Json:
    """The Patient less what the server itself states: its status, the check, the attributes, the INSi collection.

    A repetition that says anything else stays; of the main one, at least its empty shell, so that the server
    answers a client that uses the extension with the extension.
    """
    found = list(extensions(patient, IDENTITY_RELIABILITY))
    if not found:
        return patient
    others = [extension for extension in found if not _stated(extension)]
    main = next((extension for extension in found if _code(extension) in (PROVISIONAL, VALIDATED)), {})
    method = extension_value(main, "methodCollection", "Coding") or {}
    dropped = _SERVER_PARTS | (_COLLECTION_PARTS if method.get("code") in ("INSI", None) else frozenset())
    kept = [part for part in main.get("extension", ()) if part.get("url") not in dropped]
    rest = [extension for extension in patient["extension"] if extension.get("url") != IDENTITY_RELIABILITY]
    shell = {"url": IDENTITY_RELIABILITY, "extension": kept}
    return with_list(patient, "extension", [*rest, shell, *others])


def with_statement(patient: Json, identity: Identity) -> Json:
    """The Patient with the server's statement, when there is one to make or the Patient uses the extension."""
    found = list(extensions(patient, IDENTITY_RELIABILITY))
    if not (found or identity.obtained or identity.check or identity.attributes):
        return patient
    shell: Json = next((extension for extension in found if not _code(extension)), {"extension": []})
    others = [extension for extension in found if extension is not shell]
    statement = {"extension": _statement(shell["extension"], identity), "url": IDENTITY_RELIABILITY}
    attributes = [
        {"extension": [_part("identityStatus", IDENTITY_STATUSES, code)], "url": IDENTITY_RELIABILITY}
        for code in sorted(attribute.value for attribute in identity.attributes)
        if code not in {_code(extension) for extension in others}
    ]
    rest = with_extension(patient, None, IDENTITY_RELIABILITY).get("extension", [])
    return with_list(patient, "extension", [*rest, statement, *attributes, *others])


def _statement(collected: list[Json], identity: Identity) -> list[Json]:
    parts = list(collected)
    if identity.obtained:
        parts = [part for part in parts if part.get("url") not in _COLLECTION_PARTS]
        parts.append(_part("methodCollection", COLLECTION_METHODS, "INSI"))
        parts.append({"url": "dateCollection", "valueDate": identity.obtained.on})
    parts.append(_part("identityStatus", IDENTITY_STATUSES, VALIDATED if identity.check else PROVISIONAL))
    if identity.check:
        parts.append({"url": "validationDate", "valueDate": identity.check.on})
        if identity.check.means in _MEANS_WITH_A_CODE:
            parts.append(_part("validationMode", VALIDATION_MODES, identity.check.means))
    return parts


def _code(reliability: Mapping[str, Any]) -> str | None:
    """The identityStatus code, of the code system of FR Core 2.2.0 only: others use the same codes otherwise."""
    coding = extension_value(reliability, "identityStatus", "Coding") or {}
    return coding.get("code") if coding.get("system") in (IDENTITY_STATUSES, None) else None


def _stated(reliability: Mapping[str, Any]) -> bool:
    """Whether the server can state all this repetition says: a status or attribute it keeps itself."""
    code = _code(reliability)
    if code in _ATTRIBUTES:
        return len(reliability.get("extension", ())) == 1
    return code in (PROVISIONAL, VALIDATED) or not reliability.get("extension")


def _part(url: str, system: str, code: str) -> Json:
    return {"url": url, "valueCoding": {"system": system, "code": code}}
