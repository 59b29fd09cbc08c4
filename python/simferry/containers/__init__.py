"""Containers on this machine: the engine, and processing jobs that run in them as they do on the service."""
