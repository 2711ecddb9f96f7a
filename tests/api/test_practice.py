"""The special cases of practice (RNIV, guide d'implémentation INS), each as it comes over HTTP."""

from typing import Any, ClassVar

import httpx
import pytest
from people import (
    ADRUN,
    ADRUN_TRAITS,
    INS_PROFILE,
    NIR,
    claiming,
    code,
    document_checked,
    ins_identifier,
    out,
    patient,
    reliability,
    stated_status,
    traits,
)
from servers import SANDBOX_RIGHTS, StartServer

from fhir_ins.security.caller import Right

Json = dict[str, Any]

NIA = "urn:oid:1.2.250.1.213.1.4.9"
NSS_NIR = "urn:oid:1.2.250.1.213.1.4.13"
V2_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
NSS_TYPE = {"coding": [{"system": V2_TYPES, "code": "NH"}]}
IPP = {"use": "usual", "system": "urn:oid:1.2.3.4", "value": "IPP-7"}
BIRTH_PLACE = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"
INSEE = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code"
COMMUNES = "https://mos.esante.gouv.fr/NOS/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM"
COUNTRIES = "https://mos.esante.gouv.fr/NOS/TRE_R20-Pays/FHIR/TRE-R20-Pays"
CHECKED = reliability("VALI", "2026-11-20", "CN")


def born_in(cog: str, system: str = COMMUNES) -> Json:
    coding = {"system": system, "code": cog}
    return {"url": BIRTH_PLACE, "valueAddress": {"extension": [{"url": INSEE, "valueCoding": coding}]}}


async def put(fhir: httpx.AsyncClient, resource: Json) -> httpx.Response:
    headers = {"If-Match": f'W/"{resource["meta"]["versionId"]}"'}
    return await fhir.put(f"/Patient/{resource['id']}", json=resource, headers=headers)


async def fetched(fhir: httpx.AsyncClient, asked: Json = ADRUN_TRAITS) -> Json:
    """The Patient as an ordinary caller reads it once $ins-fetch has stored it."""
    answer = (await fhir.post("/Patient/$ins-fetch", json=asked)).json()
    return (await fhir.get("/" + out(answer, "stored")[0]["valueReference"]["reference"])).json()  # type: ignore[no-any-return]


async def found_by(fhir: httpx.AsyncClient, token: str) -> list[str]:
    bundle = (await fhir.get("/Patient", params={"identifier": token})).json()
    return [entry["resource"]["id"] for entry in bundle.get("entry", [])]


@pytest.fixture
async def gam(start_server: StartServer) -> httpx.AsyncClient:
    """The structure's identity management, on the same data: a trusted source."""
    return await start_server(rights=SANDBOX_RIGHTS - {Right.QUALIFY} | {Right.TRUSTED_SOURCE})


@pytest.fixture
async def without_insi(start_server: StartServer) -> httpx.AsyncClient:
    """A server whose téléservice is not there: whatever succeeds has not asked it."""
    return await start_server(insi_endpoint="https://127.0.0.1:9/")


class TestWithoutAnIdentityDocument:
    @pytest.mark.parametrize("means", [None, "CC", "CM", "PC", "TC"])
    async def test_nothing_less_than_a_document_of_high_confidence_qualifies(
        self, fhir: httpx.AsyncClient, means: str | None
    ) -> None:
        read = await fetched(fhir)
        refused = await put(fhir, claiming(read, reliability("VALI", "2026-11-20", means)))
        assert refused.status_code == 422
        assert refused.json()["issue"][0]["expression"][0].endswith("extension('validationMode')")
        assert ADRUN not in (await fhir.get(f"/Patient/{read['id']}")).text

    async def test_the_person_is_cared_for_all_the_same(self, fhir: httpx.AsyncClient) -> None:
        read = await fetched(fhir)
        cared = await put(fhir, {**read, "telecom": [{"system": "phone", "value": "0400000000"}], "identifier": [IPP]})
        assert cared.status_code == 200
        assert await found_by(fhir, "urn:oid:1.2.3.4|IPP-7") == [read["id"]]


