"""The emulator: an HTTP server on loopback. It answers SageMaker itself and passes the other services on to moto."""

import contextlib
import hashlib
import io
import json
import os
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache, partial
from typing import Any

from ..aws.limits import check_request
from ..aws.policies import policy
from ..aws.session import EMULATOR
from ..errors import SimferryError
from ..hints import Command, Extra
from . import access, calls, operations, query, signature
from .calls import ACCOUNT, QUERY, Call, Refusal
from .credentials import PATH, TASK_PATH, TaskCredentials
from .faults import Faults
from .machine import Machine, clean_up_killed_emulators
from .registry import Registry
from .resources import Failed, Resources
from .services import Service
from .services.account import Account
from .services.batch import Batch
from .services.hosting import Hosting
from .services.processing import ProcessingJobs
from .services.sessions import Sessions
from .services.stacks import Stacks
from .services.tags import Tags
from .services.training import TrainingJobs
from .services.transform import TransformJobs
from .signature import Key

HOST = "127.0.0.1"
ROLE, USER = "simferry", "simferry-user"
STOP_SECONDS = 30
BY_STACK = "cloudformation.amazonaws.com"  # in the user agent of requests that an operation on a stack makes
# environment variables that would lead SDKs to another endpoint or account
CLEARED = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")


class EmulatorError(SimferryError):
    code = "emulator"


