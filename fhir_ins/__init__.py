"""A FHIR R4 server for the French national health identity (INS)."""

__version__ = "0.1.0"
