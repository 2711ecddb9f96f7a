"""The request of each question, held to our contract, to the published one, and to what zeep makes by itself."""

import re
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.traits import Traits
from fhir_ins.insi.contract import (
    ADDRESSING_NAMESPACE,
    BAM_NAMESPACE,
    BINDING,
    LPS_NAMESPACE,
    SECURITY_NAMESPACE,
    SOAP_NAMESPACE,
    TRAITS_NAMESPACE,
    VITALE_NAMESPACE,
    WSDL,
    schema,
)
from fhir_ins.insi.envelope import CallingSoftware, RequestBuilder, RequestIds
from fhir_ins.insi.port import ByTraits, ByVitale, Operation
from fhir_ins.insi.wsdl import contract_client

SOFTWARE = CallingSoftware("SIMULATEUR01", "fhir-ins", "0.1.0", "instance-1")
EMETTEUR = "10B0999901"
IDS = RequestIds(UUID(int=1), UUID(int=2), UUID(int=3), datetime(2026, 3, 4, 5, 6, 7, 89_012, UTC))
TRAITS = Traits("HOUILLES", ("PIERRE", "PAUL"), "M", "1993-00-27", "63220")
BY_TRAITS = ByTraits(TRAITS, ("PIERRE",))
BY_VITALE = ByVitale(Matricule("1140263220833", "56"), Matricule("2751263220749", "74"), "DE VINCI", "2014-02-01", "1")
ASSERTIONS = (
    b'<Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion" ID="_1" Version="2.0"'
    b' IssueInstant="2026-03-04T05:06:07Z"><Issuer>CN=1</Issuer></Assertion>',
    b'<s:Assertion xmlns:s="urn:oasis:names:tc:SAML:2.0:assertion" ID=\'_2\' Version="2.0"'
    b' IssueInstant="2026-03-04T05:06:07Z"><s:Issuer >CN=2</s:Issuer></s:Assertion>',
)
PUBLISHED_WSDL = "contract/DESIR_ICIR_EXP_1.5.0.wsdl"
PUBLISHED_SCHEMAS = {
    BAM_NAMESPACE: "CTX/ROOT_ctxbam_CTXBAM_V01_02.xsd",
    LPS_NAMESPACE: "CTX/ROOT_ctxlps_CTXLPS_V01_00.xsd",
    SECURITY_NAMESPACE: "WSSE/Security.xsd",
    TRAITS_NAMESPACE: "ServiceIdentiteCertifiee/INSi_RECSANS_INS.xsd",
    VITALE_NAMESPACE: "ServiceIdentiteCertifiee/INSi_RECVITALE_INS.xsd",
}
BUILDERS = {joined: RequestBuilder(SOFTWARE, given_names_joined=joined) for joined in (True, False)}

both_modes = pytest.mark.parametrize("assertions", [(), ASSERTIONS[:1], ASSERTIONS], ids=["mTLS", "CPx", "CPx, Vitale"])
both_searches = pytest.mark.parametrize("question", [BY_TRAITS, BY_VITALE], ids=["traits", "Vitale"])


def request(question=BY_TRAITS, assertions=(), *, wsdl=None, joined=True) -> bytes:
    builder = RequestBuilder(SOFTWARE, wsdl, given_names_joined=joined) if wsdl else BUILDERS[joined]
    return builder.envelope(question, IDS, emetteur=EMETTEUR, assertions=assertions)


def parts(envelope: bytes) -> list[etree._Element]:
    """The header elements and the body element."""
    root = etree.fromstring(envelope)
    return [*root[0], *root[1]]


def values(envelope: bytes) -> dict[str, str]:
    return {
        f"{etree.QName(element.getparent()).localname}/{etree.QName(element).localname}": element.text or ""
        for element in etree.fromstring(envelope).iter()
        if len(element) == 0
    }


def canonical(envelope: bytes | etree._Element) -> bytes:
    root = etree.fromstring(envelope) if isinstance(envelope, bytes) else envelope
    return etree.tostring(root, method="c14n", exclusive=True)


