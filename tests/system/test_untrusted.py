"""Reading what somebody else wrote, and may be changing meanwhile: nothing leads out of the folder."""

import errno
import io
import os
import socket
import threading

import pytest
from simferry.system import untrusted
from simferry.system.untrusted import Tree, Unfit


@pytest.fixture
def outside(tmp_path):
    """A folder of the host's, with a secret."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    return folder


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root" / "out").mkdir(parents=True)
    return tmp_path / "root"


def content_of(tree):
    """What `send` brings, by name."""
    found = {}
    tree.send({}, lambda file, stream: found.update({file.name: stream.read()}))
    return found


def test_plain_files_are_read_and_all_else_is_passed_over_with_its_reason(root, outside):
    out = root / "out"
    (out / "in" / "deep").mkdir(parents=True)
    (out / "in" / "deep" / "kept").write_text("kept")
    (out / "two names").write_text("twice")
    os.link(out / "two names", out / "in" / "other name")
    (out / os.fsdecode(b"not\xffutf8\n\x1b[31m")).write_text("odd")
    (out / "link").symlink_to(outside / "secret")
    (out / "folder").symlink_to(outside)
    os.mkfifo(out / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(out / "socket"))
        tree = Tree(root, ("out",))
        assert content_of(tree) == {
            "in/deep/kept": b"kept",
            "in/other name": b"twice",
            "two names": b"twice",
            os.fsdecode(b"not\xffutf8\n\x1b[31m"): b"odd",
        }
    assert tree.passed_over == {
        "out/link": "it is a link",
        "out/folder": "it is a link",
        "out/fifo": "it is a fifo",
        "out/socket": "it is a socket",
    }


def test_a_link_in_any_component_leads_nowhere(root, outside):
    (root / "out").rmdir()
    (root / "out").symlink_to(outside)
    tree = Tree(root, ("out",))
    assert content_of(tree) == {} and list(tree.passed_over) == ["out"]
    assert untrusted.read(root, "out/secret", 100) is None
    with pytest.raises(Unfit):
        untrusted.write(root, "out/planted", io.BytesIO(b"x"), 1)
    with pytest.raises(Unfit):
        untrusted.touch(root, "out/stop")
    assert [p.name for p in outside.iterdir()] == ["secret"]


def test_a_fifo_is_not_waited_for_and_a_file_is_read_so_far(root):
    os.mkfifo(root / "message")
    assert untrusted.read(root, "message", 100) is None
    (root / "long").write_bytes(b"x" * 1000)
    assert untrusted.read(root, "long", 100) == b"x" * 100
    assert untrusted.read(root, "none", 100) is None


def test_files_that_are_swapped_for_links_meanwhile_lead_nowhere(root, outside):
    """A container goes on while its files are read: of many thousand looks not one sees the host's."""
    out, ended, seen = root / "out", threading.Event(), set()

    def swap():
        while not ended.is_set():
            for target in (outside, None):
                with open(out / "draft", "w") as file:
                    file.write("mine")
                os.replace(out / "draft", out / "file")
                (out / "draft").symlink_to(outside / "secret")
                os.replace(out / "draft", out / "file")
                other = out / "swapped"
                os.symlink(outside, other) if target else os.mkdir(other)
                (os.unlink if target else os.rmdir)(other)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(2000):
            seen |= set(content_of(Tree(root, ("out",))).values())
    finally:
        ended.set()
        thread.join()
    assert seen <= {b"mine", b""}  # empty where it was just opened


def test_depth_and_size_have_a_limit(root):
    deep = root / "out" / "/".join(["d"] * untrusted.DEEPEST)
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    with open(root / "out" / "holes", "wb") as file:
        file.truncate(10 * 2**40)
    tree = Tree(root, ("out",), at_most=2**30)
    found = content_of(tree)
    (root / "out" / "holes").unlink()  # who copies what tests leave would write all of it
    assert found == {}
    assert sorted(tree.passed_over.values()) == [
        "it has 10,995,116,277,760 bytes, more than the 1,073,741,824 allowed",
        f"it is nested more than {untrusted.DEEPEST} folders deep",
    ]


def test_a_file_of_holes_does_not_keep_others_back(root, outside):
    """It has room in its folder, and none anywhere else."""
    for name in ("a", "z"):
        (root / "out" / name).write_text(name)
    with open(root / "out" / "holes", "wb") as file:
        file.truncate(15 * 2**40)
    tree = Tree(root, ("out",))
    tree.send({}, lambda file, stream: untrusted.write(outside, file.name, stream, file.size))
    assert sorted(os.listdir(outside)) == ["a", "secret", "z"] and list(tree.passed_over) == ["out/holes"]
    copied = []
    tree.send({}, lambda file, stream: copied.append(file.copy(stream).read()))
    assert copied == [b"a", b"z"]

    def full(file, stream):
        raise OSError(errno.ENOSPC, "No space left on device")

    (root / "out" / "holes").unlink()
    with pytest.raises(OSError, match="No space left"):
        tree.send({}, full)


def test_a_file_that_grows_is_taken_as_it_was_found(root, outside):
    with open(root / "out" / "log", "wb") as writer:
        writer.write(b"found")
        writer.flush()
        for file in Tree(root, ("out",)).files():
            writer.write(b" and more")
            writer.flush()
            with file.open() as stream:
                untrusted.write(outside, "log", stream, file.size)
    assert (outside / "log").read_bytes() == b"found"


def test_a_file_of_holes_does_not_fill_the_disk(root):
    with pytest.raises(OSError, match="No space left"):
        untrusted.write(root, "out/holes", io.BytesIO(b""), 2**60)
    assert list((root / "out").iterdir()) == []


@pytest.mark.parametrize("name", ["../planted", "out/../../planted", "/planted", "out//planted", "."])
def test_names_that_lead_out_are_not_written(root, name):
    with pytest.raises(Unfit):
        untrusted.write(root, name, io.BytesIO(b"x"), 1)
    assert not (root.parent / "planted").exists() and os.listdir(root / "out") == []


def test_a_file_comes_into_the_place_of_a_link_and_not_of_its_target(root, outside):
    (root / "out" / "name").symlink_to(outside / "secret")
    untrusted.write(root, "out/name", io.BytesIO(b"mine"), 4)
    assert (root / "out" / "name").read_text() == "mine" and (outside / "secret").read_text() == "secret"


def test_a_folder_is_open_if_all_in_it_may_be_read(root, monkeypatch):
    (root / "out" / "in").mkdir()
    (root / "out" / "in" / "closed").write_text("x")
    os.symlink("nowhere", root / "out" / "link")
    assert untrusted.is_open(root)
    may = os.access  # root may read all
    monkeypatch.setattr(
        os, "access", lambda path, mode, **more: not path.endswith("closed") and may(path, mode, **more)
    )
    assert not untrusted.is_open(root)
