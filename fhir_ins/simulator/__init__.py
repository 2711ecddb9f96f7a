"""An INSi that runs on this machine: the contract, mTLS with a throw-away PKI, and the fictitious identities.

It imports nothing of the server but the domain and the contract, so that its answers come from elsewhere than
the code they test.
"""
