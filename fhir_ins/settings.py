"""Every setting, each an environment variable FHIR_INS_… and an option of `fhir-ins serve`."""

from pathlib import Path
from typing import Annotated, Literal
from uuid import NAMESPACE_URL, uuid5

from pydantic import Field, HttpUrl, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from fhir_ins import __version__
from fhir_ins.security.caller import Right
from fhir_ins.security.network import Networks


class Settings(BaseSettings):
    """The configuration of one server process. The descriptions are the help of the command line."""

    model_config = SettingsConfigDict(env_prefix="FHIR_INS_", extra="ignore", hide_input_in_errors=True)

    host: str = Field(
        "127.0.0.1",
        description="Address to listen on; one of this machine alone, unless callers need tokens (--access).",
    )
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on.")
    base_url: HttpUrl | None = Field(
        None,
        description="Public base URL of the API, such as https://fhir.example.fr/fhir; else that of each request.",
    )
    mongodb_uri: SecretStr = Field(
        SecretStr("mongodb://127.0.0.1:27017/?directConnection=true"),
        description="MongoDB, a replica set (transactions are needed).",
    )
    mongodb_database: str = Field("fhir_ins", description="Name of the database.")
    mongodb_timeout: float = Field(10.0, gt=0, description="Seconds one operation of MongoDB may take.")
    master_key: SecretStr = Field(
        SecretStr(""),
        description="Key (32 bytes in base64) that encrypts the store; without one it is clear. Best in the variable.",
    )
    master_key_file: Path | None = Field(None, description="File that holds the master key, in place of the variable.")
    kms: str = Field(
        "", description="Key management service that wraps the keys, in place of a master key: package.module:factory."
    )
    former_master_keys: SecretStr = Field(
        SecretStr(""), description="Other master keys that open what they have wrapped, comma-separated."
    )
    ins_search_by_post: bool = Field(
        False, description="Refuse an INS in the query of a URL: it is searched for by POST only."
    )
    search_timeout: float = Field(5.0, gt=0, description="Seconds a search may take; longer ones are refused.")
    search_unbounded: int = Field(
        10_000,
        ge=0,
        description="Resources of a type up to which a search may look at all: :not, :missing, bare _sort.",
    )
    tenant: str = Field("default", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="The structure whose data this is.")
    access: Path | None = Field(
        None,
        description="TOML file of who is let in: structures, issuers of tokens, client certificates; docs/security.md.",
    )
    rights: Annotated[frozenset[Right], NoDecode] = Field(
        frozenset({Right.READ}),
        description="Rights of callers of this machine who show no token, comma-separated; with --access none, unless "
        "they are given: " + ", ".join(right.value for right in Right) + ".",
    )
    further_types: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Resource types of R4 to serve beside the usual ones, comma-separated: MedicationRequest,…"
    )
    update_create: bool = Field(False, description="Let an update create a resource under the id the client gives.")
    delete_referenced: bool = Field(False, description="Let a resource be deleted that others refer to.")
    delete_several: bool = Field(False, description="Let a conditional delete delete all that match.")
    max_bundle_entries: int = Field(1000, ge=1, description="Most entries of a batch or transaction.")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins of web pages that may call, comma-separated: https://app.example.fr,…"
    )
    max_body_bytes: int = Field(2_000_000, ge=1000, description="Greatest request body.")
    max_header_bytes: int = Field(32_768, ge=1024, description="Greatest request head: the URL and all headers.")
    max_url_bytes: int = Field(8_000, ge=256, description="Longest URL.")
    header_timeout: float = Field(10.0, gt=0, description="Seconds in which a request's head must have come.")
    body_timeout: float = Field(
        30.0, gt=0, description="Seconds in which a request's body must have come, and an answer must be taken."
    )
    idle_timeout: int = Field(
        75, ge=1, description="Seconds a connection may wait between requests; more than those of the proxy before it."
    )
    max_connections: int = Field(500, ge=1, description="Most connections at once.")
    max_connections_of_one: int = Field(
        200,
        ge=1,
        description="Most connections of one address, or one /64 of IPv6; those of trusted proxies may be more.",
    )
    rate_per_minute: int = Field(
        6000, ge=0, description="Requests of one client, or of one address, a minute and process; 0: any number."
    )
    failed_authentications_per_minute: int = Field(
        30, ge=0, description="Authentications that may fail of one address, a minute and process; 0: any number."
    )
    insi_rate_per_minute: int = Field(
        0, ge=0, description="Requests of one client that ask INSi, a minute and process; 0: any number."
    )
    tls_certificate: Path | None = Field(
        None, description="The server's certificate with its issuers, PEM; with it the server speaks TLS only."
    )
    tls_key: Path | None = Field(None, description="Its private key, PEM; else it is in the certificate's file.")
    tls_key_passphrase: SecretStr = Field(
        SecretStr(""), description="Passphrase of the private key; give it by the environment."
    )
    tls_client_authorities: Path | None = Field(
        None, description="PEM file of the authorities of client certificates, which clients are then asked for."
    )
    tls_client_required: bool = Field(False, description="Refuse the handshake of a client without a certificate.")
    trusted_proxies: Annotated[Networks, NoDecode] = Field(
        (),
        description="Addresses of the proxies whose X-Forwarded-For and -Proto are believed: 10.0.0.7,10.1.0.0/16,…",
    )
    client_certificate_header: str = Field(
        "",
        pattern=r"^[A-Za-z0-9-]*$",
        description="Header in which these proxies hand on the client's certificate, such as Client-Cert.",
    )
    fr_core: Literal["2.2.0", "2.1.0"] = Field(
        "2.2.0",
        description="Release of FR Core that Patients are written in. A store has one: fhir-ins reindex changes it.",
    )
    wrong_key_is_error: bool = Field(True, description="Refuse a matricule whose key is wrong.")
    ig_packages: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="Further IG packages whose profiles are judged: .tgz files, comma-separated."
    )
    insi_endpoint: HttpUrl | None = Field(None, description="The téléservice INSi; without it $ins-fetch answers 502.")
    insi_tenants: Path | None = Field(
        None, description="TOML file of the structures that have INSi, each with its own certificate; see docs/insi.md."
    )
    insi_mode: Literal["certificate", "cpx"] = Field(
        "certificate",
        description="Who speaks to INSi: the organisation by its certificate, or professionals by their CPx cards.",
    )
    insi_assertion_source: str = Field(
        "",
        description="CPx mode: where an AssertionPS comes from when the caller gives none, package.module:factory.",
    )
    insi_wsdl: Path | None = Field(None, description="The official WSDL of the recherche; else our own wording of it.")
    insi_verification_wsdl: Path | None = Field(
        None, description="The official WSDL of the unitary verification; without it $ins-verify compares a search."
    )
    insi_verification_names: Path | None = Field(
        None, description="TOML file that maps the names of that WSDL; else those of fhir_ins/insi/verification.toml."
    )
    insi_pkcs12: Path | None = Field(None, description="The organisation's client certificate, a PKCS#12 file.")
    insi_pkcs12_passphrase: SecretStr = Field(
        SecretStr(""), description="Passphrase of the PKCS#12 file; give it by the environment."
    )
    insi_trust: Path | None = Field(None, description="PEM file of the authorities of INSi's server certificate.")
    insi_idam: str = Field("", description="LPS authorisation number (IDAM) given by the CNDA.")
    insi_lps_name: str = Field("fhir-ins", description="Name of the software (LPS/Nom).")
    insi_lps_version: str = Field(__version__, description="Version of the software (LPS/Version).")
    insi_lps_instance: str = Field(
        "",
        description="UUID of this installation (LPS/Instance), stable; else derived from tenant and database.",
    )
    insi_emetteur: str = Field("", description="Emetteur of the contexts; else the OU of the certificate.")
    insi_given_names_joined: bool = Field(True, description="Send all given names in one Prenom; else one Prenom each.")
    insi_connect_timeout: float = Field(5.0, gt=0, description="Seconds to connect to INSi.")
    insi_total_timeout: float = Field(20.0, gt=0, description="Seconds for one call of INSi, its repetitions included.")
    insi_attempts: int = Field(3, ge=1, le=10, description="How often a call is made when INSi or the network fails.")
    insi_concurrency: int = Field(20, ge=1, description="Conversations with INSi at once, for each tenant.")
    insi_queue: int = Field(200, ge=0, description="How many more may wait for their turn; those beyond get 429.")
    insi_breaker_failures: int = Field(5, ge=1, description="Calls failed in a row after which INSi is left alone.")
    insi_breaker_seconds: float = Field(30.0, gt=0, description="How long INSi is left alone then.")
    insi_deferred_per_minute: int = Field(
        60, ge=0, le=6000, description="Calls deferred while INSi was away, made a minute for a tenant; 0: none here."
    )
    insi_retry_after: int = Field(30, ge=1, description="Seconds of Retry-After when INSi is away.")
    insi_evidence_key: SecretStr = Field(
        SecretStr(""),
        description="Key (32 bytes in base64) that seals the frames of every call to INSi; without it none is kept.",
    )
    insi_evidence_former_keys: SecretStr = Field(
        SecretStr(""), description="Keys that sealed earlier evidence, comma-separated."
    )
    insi_evidence_days: int = Field(90, ge=1, le=3650, description="Days after which evidence is deleted.")

    audit_key: SecretStr = Field(
        SecretStr(""),
        description="Key (32 bytes in base64) that seals the audit trail; without it there is none. docs/security.md",
    )
    audit_former_keys: SecretStr = Field(
        SecretStr(""), description="Keys that sealed earlier parts of the audit trail, comma-separated."
    )
    audit_checkpoints: Path | None = Field(
        None, description="Directory, outside the database, of the signed checkpoints of the audit trail."
    )
    audit_signing_key: Path | None = Field(
        None, description="PEM file of the Ed25519 private key that signs the checkpoints."
    )
    audit_checkpoint_seconds: float = Field(
        1.0, gt=0, le=3600, description="Seconds after which what is new in the audit trail is signed at the latest."
    )
    audit_days: int = Field(
        3650, ge=1, le=36500, description="Days after which accesses leave the audit trail; ten years unless set."
    )

    @field_validator("rights", "ig_packages", "further_types", "cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value

    @property
    def encrypted(self) -> bool:
        """Whether the store is: exactly when there is a master key."""
        return bool(self.master_key.get_secret_value().strip() or self.master_key_file or self.kms)

    @property
    def lps_instance(self) -> str:
        """The installation's UUID: as set, else the same at every start for this tenant and database."""
        return self.insi_lps_instance or str(uuid5(NAMESPACE_URL, f"fhir-ins:{self.tenant}:{self.mongodb_database}"))
