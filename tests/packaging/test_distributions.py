"""Wheel, sdist and editable install each bring the model along, and what they bring is what the program finds."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from ftforensics.engine.models import find_model, load_card

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("hatchling") is None, reason="the build backend is not installed: pip install hatchling"
)

CHECKOUT = Path(__file__).resolve().parents[2]
MODEL_FILES = ("model.json", *(name for name, _ in load_card(find_model()).graphs))

# Prints where the program found its model, after checking all graphs against the card's hashes.
_FIND = """
import site, sys
site.addsitedir(sys.argv[1])
from ftforensics.engine.models import find_model, load_card, load_graph
folder = find_model()
card = load_card(folder)
for name, sha256 in card.graphs:
    load_graph(folder, name, sha256)
print(folder)
"""


def build(source: Path, target: str, into: Path) -> Path:
    """Build one distribution with the backend that pip would call, and return its file."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(into)],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (made,) = into.iterdir()
    return made


def find_model_from(site_folder: Path, tmp_path: Path) -> Path:
    """Where the program finds its model if nothing but this folder is installed."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _FIND, str(site_folder)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(CHECKOUT, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution."""
    made = build(CHECKOUT, "sdist", tmp_path_factory.mktemp("sdist"))
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(made) as archive:
        archive.extractall(folder, filter="data")
    (tree,) = folder.iterdir()
    return tree


def test_wheel_holds_the_model(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for file in MODEL_FILES:
        assert f"ftforensics/_engines/ftf-1/{file}" in names


def test_wheel_holds_nothing_but_the_package(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"ftforensics"}


def test_an_unpacked_wheel_finds_its_own_model(wheel: Path, tmp_path: Path) -> None:
    site_folder = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site_folder)
    assert find_model_from(site_folder, tmp_path) == site_folder / "ftforensics" / "_engines" / "ftf-1"


def test_sdist_holds_the_model_and_the_tests(sdist_tree: Path) -> None:
    for file in MODEL_FILES:
        assert (sdist_tree / "engines" / "ftf-1" / file).is_file()
    for file in ("README.md", "LICENSE", "CHANGELOG.md", "Justfile", ".ci/run", "tests/conftest.py", "docs/guide.md"):
        assert (sdist_tree / file).is_file(), file


def test_a_wheel_built_from_the_sdist_holds_the_same_files(sdist_tree: Path, wheel: Path, tmp_path: Path) -> None:
    again = zipfile.ZipFile(build(sdist_tree, "wheel", tmp_path)).infolist()
    first = zipfile.ZipFile(wheel).infolist()
    assert {one.filename for one in again} == {one.filename for one in first}
    models = [{one.filename: one.CRC for one in made if "_engines" in one.filename} for made in (again, first)]
    assert models[0] == models[1]


def test_an_editable_install_finds_the_model_of_the_checkout(tmp_path: Path) -> None:
    made = build(CHECKOUT, "wheel:editable", tmp_path / "wheel")
    site_folder = tmp_path / "site"
    zipfile.ZipFile(made).extractall(site_folder)
    assert find_model_from(site_folder, tmp_path) == CHECKOUT / "engines" / "ftf-1"
