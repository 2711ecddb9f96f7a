"""The invariants of the datatypes, by key. https://hl7.org/fhir/R4/datatypes.html"""

from collections.abc import Mapping

from fhir_ins.fhir.invariants.terms import Element, Holds, Invariant, has, has_choice, needs, not_after, number
from fhir_ins.fhir.scope import Scope

_UCUM = "http://unitsofmeasure.org"
_CURRENCIES = "urn:iso:std:iso:4217"
_NOT_A_VALUE = {"id", "extension", "url"}
_MEALS = {"C", "CM", "CD", "CV"}


def _not_negative(name: str) -> Holds:
    return lambda element, _scope: name not in element or number(element[name]) >= 0


def _ext_1(extension: Element, _scope: Scope) -> bool:
    return ("extension" in extension) != bool(extension.keys() - _NOT_A_VALUE)


def _ref_1(reference: Element, scope: Scope) -> bool:
    literal = reference.get("reference", "")
    return not literal.startswith("#") or scope.resolves(literal)


def _per_1(period: Element, _scope: Scope) -> bool:
    return "start" not in period or "end" not in period or not_after(period["start"], period["end"])


def _rng_2(range_: Element, _scope: Scope) -> bool:
    low, high = range_.get("low", {}), range_.get("high", {})
    same_unit = all(low.get(name) == high.get(name) for name in ("system", "code", "unit"))
    return not ("value" in low and "value" in high and same_unit) or number(low["value"]) <= number(high["value"])


def _rat_1(ratio: Element, _scope: Scope) -> bool:
    both = ("numerator" in ratio) == ("denominator" in ratio)
    return both and ("numerator" in ratio or "extension" in ratio)


def _measures(quantity: Element, _scope: Scope) -> bool:
    """dis-1: a code when there is a value, and UCUM when there is a system."""
    return (has(quantity, "code") or not has(quantity, "value")) and quantity.get("system", _UCUM) == _UCUM


def _age_1(age: Element, scope: Scope) -> bool:
    return _measures(age, scope) and ("value" not in age or number(age["value"]) > 0)


def _cnt_3(count: Element, scope: Scope) -> bool:
    whole = "value" not in count or "." not in str(count["value"])
    return _measures(count, scope) and count.get("code", "1") == "1" and whole


def _drt_1(duration: Element, _scope: Scope) -> bool:
    ucum = duration.get("system", _UCUM) == _UCUM  # qty-3 asks for the system
    return not has(duration, "code") or (ucum and has(duration, "value"))


def _mqty_1(money: Element, _scope: Scope) -> bool:
    coded_amount = has(money, "code") or not has(money, "value")
    return coded_amount and money.get("system", _CURRENCIES) == _CURRENCIES


def _either_path_or_parameter(filter_: Element, _scope: Scope) -> bool:
    return has(filter_, "path") != has(filter_, "searchParam")


def _exp_1(expression: Element, _scope: Scope) -> bool:
    return has(expression, "expression") or has(expression, "reference")


def _tim_9(repeat: Element, _scope: Scope) -> bool:
    if not has(repeat, "offset"):
        return True
    return has(repeat, "when") and _MEALS.isdisjoint(repeat.get("when", ()))


def _tim_10(repeat: Element, _scope: Scope) -> bool:
    return not (has(repeat, "timeOfDay") and has(repeat, "when"))


def _trd_1(trigger: Element, _scope: Scope) -> bool:
    return not ("data" in trigger and has_choice(trigger, "timing"))


def _trd_3(trigger: Element, _scope: Scope) -> bool:
    type_ = trigger.get("type", "")
    if type_ == "named-event":
        return has(trigger, "name")
    if type_ == "periodic":
        return has_choice(trigger, "timing")
    return not type_.startswith("data-") or "data" in trigger


DATATYPES: Mapping[str, Invariant] = {
    "age-1": Invariant(_age_1, "An Age with a value needs a code, UCUM as its system, and a value above 0."),
    "att-1": Invariant(needs("data", "contentType"), "Data needs its contentType. Add it."),
    "cnt-3": Invariant(_cnt_3, "A Count is a whole number with code 1; its system, if any, is UCUM."),
    "cpt-2": Invariant(needs("value", "system"), "A contact point with a value needs its system. Add it."),
    "dis-1": Invariant(_measures, "A Distance with a value needs a code; its system, if any, is UCUM."),
    "drq-1": Invariant(_either_path_or_parameter, "A code filter has either a path or a searchParam."),
    "drq-2": Invariant(_either_path_or_parameter, "A date filter has either a path or a searchParam."),
    "drt-1": Invariant(_drt_1, "A Duration with a code needs UCUM as its system, and a value."),
    "exp-1": Invariant(_exp_1, "An Expression needs an expression or a reference."),
    "ext-1": Invariant(_ext_1, "An extension has either a value or extensions of its own. Send one of them."),
    "mqty-1": Invariant(_mqty_1, "An amount of money with a value needs a code; its system, if any, is ISO 4217."),
    "per-1": Invariant(_per_1, "The start of the period is after its end. Correct one of them."),
    "qty-3": Invariant(needs("code", "system"), "A code of a unit needs its system. Add it."),
    "rat-1": Invariant(_rat_1, "A Ratio has both numerator and denominator, or neither and an extension."),
    "ref-1": Invariant(_ref_1, "No contained resource has this id. Contain it, or refer to Type/id."),
    "rng-2": Invariant(_rng_2, "The low of the range is above its high. Correct one of them."),
    "tim-1": Invariant(needs("duration", "durationUnit"), "A duration needs its durationUnit. Add it."),
    "tim-2": Invariant(needs("period", "periodUnit"), "A period needs its periodUnit. Add it."),
    "tim-4": Invariant(_not_negative("duration"), "The duration is negative. Send 0 or more."),
    "tim-5": Invariant(_not_negative("period"), "The period is negative. Send 0 or more."),
    "tim-6": Invariant(needs("periodMax", "period"), "A periodMax needs a period. Add it."),
    "tim-7": Invariant(needs("durationMax", "duration"), "A durationMax needs a duration. Add it."),
    "tim-8": Invariant(needs("countMax", "count"), "A countMax needs a count. Add it."),
    "tim-9": Invariant(_tim_9, "An offset needs a when, other than C, CM, CD and CV."),
    "tim-10": Invariant(_tim_10, "A timing has timeOfDay or when, not both. Remove one."),
    "trd-1": Invariant(_trd_1, "A trigger has timing or data, not both. Remove one."),
    "trd-2": Invariant(needs("condition", "data"), "A condition of a trigger needs its data. Add it."),
    "trd-3": Invariant(_trd_3, "A named-event needs a name, a periodic a timing, a data event its data."),
}
