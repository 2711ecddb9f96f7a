"""The invariants of the resource types that are served by default, by key; those of Bundle have a file of their own.

https://hl7.org/fhir/R4/resourcelist.html; each stands on the page of its type.
"""

from collections.abc import Mapping

from fhir_ins.fhir.invariants.terms import (
    Element,
    Holds,
    Invariant,
    coded,
    has,
    has_choice,
    not_after,
    not_both,
    one_of,
)
from fhir_ins.fhir.scope import Scope

_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_ABATED = {"resolved", "remission", "inactive"}


def _dom_3(resource: Element, scope: Scope) -> bool:
    contained = zip(resource.get("contained", ()), scope.inner, strict=False)
    return all(inside.refers_up or f"#{inner.get('id')}" in scope.anchors for inner, inside in contained)


def _dom_4(resource: Element, _scope: Scope) -> bool:
    metas = [inner.get("meta", {}) for inner in resource.get("contained", ())]
    return not any(has(meta, "versionId") or has(meta, "lastUpdated") for meta in metas)


def _dom_5(resource: Element, _scope: Scope) -> bool:
    return not any("security" in inner.get("meta", {}) for inner in resource.get("contained", ()))


def _inv_1_parameters(parameter: Element, _scope: Scope) -> bool:
    return ("part" in parameter) + has_choice(parameter, "value") + ("resource" in parameter) == 1


def _inv_1_task(task: Element, _scope: Scope) -> bool:
    dated = "authoredOn" in task and "lastModified" in task
    return not dated or not_after(task["authoredOn"], task["lastModified"])


def _con_4(condition: Element, _scope: Scope) -> bool:
    return not has_choice(condition, "abatement") or coded(condition.get("clinicalStatus"), _CLINICAL, _ABATED)


def _con_5(condition: Element, _scope: Scope) -> bool:
    mistaken = coded(condition.get("verificationStatus"), _VERIFICATION, {"entered-in-error"})
    return not (mistaken and "clinicalStatus" in condition)


def _lst_2(list_: Element, _scope: Scope) -> bool:
    return list_.get("mode", "changes") == "changes" or not _in_an_entry(list_, "deleted")


def _lst_3(list_: Element, _scope: Scope) -> bool:
    return list_.get("mode", "working") == "working" or not _in_an_entry(list_, "date")


def _in_an_entry(list_: Element, name: str) -> bool:
    return any(has(entry, name) for entry in list_.get("entry", ()))


def _obs_6(observation: Element, _scope: Scope) -> bool:
    return "dataAbsentReason" not in observation or not has_choice(observation, "value")


def _obs_7(observation: Element, _scope: Scope) -> bool:
    if not has_choice(observation, "value"):
        return True
    codings = observation.get("code", {}).get("coding", ())
    components = (component["code"] for component in observation.get("component", ()))
    return not any(coding in codings for code in components for coding in code.get("coding", ()))


def _not_at_home(contact: Element, _scope: Scope) -> bool:
    """org-2 and org-3, of each address and telecom."""
    return contact.get("use") != "home"


def _patient_in(scope_code: str) -> Holds:
    """ppc-2 to ppc-5 as published: the code system is spelt “something”, so that real scopes are not constrained."""

    def holds(consent: Element, _scope: Scope) -> bool:
        return "patient" in consent or not coded(consent.get("scope"), "something", {scope_code})

    return holds


RESOURCES: Mapping[str, Invariant] = {
    "con-1": Invariant(one_of("summary", "assessment"), "A stage needs a summary or an assessment. Add one."),
    "con-2": Invariant(one_of("code", "detail"), "Evidence needs a code or a detail. Add one."),
    "con-4": Invariant(_con_4, "An abated condition has the clinicalStatus inactive, resolved or remission."),
    "con-5": Invariant(_con_5, "A condition entered in error has no clinicalStatus. Remove it."),
    "dom-3": Invariant(_dom_3, "A contained resource is referred to from nowhere. Refer to it as #id, or take it out."),
    "dom-4": Invariant(_dom_4, "A contained resource has a versionId or lastUpdated. Remove them."),
    "dom-5": Invariant(_dom_5, "A contained resource has a security label. Put it on the container."),
    "inv-1:Parameters": Invariant(_inv_1_parameters, "A parameter has exactly one of value[x], resource and part."),
    "inv-1:Task": Invariant(_inv_1_task, "lastModified is before authoredOn. Correct one of them."),
    "lst-1": Invariant(not_both("emptyReason", "entry"), "A list with entries has no emptyReason. Remove one."),
    "lst-2": Invariant(_lst_2, "Only a list of mode changes says that an entry is deleted."),
    "lst-3": Invariant(_lst_3, "Only a list of mode working dates its entries."),
    "obs-3": Invariant(one_of("low", "high", "text"), "A reference range needs a low, a high or a text. Add one."),
    "obs-6": Invariant(_obs_6, "An observation with a value has no dataAbsentReason. Remove one."),
    "obs-7": Invariant(_obs_7, "A component has the code of the observation, which has a value. Remove one value."),
    "org-1": Invariant(one_of("identifier", "name"), "An organization needs an identifier or a name. Add one."),
    "org-2": Invariant(_not_at_home, "An address of an organization is never of use home. Send another use."),
    "org-3": Invariant(_not_at_home, "A telecom of an organization is never of use home. Send another use."),
    "pat-1": Invariant(
        one_of("name", "telecom", "address", "organization"),
        "A contact needs a name, telecom, address or organization. Add one.",
    ),
    "ppc-1": Invariant(one_of("policy", "policyRule"), "A consent needs a policy or a policyRule. Add one."),
    "ppc-2": Invariant(_patient_in("patient-privacy"), "A consent to privacy needs its patient. Add it."),
    "ppc-3": Invariant(_patient_in("research"), "A consent to research needs its patient. Add it."),
    "ppc-4": Invariant(_patient_in("adr"), "An advance care directive needs its patient. Add it."),
    "ppc-5": Invariant(_patient_in("treatment"), "A consent to treatment needs its patient. Add it."),
    "sev-1": Invariant(not_both("name", "query"), "An entity has a name or a query, not both. Remove one."),
}
