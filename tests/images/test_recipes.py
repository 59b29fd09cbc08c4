"""Images: built once for a recipe, failing steps shown, checked against the contract. With the real engine."""

import shutil
import threading

import pytest
from docker_fixtures import folder_with, with_authorities
from simferry.containers.engine import EngineError, ImageError
from simferry.images import recipes as images
from simferry.images.infer import recipes

# ---- recipes ----


def test_a_recipe_is_a_folder_and_its_hash_the_same_everywhere(tmp_path):
    here = images.recipe(folder_with(tmp_path / "My Lab"))
    there = images.recipe(folder_with(tmp_path / "elsewhere" / "My Lab"))
    assert here.name == "simferry-my-lab"
    assert here.tag == there.tag == f"simferry-my-lab:{here.hash[:12]}"


@pytest.mark.parametrize("change", ["file", "name", "argument", "platform"])
def test_whatever_goes_in_changes_the_hash(tmp_path, change):
    folder = folder_with(tmp_path / "a")
    before = images.recipe(folder, build_args={"X": "1"})
    if change == "file":
        (folder / "note.txt").write_text("hello!\n")
    elif change == "name":
        (folder / "note.txt").rename(folder / "note2.txt")
    after = images.recipe(folder, build_args={"X": "2" if change == "argument" else "1"})
    if change == "platform":
        after.platform = "linux/arm64"
    assert after.hash != before.hash


def test_what_does_not_go_in_does_not(tmp_path):
    folder = folder_with(tmp_path / "a", **{".dockerignore": "# mine\n*.csv\n!kept.csv\ndata/\n"})
    (folder / "data").mkdir()
    (folder / "__pycache__").mkdir()
    for name in ("data/big.bin", "__pycache__/x.pyc", "results.csv", "kept.csv"):
        (folder / name).write_text("x")
    assert sorted(images.recipe(folder).files) == [".dockerignore", "Dockerfile", "kept.csv", "note.txt"]


def test_a_folder_without_a_dockerfile(tmp_path):
    folder_with(tmp_path / "r")
    with pytest.raises(ImageError) as caught:
        images.recipe(tmp_path / "rr")
    assert caught.value.message == f"there is no Dockerfile in {tmp_path / 'rr'}"
    assert caught.value.hint == "Did you mean r?"


# ---- build ----


def test_an_unchanged_build_is_skipped(scrap, tmp_path):
    first = images.build(images.recipe(folder_with(tmp_path / "a"), scrap.name))
    again = images.build(images.recipe(folder_with(tmp_path / "b"), scrap.name))  # a copy, elsewhere
    assert not first.skipped and again.skipped
    assert (again.tag, again.id) == (first.tag, first.id)
    assert scrap.client.images.get(f"{scrap.name}:latest").id == first.id
    assert scrap.client.images.get(first.tag).labels[images.LABEL].startswith(first.tag.partition(":")[2])


def test_another_argument_is_another_image(scrap):
    text = "FROM debian:bookworm-slim\nARG X=0\nRUN echo $X >/x\n"
    one, two = scrap.recipe(text), scrap.recipe(text)
    two.build_args = {"X": "1"}
    first, second = images.build(one), images.build(two)
    assert first.tag != second.tag and first.id != second.id
    assert scrap.client.images.get(f"{scrap.name}:latest").id == second.id
    assert images.build(one).skipped  # and is the latest again
    assert scrap.client.images.get(f"{scrap.name}:latest").id == first.id


def test_a_rebuild_leaves_no_nameless_image(scrap):
    recipe = scrap.recipe("FROM debian:bookworm-slim\nRUN date +%N >/when\n")
    first = images.build(recipe)
    second = images.build(recipe, rebuild=True)
    assert not second.skipped and second.id != first.id
    assert scrap.left() == []


def test_progress_is_shown(scrap):
    lines = []
    images.build(scrap.recipe("FROM debian:bookworm-slim\nRUN echo counting; seq 3\n"), lines.append)
    assert "Step 1/" in lines[0] and "counting" in lines and "3" in lines


