"""The client certificate and the trust file as they are now: replaced under a running server, taken without a restart.

A new file is taken when it can be used; else what was there stays in use, and it is said once why. This holds for a
file written in place, for one renamed over the former, and for the symbolic links that Kubernetes turns.
"""

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog

from fhir_ins.insi.certificate import (
    Authorities,
    CertificateFault,
    ClientCertificate,
    load_authorities,
    load_certificate,
    require_usable,
)

Current = TypeVar("Current")
Clock = Callable[[], datetime]

_LOOK_AGAIN = timedelta(seconds=1)

_log = structlog.get_logger()


def _utc_now() -> datetime:
    return datetime.now(UTC)


class NotYetValid(CertificateFault):
    """A certificate that becomes usable by itself, at `start`."""

    def __init__(self, text: str, start: datetime) -> None:
        super().__init__(text)
        self.start = start


class WatchedFile(Generic[Current]):
    """What `read` makes of a file, made anew when the file changes; looked at no more than once a second.

    `read` is given what is in use (None at first) and raises `CertificateFault`: from the constructor the first time,
    afterwards into `refused`. `beside`: a second file without which the first cannot be read.
    """

    def __init__(
        self,
        file: Path,
        read: Callable[[Current | None], Current],
        *,
        beside: Path | None = None,
        clock: Clock = _utc_now,
    ) -> None:
        self.refused: str | None = None
        self._files = (file, beside) if beside else (file,)
        self._read = read
        self._clock = clock
        self._looked = clock()
        self._seen = self._look()
        self._due: datetime | None = None
        self._current = read(None)

    def current(self) -> Current:
        """What is in use now."""
        now = self._clock()
        if abs(now - self._looked) >= _LOOK_AGAIN:
            self._looked = now
            seen = self._look()
            if seen != self._seen or (self._due and now >= self._due):
                self._seen = seen
                self._renew()
        return self._current

    def _renew(self) -> None:
        file, self._due = str(self._files[0]), None
        try:
            new = self._read(self._current)
        except CertificateFault as fault:
            if isinstance(fault, NotYetValid):
                self._due = fault.start
            if str(fault) != self.refused:
                self.refused = str(fault)
                _log.warning("insi_file_refused", file=file, reason=self.refused)
            return
        self.refused = None
        if new != self._current:
            self._current = new
            _log.info("insi_file_taken", file=file)

    def _look(self) -> tuple[tuple[int, ...], ...]:
        """What tells one content of the files from another without reading them."""
        return tuple(_identity(file) for file in self._files)


class CertificateFile(WatchedFile[ClientCertificate]):
    """The certificate in a PKCS#12 file.

    A new one is taken when it is valid now, and of the same structure (OU) and branch (test or production) as the one
    in use: what else depends on these was decided at the start. The first one is taken although out of date, so that
    a server starts without it; it is not sent (see `out_of_date`).
    """

    def __init__(self, file: Path, passphrase: str | Path, *, clock: Clock = _utc_now) -> None:
        """`passphrase`: itself, or the file whose first line it is, which is read again with the PKCS#12.

        Raises `CertificateFault`.
        """
        self.file = file
        self._passphrase = passphrase
        beside = passphrase if isinstance(passphrase, Path) else None
        super().__init__(file, self._loaded, beside=beside, clock=clock)

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


class TrustFile(WatchedFile[Authorities]):
    """The authorities in a PEM file."""

    def __init__(self, file: Path, *, clock: Clock = _utc_now) -> None:
        """Raises `CertificateFault`."""
        super().__init__(file, lambda _: load_authorities(file), clock=clock)


def current_certificate(held: CertificateFile | ClientCertificate | None) -> ClientCertificate | None:
    """The certificate of the moment, where it is held by a file or as it is."""
    return held.current() if isinstance(held, CertificateFile) else held


def _identity(file: Path) -> tuple[int, ...]:
    try:
        found = os.stat(file)
    except OSError as error:
        return (error.errno or 0,)
    # the time of change too: a file that becomes readable changes in nothing else
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


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
