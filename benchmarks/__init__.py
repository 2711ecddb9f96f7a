"""How fast the server is, beside the least a server could do on the same database: `python -m benchmarks`."""
