"""Which packages a script can't run without, and which it may not come to."""

import ast
import shutil
import subprocess

import pytest
from common import require
from simferry.jobs.launch import WORKER
from simferry.worker.needs import Needs

PYTHON = [
    ("import os, a.part\nfrom b import x\n", "", "a b os", ""),
    ("from . import sibling\nimport json.decoder\n", "", "json", ""),
    ("try:\n    import a\nexcept ImportError:\n    import b\n", "", "", ""),
    ("try:\n    import a\nexcept ValueError:\n    import b\n", "", "a", "b"),
    ("import contextlib\nwith contextlib.suppress(ImportError):\n    import a\n", "", "contextlib", ""),
    ("if x:\n    import a\nelse:\n    import b\ndef f():\n    import c\n", "", "", "a b c"),
    ("def f():\n    import a\ndef simulate(n):\n    import b\n    f()\n    if n:\n        import c\n", "simulate", "a b", "c"),
    ("if __name__ == '__main__':\n    import a\n    main()\ndef main():\n    import b\n", "", "a b", ""),
    ("if __name__ == '__main__':\n    import a\n", "simulate", "", ""),
    ("if TYPE_CHECKING:\n    import a\n", "", "", ""),
    ("import helpers\n", "", "helpers inside", ""),
    ("import sys, a\nsys.path.insert(0, 'lib')\nimport b\ndef f():\n    import c\n", "", "a sys", ""),
]  # fmt: skip


@pytest.mark.parametrize(("code", "entry", "needed", "possible"), PYTHON)
def test_what_a_python_script_needs(code, entry, needed, possible):
    helpers = ast.parse("import inside\nif __name__ == '__main__':\n    import others\n")
    found = Needs(ast.parse(code), entry, lambda name: helpers if name == "helpers" else None)
    assert (" ".join(sorted(found.needed)), " ".join(sorted(found.possible))) == (needed, possible)


R = [
    ("library(a); suppressPackageStartupMessages(library('b')); x <- c::f(1)", "", "a b c", ""),
    ("if (x) library(a) else require(b)\nf <- function() library(c)", "", "", "a b c"),
    ("f <- function() library(a)\nsimulate <- function(n) { f(); b::g(n); if (n) d::h() }", "simulate", "a b", "d"),
    ("simulate <- function(n) sapply(1:n, function(i) a::f(i))", "simulate", "a", ""),
    ("fit <- list(ols = function(d) a::f(d)); switch(m, x = b::f(), c::f())", "", "", "a b c"),
    ("if (!require(a)) try(library(b)); if (requireNamespace('c')) c::f(); tryCatch(library(d), error = stop)", "", "", ""),
    ("p <- c('a', 'b'); invisible(lapply(p, library, character.only = TRUE)); sapply('c', require)", "", "a b", "c"),
    ("for (p in x) library(p, character.only = TRUE)", "", "", ""),
    ("foreach(i = 1:3, .packages = c('a', 'b')) %dopar% { library(c); matrix(, 2, 2) }", "", "a b c", ""),
    ("suppressWarnings(library(a)); suppressWarnings(require(b))", "", "a", ""),
    ("library(a); .libPaths(c('lib', .libPaths())); library(b); if (x) library(c)", "", "a", ""),
    ("library(a, lib.loc = 'lib'); library(b); devtools::load_all('pkg'); library(c)", "", "b devtools", ""),
    ("source('helpers.R'); helper()", "", "inside deep", ""),
]  # fmt: skip


def test_what_an_r_script_needs(tmp_path):
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    inside = "read <- function(file) parse(text = 'library(inside); helper <- function() deep::f()')"
    lines = [f"source({str(WORKER / 'needs.R')!r})", inside]
    for i, (code, entry, _, _) in enumerate(R):
        (tmp_path / f"{i}.R").write_text(code)
        lines.append(f"a <- asked_for(parse({str(tmp_path / f'{i}.R')!r}), {entry!r}, read)")
        lines.append("cat(paste(a$needed, collapse = ' '), '|', paste(a$possible, collapse = ' '), '\\n', sep = '')")
    (tmp_path / "all.R").write_text("\n".join(lines))
    done = subprocess.run(["Rscript", str(tmp_path / "all.R")], capture_output=True, text=True, check=True)
    for (code, _, needed, possible), line in zip(R, done.stdout.splitlines(), strict=True):
        assert line == f"{needed}|{possible}", code
