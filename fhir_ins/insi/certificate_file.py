"""The client certificate and the trust file as they are now: replaced under a running server, without a restart."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from fhir_ins.insi.certificate import (
    Authorities,
    CertificateFault,
    ClientCertificate,
    load_authorities,
    load_certificate,
    require_usable,
)
from fhir_ins.security.watched_files import Clock, NotYetValid, WatchedFiles, utc_now

_log = structlog.get_logger()


class CertificateFile(WatchedFiles[ClientCertificate]):
    """The certificate in a PKCS#12 file.

    A new one is taken when it is valid now, and of the same structure (OU) and branch (test or production) as the one
    in use: what else depends on these was decided at the start. The first one is taken although out of date, so that
    a server starts without it; it is not sent (see `out_of_date`).
    """

    def __init__(self, file: Path, passphrase: str | Path, *, clock: Clock = utc_now) -> None:
        """`passphrase`: itself, or the file whose first line it is, which is read again with the PKCS#12.

        Raises `CertificateFault`.
        """
        self.file = file
        self._passphrase = passphrase
        beside = [passphrase] if isinstance(passphrase, Path) else []
        super().__init__(file, *beside, read=self._loaded, clock=clock)

    def state(self) -> Mapping[str, Any]:
        """`notAfter` (ISO day), `daysLeft` (negative when it expired), and `refused` where a newer file is not used."""
        certificate = self.current()
        left = (certificate.not_after - self._clock()).days
        state = {"notAfter": f"{certificate.not_after:%Y-%m-%d}", "daysLeft": left}
        return state | ({"refused": True} if self.refused else {})  # the log says why, with the file's name

    def _loaded(self, former: ClientCertificate | None) -> ClientCertificate:
        certificate = load_certificate(self.file, _passphrase(self._passphrase))
        if former and (certificate.certificate, certificate.chain) == (former.certificate, former.chain):
            return former
        require_usable(certificate)
        if former:
            self._require_successor(certificate, former)
        elif reason := certificate.out_of_date(self._clock()):
            _log.warning("insi_certificate_out_of_date", file=str(self.file), reason=reason)
        return certificate

    def _require_successor(self, certificate: ClientCertificate, former: ClientCertificate) -> None:
        if certificate.organisational_unit != former.organisational_unit:
            raise CertificateFault(
                f"The certificate in {self.file} is of the structure (OU) {certificate.organisational_unit}, the one "
                f"in use is of {former.organisational_unit}: restart the server if the structure's number changed."
            )
        if certificate.is_test != former.is_test:
            raise CertificateFault(
                f"The certificate in {self.file} is {_branch(certificate)}, the one in use is {_branch(former)}: "
                "restart the server with the endpoint that belongs to it."
            )
        if reason := certificate.out_of_date(now := self._clock()):
            text = f"The certificate in {self.file} {reason}."
            raise NotYetValid(text, certificate.not_before) if now < certificate.not_before else CertificateFault(text)


class TrustFile(WatchedFiles[Authorities]):
    """The authorities in a PEM file."""

    def __init__(self, file: Path, *, clock: Clock = utc_now) -> None:
        """Raises `CertificateFault`."""
        super().__init__(file, read=lambda _: load_authorities(file), clock=clock)


def current_certificate(held: CertificateFile | ClientCertificate | None) -> ClientCertificate | None:
    """The certificate of the moment, where it is held by a file or as it is."""
    return held.current() if isinstance(held, CertificateFile) else held


def _branch(certificate: ClientCertificate) -> str:
    return "of the test branch" if certificate.is_test else "of production"


def _passphrase(passphrase: str | Path) -> str:
    if isinstance(passphrase, str):
        return passphrase
    try:
        return passphrase.read_text("utf-8").split("\n", 1)[0].removesuffix("\r")
    except FileNotFoundError:
        raise CertificateFault(f"There is no passphrase file {passphrase}.") from None
    except UnicodeDecodeError:
        raise CertificateFault(f"The passphrase file {passphrase} is not text in UTF-8.") from None
    except OSError as error:
        raise CertificateFault(f"The passphrase file {passphrase} cannot be read: {error.strerror}.") from None
