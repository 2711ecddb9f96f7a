"""MongoDB: ready-made bytes next to their search keys, history, transactions, indexes and migrations."""
