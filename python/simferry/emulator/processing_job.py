"""An emulated processing job."""

from typing import Any

from ..containers.job import Contract
from ..containers.processing import Processing
from .jobs import Job


class ProcessingJob(Job):
    kind = "Processing"

    @property
    def cluster(self) -> dict[str, Any]:
        return dict(self.request["ProcessingResources"]["ClusterConfig"])

    def with_cluster(self, cluster: dict[str, Any]) -> dict[str, Any]:
        return {**self.request, "ProcessingResources": {"ClusterConfig": cluster}}

    @property
    def image(self) -> str:
        return str(self.request["AppSpecification"]["ImageUri"])

    @property
    def kms_key(self) -> str | None:
        key: str | None = self.request.get("ProcessingOutputConfig", {}).get("KmsKeyId")
        return key

    def contract(self) -> Contract:
        return Processing(self.arn)

    def summary(self) -> dict[str, Any]:
        with self._changing:
            out = super().summary()
            if self.ended and self.status == "Failed":
                out["FailureReason"] = self.outcome.failure_reason[:1024]
            if self.ended and self.outcome.exit_message:
                out["ExitMessage"] = self.outcome.exit_message
            return out