def test_the_envelope_is_soap_1_2_with_four_headers_and_no_security():
    root = etree.fromstring(request())
    assert [etree.QName(element).localname for element in root] == ["Header", "Body"]
    assert {etree.QName(element).namespace for element in root} == {SOAP_NAMESPACE}
    assert [etree.QName(element).localname for element in root[0]] == [
        "ContexteBAM",
        "ContexteLPS",
        "Action",
        "MessageID",
    ]


HEADER_VALUES = {
    "ContexteBAM/Id": str(UUID(int=2)),
    "ContexteBAM/Temps": "2026-03-04T05:06:07.089Z",
    "ContexteBAM/Emetteur": "10B0999901",
    "ContexteBAM/COUVERTURE": "",
    "ContexteLPS/Id": str(UUID(int=3)),
    "ContexteLPS/Temps": "2026-03-04T05:06:07.089Z",
    "ContexteLPS/Emetteur": "10B0999901",
    "LPS/IDAM": "SIMULATEUR01",
    "LPS/Version": "0.1.0",
    "LPS/Instance": "instance-1",
    "LPS/Nom": "urn:lps:fhir-ins:0.1.0",
    "Header/MessageID": f"uuid:{UUID(int=1)}",
}


def test_a_search_by_traits_says_what_the_live_service_accepts():
    assert values(request()) == HEADER_VALUES | {
        "Header/Action": "urn:ServiceIdentiteCertifiee:1.0.0:rechercherInsAvecTraitsIdentite",
        "RECSANSVITALE/NomNaissance": "HOUILLES",
        "RECSANSVITALE/Prenom": "PIERRE",
        "RECSANSVITALE/Sexe": "M",
        "RECSANSVITALE/DateNaissance": "1993-00-27",
        "RECSANSVITALE/LieuNaissance": "63220",
    }


def test_a_search_with_a_carte_vitale_says_what_the_card_said():
    assert values(request(BY_VITALE)) == HEADER_VALUES | {
        "Header/Action": "urn:ServiceIdentiteCertifiee:1.0.0:rechercherInsAvecCarteVitale",
        "MatriculeIndividu/NumIdentifiant": "1140263220833",
        "MatriculeIndividu/Cle": "56",
        "MatriculeIndividu/TypeMatricule": "NIR",
        "MatriculeOD/NumIdentifiant": "2751263220749",
        "MatriculeOD/Cle": "74",
        "MatriculeOD/TypeMatricule": "NIR",
        "RECVITALE/NomNaissance": "DE VINCI",
        "RECVITALE/DateNaissance": "2014-02-01",
        "RECVITALE/RangNaissance": "1",
    }


@pytest.mark.parametrize(
    ("card", "names"),
    [
        (ByVitale(Matricule("1140263220833", "56"), None, None, None, None), ["MatriculeIndividu"]),
        (ByVitale(None, Matricule("2751263220749", "74"), None, "2014-00-00", "2"), None),
    ],
)
def test_what_a_card_does_not_say_is_left_out(card, names):
    body = parts(request(card))[-1]
    schema(VITALE_NAMESPACE).assertValid(body)
    names = names or ["MatriculeOD", "DateNaissance", "RangNaissance"]
    assert [etree.QName(element).localname for element in body] == names


@both_searches
def test_contexts_carry_their_nature_and_version(question):
    bam, lps, *_ = parts(request(question))
    assert dict(bam.attrib) == {"Nature": "CTXBAM", "Version": "01_02"}
    assert dict(lps.attrib) == {"Nature": "CTXLPS", "Version": "01_00"}
    assert lps.find(f".//{{{LPS_NAMESPACE}}}IDAM").get("R") == "4"


@pytest.mark.parametrize(("joined", "prenoms"), [(True, ["PIERRE PAUL"]), (False, ["PIERRE", "PAUL"])])
def test_several_given_names_go_joined_or_one_by_one(joined, prenoms):
    body = parts(request(ByTraits(TRAITS, TRAITS.given), joined=joined))[-1]
    schema(TRAITS_NAMESPACE).assertValid(body)
    assert [prenom.text for prenom in body.iter(f"{{{TRAITS_NAMESPACE}}}Prenom")] == prenoms


@both_modes
@both_searches
def test_every_part_of_a_request_is_valid(question, assertions):
    for part in parts(request(question, assertions)):
        schema(etree.QName(part).namespace).assertValid(part)


