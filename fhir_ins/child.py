"""A child process that ends with its parent and that Ctrl-C does not reach: its parent stops it, in order."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import IO

# A preexec_fn is unsafe in a process with threads, so a tiny interpreter asks Linux for a SIGTERM at the
# death of its parent (prctl 1 is PR_SET_PDEATHSIG) and then becomes the command, keeping its process id.
_BECOME = """
import ctypes, os, signal, sys
parent, command = int(sys.argv[1]), sys.argv[2:]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)
if os.getppid() != parent:
    sys.exit("the process that wanted this one is gone")
try:
    os.execv(command[0], command)
except OSError as error:
    sys.exit(f"{command[0]}: {error.strerror}")
"""


def start(
    command: Sequence[str],
    *,
    stdout: IO[bytes] | int,
    stderr: IO[bytes] | int,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` (its first word a path) in a session of its own, tied to the life of the calling thread."""
    become = [sys.executable, "-I", "-S", "-c", _BECOME, str(os.getpid())]
    return subprocess.Popen(  # noqa: S603 - the commands are the server's own
        [*become, *command],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=environment,
        start_new_session=True,
    )


def end(process: subprocess.Popen[bytes], *, seconds: float = 20.0) -> None:
    """Stop `process` in order: SIGTERM, then SIGKILL when it has not ended after `seconds`. Safe to repeat."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
