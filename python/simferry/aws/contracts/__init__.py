"""The contents of requests to services."""
