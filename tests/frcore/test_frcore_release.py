"""What FR Core 2.1.0 has otherwise than 2.2.0: the same identity, written in each."""

from dataclasses import replace
from typing import Any

import pytest
from frcore.records import CHECK, FR_CORE, FR_CORE_2_1_0, SOMEBODY_ELSE, ZOE, known, number, writer
from people import ADRUN, NIR, patient

from fhir_ins.frcore.forms import bare, forms
from fhir_ins.frcore.profiles import FrCore
from fhir_ins.frcore.writes import written
from fhir_ins.ins.identity import InsNumber
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.oid import InsOid
from fhir_ins.ins.status import Status

Json = dict[str, Any]

R21, R22 = FR_CORE_2_1_0, FR_CORE
NIA = InsNumber(Matricule("1090763220888", "35"), InsOid.NIA)
CLAIM = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient"
NSS_TYPE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "NH"}]}
NSS = {"use": "official", "type": NSS_TYPE, "system": "urn:oid:1.2.250.1.213.1.4.13", "value": ADRUN}


def conveyed(release: FrCore, body: Json | None = None, **answer: Any) -> Json:
    found = known(Status.QUALIFIEE, replace(ZOE, **answer), body)
    return forms(found.patient, found.identity, release).conveyed


@pytest.mark.parametrize(
    ("release", "ins", "plain"),
    [(R22, f"{CLAIM}-ins|2.2.0", f"{CLAIM}|2.2.0"), (R21, f"{CLAIM}-ins", CLAIM)],
    ids=["2.2.0", "2.1.0"],
)
def test_the_claim_is_the_canonical_of_the_release(release: FrCore, ins: str, plain: str) -> None:
    found = known(Status.QUALIFIEE)
    made = forms(found.patient, found.identity, release)
    assert made.conveyed["meta"]["profile"] == [ins]
    assert made.concealed is not None
    assert made.concealed["meta"]["profile"] == [plain]


@pytest.mark.parametrize(("release", "use"), [(R22, "official"), (R21, "temp")], ids=["2.2.0", "2.1.0"])
def test_the_use_of_a_nia(release: FrCore, use: str) -> None:
    (identifier,) = conveyed(release, active=NIA)["identifier"]
    assert (identifier["use"], identifier["type"]["coding"][0]["code"]) == (use, "INS-NIA")


@pytest.mark.parametrize(("release", "typed"), [(R22, True), (R21, False)], ids=["2.2.0", "2.1.0"])
def test_a_former_number_has_no_type_where_its_slice_has_no_old_use(release: FrCore, typed: bool) -> None:
    _, old = conveyed(release, history=(number(),))["identifier"]
    assert (old["use"], old["system"], old["value"], "type" in old) == ("old", NIR, SOMEBODY_ELSE, typed)


@pytest.mark.parametrize("release", [R22, R21], ids=["2.2.0", "2.1.0"])
@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("claimed", [[], [CLAIM]])
def test_a_social_security_number_is_beside_the_slices_where_a_profile_is_claimed(
    release: FrCore, status: Status, claimed: list[str]
) -> None:
    body = patient(identifier=[NSS], meta={"profile": claimed}) if claimed else patient(identifier=[NSS])
    found = known(status, body=body)
    made = forms(found.patient, found.identity, release).conveyed
    beside = bool(claimed) or found.identity.obtained is not None
    assert made["identifier"][-1] == ({**NSS, "use": "secondary", "type": {"text": "NH"}} if beside else NSS)
    assert bool(made.get("meta", {}).get("profile")) is beside
    assert bare(made)["identifier"] == [NSS]


@pytest.mark.parametrize(
    ("release", "said"),
    [(R22, {"AN", "CN", "LE", "PA"}), (R21, {"AN", "CE", "CN", "CS", "LE", "PA"})],
    ids=["2.2.0", "2.1.0"],
)
def test_the_means_an_ins_patient_may_carry(release: FrCore, said: set[str]) -> None:
    told = set()
    for means in ("AC", "AN", "AV", "CE", "CN", "CS", "DC", "IE", "LE", "PA"):
        found = known(Status.QUALIFIEE, check=replace(CHECK, means=means))
        statement = forms(found.patient, found.identity, release).conveyed["extension"][-1]["extension"]
        told |= {part["valueCoding"]["code"] for part in statement if part["url"] == "validationMode"}
    assert told == said


@pytest.mark.parametrize("release", [R22, R21], ids=["2.2.0", "2.1.0"])
@pytest.mark.parametrize(
    "nss",
    [
        {"system": NSS["system"], "value": ADRUN},
        {"use": "secondary", "system": NSS["system"], "value": ADRUN},
        {**NSS, "use": "old", "period": {"end": "2020"}},
        {**NSS, "type": {**NSS_TYPE, "text": "of the mother"}},
        {**NSS, "type": {"text": "billing"}},
    ],
)
@pytest.mark.parametrize("system", ["13", "8"])
def test_no_release_refuses_a_social_security_number_or_makes_another_one_of_it(
    release: FrCore, nss: Json, system: str
) -> None:
    sent = {**nss, "system": f"urn:oid:1.2.250.1.213.1.4.{system}"}
    if system == "8" and "coding" not in nss.get("type", {}):
        return  # without its type it is an INS
    wrote = written(patient(identifier=[sent], meta={"profile": [CLAIM]}), None, writer(edition=release))
    shown = forms(wrote.patient, wrote.identity, release).conveyed
    (kept,) = shown["identifier"]
    assert kept["system"] == NSS["system"]
    assert kept.get("period") == nss.get("period")
    assert (kept.get("use") == "old") is (nss.get("use") == "old")
    assert kept.get("type", {}).get("text") in (nss.get("type", {}).get("text"), "NH")
    again = written(shown, wrote, writer(edition=release))
    assert forms(again.patient, again.identity, release).conveyed == shown
