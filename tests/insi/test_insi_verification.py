"""The unitary verification: what is sent by the mapping, what is read by it, and a mapping that does not fit."""

from pathlib import Path
from uuid import UUID

import pytest
from insi_assertions import NOW
from lxml import etree

from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.traits import Traits
from fhir_ins.insi.contract import VERIFICATION_WSDL
from fhir_ins.insi.envelope import CallingSoftware, RequestBuilder, RequestIds
from fhir_ins.insi.port import Fault, FaultKind, InsNumber, NoIdentity, Operation, SeveralIdentities, Verified, Verify
from fhir_ins.insi.reader import read
from fhir_ins.insi.verification import NAMES, Verification, VerificationContract

OID = "1.2.250.1.213.1.4.8"
TRAITS = Traits("DE VINCI", ("LEONARDO", "PIERO"), "M", "2014-02-01", "63220")
QUESTION = Verify(InsNumber(Matricule("1140263220833", "56"), OID), TRAITS)
IDS = RequestIds(UUID(int=1), UUID(int=2), UUID(int=3), NOW)
SOFTWARE = CallingSoftware("SIMULATEUR01", "fhir-ins", "0.1.0", "instance-1")
REQUEST = "{http://www.cnamts.fr/INSiLot2/REQUnitaire}RequeteUnitaire"


@pytest.fixture(scope="module")
def verification() -> Verification:
    return Verification(VerificationContract())


def body_of(question: Verify, verification: Verification) -> etree._Element:
    envelope = RequestBuilder(SOFTWARE, None, verification).envelope(question, IDS, emetteur="E")
    (body,) = etree.fromstring(envelope)[1]
    etree.XMLSchema(etree.parse(VERIFICATION_WSDL.with_name("verification-requete.xsd"))).assertValid(body)
    assert body.tag == REQUEST
    return body


def said(body: etree._Element) -> list[tuple[str, str | None]]:
    return [(etree.QName(element).localname, element.text) for element in body.iter() if len(element) == 0]


def test_the_number_and_all_traits_are_sent(verification):
    assert said(body_of(QUESTION, verification)) == [
        ("NumIdentifiant", "1140263220833"),
        ("Cle", "56"),
        ("TypeMatricule", "INS"),
        ("OID", OID),
        ("NomNaissance", "DE VINCI"),
        ("Prenom", "LEONARDO"),
        ("ListePrenom", "LEONARDO PIERO"),
        ("Sexe", "M"),
        ("DateNaissance", "2014-02-01"),
        ("LieuNaissance", "63220"),
    ]


def test_what_is_not_known_is_left_out(verification):
    question = Verify(QUESTION.number, Traits("ADRUN", (), "F", None, None))
    assert [name for name, _ in said(body_of(question, verification))][4:] == ["NomNaissance", "Sexe"]


def test_what_the_contract_wants_and_is_missing_is_refused(verification):
    builder = RequestBuilder(SOFTWARE, None, verification)
    with pytest.raises(ValueError, match="NomNaissance"):
        builder.envelope(Verify(QUESTION.number, Traits(None, (), "F", None, None)), IDS, emetteur="E")


def test_the_action_is_the_operations(verification):
    action = RequestBuilder(SOFTWARE, None, verification).action(Operation.VERIFY)
    assert action == "urn:ServiceIdentiteCertifiee:1.0.0:verifierInsAvecTraitsIdentite"


def answer(content: str, root: str = "ReponseUnitaire") -> bytes:
    return (
        '<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Body>'
        f'<{root} xmlns="http://www.cnamts.fr/INSiLot2/REPUnitaire">{content}</{root}>'
        "</soap:Body></soap:Envelope>"
    ).encode()


def report(code: str, rest: str = "") -> bytes:
    return answer(f"<CR><CodeCR>{code}</CodeCR><LibelleCR>…</LibelleCR></CR>{rest}")


