"""Lists of SageMaker's resources: filters, order and pages."""

import base64
from typing import Any

from .jobs import PAGE, refused


def page(
    request: dict[str, Any], rows: list[dict[str, Any]], name: str, status: str = ""
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The rows that a List operation answers, and the token of the next page.

    name, status: the members of a row that have its name and its state. Raises Refusal for a token that is none.
    """
    for field in ("CreationTime", "LastModifiedTime"):
        after, before = request.get(f"{field}After"), request.get(f"{field}Before")
        rows = [
            row for row in rows if (after is None or row[field] >= after) and (before is None or row[field] < before)
        ]
    rows = [row for row in rows if request.get("NameContains", "") in row[name]]
    if status and "StatusEquals" in request:
        rows = [row for row in rows if row[status] == request["StatusEquals"]]
    key = {"Name": name, "Status": status}.get(request.get("SortBy", ""), "CreationTime")
    rows.sort(key=lambda row: row[key], reverse=request.get("SortOrder") != "Ascending")
    try:
        first = int(base64.b64decode(request.get("NextToken", "")) or 0)
    except ValueError:
        raise refused("Invalid NextToken") from None
    last = first + request.get("MaxResults", PAGE)
    token = {"NextToken": base64.b64encode(str(last).encode()).decode()} if last < len(rows) else {}
    return rows[first:last], token
