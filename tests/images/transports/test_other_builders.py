"""Archives and layouts in the forms of other projects are read, whole and by their paths alone.

Where ``HOMEPORT_FIXTURES`` names a folder, every archive and layout in it is read, too: what other
projects' packages carry. Of those only the program's own behaviour is judged.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.archives import config_of, containerd, docker_1_10, docker_25, tar
from builders.images import everything, image, layer
from builders.other_builders import ARCHIVES, LAYOUTS, folder
from homeport.app import App, Settings, open_app
from homeport.errors import HomeportError
from homeport.images.address import parse_source
from homeport.images.image import Image

MINE = [layer({"a": b"one"}), layer({"b": b"two"}), layer({"a": b"one"})]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with open_app(Settings(cache_dir=tmp_path / "cache")) as app:
        yield app


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("project", ARCHIVES)
def test_an_archive_is_its_config_and_its_layers(
    project: str, packed: bool, app: App, tmp_path: Path
) -> None:
    value = image(layers=MINE)
    path = tar(tmp_path / "image.tar", ARCHIVES[project](value, MINE))
    if packed:  # as nix and some CI jobs do
        path.write_bytes(gzip.compress(path.read_bytes()))
    with app.open_image(str(path)) as found:
        assert isinstance(found, Image)
        assert config_of(found) == config_of(value)
        content = everything(found)
        layers = [content[part.digest] for part in found.document.parsed.layers]
    assert [data in (one.data, one.plain) for data, one in zip(layers, MINE, strict=True)] == [
        True
    ] * 3
    assert app.validate(str(path)).faults == ()


@pytest.mark.parametrize("archived", [False, True], ids=["directory", "archive"])
@pytest.mark.parametrize("project", LAYOUTS)
def test_a_layout_keeps_every_byte(project: str, archived: bool, app: App, tmp_path: Path) -> None:
    make, of = LAYOUTS[project]
    value = of()
    members = make(value)
    place = tar(tmp_path / "o.tar", members) if archived else folder(tmp_path / "o", members)
    with app.open_image(str(place)) as found:
        expected = everything(value)
        got = everything(found)
    if project == "apko":  # index.json itself is the index there
        expected.pop(str(value.digest))
        got.pop(str(found.digest))
    assert got == expected
    assert app.validate(str(place)).faults == ()


def test_every_image_in_a_folder_of_fixtures_is_read_or_has_an_error(
    app: App, tmp_path: Path
) -> None:
    value = image(layers=MINE)
    made = tmp_path / "made"
    made.mkdir()
    for number, make in enumerate((*ARCHIVES.values(), docker_1_10, docker_25)):
        members = make(value, MINE) if make in ARCHIVES.values() else make(value, MINE, ["a:1"])
        tar(made / f"{number}.tar", members)
    tar(made / "containerd.tar", containerd(value, ["a:1"]))
    for number, (form, of) in enumerate(LAYOUTS.values()):
        folder(made / f"layout-{number}", form(of()))
    own = list(_places(made))
    assert len(own) == len(ARCHIVES) + 3 + len(LAYOUTS)
    assert [_read(app, place) for place in own] == [""] * len(own)
    given = os.environ.get("HOMEPORT_FIXTURES")
    for place in _places(Path(given)) if given else ():
        _read(app, place)


def _places(root: Path) -> Iterator[str]:
    """Everything below a folder that a user could name by its path alone."""
    for path in sorted([root, *root.rglob("*")]):
        if "blobs" in path.parts:  # a layer is an archive, too
            continue
        try:
            yield str(parse_source(str(path)))
        except HomeportError:
            continue


def _read(app: App, place: str) -> str:
    """The faults of an image, or its error; anything but an error of ours is a bug."""
    try:
        return "; ".join(fault.what for fault in app.validate(place).faults)
    except HomeportError as error:
        return error.what