def result(whole: str, *elements: tuple[str, str]) -> bytes:
    traits = "".join(f"<Trait><Nom>{name}</Nom><Concordance>{word}</Concordance></Trait>" for name, word in elements)
    return report("00", f"<Resultat><Concordance>{whole}</Concordance>{traits}</Resultat>")


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (result("OK"), Verified(True)),
        (result(" OK\n"), Verified(True)),
        (result("OK", ("NomNaissance", "OK")), Verified(True, (("family", True),))),
        (
            result("KO", ("NomNaissance", "OK"), ("Sexe", "KO")),
            Verified(False, (("family", True), ("gender", False))),
        ),
        (result("KO"), Verified(False)),
        (report("01"), NoIdentity()),
        (report("02"), SeveralIdentities()),
    ],
)
def test_a_verdict_is_read(verification, body, outcome):
    assert read(body, 200, verification) == outcome


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (result("ok"), "neither a yes nor a no"),
        (result(""), "neither a yes nor a no"),
        (result("OUI"), "neither a yes nor a no"),
        (result("OK", ("NomNaissance", "?")), "neither a yes nor a no"),
        (result("OK", ("NomNaissance", "KO")), "yes to the whole and no to an element"),
        (report("00"), "Concordance is there 0 times"),
        (report("00", "<Resultat/>"), "Concordance is there 0 times"),
        (result("OK").replace(b"</Resultat>", b"<Concordance>KO</Concordance></Resultat>"), "there 2 times"),
        (result("OK").replace(b"<Resultat>", b"<Resultat xmlns='urn:other'>"), "Concordance is there 0 times"),
        (result("OK<Sauf>KO</Sauf>"), "Concordance holds elements"),
        (result("OK", ("", "OK")).replace(b"<Nom></Nom>", b""), "Nom is there 0 times"),
        (report("07", "<Resultat><Concordance>OK</Concordance></Resultat>"), "CR/CodeCR holds a code"),
        (answer("<Resultat><Concordance>OK</Concordance></Resultat>"), "CodeCR is there 0 times"),
        (answer("<Concordance>OK</Concordance>", "Autre"), "ReponseUnitaire is there 0 times"),
    ],
)
def test_what_the_mapping_does_not_foresee_is_never_a_yes(verification, body, why):
    fault = read(body, 200, verification)
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.retryable) == (FaultKind.TRANSIENT, False)
    assert why in fault.text
    assert "Check the mapping" in fault.text


def test_a_fault_and_what_is_no_answer_are_read_as_for_a_search(verification):
    answers = Path(__file__).parent / "answers"
    for file in ("fault_receiver_fatal.xml", "truncated.xml", "html_503.html"):
        body = (answers / file).read_bytes()
        assert read(body, 503, verification) == read(body, 503)


def test_the_answer_of_a_search_is_no_verdict(verification):
    found = (Path(__file__).parent / "answers" / "found_env_body.xml").read_bytes()
    assert isinstance(read(found, 200, verification), Fault)


def mapping(folder: Path, original: str, replacement: str) -> VerificationContract:
    """Our mapping with one thing changed, on our WSDL."""
    text = NAMES.read_text()
    assert original in text
    names = folder / "names.toml"
    names.write_text(text.replace(original, replacement, 1))
    return VerificationContract(names=names)