@both_modes
@both_searches
def test_every_part_of_a_request_is_valid_for_the_published_schemas(published: Path, question, assertions):
    for part in parts(request(question, assertions)):
        namespace = etree.QName(part).namespace
        if namespace != ADDRESSING_NAMESPACE:
            file = published / "contract" / "xsd" / PUBLISHED_SCHEMAS[namespace]
            etree.XMLSchema(etree.parse(file)).assertValid(part)


@both_modes
@both_searches
def test_the_published_wsdl_gives_the_same_request_as_ours(published: Path, question, assertions):
    theirs = request(question, assertions, wsdl=published / PUBLISHED_WSDL)
    assert canonical(theirs) == canonical(request(question, assertions))


@both_searches
def test_assertions_go_into_the_security_header_byte_for_byte_and_in_order(question):
    envelope = request(question, ASSERTIONS)
    security = parts(envelope)[-2]
    assert security.tag == f"{{{SECURITY_NAMESPACE}}}Security"
    assert [element.get("ID") for element in security] == ["_1", "_2"]
    assert b">" + b"".join(ASSERTIONS) + b"</wsse:Security>" in envelope


def test_the_actions_are_those_of_the_wsdl():
    for operation in (Operation.SEARCH_BY_TRAITS, Operation.SEARCH_BY_VITALE):
        assert BUILDERS[True].action(operation) == f"urn:ServiceIdentiteCertifiee:1.0.0:{operation}"


TEXT = st.text(max_size=8) | st.sampled_from(
    ["A&<B>]]>", "\"'", " ", "\r\n\t", "Œ", "&amp;", "<?assertions ?>", "mark-3"]
)
MAYBE = st.none() | TEXT
TRAITS_ASKED = st.builds(Traits, MAYBE, st.lists(TEXT, max_size=4).map(tuple), MAYBE, MAYBE, MAYBE)
NUMBERS = st.none() | st.builds(Matricule, TEXT, TEXT)
CARDS = st.builds(ByVitale, NUMBERS, NUMBERS, MAYBE, MAYBE, MAYBE)


def zeep_alone():
    client = contract_client(WSDL)
    return client, client.create_service(BINDING, "")


ZEEP = zeep_alone()


def made_by_zeep(operation: str, body: dict) -> etree._Element:
    """The whole envelope of an operation, from zeep and nothing of ours."""
    client, service = ZEEP
    common = {"Temps": "2026-03-04T05:06:07.089Z", "Emetteur": EMETTEUR}
    lps = {
        "IDAM": {"_value_1": "SIMULATEUR01", "R": "4"},
        "Version": "0.1.0",
        "Instance": "instance-1",
        "Nom": "urn:lps:fhir-ins:0.1.0",
    }
    addressing = []
    for name, value in (
        ("Action", f"urn:ServiceIdentiteCertifiee:1.0.0:{operation}"),
        ("MessageID", f"uuid:{UUID(int=1)}"),
    ):
        addressing.append(etree.Element(f"{{{ADDRESSING_NAMESPACE}}}{name}", nsmap={"wsa": ADDRESSING_NAMESPACE}))
        addressing[-1].text = value
    headers = [
        client.get_element(f"{{{BAM_NAMESPACE}}}ContexteBAM")(
            Id=str(UUID(int=2)), COUVERTURE={}, Nature="CTXBAM", Version="01_02", **common
        ),
        client.get_element(f"{{{LPS_NAMESPACE}}}ContexteLPS")(
            Id=str(UUID(int=3)), LPS=lps, Nature="CTXLPS", Version="01_00", **common
        ),
        *addressing,
    ]
    return client.create_message(service, operation, _soapheaders=headers, **body)


def said_the_same(envelope: bytes, zeeps: etree._Element) -> bool:
    """Whether both have the same elements, attributes and texts in the same order; prefixes do not count."""

    def shape(root: etree._Element) -> list[tuple]:
        return [(element.tag, dict(element.attrib), element.text or "") for element in root.iter()]

    return shape(etree.fromstring(envelope)) == shape(etree.fromstring(etree.tostring(zeeps)))


def holds(question, body: dict) -> None:
    """Our envelope says what zeep's does; where zeep refuses a text, so do we."""
    try:
        zeeps = made_by_zeep(question.operation.value, body)
    except ValueError:
        with pytest.raises(ValueError, match=r"XML|surrogates"):
            request(question, joined=False)
    else:
        assert said_the_same(request(question, joined=False), zeeps)


