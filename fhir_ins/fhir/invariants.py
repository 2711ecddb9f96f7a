"""The invariants of Patient, Parameters and the datatypes they carry, by key.

https://hl7.org/fhir/R4/conformance-rules.html#constraints. Each function takes an element whose structure is
right and the scope of its resource; it is true when the invariant holds, as its FHIRPath in definitions/r4.json.

Checked elsewhere: ele-1, sqty-1 and dom-2 (structure), txt-1 and txt-2 (primitives). Left out: dom-6, best practice.
No function yet, all of resources and datatypes that a Patient or Parameters cannot carry as elements: ait-1 2;
app-1 2 3 4; apr-1; bdl-1 2 3 4 5 7 8 9 10 11 12; ces-1; cmd-1 2 3; cmp-1 2; con-1 2 4 5; cpb-1 2 3 7 9 12 14 15 16;
cpl-3; csd-1; ctm-1; eld-1 2 3 4 5 6 7 8 11 12 13 14 15 16 17 18 19 22; fhs-1 2; gol-1; grp-1; ig-1 2; imm-1; imr-1;
inv-1 of Task; inv-1 and inv-2 of TestReport; ipn-1; lnk-1; lst-1 2 3; mad-1; md-1; mdd-1; mea-1; mqty-1; mrp-1 2;
msq-3 5 6; nsd-1 2; obs-3 6 7; opd-1 2 3; org-1 2 3; ppc-1 2 3 4 5; prr-1; qrs-1; que-1 2 3 4 5 6 7 8 9 10 11 12 13;
ras-1 2; rqg-1; sdf-1 2 3 4 5 6 8 8a 8b 9 10 11 14 15 15a 16 17 18 19 20 21 22 23; sev-1; smp-1 2; spd-1 2;
tcp-1 2 3 4 5; tst-1 2 3 4 5 6 7 8 9 10 11 12 13; vsd-1 2 3 6 9 10.
"""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from fhir_ins.fhir.scope import Scope

Element = dict[str, Any]

_UCUM = "http://unitsofmeasure.org"
_NOT_A_VALUE = {"id", "extension", "url"}
_MEALS = {"C", "CM", "CD", "CV"}


class Invariant(NamedTuple):
    """Whether it holds, and what to tell when it does not."""

    holds: Callable[[Element, Scope], bool]
    text: str


def _has(element: Element, name: str) -> bool:
    """The element exists, with a value or with extensions only."""
    return name in element or "_" + name in element


def _has_choice(element: Element, stem: str) -> bool:
    return any(name.startswith((stem, "_" + stem)) for name in element)


def _needs(name: str, other: str) -> Callable[[Element, Scope], bool]:
    """`name` exists only with `other`."""
    return lambda element, _scope: not _has(element, name) or _has(element, other)


def _not_negative(name: str) -> Callable[[Element, Scope], bool]:
    return lambda element, _scope: name not in element or number(element[name]) >= 0


def number(value: Any) -> Decimal:
    """A JSON number as it was written, exactly."""
    return value if isinstance(value, Decimal) else Decimal(repr(value))


def _pat_1(contact: Element, _scope: Scope) -> bool:
    return any(name in contact for name in ("name", "telecom", "address", "organization"))


def _ext_1(extension: Element, _scope: Scope) -> bool:
    return ("extension" in extension) != bool(extension.keys() - _NOT_A_VALUE)


def _inv_1(parameter: Element, _scope: Scope) -> bool:
    return ("part" in parameter) + _has_choice(parameter, "value") + ("resource" in parameter) == 1


def _ref_1(reference: Element, scope: Scope) -> bool:
    literal = reference.get("reference", "")
    return not literal.startswith("#") or scope.resolves(literal)


def _per_1(period: Element, _scope: Scope) -> bool:
    return "start" not in period or "end" not in period or not_after(period["start"], period["end"])


def not_after(start: str, end: str) -> bool:
    """Whether a period may run from `start` to `end`, two valid dateTimes.

    A partial end covers all it may mean (https://hl7.org/fhir/R4/datatypes.html#Period), so that dates of unequal
    precision are compared as far as both go.
    """
    if len(start) > 10 and len(end) > 10:
        return _seconds(start) <= _seconds(end)
    shared = min(len(start), len(end))
    return start[:shared] <= end[:shared]


def _seconds(moment: str) -> Decimal:
    """A dateTime with time and zone, as seconds on UTC's line. Leap seconds are read as the next second."""
    clock, zone = (moment[11:-1], "+00:00") if moment.endswith("Z") else (moment[11:-6], moment[-6:])
    offset = (int(zone[1:3]) * 60 + int(zone[4:])) * 60 * (-1 if zone[0] == "-" else 1)
    midnight = date.fromisoformat(moment[:10]).toordinal() * 86400
    return midnight + int(clock[:2]) * 3600 + int(clock[3:5]) * 60 + Decimal(clock[6:]) - offset


def _rng_2(range_: Element, _scope: Scope) -> bool:
    low, high = range_.get("low", {}), range_.get("high", {})
    same_unit = all(low.get(name) == high.get(name) for name in ("system", "code", "unit"))
    return not ("value" in low and "value" in high and same_unit) or number(low["value"]) <= number(high["value"])


def _rat_1(ratio: Element, _scope: Scope) -> bool:
    both = ("numerator" in ratio) == ("denominator" in ratio)
    return both and ("numerator" in ratio or "extension" in ratio)


def _measures(quantity: Element, _scope: Scope) -> bool:
    """dis-1: a code when there is a value, and UCUM when there is a system."""
    return (_has(quantity, "code") or not _has(quantity, "value")) and quantity.get("system", _UCUM) == _UCUM


