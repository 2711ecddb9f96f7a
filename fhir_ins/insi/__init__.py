"""The téléservice INSi: what we ask it, what comes back, and the SOAP adapter that does the asking."""
