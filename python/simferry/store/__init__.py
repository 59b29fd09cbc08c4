"""Stores of runs: a folder for each run, on this machine or in an object store."""
