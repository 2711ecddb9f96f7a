"""The extension fr-core-identity-reliability: what a client claims in it, and what the server states in it.

In FR Core 2.1.0 and 2.2.0 and IHE PAM, VALI says the document was checked; qualifiée is VALI with an INS present, and
both provisoire and récupérée go out as PROV. Several statuses or attributes repeat the whole extension (issue 112).
FR Core not yet published has a code system of its own for the status, with RECUP and QUAL, and a part `comment` for the
attributes: it is read, by the URL of the system, since the same codes mean other things; it is not written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhir_ins.fhir.outcome import Issue
from fhir_ins.frcore.canonical import (
    COLLECTION_METHODS,
    IDENTITY_RELIABILITY,
    IDENTITY_STATUSES,
    IDENTITY_STATUSES_TWIN,
    NEXT_IDENTITY_COMMENTS,
    NEXT_IDENTITY_STATUSES,
    VALIDATION_MODES,
)
from fhir_ins.frcore.elements import Json, extension_value, extensions, filtered, with_extension, with_list
from fhir_ins.frcore.release import Release
from fhir_ins.ins.identity import Identity
from fhir_ins.ins.status import Attribute, Obstacle

PROVISIONAL = "PROV"
VALIDATED = "VALI"
INSI = "INSI"

# Documents of high confidence: those FR Core has a code for in some release, and AV, the Appli carte Vitale, which IHE
# PAM France has (ZFD-7) and FR Core lacks (RNIV 1 for the kinds of document; FR Core issue 241).
SUFFICIENT_MEANS = frozenset({"AC", "AN", "AV", "CE", "CN", "CS", "DC", "IE", "LE", "PA"})

_SERVER_PARTS = frozenset({"identityStatus", "validationDate", "validationMode"})
_COLLECTION_PARTS = frozenset({"methodCollection", "dateCollection"})
_SINGLE_PARTS = _SERVER_PARTS | _COLLECTION_PARTS
# What a status code says, by its system: PROV or VALI of 2.2.0.
_STATUSES: Mapping[str, Mapping[str, str]] = {
    IDENTITY_STATUSES: {PROVISIONAL: PROVISIONAL, VALIDATED: VALIDATED},
    IDENTITY_STATUSES_TWIN: {PROVISIONAL: PROVISIONAL, VALIDATED: VALIDATED},
    NEXT_IDENTITY_STATUSES: {
        PROVISIONAL: PROVISIONAL,
        "RECUP": PROVISIONAL,
        VALIDATED: VALIDATED,
        "QUAL": VALIDATED,
    },
}
_STATUS_CODES = frozenset(code for codes in _STATUSES.values() for code in codes)
# What else fr-core-cs-v2-0445 has: of other meanings, kept as the client wrote it.
_OTHER_CODES = frozenset(
    """ANOM CACH COLP COLV DESA DOUA DOUB DOUT DPOT FICT FILI HOMA HOMD IDRA IDVER INVA RECD USUR
    VIDE""".split()  # noqa: SIM905
)
_MARK_SYSTEMS = frozenset({IDENTITY_STATUSES, IDENTITY_STATUSES_TWIN, NEXT_IDENTITY_COMMENTS, None})
_MARKS: Mapping[str, Attribute | Obstacle] = {
    **{attribute.value: attribute for attribute in Attribute},
    **{obstacle.value: obstacle for obstacle in Obstacle},
}


@dataclass(frozen=True, slots=True)
class Claim:
    """What a Patient says of its own reliability, in the terms of 2.2.0. `present`: it carries the extension at all.

    `qualified`: with an INS, it would say qualifiée. VALI does, but for the one of FR Core not yet published.
    """

    present: bool
    status: str | None
    validation_date: str | None
    validation_mode: str | None
    attributes: frozenset[Attribute]
    obstacles: frozenset[Obstacle] = frozenset()
    collected_on: str | None = None
    qualified: bool = False


def claim_of(patient: Mapping[str, Any]) -> Claim:
    """Read every repetition; codes of other meanings (HOMD, DESA…) claim nothing and stay in the resource."""
    found = list(extensions(patient, IDENTITY_RELIABILITY))
    stating = [extension for extension in found if _status(extension)]
    main = next((extension for extension in stating if _status(extension) == VALIDATED), next(iter(stating), {}))
    mode = extension_value(main, "validationMode", "Coding") or {}
    marks = {mark for extension in found for mark in _marks(extension)}
    return Claim(
        present=bool(found),
        status=_status(main),
        validation_date=extension_value(main, "validationDate", "Date"),
        validation_mode=mode.get("code"),
        collected_on=extension_value(main, "dateCollection", "Date"),
        qualified=_status(main) == VALIDATED and not _is_next_vali(main),
        attributes=frozenset(mark for mark in marks if isinstance(mark, Attribute)),
        obstacles=frozenset(mark for mark in marks if isinstance(mark, Obstacle)),
    )


def misused_parts(patient: Mapping[str, Any]) -> list[Issue]:
    """An issue for each part that stands twice in its repetition, or whose code is not of FR Core's code system.

    Other systems may use the same codes with other meanings, so none is guessed.
    """
    issues: list[Issue] = []
    stated = {status for extension in extensions(patient, IDENTITY_RELIABILITY) if (status := _status(extension))}
    if len(stated) > 1:
        text = "An identity has one status: say PROV or VALI, in one repetition of identityReliability."
        issues.append(Issue("business-rule", text, "Patient.extension"))
    for index, extension in enumerate(patient.get("extension", ())):
        if extension.get("url") != IDENTITY_RELIABILITY:
            continue
        parts = [part for part in extension.get("extension", ()) if part.get("url") in _SINGLE_PARTS]
        names = [part["url"] for part in parts]
        texts = [misuse for part in parts if (misuse := _misuse(part))]
        texts += [f"{name} stands once in each identityReliability." for name in _SINGLE_PARTS if names.count(name) > 1]
        issues += [Issue("business-rule", misuse, f"Patient.extension[{index}]") for misuse in texts]
    return issues


def _misuse(part: Json) -> str | None:
    """Why a part cannot be understood: its code is one of a system that it does not name."""
    name, coding = part["url"], part.get("valueCoding", {})
    system, code = coding.get("system"), coding.get("code")
    if name == "identityStatus":
        system = system or IDENTITY_STATUSES
    known: list[str] = []
    if name == "identityStatus" and code in _STATUS_CODES:
        known = [url for url, codes in _STATUSES.items() if code in codes]
    elif name == "identityStatus" and code not in _OTHER_CODES and system in _STATUSES:
        return f"This is no code of {system}: the statuses are {', '.join(sorted(_STATUSES[str(system)]))}."
    elif name == "validationMode" and system:
        known = [VALIDATION_MODES]
    elif name == "methodCollection" and code == INSI and system:
        known = [COLLECTION_METHODS]
    return f"This code of {name} is one of {' or '.join(known)}." if known and system not in known else None


def without_statement(patient: Json) -> Json:
    """The Patient less what the server itself states: its status, the check, the attributes, the INSi collection.

    A repetition that says anything else stays; of the main one, at least its empty shell, so that the server
    answers a client that uses the extension with the extension.
    """
    found = list(extensions(patient, IDENTITY_RELIABILITY))
    if not found:
        return patient
    others = [extension for extension in found if not _stated(extension)]
    main = next((extension for extension in found if _status(extension)), {})
    method = extension_value(main, "methodCollection", "Coding") or {}
    dropped = _SERVER_PARTS | (_COLLECTION_PARTS if method.get("code") in (INSI, None) else frozenset())
    kept = [part for part in main.get("extension", ()) if part.get("url") not in dropped and not _mark(part)]
    rest = [extension for extension in patient["extension"] if extension.get("url") != IDENTITY_RELIABILITY]
    shell = {"url": IDENTITY_RELIABILITY, "extension": kept}
    return with_list(patient, "extension", [*rest, shell, *others])


def with_statement(patient: Json, identity: Identity, release: Release) -> Json:
    """The Patient with the server's statement, when there is one to make or the Patient uses the extension."""
    found = list(extensions(patient, IDENTITY_RELIABILITY))
    if not (found or identity.obtained or identity.check or identity.attributes or identity.obstacles):
        return patient
    shell: Json = next((extension for extension in found if not _code(extension)), {"extension": []})
    others = [extension for extension in found if extension is not shell]
    statement = {"extension": _statement(shell["extension"], identity, release), "url": IDENTITY_RELIABILITY}
    marks = [
        {"extension": [_part("identityStatus", IDENTITY_STATUSES, code)], "url": IDENTITY_RELIABILITY}
        for code in sorted(mark.value for mark in (*identity.attributes, *identity.obstacles))
        if code not in {_code(extension) for extension in others}
    ]
    rest = with_extension(patient, None, IDENTITY_RELIABILITY).get("extension", [])
    return with_list(patient, "extension", [*rest, statement, *marks, *others])


