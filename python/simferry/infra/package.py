"""This simferry as a wheel, with the R package in it: what is installed on other machines is what deploys them, also between releases."""

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from .. import __version__

PACKAGE = Path(__file__).parents[1]
CHECKOUT = PACKAGE.parents[1]
# what wheels have besides simferry's own folder, and where it stands in a checkout; pyproject.toml has the same list
BESIDE = {
    "recipes": "containers", "iam": "docs/iam",
    **{f"r_package/{one}": f"r_package/{one}" for one in ("DESCRIPTION", "LICENSE", "NAMESPACE", "R", "inst/rstudio", "man")},
}  # fmt: skip
FILE = f"simferry-{__version__}-py3-none-any.whl"


def r_package() -> Path:
    """The sources of the R package: in the checkout, or in the installed package."""
    inside = PACKAGE / "r_package"
    return inside if inside.is_dir() else CHECKOUT / "r_package"


def wheel() -> bytes:
    """The wheel (PEP 427). The same files give the same bytes."""
    here = distribution("simferry")
    info = f"simferry-{__version__}.dist-info"
    members = dict(_files())
    for name in ("METADATA", "entry_points.txt"):
        members[f"{info}/{name}"] = (here.read_text(name) or "").encode()
    members[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: simferry\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = [f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in members.items()]
    members[f"{info}/RECORD"] = "".join([*record, f"{info}/RECORD,,\n"]).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _files() -> Iterator[tuple[str, bytes]]:
    """The names in the wheel and the content of simferry's files."""
    places = [("simferry", PACKAGE)]
    for inside, beside in BESIDE.items():
        if not (PACKAGE / inside).exists():
            places.append((f"simferry/{inside}", CHECKOUT / beside))
    for name, place in places:
        found = [place] if place.is_file() else sorted(place.rglob("*"))
        for path in found:
            below = path.relative_to(place).parts
            if path.is_file() and not {"__pycache__", ".mypy_cache", ".ruff_cache"} & set(below):
                yield "/".join((name, *below)), path.read_bytes()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
