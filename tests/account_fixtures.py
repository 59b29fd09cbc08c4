"""What an account may have: images and runs that nobody has built or computed."""

import hashlib
import json

from simferry.store.run_folder import FORMAT

KINDS = "application/vnd.docker.distribution.manifest"
RUN = {
    "created": "2026-11-28T12:00:00", "conditions": 1, "replications": 1, "seed": 1, "streams": 1, "parameters": {}, "common": "all",
    "environment": {}, "code_hash": "0",
    "simulation": {
        "language": "r", "kind": "function", "function": "f", "script": "f.R", "args": None, "path": "", "results_file": "",
        "objects": "", "private_mount": False,
    },
}  # fmt: skip
PLAN = {
    "reason": "run", "replications": 1, "jobs": 1, "to_do": 1, "created": "2026-11-28T12:00:00+00:00", "files": "plan/0001-0123abcd",
    "types": ["ml.m5.xlarge"], "limit": 3600, "hosts": 1,
}  # fmt: skip


def put_image(ecr, repository, tag=None, **content):
    """Put an image of its own into a repository. content: of its manifest; with manifests it is a list. Returns its digest."""
    kind = f"{KINDS}.list.v2+json" if "manifests" in content else f"{KINDS}.v2+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "name": f"{repository}:{tag}", **content})
    digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
    tagged = {"imageTag": tag} if tag else {}
    ecr.put_image(
        repositoryName=repository, imageManifest=manifest, imageDigest=digest, imageManifestMediaType=kind, **tagged
    )
    return digest


def put_run(s3, bucket, key, image, of_plan=None, **place):
    """Put the records of a run with this image into a bucket. of_plan: the image with which it was resumed. place: further options."""
    options = {
        "backend": "sagemaker", "place": {"image": image, **place}, "cores": None, "on_error": "continue", "replication_timeout": None,
        "retries": 2,
    }  # fmt: skip
    record = {"id": key.rpartition("/")[2], "format": FORMAT, **RUN, "options": options}
    s3.put_object(Bucket=bucket, Key=f"{key}/run.json", Body=json.dumps(record).encode())
    plan = {**PLAN, "place": {"image": of_plan or image}}
    s3.put_object(Bucket=bucket, Key=f"{key}/plan/0001/plan.json", Body=json.dumps(plan).encode())
