"""The forms in which an INS travels outside FHIR: HL7 v2, XDS and the DMP, CDA, MSSanté; one module a form.

Each is a pure function of a `NationalIdentity`, in which nothing can be missing.
"""