class Emulator:
    """AWS at http://127.0.0.1:port, from `start` to `stop`; also a context manager. A process can run one at a time.

    port: 0 for any free port. quotas: by instance type, the instances that may be in use at once; other types have no limit; by SPOT,
    EC2 and FARGATE what Service Quotas tells of vCPUs. faults: which faults happen. iam: whether policies are enforced; `environment`
    then has the keys of a user with the policies of docs/iam. region: of the default bucket. on_event: called with a line of text for
    each event of a job.

    requests: the number of users' requests by (service, operation), for S3 by ("s3", HTTP method). actions: with iam, the IAM actions
    that users' requests needed.
    """

    def __init__(
        self,
        port: int = 0,
        quotas: dict[str, int] | None = None,
        faults: Faults | None = None,
        iam: bool = False,
        region: str = "us-east-1",
        on_event: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.port, self.iam, self.region = port, iam, region
        self.quotas, self.faults = dict(quotas or {}), faults or Faults()
        self.on_event = on_event
        self.bucket = f"sagemaker-{region}-{ACCOUNT}"
        self.role = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
        self.url = ""
        self.requests: Counter[tuple[str, str]] = Counter()
        self.actions: set[str] = set()
        self._key = ("", "")
        # moto's backends are not thread-safe; the lock also makes If-None-Match atomic
        self._lock = threading.RLock()

    # ---- start and end ----

    def __enter__(self) -> "Emulator":
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def start(self) -> None:
        """Raises EmulatorError if moto is not installed or the port is in use."""
        try:
            from moto.moto_server.werkzeug_app import MotoRequestHandler
            from werkzeug.serving import make_server

            from .backends import Backends
        except ImportError as error:
            raise EmulatorError(f"the emulator's parts are not installed ({error.name})", Extra("emulator")) from None

        class Quiet(MotoRequestHandler):
            def log(self, *_: Any, **__: Any) -> None:
                pass

            def version_string(self) -> str:
                return EMULATOR

        clean_up_killed_emulators()
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # where the port is in use, werkzeug prints that and exits
                self._server = make_server(HOST, self.port, self._respond, threaded=True, request_handler=Quiet)
        except (OSError, SystemExit):
            raise EmulatorError(f"port {self.port} is in use", Command("emulator", port=5556)) from None
        self.port = self._server.server_port
        self.url = f"http://{HOST}:{self.port}"
        self._backends = Backends(f"{HOST}:{self.port}")
        self._machine = Machine()
        of_jobs = (
            self.quotas, self.faults, self._machine, partial(self._has_role, "sagemaker.amazonaws.com"), self._clients_of,
            self.on_event,
        )  # fmt: skip
        self.processing_jobs, self.training_jobs = ProcessingJobs(*of_jobs), TrainingJobs(*of_jobs)
        self.hosting = Hosting(*of_jobs)
        self.transform_jobs = TransformJobs(self.hosting.model, *of_jobs)
        jobs = (self.processing_jobs, self.training_jobs, self.transform_jobs)
        self._registry = Registry(self._machine, self.url)
        self.stacks = Stacks(self._resources_of, self.faults.of_resource, self.on_event)
        self._task_credentials = TaskCredentials(self.url, lambda role: self._assume(role, "Batch"))
        self.batch = Batch(
            self.faults, self._machine, partial(self._has_role, "ecs-tasks.amazonaws.com"), self._clients_of,
            self._task_credentials.environment, self._task_credentials.forget, self.on_event,
        )  # fmt: skip
        self._services: list[Service] = [
            *jobs, self.hosting, Tags(*(one.tags_of for one in (*jobs, self.hosting))), self.batch, self.stacks,
            Account(self.stacks, (*jobs, self.hosting, self.batch), self.quotas), self._registry,
            Sessions(self._backends.runs),
        ]  # fmt: skip
        self._service_key = Key(f"SIMFERRY{secrets.token_hex(6).upper()}", secrets.token_urlsafe(30))
        self._own_keys = {self._service_key.id}
        self._session = _session()
        check_request("sagemaker", "ListProcessingJobs", {})  # reads the model now, so that no request waits for it
        self._thread = threading.Thread(target=self._server.serve_forever, name="emulator", daemon=True)
        self._thread.start()
        try:
            self._prepare()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the jobs, remove their containers and folders, close the port."""
        for service in self._services:
            service.stop(STOP_SECONDS)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._machine.clean_up()
        self._backends.reset()

    @property
    def registry(self) -> str:
        """The host of the registry behind ECR, for docker login and docker push. It starts when ECR is asked for the first time."""
        return self._registry.host

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which any SDK uses the emulator. The variables in CLEARED have to be unset."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self._key[0],
            "AWS_SECRET_ACCESS_KEY": self._key[1],
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SIMFERRY_ROLE": self.role,
        }

    def _prepare(self) -> None:
        """Create the bucket, the role, and the user with a new access key."""
        values = {"Account": ACCOUNT, "Bucket": self.bucket, "Prefix": "", "Region": self.region, "Role": ROLE}
        here = {} if self.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        self._client("s3", self.region).create_bucket(Bucket=self.bucket, **here)
        iam = self._client("iam", self.region)
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(policy("trust")))
        iam.put_role_policy(RoleName=ROLE, PolicyName="simferry", PolicyDocument=json.dumps(policy("role", **values)))
        iam.create_user(UserName=USER)
        if self.iam:
            document = json.dumps(policy("user", **values))
            iam.put_user_policy(UserName=USER, PolicyName="simferry", PolicyDocument=document)
        made = iam.create_access_key(UserName=USER)["AccessKey"]
        self._key = (made["AccessKeyId"], made["SecretAccessKey"])

    # ---- clients of the emulator's own, as the service or as a role ----

    def _client(self, service: str, region: str, agent: str | None = None, **credentials: str) -> Any:
        from botocore.config import Config

        key = {"aws_access_key_id": self._service_key.id, "aws_secret_access_key": self._service_key.secret}
        config = Config(
            proxies={}, s3={"addressing_style": "path"}, retries={"total_max_attempts": 2}, user_agent_extra=agent
        )
        with self._lock:  # sessions are not thread-safe
            return self._session.client(
                service, region_name=region, endpoint_url=self.url, config=config, **{**key, **credentials}
            )

    def _clients_of(self, role: str) -> Callable[..., Any]:
        """A function that makes clients with the credentials of a role; without a role, with those of the service, as its machines have
        them. The first client assumes the role."""
        if not role:
            return self._client
        made: dict[str, str] = {}

        def client(service: str, region: str) -> Any:
            if not made:
                got = self._assume(role, "SageMaker")
                made["aws_access_key_id"] = got["AccessKeyId"]
                made["aws_secret_access_key"] = got["SecretAccessKey"]
                made["aws_session_token"] = got["SessionToken"]
            return self._client(service, region, **made)

        return client

    def _resources_of(self, access_key: str) -> Resources:
        """Resources that are created with the rights of a user or role, as CloudFormation does it."""
        key = self._backends.key(access_key)
        token = {"aws_session_token": key.token} if key.token else {}
        given = {"aws_access_key_id": key.id, "aws_secret_access_key": key.secret, **token}

        def check(needs: Iterable[tuple[str, str, dict[str, str]]]) -> None:
            if not self.iam or key is self._service_key:
                return
            needed = [*needs]
            with self._lock:
                try:
                    access.check(access.Principal(key.id, key.token), needed)
                except Refusal as refusal:
                    raise Failed(f"{refusal.message} (Service: Ec2, Status Code: {refusal.status})") from None
                self.actions.update(action for action, _, _ in needed)

        return Resources(lambda service, region: self._client(service, region, agent=BY_STACK, **given), check)

    def _assume(self, role: str, session: str) -> dict[str, Any]:
        sts = self._client("sts", self.region)
        got: dict[str, Any] = sts.assume_role(RoleArn=role, RoleSessionName=session)["Credentials"]
        self._own_keys.add(got["AccessKeyId"])
        return got

    def _has_role(self, principal: str, arn: str) -> bool:
        """Whether the role exists and a service may assume it."""
        with self._lock:
            role = self._backends.role(arn)
            return role is not None and principal in role.assume_role_policy_document

    # ---- requests ----

    def _respond(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI application."""
        request, service = calls.Request(environ["REQUEST_METHOD"], "/", [], {}), ""
        try:
            request = calls.read(environ)
            calls.refuse_web_pages(request)
            if request.method == "GET" and request.path.startswith((PATH, TASK_PATH)):
                status, headers, content = calls.answer(None, self._task_credentials.answer(request.path))
                start_response(str(status), [*headers, ("Content-Length", str(len(content)))])
                return [content]
            if (layer := self._registry.layer(request.path)) is not None:
                start_response("200 OK", [("Content-Length", str(len(layer)))])
                return [layer]
            claim = signature.read_claim(request)
            service = claim.service
            own = claim.key == self._service_key.id
            key = self._service_key if own else self._backends.key(claim.key)
            body = signature.check(request, claim, key, lambda: calls.read_body(environ))
            call = calls.parse_call(request, service, claim.region, claim.key, claim.token, body)
            if not (call.access_key in self._own_keys or BY_STACK in call.headers.get("user-agent", "")):
                self.requests[call.service, call.operation] += 1
            operations.check(call)
            return self._execute(call, start_response)
        except Refusal as refusal:
            status, headers, content = calls.refuse(request, service, refusal)
        except Exception as error:
            self.on_event(f"{service}  a fault of the emulator: {type(error).__name__}: {error}")
            status, headers, content = calls.refuse(request, service, calls.FAULT)
        start_response(str(status), [*headers, ("Content-Length", str(len(content)))])
        return [content]

    def _execute(self, call: Call, start_response: Callable[..., Any]) -> Iterable[bytes]:
        internal = call.access_key in self._own_keys
        if not internal and call.service in ("batch", "sagemaker", "logs") and self.faults.throttles():
            if call.service == "batch":
                raise Refusal("TooManyRequestsException", "Too Many Requests", 429)
            raise Refusal("ThrottlingException", "Rate exceeded")
        with self._lock:
            if call.operation == "AssumeRole" and self._backends.role(call.parameters.get("RoleArn", "")) is None:
                raise Refusal("AccessDenied", f"There is no role {call.parameters.get('RoleArn')}", 403)
            if self.iam and call.access_key != self._service_key.id:
                actions = access.authorize(call)
                if not internal:
                    self.actions.update(actions)
            service = next((one for one in self._services if one.answers(call)), None)
            if service is None:
                self._backends.check_upload(call)
                return self._motos_answer(call, start_response)
        status, headers, content = (query if call.service in QUERY else calls).answer(call, service.answer(call))
        start_response(str(status), [*headers, ("Content-Length", str(len(content)))])
        return [content]

    def _motos_answer(self, call: Call, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """moto's answer. Its web pages and exceptions become refusals: they are no answers of AWS's."""
        started: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
            started[:] = [status, headers]

        try:
            self._bring_pushed_images(call)
            content = self._backends.answer(_with_digest(call), start)
        except NotImplementedError:
            raise calls.not_emulated(call.service, call.operation) from None
        except Refusal:
            raise
        except Exception as error:
            self.on_event(f"{call.service}:{call.operation}  a fault of the emulator: {type(error).__name__}: {error}")
            raise calls.fault(call) from None
        status, headers = started
        kind = next((value for name, value in headers if name.lower() == "content-type"), "")
        if int(status.split()[0]) >= 400 and kind.startswith("text/html") and _is_page(content):
            self.on_event(f"{call.service}:{call.operation}  a fault of the emulator: {status}")
            raise calls.fault(call)
        if call.service == "ecr" and b'"repositoryUri"' in (text := b"".join(content)) and self._registry.is_there():
            content = [self._registry.in_place(text, call.region)]
            headers = [one for one in headers if one[0].lower() != "content-length"]
            headers.append(("Content-Length", str(len(content[0]))))
        start_response(status, headers)
        return content

    def _bring_pushed_images(self, call: Call) -> None:
        """Before ECR is asked for images, tell moto of those that docker push has sent."""
        if call.service == "ecr" and call.operation in ("BatchGetImage", "DescribeImages", "ListImages"):
            name = str(call.parameters.get("repositoryName", ""))
            for tag, manifest in self._registry.pushed(name):
                given = {"repositoryName": name, "imageTag": tag, "imageManifest": manifest}
                put = _with_digest(replace(call, operation="PutImage", parameters=given))
                self._backends.answer(put, lambda *_: None)


def _with_digest(call: Call) -> Call:
    """PutImage with the digest that ECR and `docker push` give the image. moto's has no part in its configuration, or is one of 101."""
    manifest = call.parameters.get("imageManifest")
    if (call.service, call.operation) != ("ecr", "PutImage") or not isinstance(manifest, str):
        return call
    digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
    return replace(call, parameters={"imageDigest": digest, **call.parameters})


def _is_page(content: list[bytes]) -> bool:
    """Whether an answer is a web page. moto sends errors in XML and JSON with the type of pages too."""
    begin = b"".join(content).lstrip()[:200].lower()
    return begin.startswith((b"<!doctype html", b"<html", b"<h1", b"<title", b"traceback"))


@cache  # reading the services' models takes half a second
def _session() -> Any:
    """A boto3 session that ignores the user's configuration."""
    import boto3
    import botocore.session

    none = (None, None, None, None)
    variables = {
        "profile": none,
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    return boto3.session.Session(botocore_session=botocore.session.Session(session_vars=variables))
