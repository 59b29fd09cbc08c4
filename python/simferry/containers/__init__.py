"""Containers on this machine: the Docker engine, and jobs that run in containers as they do on a service."""
