"""Endpoints without machines of their own."""

from typing import Any

from .values import whole


class ServerlessInferenceConfig:
    """memory_size_in_mb: of a container. max_concurrency: requests at once."""

    def __init__(self, memory_size_in_mb: Any = 2048, max_concurrency: Any = 5) -> None:
        self.memory_size_in_mb = whole(memory_size_in_mb, "memory_size_in_mb")
        self.max_concurrency = whole(max_concurrency, "max_concurrency")

    def _to_request_dict(self) -> dict[str, Any]:
        return {"MemorySizeInMB": self.memory_size_in_mb, "MaxConcurrency": self.max_concurrency}
