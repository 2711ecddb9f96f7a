"""Where FHIR and the INS meet: reading and building FR Core Patients (hl7.fhir.fr.core 2.2.0)."""
