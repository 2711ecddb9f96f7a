"""Several structures on one server: each with its own certificate, none in the name of another."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from authority import Authority
from lxml import etree

from fhir_ins.ins.traits import Traits
from fhir_ins.insi.contract import BAM_NAMESPACE
from fhir_ins.insi.endpoints import HOSTS, Mode, host_of, mismatch
from fhir_ins.insi.port import Fault, FaultKind, Requester
from fhir_ins.insi.soap import SoapAdapter
from fhir_ins.insi.teleservice import Rules, Teleservice
from fhir_ins.insi.tenants import TenantsFault, configurations

TEST = Authority()
PRODUCTION = Authority("AC IGC-SANTE ELEMENTAIRE ORGANISATIONS")
NORTH, SOUTH = TEST.issue(unit="10B0000001"), TEST.issue(unit="10B0000002")
TRAITS = Traits("ADRUN", ("ZOE",), "F", "1975-12-31", None)
DEFAULTS = {
    "endpoint": "https://insi.example.invalid/lps",
    "trust": None,
    "idam": "IDAM00000000",
    "lps_name": "fhir-ins",
    "lps_version": "1.0",
    "lps_instance": "6a3c7f5e-0d2b-4c55-9a41-3f0c2b1d7e90",
    "connect_timeout": 3.0,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """North's and south's certificates, and what sections may name by mistake."""
    files = {
        "north.p12": NORTH.pkcs12("of north"),
        "south.p12": SOUTH.pkcs12("of south"),
        "copy.p12": NORTH.pkcs12("of north"),
        "production.p12": PRODUCTION.issue().pkcs12("of north"),
        "nobody.p12": TEST.issue(unit=None).pkcs12("of north"),
        "pass": b"of north\n",
        "trust.pem": TEST.pem,
        "damaged.pem": b"damaged",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def tenants(folder: Path, text: str, **defaults: object):
    (folder / "tenants.toml").write_text(text)
    return configurations(folder / "tenants.toml", DEFAULTS | defaults)


NORTH_SECTION = """
[north]
pkcs12 = "north.p12"
passphrase_file = "pass"
"""
BOTH = f"""{NORTH_SECTION}
[south]
pkcs12 = "south.p12"
passphrase_env = "PASSPHRASE_OF_SOUTH"
"""


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("PASSPHRASE_OF_SOUTH", "of south")


def test_a_section_overrides_what_the_settings_say(folder: Path):
    found = tenants(
        folder,
        NORTH_SECTION
        + """
