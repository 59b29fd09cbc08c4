"""SageMaker's operations on tags, of whatever has them."""

from collections.abc import Callable
from typing import Any

from ..calls import Call
from .jobs import checked, refused


class Tags:
    """tags_of: each gives the tags of an ARN, which may be changed, or None."""

    def __init__(self, *tags_of: Callable[[str], dict[str, str] | None]) -> None:
        self.tags_of = tags_of

    def answers(self, call: Call) -> bool:
        return call.service == "sagemaker" and call.operation in ("AddTags", "DeleteTags", "ListTags")

    def answer(self, call: Call) -> dict[str, Any]:
        request = checked(call)
        arn = request["ResourceArn"]
        tags = next((found for of in self.tags_of if (found := of(arn)) is not None), None)
        if tags is None:
            raise refused(f"Could not find requested job with arn: {arn}")
        tags.update({tag["Key"]: tag["Value"] for tag in request.get("Tags", [])})
        for key in request.get("TagKeys", []):
            tags.pop(key, None)
        if call.operation == "DeleteTags":
            return {}
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def stop(self, seconds: float) -> None:
        pass
