"""AWS sessions with credentials, region and endpoint of the usual configuration; turns errors of services into simferry's."""

import contextlib
import ipaddress
import re
import socket
import warnings
from collections.abc import Iterator
from functools import cache, partial
from typing import Any
from urllib.parse import urlparse

from ..errors import NoAnswer, Note, ServiceError, UsageError, nearest
from ..hints import Extra, Option, Shell, Text, Variable, Words

READ_SECONDS = 70  # an endpoint's container has 60 for its answer
ATTEMPTS = 12  # with adaptive retries: the client sends less when it is throttled


class AwsError(ServiceError):
    """An AWS service refused a request, or could not be asked. service_code: its error code, such as AccessDeniedException."""

    code = "aws"

    def __init__(self, message: Words, hint: Words = "", service_code: str = "") -> None:
        super().__init__(message, hint)
        self.service_code = service_code


class QuotaError(AwsError):
    """The account's quota does not allow a single job of this kind."""

    code = "quota"


class AccessDenied(AwsError):
    """The credentials are valid, but do not allow the request."""


class CredentialsError(AwsError):
    """There are no credentials, or they have expired."""

    code = "credentials"


@cache
def session() -> Any:
    """The boto3 session that AWS_PROFILE, the configuration files, SSO or the instance's role describe. Raises UsageError without
    boto3."""
    try:
        import boto3
    except ModuleNotFoundError as error:
        raise UsageError(f"the Python package {error.name} is not installed", Extra("sagemaker")) from None
    with asking("the AWS configuration"):
        return boto3.session.Session()


def region() -> str:
    """The configured region. Raises AwsError if there is none."""
    name = session().region_name
    if not name:
        raise AwsError(
            "no AWS region is set",
            Variable("AWS_DEFAULT_REGION", "us-west-2") + ", or  aws configure set region us-west-2",
        )
    return str(name)


@cache
def client(service: str, in_region: str | None = None, attempts: int = ATTEMPTS) -> Any:
    """A boto3 client with adaptive back-off. It uses AWS_ENDPOINT_URL."""
    from botocore.config import Config

    config = Config(
        retries={"mode": "adaptive", "total_max_attempts": attempts}, connect_timeout=10, read_timeout=READ_SECONDS
    )
    with asking(service):
        made = session().client(service, region_name=in_region or region(), config=config)
    made.meta.events.register("needs-retry", partial(_say_that_it_is_slow, made.meta.endpoint_url))
    _check_that_it_answers(made.meta.endpoint_url)
    return made


def _say_that_it_is_slow(url: str, attempts: int, caught_exception: Any = None, response: Any = None, **_: Any) -> None:
    """A note after the second request without an answer: further attempts take minutes. Called by botocore for each answer.

    Raises NoAnswer for an emulator that has ended.
    """
    failed = response is not None and response[0].status_code >= 500
    if attempts >= 2 and _no_connection(caught_exception):
        _check_that_it_answers(url)
    if attempts == 2 and (failed or isinstance(caught_exception, OSError) or _no_connection(caught_exception)):
        says = "answers with errors" if failed else "does not answer"
        warnings.warn(Note(f"{url} {says}; it is asked again, which may take minutes"), stacklevel=2)


def _no_connection(error: Any) -> bool:
    from botocore import exceptions as b

    return isinstance(error, (b.HTTPClientError, b.ConnectionError))


def _check_that_it_answers(url: str) -> None:
    """Raise NoAnswer at once if the endpoint is on this machine and does not run; boto3 would try for minutes."""
    if is_loopback(url):
        address = urlparse(url)
        try:
            socket.create_connection((address.hostname, address.port or 80), timeout=5).close()
        except OSError:
            raise NoAnswer(
                f"AWS can't be asked: {url} does not answer",
                Text("Does  ", Shell("simferry", "emulator"), "  run?"),
                "AWS",
                for_good=True,  # what an emulator has had ends with it
            ) from None


def emulated(service: str = "sagemaker") -> bool:
    """Whether the endpoint of a service is on this machine, as that of `simferry emulator`."""
    return is_loopback(client(service).meta.endpoint_url)


def is_loopback(url: str | None) -> bool:
    host = urlparse(url or "").hostname or ""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


@cache
def account() -> str:
    """The number of the account."""
    with asking("this AWS account"):
        return str(client("sts").get_caller_identity()["Account"])


