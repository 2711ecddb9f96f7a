"""`python -m fhir_ins` is `fhir-ins`."""

from fhir_ins.cli import main

main()