@given(TRAITS_ASKED)
def test_a_search_by_traits_is_what_zeep_alone_would_send(traits):
    body = {
        "NomNaissance": traits.family,
        "Prenom": list(traits.given),
        "Sexe": traits.sex,
        "DateNaissance": traits.birth_date,
        "LieuNaissance": traits.birth_place,
    }
    holds(ByTraits(traits, traits.given), body)


@given(CARDS)
def test_a_search_with_a_carte_vitale_is_what_zeep_alone_would_send(card):
    def number(matricule: Matricule | None) -> dict[str, str] | None:
        if matricule is None:
            return None
        return {"NumIdentifiant": matricule.number, "Cle": matricule.key, "TypeMatricule": "NIR"}

    body = {
        "MatriculeIndividu": number(card.individual),
        "MatriculeOD": number(card.holder),
        "NomNaissance": card.family,
        "DateNaissance": card.birth_date,
        "RangNaissance": card.birth_rank,
    }
    holds(card, body)


def test_a_request_leaves_nothing_of_itself_for_the_next():
    request(ByTraits(TRAITS, ("PIERRE",)), ASSERTIONS)
    assert b"PIERRE" not in request(ByTraits(TRAITS, ("PAUL",)), ASSERTIONS[:1])


def test_a_name_that_is_markup_stays_a_name():
    body = parts(request(ByTraits(Traits("A&<B>", ("C",), "F", "1990-01-01", None), ("C",))))[-1]
    assert body[0].text == "A&<B>"


def own_contract(folder: Path, file: str, pattern: str, replacement: str) -> Path:
    """A copy of our contract in which one file says something else."""
    for original in WSDL.parent.glob("*.*"):
        if original.suffix in (".xsd", ".wsdl"):
            (folder / original.name).write_bytes(original.read_bytes())
    changed = re.sub(pattern, replacement, (folder / file).read_text())
    (folder / file).write_text(changed)
    return folder / WSDL.name


def test_a_contract_that_points_to_the_network_is_refused(tmp_path: Path):
    wsdl = own_contract(tmp_path, WSDL.name, r'"resultat\.xsd"', '"http://localhost:9/resultat.xsd"')
    with pytest.raises(OSError, match="local files only"):
        request(wsdl=wsdl)


@pytest.mark.filterwarnings("ignore:The wsdl:UserWarning")
@pytest.mark.parametrize(
    ("file", "pattern", "replacement", "said"),
    [
        ("insi.wsdl", "</definitions>", "", "is not a WSDL that can be read"),
        ("insi.wsdl", "ICIRServiceBinding", "Other", r"insi\.wsdl has no binding .*ICIRServiceBinding"),
        ("insi.wsdl", "rechercherInsAvecCarteVitale", "other", "has no operation rechercherInsAvecCarteVitale"),
        (
            "recherche-traits.xsd",
            'name="Prenom"',
            'name="Autre"',
            "does not fit .*unexpected keyword argument 'Prenom'",
        ),
        ("contexte-lps.xsd", 'name="ContexteLPS"', 'name="Autre"', "has no element .*ContexteLPS"),
    ],
)
def test_a_wsdl_that_lacks_what_is_sent_is_refused_at_start(tmp_path: Path, file, pattern, replacement, said):
    wsdl = own_contract(tmp_path, file, pattern, replacement)
    with pytest.raises(ValueError, match=said):
        RequestBuilder(SOFTWARE, wsdl)


def test_the_operators_wsdl_decides_the_order_of_elements(tmp_path: Path):
    sex = r'(\s*<xs:element name="Sexe"[^>]*/>)(\s*<xs:element name="DateNaissance"[^>]*/>)'
    wsdl = own_contract(tmp_path, "recherche-traits.xsd", sex, r"\2\1")
    body = parts(request(wsdl=wsdl))[-1]
    assert [etree.QName(element).localname for element in body][-3:] == ["DateNaissance", "Sexe", "LieuNaissance"]


def test_a_verification_that_is_not_configured_is_refused():
    with pytest.raises(ValueError, match="not configured"):
        BUILDERS[True].action(Operation.VERIFY)
