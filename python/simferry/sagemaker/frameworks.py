"""Version 2's estimators of frameworks: a script in the image that the user names for a framework's."""

from typing import Any

from ..errors import UsageError
from ..images.framework import hint_for, own_image
from .script_mode import decoded, encoded
from .training import EstimatorBase
from .values import text


class Framework(EstimatorBase):
    """Runs a script as a training job, in the image that the table of images (SIMFERRY_IMAGES) names for a framework's, or image_uri.

    entry_point: the script, in source_dir if there is one: a folder of this machine, or s3://.../sourcedir.tar.gz. Its requirements.txt
    is installed first. The other arguments are version 2's, see training.py.
    """

    _framework_name = ""
    _image = ""  # the image's repository
    _tag = "{version}"

    def __init__(
        self,
        entry_point: str | None = None,
        framework_version: Any = None,
        py_version: str | None = None,
        source_dir: str | None = None,
        hyperparameters: Any = None,
        image_uri: str | None = None,
        **options: Any,
    ) -> None:
        version = None if framework_version is None else text(framework_version)
        self.framework_version, self.py_version = version, py_version
        image_uri = image_uri or options.pop("image_name", None)
        if not entry_point:
            raise UsageError(
                f"{type(self).__name__} needs entry_point, the script that it runs", 'entry_point="train.py"'
            )
        image = image_uri or image_of(type(self), version, py_version or "py3")
        options.setdefault("base_job_name", self._framework_name or None)
        super().__init__(
            image, entry_point=entry_point, source_dir=source_dir, hyperparameters=hyperparameters, **options
        )

    def _texts(self) -> dict[str, str]:
        return encoded(self.hyperparameters())

    def _after_attach(self) -> None:
        self._hyperparameters = {name: decoded(text) for name, text in self._hyperparameters.items()}


class SKLearn(Framework):
    _framework_name, _image, _tag = "sklearn", "sagemaker-scikit-learn", "{version}-cpu-{python}"


class PyTorch(Framework):
    _framework_name, _image, _tag = "pytorch", "pytorch-training", "{version}-cpu-{python}"


class TensorFlow(Framework):
    """A script gets --model_dir, an address in S3 or, in local mode, /opt/ml/model; not with model_dir=False."""

    _framework_name, _image, _tag = "tensorflow", "tensorflow-training", "{version}-cpu-{python}"

    model_dir: Any = None

    def __init__(self, *given: Any, model_dir: Any = None, script_mode: Any = True, **options: Any) -> None:
        super().__init__(*given, **options)
        self.model_dir = model_dir

    def _own(self, job_name: str, output: str) -> dict[str, Any]:
        if self.model_dir is False:
            return {}
        return {
            "model_dir": self.model_dir
            or ("/opt/ml/model" if self._local else f"{output.rstrip('/')}/{job_name}/model")
        }


class XGBoost(Framework):
    _framework_name, _image = "xgboost", "sagemaker-xgboost"


FRAMEWORKS = {kind._framework_name: kind for kind in (SKLearn, PyTorch, TensorFlow, XGBoost)}


def image_of(estimator_cls: Any, version: str | None, python: str) -> str:
    """The user's image for a framework's, by the table of images. Raises UsageError if it has none."""
    name = str(getattr(estimator_cls, "_framework_name", None) or estimator_cls)
    kind = FRAMEWORKS.get(name.lower())
    known = ", ".join(one.__name__ for one in FRAMEWORKS.values())
    if kind is None:
        raise UsageError(f"estimator_cls is {estimator_cls!r}", f"It is one of {known}, or give image_uri.")
    wanted = f"{kind._image}:{kind._tag.format(version=version or 'latest', python=python)}"
    found = own_image(wanted)
    if found == wanted:
        raise UsageError(f"AWS's image {wanted} needs one of yours in its place, or image_uri", hint_for(wanted))
    return found
