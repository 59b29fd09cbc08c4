"""AWS's framework images, which published scripts name, and the user's images in their place.

SIMFERRY_IMAGES, or the option `images`, says which: sagemaker-scikit-learn=simferry-python,pytorch-training=my-torch. A name there is that
of an image, with or without host and tag; the one that says most counts.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping

from ..aws.session import AwsError
from ..containers.engine import ImageError, repository_of
from ..errors import UsageError
from ..hints import BackendOptions, Text, Variable, Words
from .ecr import ECR

VARIABLE = "SIMFERRY_IMAGES"
_FRAMEWORKS = re.compile(
    r"sagemaker-(scikit-learn|xgboost|spark-|sparkml-|tensorflow|mxnet|pytorch|chainer|rl-|clarify-|model-monitor-|"
    r"data-wrangler|base-|data-science|distribution).*"
    r"|(pytorch|tensorflow|mxnet|autogluon|djl|stabilityai-pytorch|huggingface-[a-z0-9-]+)-(training|inference|processing|serving).*"
)


def own_image(name: str, images: Mapping[str, str] | str | None = None) -> str:
    """The user's image for an image's name; the name itself if the table has none.

    images: the table, which comes before SIMFERRY_IMAGES. Raises UsageError for an entry that is not NAME=IMAGE.
    """
    for table in (images, os.environ.get(VARIABLE)):
        known = table_of(table)
        host, slash, rest = name.partition("/")
        below = rest if slash and re.search(r"[.:]|^localhost$", host) else name
        for one in (name, repository_of(name), below, repository_of(below)):
            if one in known:
                return known[one]
    return name


def table_of(given: Mapping[str, str] | str | None) -> dict[str, str]:
    """The table, of a mapping or of a text NAME=IMAGE,... Raises UsageError."""
    if given is None or isinstance(given, Mapping):
        return dict(given or {})
    pairs = [one.strip().partition("=") for one in given.split(",") if one.strip()]
    if wrong := ["".join(pair) for pair in pairs if not (pair[0].strip() and pair[2].strip())]:
        raise UsageError(
            f"{VARIABLE}: {wrong[0]!r} is not of the form NAME=IMAGE", "sagemaker-scikit-learn=simferry-python"
        )
    return {name.strip(): image.strip() for name, _, image in pairs}


def is_framework(name: str) -> bool:
    """Whether a name is that of one of AWS's framework images, in an ECR."""
    host, _, rest = name.partition("/")
    return bool(ECR.fullmatch(host) and _FRAMEWORKS.fullmatch(repository_of(rest)))


def hint_for(name: str) -> Words:
    """How to name an image of the user's for one of AWS's. name: with or without a host."""
    short = repository_of(name).rpartition("/")[2]
    yours = "simferry-python"
    return Text(
        "Name an image of yours for it:  ",
        Variable(VARIABLE, f"{short}={yours}"),
        ", or for a run  ",
        BackendOptions("sagemaker", images={short: yours}),
    )


def not_here(name: str, why: str) -> ImageError:
    """The error for one of AWS's framework images where it can't run."""
    return ImageError(f"{name} is an image of AWS's own: {why}", hint_for(name))


@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
    """If one of AWS's framework images is not found, the error says how to name another."""
    try:
        yield
    except (ImageError, UsageError, AwsError) as error:
        if not is_framework(name):
            raise
        raise not_here(name, error.message) from None