def check_credentials() -> None:
    """Raise an error if AWS can't be asked: there are no credentials, or it does not answer soon."""
    with asking("this AWS account"):
        if session().get_credentials() is None:
            raise CredentialsError("there are no AWS credentials", LOGIN)
        client("sts", attempts=2).get_caller_identity()


def role_arn(role: str) -> str:
    """The ARN of an IAM role, by its name or its ARN. Raises UsageError for an ARN of something else, AwsError for an unknown role."""
    if not role.startswith("arn:"):
        with asking(f"role {role}"):
            return str(client("iam").get_role(RoleName=role)["Role"]["Arn"])
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:role/.+", role):
        raise UsageError(f"{role} is not a role", "A role is arn:aws:iam::123456789012:role/NAME; docs/iam/ makes one.")
    return role


_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_UNKNOWN = {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch",
            "AuthFailure", "InvalidSignatureException", "InvalidToken"}  # fmt: skip
EMULATOR = "simferry-emulator"  # the name of its server
_DENIED = {"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "UnauthorizedOperation", "403"}
LOGIN = "aws sso login, aws configure, or AWS_PROFILE;  aws sts get-caller-identity  shows who you are."


@contextlib.contextmanager
def asking(what: str) -> Iterator[None]:
    """Turns boto3's errors into errors that say what was asked for and what to do. what: the resource or service."""
    from botocore import exceptions as b

    try:
        yield
    except b.ClientError as error:
        raise refused(what, error) from None
    except (b.NoCredentialsError, b.PartialCredentialsError):
        raise CredentialsError(f"there are no AWS credentials for {what}", LOGIN) from None
    except (b.SSOError, b.CredentialRetrievalError) as error:
        raise CredentialsError(f"the AWS credentials can't be renewed: {_sentence(error)}", LOGIN) from None
    except (b.ProfileNotFound, b.ConfigParseError, b.NoRegionError, b.InvalidRegionError) as error:
        raise AwsError(_sentence(error), "aws configure list  shows what is set.") from None
    except (b.HTTPClientError, b.ConnectionError) as error:
        url = error.kwargs.get("endpoint_url")
        hint = Text("Does  ", Shell("simferry", "emulator"), "  run?") if is_loopback(url) else _is_it_there()
        raise NoAnswer(f"{what} can't be asked: {url or 'AWS'} does not answer", hint, "AWS") from None
    except b.BotoCoreError as error:
        raise AwsError(f"{what} can't be asked: {_sentence(error)}") from None


def _is_it_there() -> str:
    """A hint where AWS does not answer: no machine answers for a region that does not exist."""
    name, known = session().region_name, session().get_available_regions("s3")
    if name and name not in known and (near := nearest(name, known)):
        return f"Is there a region {name}? {near}"
    return "Is this machine online?"


def refused(what: str, error: Any) -> ServiceError:
    """Turns a refusal of a service (botocore's ClientError) into an error of simferry's."""
    answer = error.response.get("Error", {})
    code = str(answer.get("Code", ""))
    message = str(answer.get("Message") or code).strip()
    if code in _EXPIRED:
        return CredentialsError("the AWS credentials have expired", LOGIN, code)
    if code in _UNKNOWN:
        if error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("server") == EMULATOR:
            new = Shell("simferry", "emulator") + "  has a new key at each start: set the variables that it printed."
            return CredentialsError("the emulator does not accept these credentials", new, code)
        return CredentialsError("AWS does not accept these credentials", LOGIN, code)
    if code in _DENIED:
        hint = "docs/iam/ has the policies that simferry needs, with the purpose of each action."
        return AccessDenied(f"access to {what} is denied ({error.operation_name}): {message}", hint, code)
    if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:  # the request may have been executed
        text = f"{what}: AWS could not say whether {error.operation_name} was done: {message} ({code})"
        return NoAnswer(text, service="AWS")
    role = (
        Option("role") + ", or SIMFERRY_ROLE; docs/iam/ says how to create one."
        if re.search("(ssume|pass) role", message)
        else ""
    )
    return AwsError(f"{what}: AWS refuses {error.operation_name}: {message} ({code})", role, code)


def _sentence(error: Any) -> str:
    return str(error).strip().splitlines()[0][:300]