@pytest.mark.parametrize(
    ("original", "replacement", "why"),
    [
        ("CIRServiceBinding", "Other", "has no binding"),
        ('operation = "verifier', 'operation = "tester', "has no operation tester"),
        ('action = "urn:', 'action = "uri:', "the action of verifierInsAvecTraitsIdentite in the WSDL is urn:"),
        ('code = "CR/CodeCR"', 'code = "CR/Code"', "the WSDL has no element CR/Code in ReponseUnitaire"),
        ('whole = "Resultat/Concordance"', 'whole = "Resultat"', "Resultat in ReponseUnitaire holds elements"),
        ('/NumIdentifiant"', '/Numero"', "has no element .*/IdIndividu/Numero in RequeteUnitaire"),
        ('/NumIdentifiant"', '/NumIdentifiant/x"', "has no element .*/NumIdentifiant/x in RequeteUnitaire"),
        ('TypeMatricule" =', 'Type" =', "has no element .*/IdIndividu/Type in RequeteUnitaire"),
        ("IndividuVerifie/INSFourni/OID", "OID", "has no element OID in RequeteUnitaire"),
        ('whole = "Resultat/', 'whole = "', "has no element Concordance in ReponseUnitaire"),
        ('each = "Resultat/Trait"', 'each = "Trait"', "has no element Trait in ReponseUnitaire"),
        ('name = "Nom"', 'name = "Libelle"', "has no element Libelle in Trait"),
        ('verdict = "Concordance"', 'verdict = "Verdict"', "has no element Verdict in Trait"),
        ('oid = "IndividuVerifie/INSFourni/OID"', "", "request.oid: Field required"),
        ("birth_place =", "place =", "request.place: Extra inputs are not permitted"),
        ('no = ["KO"]', 'no = ["KO", "OK"]', "yes and no share a word"),
        ('no = ["KO"]', "no = []", "verdict.no"),
        ('/Prenom"', '/ListePrenom"', "two texts would go to IndividuVerifie/TraitsIdentiteIndividu/ListePrenom"),
        ('/INSFourni/OID"', '"', "two texts would go to IndividuVerifie"),
        ("[request]", "[request", "is not TOML"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused_at_start(tmp_path, original, replacement, why):
    with pytest.raises(ValueError, match=why):
        Verification(mapping(tmp_path, original, replacement))


def test_without_given_names_nobody_is_named(tmp_path):
    text = "\n".join(line for line in NAMES.read_text().splitlines() if not line.startswith("given"))
    (tmp_path / "names.toml").write_text(text)
    with pytest.raises(ValueError, match="given or given_list is needed"):
        Verification(VerificationContract(names=tmp_path / "names.toml"))


def test_a_contract_without_verdicts_on_elements_is_read(tmp_path):
    text, _, _ = NAMES.read_text().partition("[elements]")
    (tmp_path / "names.toml").write_text(text)
    verification = Verification(VerificationContract(names=tmp_path / "names.toml"))
    assert read(result("OK", ("NomNaissance", "OK")), 200, verification) == Verified(True)


def test_another_wsdl_and_its_own_names_serve_without_a_change_of_code(tmp_path):
    """The official contract will differ in names, words and namespace: all of them are data."""
    changes = {
        "REPUnitaire": "Reponse",
        "ReponseUnitaire": "RESULTAT_VERIF",
        '"Concordance" type': '"Verdict" type',
        'value="OK"': 'value="CONFORME"',
        "NumIdentifiant": "NIR",
    }
    for file in VERIFICATION_WSDL.parent.glob("*.*"):
        if file.suffix in (".xsd", ".wsdl"):
            text = file.read_text()
            for old, new in changes.items() if file.name.startswith("verification") else ():
                text = text.replace(old, new)
            (tmp_path / file.name).write_text(text)
    names = NAMES.read_text().replace("Concordance", "Verdict").replace('"OK"', '"CONFORME"')
    (tmp_path / "names.toml").write_text(names.replace("NumIdentifiant", "NIR"))
    verification = Verification(VerificationContract(tmp_path / "verification.wsdl", tmp_path / "names.toml"))
    envelope = RequestBuilder(SOFTWARE, None, verification).envelope(QUESTION, IDS, emetteur="E")
    assert b":NIR>1140263220833</" in envelope
    theirs = (
        result("CONFORME")
        .replace(b"INSiLot2/REPUnitaire", b"INSiLot2/Reponse")
        .replace(b"ReponseUnitaire", b"RESULTAT_VERIF")
        .replace(b"Concordance", b"Verdict")
    )
    assert read(theirs, 200, verification) == Verified(True)
