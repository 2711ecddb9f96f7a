"""The conformity cases of the CNDA (SEL-GCONFORM_INSi): played, judged, and shown with their SOAP frames."""