class TestAChildOnAParentsSocialSecurityNumber:
    # As PAM and FR Core 2.1.0 write it: under the authority of the INS, told apart by its type.
    NSS: ClassVar[Json] = {"use": "official", "type": NSS_TYPE, "system": NIR, "value": ADRUN}

    async def test_the_billing_number_is_kept_apart_and_is_no_ins(self, fhir: httpx.AsyncClient) -> None:
        child = (await fhir.post("/Patient", json=patient(birthDate="2024-05-01", identifier=[self.NSS]))).json()
        assert child["identifier"] == [{**self.NSS, "system": NSS_NIR}]
        assert await found_by(fhir, f"{NIR}|{ADRUN}") == []
        assert await found_by(fhir, f"{NSS_NIR}|{ADRUN}") == [child["id"]]

    async def test_it_is_nothing_to_verify(self, fhir: httpx.AsyncClient) -> None:
        asked = {"resourceType": "Parameters", "parameter": [{"name": "patient", "resource": None}]}
        asked["parameter"][0]["resource"] = patient(identifier=[self.NSS])
        answer = await fhir.post("/Patient/$ins-verify", json=asked)
        assert answer.status_code == 422
        assert "one INS identifier" in answer.text

    @pytest.mark.parametrize("system", ["urn:oid:1.2.250.1.213.1.4.10", "urn:oid:1.2.250.1.213.1.4.11"])
    async def test_a_test_number_is_never_one(self, fhir: httpx.AsyncClient, system: str) -> None:
        created = await fhir.post("/Patient", json=patient(identifier=[{**self.NSS, "system": system}]))
        assert ADRUN not in created.text

    async def test_beside_an_ins_it_is_not_a_second_official_number(self, fhir: httpx.AsyncClient) -> None:
        read = await fetched(fhir)
        checked = document_checked({**read, "identifier": [self.NSS]})
        qualified = (await put(fhir, checked)).json()
        assert [found["use"] for found in qualified["identifier"]] == ["official", "secondary"]
        assert qualified["meta"]["profile"] == [INS_PROFILE]
        again = await put(fhir, qualified)
        assert again.json()["identifier"] == qualified["identifier"]
        provisional = (await put(fhir, claiming(again.json(), reliability("PROV")))).json()
        assert [(found["use"], found["system"]) for found in provisional["identifier"]] == [("secondary", NSS_NIR)]


async def test_a_person_born_abroad_has_the_code_of_a_country(gam: httpx.AsyncClient) -> None:
    body = patient(identifier=[ins_identifier()], extension=[born_in("99255", COUNTRIES), CHECKED])
    created = (await gam.post("/Patient", json=body)).json()
    assert created["identifier"][0]["value"] == ADRUN
    assert born_in("99255", COUNTRIES) in created["extension"]
    assert created["meta"]["profile"] == [INS_PROFILE]


async def test_a_tourist_is_validated_on_a_local_identifier_and_insi_is_not_asked(
    without_insi: httpx.AsyncClient,
) -> None:
    passport = reliability("VALI", "2026-11-20", "PA")
    tourist = await without_insi.post("/Patient", json=patient(identifier=[IPP], extension=[passport]))
    assert tourist.status_code == 201
    assert stated_status(tourist.json()) == "VALI"
    assert tourist.json()["identifier"] == [IPP]
    assert await found_by(without_insi, "urn:oid:1.2.3.4|IPP-7") == [tourist.json()["id"]]


class TestANewbornsNia:
    async def test_a_nia_is_an_ins_of_its_own_authority(self, fhir: httpx.AsyncClient) -> None:
        read = await fetched(fhir, traits("PROVISOIRE", ["MATRICULE"], "male", "2009-07-01"))
        qualified = (await put(fhir, document_checked(read))).json()
        (number,) = qualified["identifier"]
        assert (number["use"], number["system"], number["type"]["coding"][0]["code"]) == ("official", NIA, "INS-NIA")

    FORCED: ClassVar[Json] = {"resourceType": "Parameters", "parameter": [{"name": "force", "valueBoolean": True}]}

    @pytest.mark.parametrize(
        ("operation", "asked"),
        [
            ("Patient/{id}/$ins-fetch", FORCED),
            ("Patient/$ins-fetch", traits("ECETINSI", ["PIERRE-ALAIN", "MURIEL", "FLORIANT"], "male", "2009-07-14")),
            ("Patient/{id}/$ins-verify", {"resourceType": "Parameters"}),
        ],
    )
    async def test_once_insi_has_a_nir_the_same_patient_gets_it_and_stays_qualified(
        self, gam: httpx.AsyncClient, fhir: httpx.AsyncClient, operation: str, asked: Json
    ) -> None:
        former, current = "209066322012355", "109076322083489"
        before = patient(
            name=[{"use": "official", "family": "ECETINSI", "given": ["PIERRE-ALAIN", "MURIEL", "FLORIANT"]}],
            gender="male",
            birthDate="2009-07-14",
            identifier=[ins_identifier(former)],
            extension=[born_in("63220"), CHECKED],
        )
        stored = (await gam.post("/Patient", json=before)).json()
        assert [found["value"] for found in stored["identifier"]] == [former]
        answer = await fhir.post("/" + operation.format(id=stored["id"]), json=asked)
        assert answer.status_code == 200, answer.text
        now = (await fhir.get(f"/Patient/{stored['id']}")).json()
        assert [(found["use"], found["value"]) for found in now["identifier"]][:1] == [("official", current)]
        assert ("old", former) in [(found["use"], found["value"]) for found in now["identifier"]]
        assert stated_status(now) == "VALI"
        assert await found_by(fhir, f"{NIR}|{current}") == [stored["id"]]


