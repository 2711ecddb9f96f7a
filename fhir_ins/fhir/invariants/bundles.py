"""The invariants of Bundle and its entries, by key. https://hl7.org/fhir/R4/bundle.html#invs"""

from collections.abc import Mapping
from typing import Any

from fhir_ins.fhir.invariants.terms import Element, Holds, Invariant, has, one_of
from fhir_ins.fhir.scope import Scope

_REQUESTED = {"batch", "transaction", "history"}
_ANSWERED = {"batch-response", "transaction-response", "history"}


def _bdl_1(bundle: Element, _scope: Scope) -> bool:
    return not has(bundle, "total") or bundle.get("type", "history") in ("searchset", "history")


def _bdl_2(bundle: Element, _scope: Scope) -> bool:
    searched = any("search" in entry for entry in bundle.get("entry", ()))
    return not searched or bundle.get("type", "searchset") == "searchset"


def _in_each_entry_of(name: str, types: set[str]) -> Holds:
    """bdl-3 and bdl-4: every entry has it in a Bundle of these types, none in another."""

    def holds(bundle: Element, _scope: Scope) -> bool:
        type_ = bundle.get("type")
        return all(type_ and (name in entry) == (type_ in types) for entry in bundle.get("entry", ()))

    return holds


def _bdl_7(bundle: Element, _scope: Scope) -> bool:
    if bundle.get("type", "history") == "history":
        return True
    named = [
        (entry["fullUrl"], entry.get("resource", {}).get("meta", {}).get("versionId"))
        for entry in bundle.get("entry", ())
        if "fullUrl" in entry
    ]
    return len(set(named)) == len(named)


def _bdl_8(entry: Element, _scope: Scope) -> bool:
    return "/_history/" not in entry.get("fullUrl", "")


def _bdl_9(bundle: Element, _scope: Scope) -> bool:
    identifier = bundle.get("identifier", {})
    return bundle.get("type") != "document" or (has(identifier, "system") and has(identifier, "value"))


def _bdl_10(bundle: Element, _scope: Scope) -> bool:
    return bundle.get("type") != "document" or "timestamp" in bundle


def _opens_with(resource_type: str, bundle_type: str) -> Holds:
    """bdl-11 and bdl-12; a document or message of no entry has no such resource either."""

    def holds(bundle: Element, _scope: Scope) -> bool:
        if bundle.get("type") != bundle_type:
            return True
        first: Any = next(iter(bundle.get("entry", ())), {})
        return bool(first.get("resource", {}).get("resourceType") == resource_type)

    return holds


BUNDLES: Mapping[str, Invariant] = {
    "bdl-1": Invariant(_bdl_1, "Only a searchset or history has a total. Remove it."),
    "bdl-2": Invariant(_bdl_2, "Only the entries of a searchset have search. Remove it."),
    "bdl-3": Invariant(
        _in_each_entry_of("request", _REQUESTED),
        "Each entry of a batch, transaction or history has a request; those of another Bundle have none.",
    ),
    "bdl-4": Invariant(
        _in_each_entry_of("response", _ANSWERED),
        "Each entry of a batch-response, transaction-response or history has a response; those of another have none.",
    ),
    "bdl-5": Invariant(
        one_of("resource", "request", "response"), "An entry needs a resource, a request or a response. Add one."
    ),
    "bdl-7": Invariant(_bdl_7, "Two entries have one fullUrl (and version). Give each resource a fullUrl of its own."),
    "bdl-8": Invariant(_bdl_8, "A fullUrl names no version. Take /_history/ out, and say the version in meta."),
    "bdl-9": Invariant(_bdl_9, "A document needs an identifier with system and value. Add them."),
    "bdl-10": Invariant(_bdl_10, "A document needs a timestamp. Add it."),
    "bdl-11": Invariant(_opens_with("Composition", "document"), "The first resource of a document is a Composition."),
    "bdl-12": Invariant(_opens_with("MessageHeader", "message"), "The first resource of a message is a MessageHeader."),
}
