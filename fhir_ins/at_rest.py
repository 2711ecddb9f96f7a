"""The master keys as the settings configure them: encryption at rest is on exactly when there is one."""

from fhir_ins.security.keyring import Keyring, LocalMasterKey, MasterKey, load_kms
from fhir_ins.settings import Settings


def configured_keyring(settings: Settings) -> Keyring | None:
    """The master keys; None where stores are not encrypted. Raises ValueError, naming the setting's mistake."""
    former = settings.former_master_keys.get_secret_value().split(",")
    others = [LocalMasterKey.parse(text, "FHIR_INS_FORMER_MASTER_KEYS") for text in former if text.strip()]
    current = _current(settings)
    if current is None and others:
        raise ValueError("FHIR_INS_FORMER_MASTER_KEYS open what is there: set FHIR_INS_MASTER_KEY, which seals, too.")
    return Keyring.of(current, others) if current else None


def _current(settings: Settings) -> MasterKey | None:
    text, file, service = settings.master_key.get_secret_value(), settings.master_key_file, settings.kms
    if sum(map(bool, (text.strip(), file, service))) > 1:
        raise ValueError("One master key: set only one of FHIR_INS_MASTER_KEY, FHIR_INS_MASTER_KEY_FILE, FHIR_INS_KMS.")
    if service:
        return load_kms(service)
    if file:
        return LocalMasterKey.parse(file.read_text("ascii", "replace"), "FHIR_INS_MASTER_KEY_FILE")
    return LocalMasterKey.parse(text, "FHIR_INS_MASTER_KEY") if text.strip() else None
