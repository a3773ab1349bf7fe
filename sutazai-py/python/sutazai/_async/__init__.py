"""Asynchronous face of the engine. `scripts/python-sync.py` generates `sutazai._sync` from it."""