def unsayable_means(patient: Json, release: Release) -> Json:
    """The Patient less validationMode codes that count but that an INS Patient of the release may not carry.

    They are for the identity record, whichever profile is claimed; `with_statement` says what goes out.
    """

    def sayable(part: Json) -> bool:
        code = (part.get("valueCoding") or {}).get("code")
        return part.get("url") != "validationMode" or code not in SUFFICIENT_MEANS - release.ins_means

    def said(extension: Json) -> Json:
        return filtered(extension, "extension", sayable) if extension.get("url") == IDENTITY_RELIABILITY else extension

    found = patient.get("extension", [])
    return with_list(patient, "extension", [said(extension) for extension in found])


def _statement(collected: list[Json], identity: Identity, release: Release) -> list[Json]:
    parts = list(collected)
    if identity.obtained:
        parts = [part for part in parts if part.get("url") not in _COLLECTION_PARTS]
        parts.append(_part("methodCollection", COLLECTION_METHODS, INSI))
        if identity.obtained.on:
            parts.append({"url": "dateCollection", "valueDate": identity.obtained.on})
    parts.append(_part("identityStatus", IDENTITY_STATUSES, VALIDATED if identity.check else PROVISIONAL))
    if identity.check:
        if identity.check.on:
            parts.append({"url": "validationDate", "valueDate": identity.check.on})
        if identity.check.means in (release.ins_means if identity.obtained else release.means):
            parts.append(_part("validationMode", VALIDATION_MODES, identity.check.means))
    return parts


