"""HTTP: one module per interaction and one per operation, named as the specification names it."""
