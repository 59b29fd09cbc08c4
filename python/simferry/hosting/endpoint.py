"""An endpoint: deployed, asked, read, deleted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..aws import endpoints as known
from ..aws import session
from ..aws.contracts import hosting as contract
from ..aws.endpoints import Served, is_missing
from ..aws.session import AwsError, asking, client
from ..errors import UsageError, nearest
from ..hints import Command, Help
from ..store.folder_store import HOSTING
from ..system.dialogue import Confirm, Tell, ask, print_line
from . import materials
from .resources import made_for, remove, remove_endpoint

ATTEMPTS = 3  # of a request; the container may have computed each of them


class Endpoint:
    """An endpoint of SageMaker in the configured region, by its name.

    name: as `deploy` or the service has it. Nothing is asked yet. Raises UsageError for what is no name.
    """

    def __init__(self, name: str) -> None:
        contract.check_name(name)
        self.name = name

    def __repr__(self) -> str:
        return f"simferry.Endpoint({self.name!r})"

    @classmethod
    def deploy(
        cls,
        image: str,
        model: str | Path | None = None,
        *,
        name: str | None = None,
        instance_type: str | None = None,
        instances: int | None = None,
        serverless: bool = False,
        memory: int | None = None,
        concurrency: int | None = None,
        budget: float | None = None,
        env: Mapping[str, object] | None = None,
        role: str | None = None,
        stack: str | None = None,
        yes: bool = False,
        tell: Tell = print_line,
        confirm: Confirm = ask,
    ) -> "Endpoint | None":
        """Make an endpoint, and wait until it answers. It tells first what that costs, and asks.

        image: an image that answers requests (`docker run IMAGE serve`), of this machine or in ECR; one of this machine is pushed. model:
        a tar.gz, or its address s3://...; None if the image has its own. name: [that of the image]. instance_type: [ml.t2.medium].
        instances: their number [1]. serverless: no instances; it costs nothing while idle. memory: of a serverless endpoint, 1024 to 6144
        MB [2048]. concurrency: its requests at once [5]. budget: US dollars a day; an endpoint that can cost more is refused. env:
        environment variables of the container. role: [that of the stack, or SIMFERRY_ROLE]. stack: of simferry.infra [SIMFERRY_STACK, or
        "simferry"]. yes: do not ask. tell: called with each line of the report. confirm: asks a question.

        An interrupted deployment is taken up by the same call. Returns None if the answer was no. Raises UsageError for an endpoint that
        exists already, a model that is no tar.gz, wrong options and a budget that is too small; QuotaError; AwsError, with the reason and
        the last lines of its log, if it fails.
        """
        from . import deploy

        where = deploy.place(instance_type, instances, serverless, memory, concurrency)
        found = deploy.deploy(
            image, model, where, name=name, budget=budget, env=env, role=role, stack=stack, yes=yes, tell=tell, confirm=confirm
        )  # fmt: skip
        return cls(found.name) if found else None

    def describe(self) -> Served:
        """Its state, machines and costs. Raises UsageError if there is no such endpoint."""
        return known.there(self.name)

    @property
    def status(self) -> str:
        """In SageMaker's words, such as InService. Raises UsageError if there is no such endpoint."""
        found = known.state(self.name)
        if not found:
            raise known.unknown(self.name)
        return str(found["EndpointStatus"])

    def invoke(self, body: bytes | str | Path, content_type: str = "text/csv", accept: str | None = None) -> bytes:
        """The container's answer to a request.

        body: bytes, a text, or a Path of a file. content_type: of the body. accept: the content type that is wanted. Raises UsageError
        for more than 6 MB (4 MB if it is serverless) and an endpoint that is not there or not in service; AwsError for an error of the
        container's.
        """
        return self.answer(body, content_type, accept)[0]

    def answer(
        self, body: bytes | str | Path, content_type: str = "text/csv", accept: str | None = None
    ) -> tuple[bytes, str]:
        """As `invoke`, with the content type of the answer.

        body, content_type, accept: as in `invoke`. Raises UsageError and AwsError as `invoke` does.
        """
        from botocore.exceptions import ClientError

        content = _content(body)
        self._check_size(len(content))
        asked = {"EndpointName": self.name, "Body": content, "ContentType": content_type}
        with asking(f"endpoint {self.name}"):
            try:
                runtime = client("sagemaker-runtime", attempts=ATTEMPTS)
                got = runtime.invoke_endpoint(**asked, **({"Accept": accept} if accept else {}))
                return bytes(got["Body"].read()), str(got.get("ContentType", ""))
            except ClientError as error:
                raise self._why_not(error) or error from None

    def _check_size(self, size: int) -> None:
        """Raise UsageError for a body that is too large."""
        most, what = contract.MOST_BYTES, "an endpoint"
        if contract.MOST_SERVERLESS_BYTES < size <= contract.MOST_BYTES and known.there(self.name).memory_mb:
            most, what = contract.MOST_SERVERLESS_BYTES, "a serverless endpoint"
        if size > most:
            raise UsageError(
                f"the data have {size:,} bytes; {what} takes {most:,} in a request",
                "Send them in parts, or use a batch transform: " + Help("transform"),
            )

    def _why_not(self, error: Any) -> Exception | None:
        """The error for a refusal of InvokeEndpoint; None where `asking` has the words."""
        answer = error.response["Error"]
        code, message = answer.get("Code", ""), answer.get("Message", "")
        if code == "ModelError":
            status, said = error.response.get("OriginalStatusCode", "?"), error.response.get("OriginalMessage", message)
            how = f"answered {status}" if status else "gave no answer"
            return AwsError(
                f"endpoint {self.name}: its container {how}: {str(said).strip()[:2000]}",
                Command("endpoint logs", self.name) + "  shows what it has printed.",
                code,
            )
        if code not in ("ValidationError", "ValidationException", "ModelNotReadyException") and not is_missing(error):
            return None
        found = known.state(self.name)
        if not found:
            return known.unknown(self.name)
        if (status := found["EndpointStatus"]) not in ("InService", "Updating", "SystemUpdating", "RollingBack"):
            hint = Command("endpoint list") + "  shows when it is InService."
            return UsageError(f"endpoint {self.name} does not answer requests: it is {status}", hint)
        return None

    def predict(
        self, data: Any, *, content_type: str = "text/csv", accept: str | None = None, header: bool = False
    ) -> Any:
        """The container's answers to the rows of a table: a numpy array, or a DataFrame if each answer has several values.

        data: a DataFrame, an array or a list of rows. content_type: text/csv, or application/json for a list of records. accept: the
        content type that is wanted. header: begin CSV with the names of the columns. Raises UsageError for an answer that is neither
        CSV nor JSON, and UsageError and AwsError as `invoke` does.
        """
        from .frames import body_of, values_of

        body, rows = body_of(data, content_type, header)
        return values_of(*self.answer(body, content_type, accept), rows)

    def logs(self) -> dict[str, str]:
        """What its containers have printed, by variant and machine. Raises UsageError if there is no such endpoint."""
        found = known.state(self.name)
        variants = [one["VariantName"] for one in (found or {}).get("ProductionVariants", [])]
        lines = known.lines(self.name, variants)
        if not found and not lines:
            raise known.unknown(self.name)
        return {stream: "".join(f"{line}\n" for line in some) for stream, some in lines.items()}

    def delete(self, *, any: bool = False, tell: Tell = print_line) -> None:
        """Delete the endpoint, its configuration and its model, and an archive that `deploy` has uploaded. Its log stays.

        any: also one that simferry has not made. tell: called with each line of the report. It goes on where an earlier deletion was
        interrupted; a second one does nothing. Raises UsageError for a name that is not there where others are like it.
        """
        found = known.find(self.name)
        if found and not (found.ours or any):
            raise UsageError(
                f"endpoint {self.name} was not made by simferry",
                Command("endpoint delete", self.name, any=True)
                + "  deletes it, its configuration and its models nonetheless.",
            )
        if found:
            tell(f"deleting endpoint {self.name}")
            remove_endpoint(self.name, tell)
        configs = {*made_for(self.name, "endpoint_config"), *([found.config] if found else [])}
        models = {*made_for(self.name, "model"), *(found.models if found else [])}
        if not found and not configs and not models:
            if near := nearest(self.name, known.names()):
                raise UsageError(f"there is no endpoint {self.name} in {session.region()}", near)
            tell(f"there is no endpoint {self.name} in {session.region()}")
        for name in sorted(configs):
            tell(f"  configuration {name}")
            remove("endpoint_config", name)
        for name in sorted(models):
            tell(f"  model {name}")
            remove_model(name, self.name)


def remove_model(name: str, owner: str) -> None:
    """Delete a model, and first the archives that were uploaded for it. owner: the endpoint. Raises AwsError."""
    if found := known.look("describe_model", f"model {name}", ModelName=name):
        folder = known.tags_of(found["ModelArn"]).get(known.UPLOADED, "")
        if folder.endswith(f"/{HOSTING}/{owner}"):
            materials.remove_below(folder)
    remove("model", name)


def endpoints() -> list[Served]:
    """The endpoints in the configured region, the newest first, whoever made them: states, machines, US dollars an hour.

    Raises AwsError if they can't be listed.
    """
    return known.running()[0]


def _content(body: bytes | str | Path) -> bytes:
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, Path):
        try:
            return body.read_bytes()
        except OSError as error:
            raise UsageError(f"{body} can't be read: {error.strerror or error}") from None
    return bytes(body)