def _status(reliability: Mapping[str, Any]) -> str | None:
    """PROV or VALI, as 2.2.0 would say it; None when the repetition states something else, or nothing."""
    coding = extension_value(reliability, "identityStatus", "Coding") or {}
    return _STATUSES.get(coding.get("system") or IDENTITY_STATUSES, {}).get(coding.get("code") or "")


def _is_next_vali(reliability: Mapping[str, Any]) -> bool:
    """Whether it says VALI of FR Core not yet published: validated without INSi."""
    coding = extension_value(reliability, "identityStatus", "Coding") or {}
    return (coding.get("system"), coding.get("code")) == (NEXT_IDENTITY_STATUSES, VALIDATED)


def _code(reliability: Mapping[str, Any]) -> str | None:
    """The identityStatus code of a published system, or of a status system."""
    coding = extension_value(reliability, "identityStatus", "Coding") or {}
    return coding.get("code") if coding.get("system") in (*_STATUSES, None) else None


def _marks(reliability: Mapping[str, Any]) -> list[Attribute | Obstacle]:
    """The attributes and obstacles a repetition states: as its status code, or in comments."""
    return [mark for part in reliability.get("extension", ()) if (mark := _mark(part))]


def _mark(part: Mapping[str, Any]) -> Attribute | Obstacle | None:
    """The attribute or obstacle a part of the extension states."""
    if part.get("url") not in ("identityStatus", "comment"):
        return None
    codings = part.get("valueCodeableConcept", {}).get("coding") or [part.get("valueCoding", {})]
    codes = (coding.get("code", "") for coding in codings if coding.get("system") in _MARK_SYSTEMS)
    return next((_MARKS[code] for code in codes if code in _MARKS), None)


def _stated(reliability: Mapping[str, Any]) -> bool:
    """Whether the server can state all this repetition says: a status or attribute it keeps itself."""
    if _marks(reliability) and not _status(reliability):
        return len(reliability.get("extension", ())) == 1
    return _status(reliability) is not None or not reliability.get("extension")


def _part(url: str, system: str, code: str) -> Json:
    return {"url": url, "valueCoding": {"system": system, "code": code}}
