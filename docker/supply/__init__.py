"""The supply chain: what the server is made of, and what is known against it. `make sbom`, `make audit`."""
