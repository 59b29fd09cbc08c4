"""The network of a job's containers."""

from typing import Any

from .values import listed


class NetworkConfig:
    """Isolation, encryption between containers, security groups and subnets."""

    def __init__(
        self,
        enable_network_isolation: bool | None = False,
        security_group_ids: Any = None,
        subnets: Any = None,
        encrypt_inter_container_traffic: bool | None = None,
    ) -> None:
        self.enable_network_isolation = enable_network_isolation
        self.security_group_ids = security_group_ids
        self.subnets = subnets
        self.encrypt_inter_container_traffic = encrypt_inter_container_traffic

    def _to_request_dict(self) -> dict[str, Any]:
        """NetworkConfig of CreateProcessingJob. The class of today's SDK has the same method, so both can be passed."""
        request: dict[str, Any] = {"EnableNetworkIsolation": bool(self.enable_network_isolation)}
        if self.encrypt_inter_container_traffic is not None:
            request["EnableInterContainerTrafficEncryption"] = self.encrypt_inter_container_traffic
        vpc = {"SecurityGroupIds": listed(self.security_group_ids), "Subnets": listed(self.subnets)}
        if any(vpc.values()):
            request["VpcConfig"] = {name: ids for name, ids in vpc.items() if ids}
        return request
