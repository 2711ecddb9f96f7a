"""Why a certificate, its file or a trust file cannot be used."""


class CertificateFault(Exception):
    """A plain sentence with the remedy; no passphrase, no key."""
