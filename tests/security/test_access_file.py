"""The file of who is let in: what is wrong with it is said with its place, before the server starts."""

from pathlib import Path

import pytest

from fhir_ins.configured_access import anonymous_rights, configured_access
from fhir_ins.security.access_file import AccessFault, read_access
from fhir_ins.security.caller import Right
from fhir_ins.settings import Settings

ISSUER = '[[issuers]]\nissuer = "https://idp.example.fr"\naudience = "a"\n'
TENANTS = '[tenants.nord]\nfiness = "590000618"\n[tenants.sud]\n'
CLIENT = '[[clients]]\nname = "x"\ncertificate = "none.pem"\nscopes = ""\n'


def written(directory: Path, text: str) -> Path:
    file = directory / "access.toml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "issuers: nobody is let in"),
        ("[", "it is not TOML"),
        ("issuers = 1", "issuers: write each as a table of its own, [[issuers]]."),
        ("[surprise]\n" + ISSUER, "surprise: it is not one of clients, issuers, tenants."),
        (ISSUER + "secret = 1", "issuers[0], secret: it is not one of"),
        ('[[issuers]]\naudience = "a"', "issuers[0], issuer: a text is needed."),
        ('[[issuers]]\nissuer = "https://a"', "issuers[0], audience: a text is needed, or a list of texts."),
        ('[[issuers]]\nissuer = "https://a"\naudience = []', "issuers[0], audience: at least one is needed."),
        ('[[issuers]]\nissuer = "http://idp.example.fr"\naudience = "a"', "issuer: it must begin with https://."),
        ('[[issuers]]\nissuer = "https://u:p@a"\naudience = "a"', "issuer: it must name a host, without credentials"),
        (ISSUER + 'jwks = "ftp://a"', "issuers[0], jwks: it must begin with https://."),
        (ISSUER + 'algorithms = ["HS256"]', "algorithms: HS256 is not one of ES256"),
        (ISSUER + 'algorithms = ["none"]', "algorithms: none is not one of ES256"),
        (ISSUER + "clock_skew = 301", "clock_skew: it is a number of seconds from 0 to 300."),
        (ISSUER + "clock_skew = true", "clock_skew: it is a number of seconds from 0 to 300."),
        (ISSUER + 'claims = "other"', "claims: it is smart or pro-sante-connect."),
        (ISSUER + "scopes = 1", "scopes: a text is needed."),
        (ISSUER + 'tenant = "nowhere"', "tenant: it names one of default."),
        (ISSUER + ISSUER, "issuers, issuer: an issuer is described once."),
        (TENANTS + ISSUER, "issuers[0], tenant: it names one of nord, sud."),
        (TENANTS + ISSUER + 'tenant = "nord"\ntenant_claim = "x"', "give tenant or tenant_claim, not both."),
        ("[tenants]\n" + ISSUER, "tenants: at least one is needed"),
        ('[tenants."a b"]\n' + ISSUER, "tenants.a b: a tenant is a table"),
        ('[tenants.a]\nfiness = "12"\n' + ISSUER, "tenants.a, finess: a FINESS number has nine characters."),
        (
            '[tenants.a]\nfiness = "123456789"\n[tenants.b]\nfiness = "123456789"\n' + ISSUER,
            "each with a FINESS number of its own.",
        ),
        (ISSUER + "introspection = 1", "introspection: it is a table."),
        (
            ISSUER + '[issuers.introspection]\nendpoint = "https://a"\nclient_id = "a"\nclient_secret_file = "no"',
            "issuers[0].introspection, client_secret_file: it cannot be read.",
        ),
        (CLIENT, "clients[0], certificate: it is no readable PEM file of a certificate."),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(AccessFault) as raised:
        read_access(written(tmp_path, text), "default")
    assert said in str(raised.value)
    assert str(raised.value).startswith(str(tmp_path / "access.toml"))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(AccessFault, match="it cannot be read: No such file or directory"):
        read_access(tmp_path / "none.toml", "default")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "fhir.example.fr"])
def test_without_an_issuer_only_this_machine_is_listened_to(host: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="without an issuer of tokens this server does not listen on"):
        configured_access(Settings(host=host))
    settings = Settings(host=host, access=written(tmp_path, ISSUER), rights=frozenset({Right.READ}))
    assert configured_access(settings).issuers
    assert not anonymous_rights(settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_on_this_machine_callers_without_token_have_the_rights_of_the_settings(host: str, tmp_path: Path) -> None:
    assert configured_access(Settings(host=host)).finess == {"default": None}
    assert anonymous_rights(Settings(host=host)) == {Right.READ}
    access = written(tmp_path, ISSUER)
    assert not anonymous_rights(Settings(host=host, access=access))
    assert anonymous_rights(Settings(host=host, access=access, rights=frozenset({Right.WRITE}))) == {Right.WRITE}


def test_secrets_stay_out_of_repr(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret")
    text = ISSUER + '[issuers.introspection]\nendpoint = "https://a"\nclient_id = "a"\nclient_secret_file = "secret"\n'
    access = read_access(written(tmp_path, text), "default")
    assert "s3cret" not in repr(access)
    introspection = access.issuers[0][0].introspection
    assert introspection
    assert introspection.client_secret == "s3cret"
