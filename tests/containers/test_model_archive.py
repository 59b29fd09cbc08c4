"""Archives of models: what is unpacked, and what is refused."""

import gzip
import tarfile

import pytest
from model_archives import archive
from simferry.containers.model_archive import ModelArchiveError, unpack
from simferry.system import untrusted


def odd(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model").mkdir()
    return tmp_path / "model"


def test_files_and_folders_are_unpacked_for_any_user(folder, tmp_path):
    made = archive(tmp_path / "m", odd("./", tarfile.DIRTYPE), ("./a", b"1"), ("code/in/run.sh", b"2"), ("a", b"3"))
    unpack(made, folder)
    found = {str(p.relative_to(folder)): oct(p.stat().st_mode & 0o777) for p in folder.rglob("*")}
    assert found == {"a": "0o666", "code": "0o777", "code/in": "0o777", "code/in/run.sh": "0o777"}
    assert (folder / "a").read_text() == "3"


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (("../out", b"1"), "a path that leads out"),
        (("a/../../out", b"1"), "a path that leads out"),
        (("/etc/out", b"1"), "a path that leads out"),
        (odd("link", tarfile.SYMTYPE, "/etc"), "which is a link"),
        (odd("link", tarfile.LNKTYPE, "/etc/passwd"), "which is a link"),
        (odd("pipe", tarfile.FIFOTYPE), "which is no plain file"),
        (odd("disk", tarfile.BLKTYPE), "which is no plain file"),
    ],
)
def test_what_is_no_file_of_the_model_is_refused(folder, tmp_path, member, words):
    with pytest.raises(ModelArchiveError, match=words):
        unpack(archive(tmp_path / "m", member), folder)
    assert not (tmp_path / "out").exists()
    assert list(folder.iterdir()) == []


def test_files_that_are_no_archive_are_told(folder, tmp_path):
    whole = archive(tmp_path / "whole", ("a", bytes(range(256)) * 400)).read_bytes()
    contents = {"text": b"a model", "empty": b"", "short": whole[:-20], "no_tar": gzip.compress(b"a model")}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelArchiveError, match=r"no tar.gz that can be unpacked"):
            unpack(tmp_path / name, folder)
    with pytest.raises(ModelArchiveError, match="there is no model"):
        unpack(tmp_path / "gone", folder)
    with pytest.raises(ModelArchiveError, match="is a folder; a model is an archive"):
        unpack(tmp_path, folder)


def test_what_does_not_fit_on_the_disk_is_not_written(folder, tmp_path, monkeypatch):
    checked = []

    def full(where, size, name=""):
        checked.append(size)
        raise OSError(28, "No space left on device", name)

    monkeypatch.setattr(untrusted, "check_room", full)
    with pytest.raises(ModelArchiveError, match="No space left on device"):
        unpack(archive(tmp_path / "m", ("a", b"123")), folder)
    assert checked == [3]
    assert list(folder.iterdir()) == []