@pytest.mark.parametrize("obstacle", ["ANOM", "CACH"])
class TestAnonymityOrALegitimateObstacle:
    async def test_insi_is_not_asked(self, without_insi: httpx.AsyncClient, obstacle: str) -> None:
        hidden = patient(extension=[reliability(obstacle)])
        created = (await without_insi.post("/Patient", json=hidden)).json()
        whole = {"resourceType": "Parameters", "parameter": [{"name": "patient", "resource": hidden}]}
        asked = [
            await without_insi.post(f"/Patient/{created['id']}/$ins-fetch"),
            await without_insi.post("/Patient/$ins-fetch", json=whole),
            await without_insi.post("/Patient/$ins-verify", json=whole),
        ]
        assert [answer.status_code for answer in asked] == [422, 422, 422]
        assert all(obstacle in answer.text for answer in asked)

    async def test_nothing_is_conveyed_while_it_stands_and_all_is_when_it_goes(
        self, fhir: httpx.AsyncClient, obstacle: str
    ) -> None:
        qualified = (await put(fhir, document_checked(await fetched(fhir)))).json()
        hidden = (await put(fhir, claiming(qualified, CHECKED, reliability(obstacle)))).json()
        assert ADRUN not in str(hidden)
        assert await found_by(fhir, f"{NIR}|{ADRUN}") == []
        past = await fhir.get(f"/Patient/{qualified['id']}/_history/{qualified['meta']['versionId']}")
        assert ADRUN not in past.text
        shown = (await put(fhir, claiming(hidden, CHECKED))).json()
        assert [found["value"] for found in shown["identifier"]] == [ADRUN]


async def test_a_qualified_identity_is_not_asked_again_unless_forced(fhir: httpx.AsyncClient) -> None:
    qualified = (await put(fhir, document_checked(await fetched(fhir)))).json()
    spared = (await fhir.post(f"/Patient/{qualified['id']}/$ins-fetch")).json()
    assert (code(spared, "result"), out(spared, "call")) == ("found", [])
    force = {"resourceType": "Parameters", "parameter": [{"name": "force", "valueBoolean": True}]}
    forced = (await fhir.post(f"/Patient/{qualified['id']}/$ins-fetch", json=force)).json()
    assert len(out(forced, "call")) == 1


class TestAnIdentitySentByAThirdParty:
    SENT: ClassVar[Json] = patient(identifier=[ins_identifier()], extension=[born_in("63220"), CHECKED])

    async def test_its_matricule_is_used_once_verified_and_not_before(self, fhir: httpx.AsyncClient) -> None:
        created = (await fhir.post("/Patient", json=self.SENT)).json()
        assert ADRUN not in str(created)
        assert await found_by(fhir, f"{NIR}|{ADRUN}") == []
        verified = (await fhir.post(f"/Patient/{created['id']}/$ins-verify")).json()
        assert (code(verified, "outcome"), code(verified, "status")) == ("concordant", "qualifiee")
        assert await found_by(fhir, f"{NIR}|{ADRUN}") == [created["id"]]

    async def test_a_trusted_source_is_believed(self, gam: httpx.AsyncClient, fhir: httpx.AsyncClient) -> None:
        created = (await gam.post("/Patient", json=self.SENT)).json()
        read = (await fhir.get(f"/Patient/{created['id']}")).json()
        assert [found["value"] for found in read["identifier"]] == [ADRUN]
        assert read["meta"]["profile"] == [INS_PROFILE]
        assert await found_by(fhir, f"{NIR}|{ADRUN}") == [created["id"]]


