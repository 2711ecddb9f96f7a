"""`python -m fhir_ins.simulator`: the simulator in a process of its own."""

import argparse
from pathlib import Path

from fhir_ins.simulator.behaviour import UnknownBehaviour, parse_options
from fhir_ins.simulator.server import serve
from fhir_ins.simulator.service import DEFAULT_IDAM


def main() -> None:
    """Read the options and serve until a signal."""
    options = argparse.ArgumentParser(
        prog="python -m fhir_ins.simulator", description="An INSi that runs on this machine, for tests only."
    )
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=8443, help="0 picks a free one")
    options.add_argument("--directory", type=Path, default=Path(".sandbox/insi"), help="where its PKI is kept")
    options.add_argument("--idam", default=DEFAULT_IDAM, help="the authorisation number it knows")
    options.add_argument(
        "--behaviour", action="append", default=[], metavar="NAME=VALUE", help="how it behaves; may be repeated"
    )
    chosen = options.parse_args()
    try:
        behaviour = parse_options(chosen.behaviour)
    except UnknownBehaviour as error:
        options.error(str(error))
    serve(chosen.host, chosen.port, chosen.directory, chosen.idam, behaviour)


if __name__ == "__main__":
    main()
