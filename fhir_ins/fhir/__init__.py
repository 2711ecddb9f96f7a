"""FHIR mechanics that know nothing of INS: JSON, OperationOutcome, structure validation, search grammar."""