class TestWhatATiredIntegratorSends:
    @pytest.mark.parametrize("means", ["AC", "AV", "CE", "CS", "DC", "IE"])
    async def test_a_document_without_code_in_an_ins_patient_counts_whatever_is_claimed(
        self, fhir: httpx.AsyncClient, means: str
    ) -> None:
        shown = out((await fhir.post("/Patient/$ins-fetch", json=ADRUN_TRAITS)).json(), "patient")[0]["resource"]
        assert shown["meta"]["profile"] == [INS_PROFILE]
        checked = claiming(shown, reliability("VALI", "2026-11-20", means))
        judged = await fhir.post(f"/Patient/{shown['id']}/$validate?mode=update", json=checked)
        assert [issue for issue in judged.json()["issue"] if issue["code"] == "code-invalid"] == []
        answer = await put(fhir, checked)
        assert answer.status_code == 200, answer.text
        assert answer.json()["meta"]["profile"] == [INS_PROFILE]
        assert f'"code":"{means}"' not in answer.text

    @pytest.mark.parametrize("status", ["vali", "VALID", "Prov", "ZZZ"])
    @pytest.mark.parametrize("system", [None, "fr-core-cs-v2-0445", "fr-core-cs-identity-status"])
    async def test_a_status_that_is_none_is_refused(
        self, fhir: httpx.AsyncClient, status: str, system: str | None
    ) -> None:
        statement = reliability(status, "2026-11-20", "CN")
        coding = statement["extension"][0]["valueCoding"]
        coding.pop("system")
        if system:
            coding["system"] = f"https://hl7.fr/ig/fhir/core/CodeSystem/{system}"
        answer = await fhir.post("/Patient", json=patient(extension=[statement]))
        assert answer.status_code == 422
        assert "the statuses are" in answer.text or "identityStatus" in answer.text

    async def test_two_statuses_at_once_are_refused(self, fhir: httpx.AsyncClient) -> None:
        read = await fetched(fhir)
        both = {**read, "extension": [*read["extension"], CHECKED]}
        answer = await put(fhir, both)
        assert answer.status_code == 422
        assert "one status" in answer.text

    async def test_a_search_sent_as_a_create_creates_nothing(self, fhir: httpx.AsyncClient) -> None:
        assert (await fhir.post("/Patient?family=adrun", json=patient())).status_code == 400
        assert (await fhir.get("/Patient")).json()["total"] == 0

    async def test_a_bare_patient_is_the_one_parameter(self, fhir: httpx.AsyncClient) -> None:
        sent = patient(identifier=[ins_identifier()], extension=[born_in("63220")])
        assert code((await fhir.post("/Patient/$ins-verify", json=sent)).json(), "outcome") == "concordant"
        assert code((await fhir.post("/Patient/$ins-fetch", json=patient())).json(), "result") == "found"

    @pytest.mark.parametrize("wanted", [{"params": {"_format": "png"}}, {"headers": {"Accept": "image/jpeg"}}])
    async def test_a_picture_we_do_not_draw_is_told_with_those_we_do(
        self, fhir: httpx.AsyncClient, wanted: dict[str, Any]
    ) -> None:
        qualified = (await put(fhir, document_checked(await fetched(fhir)))).json()
        answer = await fhir.get(f"/Patient/{qualified['id']}/$ins-identity", **wanted)
        assert answer.status_code == 406
        assert "image/png" in answer.text


class TestSomebodyElse:
    """What a caller accepts about one Patient is no word about another."""

    async def test_a_former_number_on_another_person_changes_nothing_of_hers(
        self, fhir: httpx.AsyncClient, gam: httpx.AsyncClient
    ) -> None:
        marie = patient(
            name=[{"use": "official", "family": "DURAND", "given": ["MARIE"]}],
            birthDate="2009-07-14",
            identifier=[ins_identifier("209076322083439")],
            extension=[born_in("63220"), CHECKED],
        )
        stored = await gam.post("/Patient", json=marie)
        assert stored.status_code == 201, stored.text
        asked = traits("ECETINSI", ["PIERRE-ALAIN"], "male", "2009-07-14", acceptTraits=True)
        refused = await fhir.post("/Patient/$ins-fetch", json=asked)
        assert (refused.status_code, stored.json()["id"] in refused.text) == (409, True)
        assert (await gam.get(f"/Patient/{stored.json()['id']}")).json() == stored.json()

    async def test_the_traits_of_a_stored_patient_are_accepted_where_they_are_shown(
        self, fhir: httpx.AsyncClient, gam: httpx.AsyncClient
    ) -> None:
        other = patient(
            name=[{"use": "official", "family": "DURAND", "given": ["ZOE"]}],
            identifier=[ins_identifier(ADRUN)],
            extension=[born_in("63220"), CHECKED],
        )
        stored = await gam.post("/Patient", json=other)
        assert stored.status_code == 201, stored.text
        asked = {
            **ADRUN_TRAITS,
            "parameter": [*ADRUN_TRAITS["parameter"], {"name": "acceptTraits", "valueBoolean": True}],
        }
        answer = (await fhir.post("/Patient/$ins-fetch", json=asked)).json()
        assert (out(answer, "stored"), len(out(answer, "discrepancy"))) == ([], 1)
        assert (await gam.get(f"/Patient/{stored.json()['id']}")).json() == stored.json()
