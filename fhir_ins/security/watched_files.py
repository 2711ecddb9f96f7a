"""What is made of files that are replaced under a running server: made anew without a restart.

New files are taken when they can be used; else what was there stays in use, and it is said once why. This holds for a
file written in place, for one renamed over the former, and for the symbolic links that Kubernetes turns.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from fhir_ins.security.certificate_fault import CertificateFault

Current = TypeVar("Current")
Clock = Callable[[], datetime]

_LOOK_AGAIN = timedelta(seconds=1)

_log = structlog.get_logger()


def utc_now() -> datetime:
    return datetime.now(UTC)


class NotYetValid(CertificateFault):
    """A certificate that becomes usable by itself, at `start`."""

    def __init__(self, text: str, start: datetime) -> None:
        super().__init__(text)
        self.start = start


class WatchedFiles(Generic[Current]):
    """What `read` makes of files, made anew when one of them changes; looked at no more than once a second.

    `read` is given what is in use (None at first) and raises `CertificateFault`: from the constructor the first time,
    afterwards into `refused`. The log names the first file, in events that begin with `event`.
    """

    def __init__(
        self,
        *files: Path,
        read: Callable[[Current | None], Current],
        event: str = "insi_file",
        clock: Clock = utc_now,
    ) -> None:
        self.refused: str | None = None
        self._files = files
        self._read = read
        self._event = event
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
                _log.warning(f"{self._event}_refused", file=file, reason=self.refused)
            return
        self.refused = None
        if new != self._current:
            self._current = new
            _log.info(f"{self._event}_taken", file=file)

    def _look(self) -> tuple[tuple[int, ...], ...]:
        """What tells one content of the files from another without reading them."""
        return tuple(_identity(file) for file in self._files)


def _identity(file: Path) -> tuple[int, ...]:
    try:
        found = os.stat(file)
    except OSError as error:
        return (error.errno or 0,)
    # the time of change too: a file that becomes readable changes in nothing else
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
