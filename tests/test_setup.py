"""tools/setup: the targets of the Makefile install all that a new Debian machine lacks."""

from pathlib import Path

from docker_fixtures import with_authorities
from simferry.images import recipes as images

ROOT = Path(__file__).parents[1]
# README asks for git, make and Python. R's check of a package with documents names the programs that it misses.
DOCKERFILE = r"""FROM debian:bookworm-slim
COPY setup Makefile *.crt /simferry/tools/
WORKDIR /simferry
RUN mv tools/Makefile . && mkdir python && touch pyproject.toml \
 && apt-get update -qq && apt-get install -y -qq --no-install-recommends git make python3 >/dev/null
RUN for target in demo lint bench test; do make -n $target; done | sed -n 's|^tools/setup|& --system|p' >needed \
 && cat needed && bash -e needed && pandoc --version && ps \
 && python3 -c 'import ctypes, sysconfig; ctypes.CDLL(sysconfig.get_config_var("INSTSONAME"))'
RUN mkdir -p small/inst/doc && touch small/NAMESPACE small/inst/doc/a.txt \
 && printf '%s\n' 'Package: small' 'Version: 1.0.0' 'Title: Small' 'Description: Small.' 'License: MIT' \
      'Author: A' 'Maintainer: A <a@b.org>' >small/DESCRIPTION \
 && R CMD build small && _R_CHECK_CRAN_INCOMING_=false R CMD check --no-manual --as-cran small_1.0.0.tar.gz >said \
 && grep "files from 'inst/doc' ... OK" said && ! grep 'is needed for' said
"""


def test_a_new_debian_machine_gets_all_that_the_targets_need(engine, tmp_path):
    for path in (ROOT / "tools" / "setup", ROOT / "Makefile"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    said: list[str] = []
    # built once for each list, and kept: what it shows depends on these files alone
    made = images.build(images.recipe(with_authorities(tmp_path), "simferry-test-setup"), said.append)
    assert made.skipped or any("tools/setup --system" in line and "qpdf" in line for line in said)