endpoint = "https://other.example.invalid/lps"
trust = "trust.pem"
idam = "IDAM00000001"
lps_name = "other"
lps_version = "2.0"
lps_instance = "00000000-0000-0000-0000-000000000001"
emetteur = "10B0000009"
mode = "certificate"
""",
    )["north"]
    assert replace(found, certificate=None) == replace(
        found,
        endpoint="https://other.example.invalid/lps",
        certificate=None,
        trust=folder / "trust.pem",
        idam="IDAM00000001",
        lps_name="other",
        lps_version="2.0",
        lps_instance="00000000-0000-0000-0000-000000000001",
        emetteur="10B0000009",
        connect_timeout=3.0,
    )
    assert found.certificate.current().certificate == NORTH.certificate


def test_what_is_one_structures_own_is_never_a_default(folder: Path):
    found = tenants(folder, BOTH, emetteur="10B0000007", certificate=object())
    assert [(name, one.emetteur) for name, one in found.items()] == [("north", None), ("south", None)]
    assert [one.idam for one in found.values()] == ["IDAM00000000"] * 2
    units = [one.certificate.current().organisational_unit for one in found.values()]
    assert units == ["10B0000001", "10B0000002"]


def test_professionals_may_speak_for_a_tenant(folder: Path):
    found = tenants(folder, '[city]\nmode = "cpx"')
    assert found["city"].certificate is None


async def test_a_structures_certificate_serves_no_other(folder: Path, open_wire, pki):
    wire = open_wire(replace(pki, authority=TEST.write(folder / "clients.pem")))
    found = tenants(folder, BOTH, endpoint=wire.answers(200, b""), trust=pki.authority)
    insi = Teleservice({name: SoapAdapter(one) for name, one in found.items()}, Rules(attempts=1))
    asking = ["north", "south", "west", "south", "north", "default"]
    said = await asyncio.gather(*(insi.search_by_traits(TRAITS, Requester(name, "a-test")) for name in asking))
    await insi.aclose()
    for name, conversation in zip(asking, said, strict=True):
        if name not in found:
            assert conversation.calls == ()
            assert isinstance(conversation.outcome, Fault)
            assert conversation.outcome.kind is FaultKind.CONFIGURATION
    owner = {NORTH.certificate.serial_number: "10B0000001", SOUTH.certificate.serial_number: "10B0000002"}
    emetteurs = [
        etree.fromstring(request.body).findtext(f".//{{{BAM_NAMESPACE}}}Emetteur") for request in wire.requests
    ]
    assert emetteurs == [owner[request.serial] for request in wire.requests]
    assert set(emetteurs) == set(owner.values())


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("[north", "", "it is not TOML"),
        ('idam = "X"', "idam", "outside of any section"),
        ('["du nord"]\nidam = "X"', "[du nord]", "letters, digits, hyphens"),
        ('[north]\nidma = "X"', "[north], idma", "there is no such key; there are endpoint, trust, idam"),
        ('[north]\npassphrase = "of north"', "[north], passphrase", "never stands in this file"),
        ("[north]\nidam = 12", "[north], idam", "a text in quotes is needed"),
        ('[north]\nidam = " "', "[north], idam", "a text in quotes is needed"),
        ("[north.south]", "[north], south", "there is no such key"),
        ('[north]\nmode = "CPS"', "[north], mode", "it is certificate or cpx"),
        ('[north]\nmode = "cpx"\npkcs12 = "north.p12"', "[north], pkcs12", "professionals' cards"),
        ("[north]", "[north], pkcs12", "each structure has its own certificate"),
        ('[north]\npkcs12 = "absent.p12"', "[north], pkcs12", "There is no file"),
        ('[north]\npkcs12 = "north.p12"', "[north], pkcs12", "passphrase of"),
        ('[north]\npkcs12 = "north.p12"\npassphrase_file = "absent"', "[north], passphrase_file", "there is no file"),
        ('[north]\npkcs12 = "north.p12"\npassphrase_env = "ABSENT"', "[north], passphrase_env", "no variable ABSENT"),
        (NORTH_SECTION + 'passphrase_env = "X"', "[north], passphrase_env", "not both"),
        (NORTH_SECTION + 'endpoint = "http://insi.example.invalid"', "[north], endpoint", "https://"),
        (NORTH_SECTION + 'endpoint = ""', "[north], endpoint", "a text in quotes"),
        (NORTH_SECTION + 'trust = "absent.pem"', "[north], trust", "There is no file"),
        (NORTH_SECTION + 'trust = "damaged.pem"', "[north], trust", "holds no PEM certificate"),
        (
            NORTH_SECTION + 'endpoint = "https://services-ps-tlsm.ameli.fr/lps"',
            "[north], endpoint",
            "is of production, the certificate of the test environment",
        ),
        (
            NORTH_SECTION.replace("north.p12", "nobody.p12"),
            "[north], emetteur",
            "the certificate has no OU to take it from",
        ),
        (
            NORTH_SECTION + '[south]\npkcs12 = "copy.p12"\npassphrase_file = "pass"',
            "[south], pkcs12",
            "this is the certificate of [north]",
        ),
    ],
)
def test_a_mistake_is_told_with_file_section_and_key(folder: Path, text, place, reason):
    with pytest.raises(TenantsFault) as caught:
        tenants(folder, text)
    told = str(caught.value)
    assert told.startswith(", ".join(part for part in (str(folder / "tenants.toml"), place) if part) + ": ")
    assert reason in told
    assert "of north" not in told


@pytest.mark.parametrize("key", ["endpoint", "idam"])
def test_what_neither_file_nor_settings_say_is_told(folder: Path, key):
    with pytest.raises(TenantsFault, match=rf"\[north\], {key}: .*FHIR_INS_INSI_{key.upper()} does not"):
        tenants(folder, NORTH_SECTION, **{key: ""})


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(TenantsFault, match="there is no such file"):
        configurations(tmp_path / "absent.toml", DEFAULTS)
    with pytest.raises(TenantsFault, match="cannot be read"):
        configurations(tmp_path, DEFAULTS)
    (tmp_path / "latin.toml").write_bytes(b"[t]\nidam = '\xe9'")
    with pytest.raises(TenantsFault, match="is not TOML"):
        configurations(tmp_path / "latin.toml", DEFAULTS)


CERTIFICATES = {False: TEST.issue(), True: PRODUCTION.issue()}


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
@pytest.mark.parametrize("production", [False, True], ids=["test", "production"])
def test_a_host_goes_with_one_mode_and_one_branch(host, production):
    endpoint = f"https://{host.name}:443/lps"
    assert host_of(endpoint.upper().replace("HTTPS", "https")) is host
    certificate = CERTIFICATES[production].client
    fits = host.mode is Mode.CERTIFICATE and host.production is production
    assert (mismatch(endpoint, Mode.CERTIFICATE, certificate) is None) is fits
    assert (mismatch(endpoint, Mode.CPX, None) is None) is (host.mode is Mode.CPX)


def test_a_mismatch_names_the_host_to_use():
    test, production = (CERTIFICATES[branch].client for branch in (False, True))
    tlsm = "https://services-ps-tlsm.ameli.fr/lps"
    assert "it goes with qualiflps-services-ps-tlsm.ameli.fr" in (mismatch(tlsm, Mode.CERTIFICATE, test) or "")
    assert "(CPx) it is services-ps.ameli.fr" in (mismatch(tlsm, Mode.CPX, None) or "")
    assert "certificate it is services-ps-tlsm.ameli.fr" in (
        mismatch("https://services-ps.ameli.fr/lps", Mode.CERTIFICATE, production) or ""
    )


def test_of_an_unknown_host_nothing_is_known():
    assert host_of("https://localhost:8443/lps") is None
    assert mismatch("https://localhost:8443/lps", Mode.CERTIFICATE, CERTIFICATES[True].client) is None
