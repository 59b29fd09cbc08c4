"""Batch transform with instance_type "local": files, and answers of a container on this machine."""

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..aws.contracts.hosting import MOST_BYTES
from ..containers.engine import connect
from ..containers.serving import Serving, ServingError, batch_environment
from ..system.untrusted import Tree, scrap_folder
from .local import FoldersAndS3
from .session import Session


def transform_here(
    request: dict[str, Any], image: str, archive: Path | None, environment: dict[str, str], session: Session
) -> dict[str, Any]:
    """Transform all files, until each was answered or one was not.

    request: of CreateTransformJob. image, archive, environment: of the model. session: whose credentials are used in S3.

    Returns the answer that DescribeTransformJob would give. Raises UsageError, ServingError, ModelArchiveError, ImageError, EngineError.
    """
    from ..emulator.transform_job import Execution

    source, target = request["TransformInput"], request["TransformOutput"]
    execution = Execution(1, request.get("MaxPayloadInMB", 6), request.get("BatchStrategy") or "MultiRecord")
    storage = FoldersAndS3(session, target.get("KmsKeyId"))
    known = batch_environment(execution.payload_mb, execution.strategy, execution.transforms)
    created, failure = datetime.now(timezone.utc), ""
    with scrap_folder("simferry-transform-") as folder:
        for name in ("inputs", "outputs"):
            (folder / name).mkdir()
        storage.fetch(
            {"S3DataDistributionType": "FullyReplicated", **source["DataSource"]["S3DataSource"]},
            folder / "inputs",
            0,
            1,
        )
        owner = f"local-{os.getpid()}"
        serving = Serving(connect(), image, folder / "ml", owner, request["TransformJobName"], model=archive,
                          environment={**environment, **known}, most_bytes=max(MOST_BYTES, execution.most_bytes))  # fmt: skip
        with serving:
            serving.start()
            serving.wait_ready()
            for path in sorted(one for one in (folder / "inputs").rglob("*") if one.is_file()):
                inside = path.relative_to(folder / "inputs")
                out = folder / "outputs" / inside.parent / f"{inside.name}.out"
                out.parent.mkdir(parents=True, exist_ok=True)
                if failure := _transform(serving, request, execution, path, out):
                    failure = f"{inside}: {failure}"
                    out.unlink()
                    break
        storage.send(Tree(folder / "outputs"), target["S3OutputPath"])
    return {
        **request,
        "TransformJobStatus": "Failed" if failure else "Completed",
        "FailureReason": failure,
        "CreationTime": created,
        "TransformEndTime": datetime.now(timezone.utc),
    }


def _transform(serving: Serving, request: dict[str, Any], execution: Any, path: Path, out: Path) -> str:
    """Write the answers for a file. Returns why that failed; empty if it did not."""
    from ..emulator.transform_job import RecordFailed, payloads, refusal_of

    source, target = request["TransformInput"], request["TransformOutput"]
    by_line = target.get("AssembleWith") == "Line"
    try:
        with out.open("wb") as file:
            for part in payloads(path, execution, source.get("SplitType") == "Line"):
                answer = serving.invoke(part, source.get("ContentType", ""), target.get("Accept", ""), seconds=600)
                if not 200 <= answer.status < 300:
                    raise refusal_of(answer)
                file.write(answer.body if not by_line or answer.body.endswith(b"\n") else answer.body + b"\n")
    except RecordFailed as error:
        return " ".join(line for line in error.lines if line)
    except ServingError as error:
        return error.message
    return ""
