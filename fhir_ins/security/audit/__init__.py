"""The audit trail: who did what to whose data, when, sealed and chained. docs/security-audit.md"""
