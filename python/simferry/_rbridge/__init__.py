"""The bridge to the R package, which calls only call.py."""
