"""Each invariant that is evaluated from its FHIRPath: an element that keeps it and one that breaks it."""

import pytest

from fhir_ins.fhir.invariants import INVARIANTS, JUDGED_ELSEWHERE
from fhir_ins.fhir.invariants.published import NOT_EVALUATED, published
from fhir_ins.fhir.scope import Scope
from fhir_ins.fhir.structure import definitions, resource_types, validate

ALLERGY = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
UCUM = "http://unitsofmeasure.org"
READ = {"type": {"code": "read"}}
CODE = {"text": "a"}
ACTIVE = {"clinicalStatus": CODE}
SD = "http://hl7.org/fhir/StructureDefinition/a"


def verified(code):
    return {"verificationStatus": {"coding": [{"system": ALLERGY, "code": code}]}}


def snapshot(*elements, **more):
    return {"snapshot": {"element": list(elements)}, **more}


def differential(*elements, **more):
    return {"differential": {"element": list(elements)}, **more}


def typed(*codes):
    return {"type": [{"code": code} for code in codes]}


# Key, where the element stands, one that keeps it, one that breaks it, the resource around when it is asked for.
CASES = [
    ("ait-1", "AllergyIntolerance", {**verified("confirmed"), **ACTIVE}, verified("confirmed")),
    ("ait-2", "AllergyIntolerance", verified("entered-in-error"), {**verified("entered-in-error"), **ACTIVE}),
    ("app-1", "Appointment.participant", {"type": [CODE]}, {"status": "accepted"}),
    ("app-2", "Appointment", {"start": "2024-01-01T00:00:00Z", "end": "2024-01-02T00:00:00Z"},
     {"start": "2024-01-01T00:00:00Z"}),
    ("app-3", "Appointment", {"status": "waitlist"}, {"status": "booked"}),
    ("app-4", "Appointment", {"status": "cancelled", "cancelationReason": CODE},
     {"status": "booked", "cancelationReason": CODE}),
    ("apr-1", "AppointmentResponse", {"actor": {"display": "a"}}, {"participantStatus": "accepted"}),
    ("ces-1", "CoverageEligibilityResponse.insurance.item", {"category": CODE},
     {"category": CODE, "productOrService": CODE}),
    ("cmd-1", "ConceptMap.group.element.target", {"equivalence": "narrower", "comment": "a"},
     {"equivalence": "narrower"}),
    ("cmd-2", "ConceptMap.group.unmapped", {"mode": "fixed", "code": "a"}, {"mode": "fixed"}),
    ("cmd-3", "ConceptMap.group.unmapped", {"mode": "other-map", "url": "http://a"}, {"mode": "other-map"}),
    ("cmp-1", "Composition.section", {"text": {"status": "empty"}}, {"title": "a"}),
    ("cmp-2", "Composition.section", {"emptyReason": CODE}, {"emptyReason": CODE, "entry": [{"display": "a"}]}),
    ("cpb-1", "CapabilityStatement", {"rest": [{"mode": "server"}]}, {"kind": "instance"}),
    ("cpb-2", "CapabilityStatement", {"description": "a"}, {"kind": "instance"}),
    ("cpb-3", "CapabilityStatement", {"kind": "instance", "messaging": [{"endpoint": [{"address": "a"}]}]},
     {"kind": "capability", "messaging": [{"endpoint": [{"address": "a"}]}]}),
    ("cpb-7", "CapabilityStatement", {"document": [{"profile": "a", "mode": mode}
                                          for mode in ("consumer", "producer")]},
     {"document": [{"profile": "a", "mode": "consumer"}] * 2}),
    ("cpb-9", "CapabilityStatement.rest", {"resource": [{"type": "Patient"}, {"type": "Basic"}]},
     {"resource": [{"type": "Patient"}] * 2}),
    ("cpb-12", "CapabilityStatement.rest.resource", {"searchParam": [{"name": "a"}, {"name": "b"}]},
     {"searchParam": [{"name": "a"}] * 2}),
    ("cpb-14", "CapabilityStatement", {"kind": "instance", "implementation": {"description": "a"}},
     {"kind": "instance"}),
    ("cpb-15", "CapabilityStatement", {"kind": "capability", "software": {"name": "a"}}, {"kind": "capability"}),
    ("cpb-16", "CapabilityStatement", {"kind": "requirements"}, {"kind": "requirements", "software": {"name": "a"}}),
    ("cpl-3", "CarePlan.activity", {"detail": {"status": "unknown"}},
     {"detail": {"status": "unknown"}, "reference": {"display": "a"}}),
    ("csd-1", "CodeSystem", {"concept": [{"code": "a", "concept": [{"code": "b"}]}]},
     {"concept": [{"code": "a", "concept": [{"code": "a"}]}]}),
    ("eld-1", "ElementDefinition.slicing", {"description": "a"}, {"rules": "open"}),
    ("eld-2", "ElementDefinition", {"min": 2, "max": "3"}, {"min": 3, "max": "2"}),
    ("eld-3", "ElementDefinition.max", "2", "-2"),
    ("eld-4", "ElementDefinition.type", {"code": "Reference", "aggregation": ["bundled"]},
     {"code": "string", "aggregation": ["bundled"]}),
    ("eld-5", "ElementDefinition", {"contentReference": "#a"}, {"contentReference": "#a", "maxLength": 1}),
    ("eld-6", "ElementDefinition", {"fixedString": "a", **typed("string")}, {"fixedString": "a", **typed("a", "b")}),
    ("eld-7", "ElementDefinition", {"patternString": "a", **typed("string")},
     {"patternString": "a", **typed("a", "b")}),
    ("eld-8", "ElementDefinition", {"patternString": "a"}, {"patternString": "a", "fixedString": "a"}),
    ("eld-12", "ElementDefinition.binding", {"valueSet": "http://a"}, {"valueSet": "a"}),
    ("eld-13", "ElementDefinition", typed("a", "b"), typed("a", "a")),
    ("eld-14", "ElementDefinition", {"constraint": [{"key": "a"}, {"key": "b"}]}, {"constraint": [{"key": "a"}] * 2}),
    ("eld-15", "ElementDefinition", {"defaultValueCode": "a"}, {"defaultValueCode": "a", "meaningWhenMissing": "b"}),
    ("eld-16", "ElementDefinition", {"sliceName": "INS-NIR/a"}, {"sliceName": "a b"}),
    ("eld-17", "ElementDefinition.type", {"code": "canonical", "targetProfile": ["a"]},
     {"code": "string", "targetProfile": ["a"]}),
    ("eld-18", "ElementDefinition", {"isModifier": True, "isModifierReason": "a"}, {"isModifier": True}),
    ("eld-19", "ElementDefinition", {"path": "Patient.value[x]"}, {"path": "."}),
    ("eld-22", "ElementDefinition", {"sliceIsConstraining": True, "sliceName": "a"}, {"sliceIsConstraining": True}),
    ("fhs-1", "FamilyMemberHistory", {"ageString": "a"}, {"ageString": "a", "bornDate": "2024"}),
    ("fhs-2", "FamilyMemberHistory", {"ageString": "a", "estimatedAge": True}, {"estimatedAge": True}),
    ("gol-1", "Goal.target", {"detailString": "a", "measure": CODE}, {"detailString": "a"}),
    ("grp-1", "Group", {"actual": True, "member": [{"inactive": True}]},
     {"actual": False, "member": [{"inactive": True}]}),
    ("ig-1", "ImplementationGuide.definition", {"grouping": [{"id": "a"}], "resource": [{"groupingId": "a"}]},
     {"grouping": [{"id": "a"}], "resource": [{"groupingId": "b"}]}),
    ("ig-2", "ImplementationGuide",
     {"fhirVersion": ["4.0.1"], "definition": {"resource": [{"fhirVersion": ["4.0.1"]}]}},
     {"fhirVersion": ["4.0.1"], "definition": {"resource": [{"fhirVersion": ["4.0.0"]}]}}),
    ("imm-1", "Immunization.education", {"documentType": "a"}, {"publicationDate": "2024"}),
    ("imr-1", "ImmunizationRecommendation.recommendation", {"targetDisease": CODE}, {"forecastStatus": CODE}),
    ("inv-1:TestReport", "TestReport.setup.action", {"operation": {"result": "pass"}},
     {"operation": {"result": "pass"}, "assert": {"result": "pass"}}),
    ("inv-2", "TestReport.test.action", {"assert": {"result": "pass"}}, {"id": "a"}),
    ("ipn-1", "InsurancePlan", {"name": "a"}, {"status": "active"}),
    ("lnk-1", "Linkage", {"item": [{"type": "source"}] * 2}, {"item": [{"type": "source"}]}),
    ("mad-1", "MedicationAdministration.dosage", {"rateRatio": {"id": "a"}}, {"text": "a"}),
    ("md-1", "MessageDefinition.focus", {"max": "1"}, {"max": "0"}),
    ("mdd-1", "MedicationDispense", {"whenPrepared": "2024-01-01", "whenHandedOver": "2024-01-01"},
     {"whenPrepared": "2024-01-02", "whenHandedOver": "2024-01-01"}),
    ("mea-1", "Measure", {"group": [{"stratifier": [{"code": CODE}]}]},
     {"group": [{"stratifier": [{"code": CODE, "component": [{"code": CODE}]}]}]}),
    ("mrp-1", "MeasureReport", {"type": "summary", "group": [{"code": CODE}]},
     {"type": "data-collection", "group": [{"code": CODE}]}),
    ("mrp-2", "MeasureReport", {"group": [{"stratifier": [{"stratum": [{"value": CODE}]}]}]},
     {"group": [{"stratifier": [{"stratum": [{"id": "a"}]}]}]}),
    ("msq-3", "MolecularSequence", {"coordinateSystem": 0}, {"coordinateSystem": 2}),
    ("msq-5", "MolecularSequence.referenceSeq", {"chromosome": CODE, "genomeBuild": "a"}, {"genomeBuild": "a"}),
    ("msq-6", "MolecularSequence.referenceSeq", {"genomeBuild": "a"}, {"genomeBuild": "a", "referenceSeqString": "A"}),
    ("nsd-1", "NamingSystem", {"kind": "root", "uniqueId": [{"type": "oid"}]},
     {"kind": "root", "uniqueId": [{"type": "uuid"}]}),
    ("nsd-2", "NamingSystem", {"uniqueId": [{"type": "oid", "preferred": True}, {"type": "uri", "preferred": True}]},
     {"uniqueId": [{"type": "oid", "preferred": True}] * 2}),
    ("opd-1", "OperationDefinition.parameter", {"type": "string"}, {"name": "a"}),
    ("opd-2", "OperationDefinition.parameter", {"type": "string", "searchType": "token"},
     {"type": "code", "searchType": "token"}),
    ("opd-3", "OperationDefinition.parameter", {"type": "canonical", "targetProfile": ["a"]},
     {"type": "code", "targetProfile": ["a"]}),
    ("prr-1", "ServiceRequest", {"orderDetail": [CODE], "code": CODE}, {"orderDetail": [CODE]}),
    ("qrs-1", "QuestionnaireResponse.item", {"answer": [{"valueString": "a"}]},
     {"answer": [{"valueString": "a"}], "item": [{"linkId": "a"}]}),
    ("que-1", "Questionnaire.item", {"type": "group", "item": [{"linkId": "a"}]}, {"type": "group"}),
    ("que-2", "Questionnaire", {"item": [{"linkId": "a", "item": [{"linkId": "b"}]}]},
     {"item": [{"linkId": "a", "item": [{"linkId": "a"}]}]}),
    ("que-3", "Questionnaire.item", {"type": "string", "code": [{"code": "a"}]},
     {"type": "display", "code": [{"code": "a"}]}),
    ("que-4", "Questionnaire.item", {"answerValueSet": "a"},
     {"answerValueSet": "a", "answerOption": [{"valueString": "a"}]}),
    ("que-5", "Questionnaire.item", {"type": "choice", "answerValueSet": "a"},
     {"type": "boolean", "answerValueSet": "a"}),
    ("que-6", "Questionnaire.item", {"type": "string", "required": True}, {"type": "display", "required": True}),
    ("que-7", "Questionnaire.item.enableWhen", {"operator": "exists", "answerBoolean": True},
     {"operator": "exists", "answerString": "a"}),
    ("que-8", "Questionnaire.item", {"type": "string", "initial": [{"valueString": "a"}]},
     {"type": "group", "initial": [{"valueString": "a"}]}),
    ("que-9", "Questionnaire.item", {"type": "string", "readOnly": True}, {"type": "display", "readOnly": True}),
    ("que-10", "Questionnaire.item", {"type": "text", "maxLength": 1}, {"type": "date", "maxLength": 1}),
    ("que-11", "Questionnaire.item", {"answerOption": [{"valueString": "a"}]},
     {"answerOption": [{"valueString": "a"}], "initial": [{"valueString": "a"}]}),
    ("que-12", "Questionnaire.item", {"enableWhen": [{"question": "a"}] * 3, "enableBehavior": "all"},
     {"enableWhen": [{"question": "a"}] * 3}),
    ("que-13", "Questionnaire.item", {"repeats": True, "initial": [{"valueString": "a"}] * 2},
     {"repeats": False, "initial": [{"valueString": "a"}] * 2}),
    ("ras-1", "RiskAssessment.prediction.probability[x]", {"low": {"code": "%", "system": UCUM}},
     {"low": {"code": "kg", "system": UCUM}}),
    ("ras-2", "RiskAssessment.prediction", {"probabilityDecimal": 100}, {"probabilityDecimal": 100.5}),
    ("rqg-1", "RequestGroup.action", {"resource": {"display": "a"}},
     {"resource": {"display": "a"}, "action": [{"title": "a"}]}),
    ("sdf-1", "StructureDefinition", snapshot({"path": "A"}, {"path": "A.b"}),
     snapshot({"path": "A"}, {"path": "A"}, derivation="specialization")),
    ("sdf-2", "StructureDefinition.mapping", {"uri": "http://a"}, {"identity": "a"}),
    ("sdf-3", "StructureDefinition.snapshot", {"element": [{"definition": "a", "min": 0, "max": "1"}]},
     {"element": [{"definition": "a", "min": 0}]}),
    ("sdf-4", "StructureDefinition", {"abstract": False, "baseDefinition": "http://a"}, {"abstract": False}),
    ("sdf-5", "StructureDefinition",
     {"type": "Extension", "derivation": "constraint", "context": [{"type": "element"}]},
     {"type": "Extension", "derivation": "constraint"}),
    ("sdf-6", "StructureDefinition", differential({"path": "A"}), {"type": "A"}),
    ("sdf-8", "StructureDefinition.snapshot", {"element": [{"path": "A"}, {"path": "A.b"}]},
     {"element": [{"path": "A"}, {"path": "B.b"}]}),
    ("sdf-8a", "StructureDefinition.differential", {"element": [{"path": "A"}, {"path": "A.b"}]},
     {"element": [{"path": "A"}, {"path": "B.b"}]}),
    ("sdf-8b", "StructureDefinition.snapshot", {"element": [{"base": {"path": "A"}}]}, {"element": [{"path": "A"}]}),
    ("sdf-9", "StructureDefinition", differential({"path": "A"}, {"path": "A.b", "label": "a"}),
     differential({"path": "A", "label": "a"})),
    ("sdf-10", "StructureDefinition.snapshot.element", {"binding": {"strength": "example", "description": "a"}},
     {"binding": {"strength": "example"}}),
    ("sdf-11", "StructureDefinition", snapshot({"path": "A"}, kind="resource", type="A"),
     snapshot({"path": "B"}, kind="resource", type="A")),
    ("sdf-14", "StructureDefinition", differential({"id": "a"}), differential({"path": "a"})),
    ("sdf-15", "StructureDefinition", snapshot({"path": "A"}, kind="resource"),
     snapshot({"path": "A", **typed("B")}, kind="resource")),
    ("sdf-15a", "StructureDefinition", differential({"path": "A"}, kind="resource"),
     differential({"path": "A", **typed("B")}, kind="resource")),
    ("sdf-16", "StructureDefinition", snapshot({"id": "a"}, {"id": "b"}), snapshot({"id": "a"}, {"id": "a"})),
    ("sdf-17", "StructureDefinition", differential({"id": "a"}, {"id": "b"}), differential({"id": "a"}, {"id": "a"})),
    ("sdf-18", "StructureDefinition", {"contextInvariant": ["a"], "type": "Extension"},
     {"contextInvariant": ["a"], "type": "Patient"}),
    ("sdf-19", "StructureDefinition", differential(typed("string"), url=SD), differential(typed("a-b"), url=SD)),
    ("sdf-20", "StructureDefinition.differential", {"element": [{"path": "A.b", "slicing": {"rules": "open"}}]},
     {"element": [{"path": "A", "slicing": {"rules": "open"}}]}),
    ("sdf-21", "StructureDefinition", differential({"defaultValueCode": "a"}, derivation="specialization"),
     differential({"defaultValueCode": "a"}, derivation="constraint")),
    ("sdf-22", "StructureDefinition", differential({"path": "a"}, url=SD),
     differential({"defaultValueCode": "a"}, url=SD)),
    ("sdf-23", "StructureDefinition", differential({"path": "A.b", "sliceName": "a"}),
     differential({"path": "A", "sliceName": "a"})),
    ("smp-1", "StructureMap.group.rule.target", {"element": "a", "context": "b"}, {"element": "a"}),
    ("smp-2", "StructureMap.group.rule.target", {"context": "b", "contextType": "type"}, {"context": "b"}),
    ("spd-1", "SearchParameter", {"xpath": "a", "xpathUsage": "normal"}, {"xpath": "a"}),
    ("spd-2", "SearchParameter", {"type": "reference", "chain": ["a"]}, {"type": "token", "chain": ["a"]}),
    ("tcp-1", "TerminologyCapabilities.codeSystem", {"version": [{"code": "1"}, {"code": "2"}]},
     {"version": [{"code": "1"}, {"isDefault": True}]}),
    ("tcp-2", "TerminologyCapabilities", {"software": {"name": "a"}}, {"kind": "instance"}),
    ("tcp-3", "TerminologyCapabilities", {"kind": "instance", "implementation": {"description": "a"}},
     {"kind": "instance"}),
    ("tcp-4", "TerminologyCapabilities", {"kind": "capability", "software": {"name": "a"}}, {"kind": "capability"}),
    ("tcp-5", "TerminologyCapabilities", {"kind": "requirements"}, {"kind": "requirements", "software": {"name": "a"}}),
    ("tst-1", "TestScript.setup.action", {"operation": {"url": "a"}}, {"id": "a"}),
    ("tst-2", "TestScript.test.action", {"assert": {"path": "a"}},
     {"operation": {"url": "a"}, "assert": {"path": "a"}}),
    ("tst-3", "TestScript.variable", {"path": "a", "expression": "b"},
     {"path": "a", "expression": "b", "headerField": "c"}),
    ("tst-4", "TestScript.metadata", {"capability": [{"required": True}]}, {"capability": [{"description": "a"}]}),
    ("tst-5", "TestScript.setup.action.assert", {"path": "a"}, {"path": "a", "resource": "Patient"}),
    ("tst-6", "TestScript.test.action.assert", {"path": "a"}, {"path": "a", "resource": "Patient"}),
    ("tst-7", "TestScript.setup.action.operation", {"url": "a"}, {"url": "a", "params": "b", **READ}),
    ("tst-8", "TestScript.test.action.operation", {"type": {"code": "search"}}, {"url": "a", "params": "b", **READ}),
    ("tst-9", "TestScript.teardown.action.operation", {"sourceId": "a"}, {"url": "a", "params": "b", **READ}),
    *((key, f"TestScript.{part}.action.assert", {"compareToSourceId": "a", "compareToSourcePath": "b"},
       {"compareToSourceId": "a"}) for key, part in (("tst-10", "setup"), ("tst-11", "test"))),
    *((key, f"TestScript.{part}.action.assert", {"direction": "response", "responseCode": "200"},
       {"direction": "request", "responseCode": "200"}) for key, part in (("tst-12", "setup"), ("tst-13", "test"))),
    ("vsd-1", "ValueSet.compose.include", {"system": "a"}, {"version": "a"}),
    ("vsd-2", "ValueSet.compose.include", {"system": "a", "concept": [{"code": "a"}]}, {"concept": [{"code": "a"}]}),
    ("vsd-3", "ValueSet.compose.include", {"filter": [{"property": "a"}]},
     {"filter": [{"property": "a"}], "concept": [{"code": "a"}]}),
    ("vsd-6", "ValueSet.expansion.contains", {"display": "a"}, {"system": "a"}),
    ("vsd-9", "ValueSet.expansion.contains", {"abstract": True}, {"abstract": False}),
    ("vsd-10", "ValueSet.expansion.contains", {"code": "a", "system": "b"}, {"code": "a"}),
]  # fmt: skip
AROUND = {
    "sdf-8": {"kind": "resource", "type": "A", **snapshot({"path": "A"})},
    "sdf-8a": {"kind": "resource", "type": "A", **differential({"path": "A"})},
}


@pytest.mark.parametrize(("key", "place", "kept", "broken"), CASES, ids=[case[0] for case in CASES])
def test_what_keeps_an_invariant_and_what_breaks_it(key, place, kept, broken):
    holds = published(key, definitions()["invariants"][key], place).holds
    if place in resource_types():
        kept, broken = ({"resourceType": place, **resource} for resource in (kept, broken))
    scope = Scope(AROUND.get(key, {}))
    assert [holds(kept, scope), holds(broken, scope)] == [True, False]


def test_every_invariant_is_a_function_or_evaluated_or_said_not_to_be():
    evaluated = {case[0] for case in CASES}
    ways = (set(INVARIANTS), JUDGED_ELSEWHERE, set(NOT_EVALUATED), evaluated)
    assert set().union(*ways) == set(definitions()["invariants"])
    assert sum(map(len, ways)) == len(definitions()["invariants"])


def test_an_evaluated_invariant_is_told_with_its_place():
    item = {"linkId": "a", "type": "group"}
    (issue,) = validate({"resourceType": "Questionnaire", "status": "draft", "item": [item]})
    assert (issue.code, issue.expression) == ("invariant", "Questionnaire.item[0]")
    assert issue.text.startswith("que-1: ")