def test_a_failing_step(scrap):
    text = (
        "FROM debian:bookworm-slim\nRUN echo fine >/fine\nRUN echo begin; seq 1 50; echo nowhere to be found; exit 9\n"
    )
    with pytest.raises(ImageError) as caught:
        images.build(scrap.recipe(text))
    first, *rest = caught.value.message.splitlines()
    assert first.startswith(
        f"the build of {scrap.name} failed at RUN echo begin; seq 1 50; echo nowhere to be found; exit 9: "
    )
    assert first.endswith("returned a non-zero code: 9")
    assert [line.strip() for line in rest] == [*(str(i) for i in range(32, 51)), "nowhere to be found"]
    assert caught.value.exit_code == 1
    assert scrap.left() == []
    with pytest.raises(ImageError, match="failed at RUN echo begin"):
        images.build(scrap.recipe(text))  # what was not finished isn't taken for finished


@pytest.mark.parametrize(
    "dockerfile, words",
    [
        ("FROM debian:bookworm-slim\nCOPY missing.txt /\n", "failed at COPY missing.txt /"),
        ("FROM debian:bookworm-slim\nRUNN echo\n", "unknown instruction: RUNN"),
        ("FROM 127.0.0.1:9/nobody/nothing\nRUN echo\n", "failed at FROM 127.0.0.1:9/nobody/nothing"),
    ],
)
def test_a_dockerfile_with_a_fault(scrap, dockerfile, words):
    with pytest.raises(ImageError) as caught:
        images.build(scrap.recipe(dockerfile))
    assert words in caught.value.message
    assert scrap.left() == []


def test_a_disk_without_room(scrap):
    text = "FROM debian:bookworm-slim\nRUN echo 'tar: x: Cannot write: No space left on device' >&2; exit 2\n"
    with pytest.raises(ImageError) as caught:
        images.build(scrap.recipe(text))
    assert caught.value.message.startswith("no room is left on the disk of Docker's engine: ")
    assert "docker system df" in caught.value.hint
    assert scrap.left() == []


@pytest.mark.parametrize("name, words", [("Not A Name", "is no image's name"), ("a:1", "has a tag")])
def test_a_name_that_no_image_can_have(engine, tmp_path, name, words):
    with pytest.raises(ImageError, match=words):
        images.build(images.recipe(folder_with(tmp_path / "a"), name))


def test_an_interrupted_build_leaves_nothing(scrap):
    recipe = scrap.recipe("FROM debian:bookworm-slim\nRUN echo first >/first\nRUN sleep 60\n")
    stop_at = threading.Event()

    def interrupt(line):
        if "sleep" in line or stop_at.is_set():
            stop_at.set()
            if line.startswith(" ---> Running"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        images.build(recipe, interrupt)
    assert scrap.left() == []
    assert not scrap.client.images.list(scrap.name)


# ---- check ----


def test_certificate_authorities_beside_the_dockerfile(scrap, tmp_path):
    """They are trusted when packages are fetched; without any the recipe is the same."""
    shutil.copytree(recipes() / "python", tmp_path / "python")
    without = images.recipe(tmp_path / "python")
    assert images.recipe(with_authorities(tmp_path / "python")).hash != without.hash


def test_the_engine_is_named_where_it_is_at_fault():
    assert issubclass(EngineError, Exception) and EngineError("x").exit_code == 1


def test_a_dockerfile_that_copies_the_toolkit_gets_it(tmp_path):
    folder = folder_with(tmp_path / "a", Dockerfile="FROM x\nCOPY simferry_toolkit /opt/simferry_toolkit\n")
    files = images.recipe(folder).files
    assert (
        files["simferry_toolkit/__init__.py"].startswith(b'"""What an image of')
        and "simferry_toolkit/program.py" in files
    )
    (folder / "simferry_toolkit").mkdir()
    (folder / "simferry_toolkit" / "own.py").write_text("")
    assert [name for name in images.recipe(folder).files if "toolkit" in name] == ["simferry_toolkit/own.py"]
    assert not [name for name in images.recipe(folder_with(tmp_path / "b")).files if "toolkit" in name]