def _age_1(age: Element, scope: Scope) -> bool:
    return _measures(age, scope) and ("value" not in age or number(age["value"]) > 0)


def _cnt_3(count: Element, scope: Scope) -> bool:
    whole = "value" not in count or "." not in str(count["value"])
    return _measures(count, scope) and count.get("code", "1") == "1" and whole


def _drt_1(duration: Element, _scope: Scope) -> bool:
    ucum = duration.get("system", _UCUM) == _UCUM  # qty-3 asks for the system
    return not _has(duration, "code") or (ucum and _has(duration, "value"))


def _either_path_or_parameter(filter_: Element, _scope: Scope) -> bool:
    return _has(filter_, "path") != _has(filter_, "searchParam")


def _exp_1(expression: Element, _scope: Scope) -> bool:
    return _has(expression, "expression") or _has(expression, "reference")


def _tim_9(repeat: Element, _scope: Scope) -> bool:
    if not _has(repeat, "offset"):
        return True
    return _has(repeat, "when") and _MEALS.isdisjoint(repeat.get("when", ()))


def _tim_10(repeat: Element, _scope: Scope) -> bool:
    return not (_has(repeat, "timeOfDay") and _has(repeat, "when"))


def _trd_1(trigger: Element, _scope: Scope) -> bool:
    return not ("data" in trigger and _has_choice(trigger, "timing"))


def _trd_3(trigger: Element, _scope: Scope) -> bool:
    type_ = trigger.get("type", "")
    if type_ == "named-event":
        return _has(trigger, "name")
    if type_ == "periodic":
        return _has_choice(trigger, "timing")
    return not type_.startswith("data-") or "data" in trigger


def _dom_3(resource: Element, scope: Scope) -> bool:
    contained = zip(resource.get("contained", ()), scope.inner, strict=False)
    return all(inside.refers_up or f"#{inner.get('id')}" in scope.anchors for inner, inside in contained)


def _dom_4(resource: Element, _scope: Scope) -> bool:
    metas = [inner.get("meta", {}) for inner in resource.get("contained", ())]
    return not any(_has(meta, "versionId") or _has(meta, "lastUpdated") for meta in metas)


def _dom_5(resource: Element, _scope: Scope) -> bool:
    return not any("security" in inner.get("meta", {}) for inner in resource.get("contained", ()))


INVARIANTS: Mapping[str, Invariant] = {
    "age-1": Invariant(_age_1, "An Age with a value needs a code, UCUM as its system, and a value above 0."),
    "att-1": Invariant(_needs("data", "contentType"), "Data needs its contentType. Add it."),
    "cnt-3": Invariant(_cnt_3, "A Count is a whole number with code 1; its system, if any, is UCUM."),
    "cpt-2": Invariant(_needs("value", "system"), "A contact point with a value needs its system. Add it."),
    "dis-1": Invariant(_measures, "A Distance with a value needs a code; its system, if any, is UCUM."),
    "dom-3": Invariant(_dom_3, "A contained resource is referred to from nowhere. Refer to it as #id, or take it out."),
    "dom-4": Invariant(_dom_4, "A contained resource has a versionId or lastUpdated. Remove them."),
    "dom-5": Invariant(_dom_5, "A contained resource has a security label. Put it on the container."),
    "drq-1": Invariant(_either_path_or_parameter, "A code filter has either a path or a searchParam."),
    "drq-2": Invariant(_either_path_or_parameter, "A date filter has either a path or a searchParam."),
    "drt-1": Invariant(_drt_1, "A Duration with a code needs UCUM as its system, and a value."),
    "exp-1": Invariant(_exp_1, "An Expression needs an expression or a reference."),
    "ext-1": Invariant(_ext_1, "An extension has either a value or extensions of its own. Send one of them."),
    "inv-1:Parameters": Invariant(_inv_1, "A parameter has exactly one of value[x], resource and part."),
    "pat-1": Invariant(_pat_1, "A contact needs a name, telecom, address or organization. Add one."),
    "per-1": Invariant(_per_1, "The start of the period is after its end. Correct one of them."),
    "qty-3": Invariant(_needs("code", "system"), "A code of a unit needs its system. Add it."),
    "rat-1": Invariant(_rat_1, "A Ratio has both numerator and denominator, or neither and an extension."),
    "ref-1": Invariant(_ref_1, "No contained resource has this id. Contain it, or refer to Type/id."),
    "rng-2": Invariant(_rng_2, "The low of the range is above its high. Correct one of them."),
    "tim-1": Invariant(_needs("duration", "durationUnit"), "A duration needs its durationUnit. Add it."),
    "tim-2": Invariant(_needs("period", "periodUnit"), "A period needs its periodUnit. Add it."),
    "tim-4": Invariant(_not_negative("duration"), "The duration is negative. Send 0 or more."),
    "tim-5": Invariant(_not_negative("period"), "The period is negative. Send 0 or more."),
    "tim-6": Invariant(_needs("periodMax", "period"), "A periodMax needs a period. Add it."),
    "tim-7": Invariant(_needs("durationMax", "duration"), "A durationMax needs a duration. Add it."),
    "tim-8": Invariant(_needs("countMax", "count"), "A countMax needs a count. Add it."),
    "tim-9": Invariant(_tim_9, "An offset needs a when, other than C, CM, CD and CV."),
    "tim-10": Invariant(_tim_10, "A timing has timeOfDay or when, not both. Remove one."),
    "trd-1": Invariant(_trd_1, "A trigger has timing or data, not both. Remove one."),
    "trd-2": Invariant(_needs("condition", "data"), "A condition of a trigger needs its data. Add it."),
    "trd-3": Invariant(_trd_3, "A named-event needs a name, a periodic a timing, a data event its data."),
}
