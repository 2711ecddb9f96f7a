"""The domain: the INS, its matricule, its traits and its statuses, as the référentiel and the RNIV state them.

Pure functions and frozen values; no I/O, no clock, no FHIR, nothing else of ours.
"""
