"""Calls moto's backends, and reads the access keys and roles that they store.

Each call is written as a new request. moto therefore sees only what the emulator has parsed and authorized.
"""

import io
import json
import secrets
from calendar import timegm
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

from .calls import ACCOUNT, JSON, Call, Refusal, quoted
from .operations import copy_source, objects_to_delete, s3_headers, subresource
from .signature import Key

FORM = "application/x-www-form-urlencoded"
_MAKE_SECRETS = ("AssumeRole", "CreateAccessKey")


class Backends:
    """host: such as 127.0.0.1:5555. Not thread-safe."""

    def __init__(self, host: str) -> None:
        from moto.moto_api._internal import mock_random
        from moto.moto_api._internal.models import moto_api_backend
        from moto.moto_server.werkzeug_app import create_backend_app

        _respect_conditions()
        self._host, self._random, self.reset = host, mock_random, moto_api_backend.reset
        self.reset()
        self._make_app: Callable[[Any], Any] = create_backend_app
        self._apps = {service: create_backend_app(service) for service in ("ecr", "iam", "logs", "s3", "sts")}
        self._roles: dict[str, Any] = {}  # assumed roles by their temporary access key

    def answer(self, call: Call, start_response: Callable[..., Any]) -> list[bytes]:
        if call.service == "iam" and call.operation.startswith("Attach"):
            _bring_policy(str(call.parameters.get("PolicyArn", "")))
        if (
            call.operation in _MAKE_SECRETS
        ):  # else secrets could be predicted from earlier ones: moto draws them from one generator
            self._random.seed(secrets.randbits(256))
        if call.service not in self._apps:  # that of EC2 takes two seconds
            self._apps[call.service] = self._make_app(call.service)
        try:
            return list(self._apps[call.service](self._environment(call), start_response))
        finally:
            if call.operation in _MAKE_SECRETS:
                self._random.seed(secrets.randbits(256))

    def _environment(self, call: Call) -> dict[str, Any]:
        """The WSGI environment of a call."""
        method, path, query, body, headers = "POST", "/", "", call.body, {}
        if call.service == "s3":
            method, query = call.operation, urlencode(call.parameters, quote_via=quote)
            path = f"/{call.bucket}/{call.key}" if call.bucket else "/"
            headers = s3_headers(call)
            if source := copy_source(call):
                version = f"?versionId={quote(source.version)}" if source.version else ""
                headers["x-amz-copy-source"] = f"{quoted(f'/{source.bucket}/{source.key}')}{version}"
            if subresource(call) == "delete":
                body = _delete(objects_to_delete(call))
            if headers.get("content-type", "").startswith(
                (FORM, "multipart/")
            ):  # else moto parses the body for parameters
                headers["content-type"] = "binary/octet-stream"
            if coding := headers.pop("content-encoding", ""):
                codings = [one.strip() for one in coding.split(",") if one.strip() != "aws-chunked"]
                headers |= {"content-encoding": ",".join(codings)} if codings else {}
        elif call.service in JSON:
            body = json.dumps(call.parameters).encode()
            headers = {"content-type": "application/x-amz-json-1.1"}
            headers["x-amz-target"] = f"{JSON[call.service]}.{call.operation}"
        else:
            body = urlencode({"Action": call.operation, **call.parameters}).encode()
            headers = {"content-type": FORM}
        scope = f"{call.access_key}/20000101/{call.region}/{call.service}/aws4_request"
        headers |= {
            "host": self._host,
            "authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        }
        raw = quoted(path)
        name, _, port = self._host.partition(":")
        return {
            "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path.encode().decode("latin-1"), "QUERY_STRING": query,
            "RAW_URI": f"{raw}?{query}" if query else raw, "REQUEST_URI": f"{raw}?{query}" if query else raw,
            "SERVER_NAME": name, "SERVER_PORT": port, "SERVER_PROTOCOL": "HTTP/1.1", "CONTENT_LENGTH": str(len(body)),
            "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body), "wsgi.errors": io.StringIO(),
            "wsgi.multithread": False, "wsgi.multiprocess": False, "wsgi.run_once": False, "wsgi.input_terminated": True,
            "moto.preserved_header_names": {_key(name): name for name in headers if "_" in name},
            **{_key(name): value.encode().decode("latin-1") for name, value in headers.items()},
        }  # fmt: skip

    # ---- what moto stores ----

    def key(self, access_key: str) -> Key:
        """The secret of an access key. Raises Refusal for an unknown key."""
        from moto.iam.models import iam_backends
        from moto.sts.models import sts_backends

        stored = iam_backends[ACCOUNT]["aws"].access_keys.get(access_key)
        if stored and stored.user_name in self._users() and stored.status == "Active":
            return Key(access_key, stored.secret_access_key)
        if stored and not stored.user_name and access_key not in self._roles:
            self._roles = {one.access_key_id: one for one in sts_backends[ACCOUNT]["aws"].assumed_roles}
        if role := self._roles.get(access_key):
            expires = timegm(role.expiration.utctimetuple())
            return Key(access_key, role.secret_access_key, role.session_token, expires)
        raise Refusal("InvalidAccessKeyId", "The security token included in the request is invalid.", 403)

    def _users(self) -> list[str]:
        from moto.iam.models import iam_backends

        return [user.name for user in list(iam_backends[ACCOUNT]["aws"].users.values())]

    def role(self, arn: str) -> Any:
        """moto's role with this ARN, or None."""
        from moto.iam.models import iam_backends

        return next((role for role in iam_backends[ACCOUNT]["aws"].get_roles() if role.arn == arn), None)

    def runs(self, region: str, instance: str) -> bool:
        """Whether there is an instance of EC2 that runs."""
        if "ec2" not in self._apps:
            return False
        from moto.ec2.models import ec2_backends

        found = ec2_backends[ACCOUNT][region].get_instance_by_id(instance)
        return found is not None and found.state == "running"

    def check_upload(self, call: Call) -> None:
        """Refuse an upload id that belongs to another object: moto would write to that object."""
        from moto.s3.models import s3_backends

        if call.service == "s3" and (upload := call.parameters.get("uploadId")) is not None:
            bucket = s3_backends[ACCOUNT]["aws"].buckets.get(call.bucket)
            started = bucket.multiparts.get(upload) if bucket else None
            if started is None or started.key_name != call.key:
                raise Refusal("NoSuchUpload", "The specified upload does not exist.", 404)


def _respect_conditions() -> None:
    """Let moto leave out statements of bucket policies that are for requests without TLS: it ignores conditions. The emulator listens
    on loopback only, and counts that as safe."""
    from moto.iam.access_control import IAMPolicy, PermissionResult
    from moto.s3.models import FakeBucket

    def get_permission(self: Any, action: str, resource: str) -> Any:
        document = json.loads(self.policy) if self.policy else {}
        given = document.get("Statement", [])
        without_tls = {"Bool": {"aws:SecureTransport": "false"}}
        statements = [
            one
            for one in (given if isinstance(given, list) else [given])
            if json.loads(json.dumps(one.get("Condition")).replace(": false", ': "false"')) != without_tls
        ]
        if not statements:
            return PermissionResult.NEUTRAL
        return IAMPolicy(json.dumps({**document, "Statement": statements})).is_action_permitted(action, resource)

    FakeBucket.get_permission = get_permission  # type: ignore[method-assign]


def _bring_policy(arn: str) -> None:
    """Make a managed policy of AWS's own known to moto, which else has none: all of them would take seconds."""
    from moto.iam.aws_managed_policies import aws_managed_policies_data
    from moto.iam.models import AWSManagedPolicy, iam_backends

    known, name = iam_backends[ACCOUNT]["aws"].managed_policies, arn.rpartition("/")[2]
    data = json.loads(aws_managed_policies_data).get(name) if arn.startswith("arn:aws:iam::aws:policy/") else None
    if data and arn not in known:
        policy = AWSManagedPolicy.from_data(name, ACCOUNT, "us-east-1", data)
        if policy.arn == arn:
            known[arn] = policy


def _delete(objects: list[tuple[str, str]]) -> bytes:
    """The XML body of DeleteObjects."""

    def element(name: str, text: str) -> str:
        return f"<{name}>{escape(text, {chr(13): '&#13;'})}</{name}>" if text else ""

    members = "".join(f"<Object>{element('Key', k)}{element('VersionId', v)}</Object>" for k, v in objects)
    return f"<Delete>{members}</Delete>".encode()


def _key(name: str) -> str:
    key = name.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
