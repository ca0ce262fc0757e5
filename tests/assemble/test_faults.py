"""Whatever breaks while an image is made: nothing wrong is written, and the next run succeeds."""

from __future__ import annotations

import errno
import random
from pathlib import Path
from typing import Any

import pytest

from builders.building import BARE, BuildWorld, listing
from builders.deb import deb, file
from homeport.content.files import CannotWrite
from homeport.content.store import StoreWriter
from homeport.errors import HomeportError, IntegrityError

RECIPE = BARE + "packages: [aa, bb]\nfiles: [{from: big, to: /big}, {text: hello, to: /etc/own}]"


@pytest.fixture
def here(tmp_path: Path) -> BuildWorld:
    noise = random.Random(1).randbytes(300_000)
    packages = [
        deb("aa", files={"usr/bin/a": file(noise, mode=0o755), "usr/share/a": b"a" * 3000}),
        deb("bb", files={"usr/bin/b": b"b" * 200_000, "etc/b": b"small"}),
    ]
    world = BuildWorld(tmp_path, packages)
    (world.home / "big").write_bytes(noise[::-1] * 5)
    return world


def stored(here: BuildWorld) -> list[Path]:
    """Every file of the cache."""
    return sorted(path for path in here.store.root.rglob("*") if path.is_file())


DAMAGE = {
    "a flipped bit": lambda data: (
        data[: len(data) // 2]
        + bytes([(data or b"0")[len(data) // 2] ^ 1])
        + data[len(data) // 2 + 1 :]
    ),
    "a lost end": lambda data: data[: len(data) // 2],
    "nothing but zeros": lambda data: bytes(len(data)),
    "emptiness": lambda data: b"",
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("changed", [False, True], ids=["nothing changed", "a file changed"])
def test_damage_of_any_file_of_the_cache_never_reaches_an_image(
    here: BuildWorld, damage: str, changed: bool
) -> None:
    recipe = here.write_recipe(RECIPE)
    first = here.build(recipe)
    second = RECIPE.replace("hello", "other") if changed else RECIPE
    wanted = listing(first) | ({"etc/own": "0644 other"} if changed else {})
    digests = set()
    for path in stored(here):
        if not path.exists() or "leases" in path.parts:
            continue
        data = path.read_bytes()
        path.unlink()  # a layout may share the file
        damaged = DAMAGE[damage](data)
        path.write_bytes(damaged)
        try:
            built = here.build(here.write_recipe(second))
        except HomeportError:
            built = here.build(here.write_recipe(second))  # a plain run again succeeds
        digests.add(str(built.built.images[0].layers[0].digest))
        if path.exists() and path.read_bytes() == damaged:  # not needed this time
            path.write_bytes(data)
    assert len(digests) == 1
    assert listing(built) == wanted


@pytest.mark.parametrize("number", range(0, 12, 2))
def test_a_full_disk_is_an_error_that_names_it_and_leaves_nothing(
    here: BuildWorld, number: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here.ensure_lock(here.recipe(RECIPE))  # locked; packages are there
    genuine = StoreWriter.write
    written = 0

    def write(self: StoreWriter, data: Any) -> None:
        nonlocal written
        written += 1
        if written > number:
            with_place = CannotWrite(f"cannot write: {errno.errorcode[errno.ENOSPC]}")
            raise with_place
        genuine(self, data)

    with monkeypatch.context() as patched:
        patched.setattr(StoreWriter, "write", write)
        with pytest.raises(CannotWrite):
            here.build(RECIPE)
    assert not (tmp_path / "out").exists()
    assert not [path for path in stored(here) if path.name.startswith("new-")]
    assert "etc/own" in listing(here.build(RECIPE))


def test_a_local_file_that_changes_while_the_image_is_made_is_noticed(here: BuildWorld) -> None:
    recipe = here.write_recipe(RECIPE)
    big = here.home / "big"

    def change(id: str, **more: object) -> None:
        if id == "unpack":
            big.write_bytes(b"x" * big.stat().st_size)

    here.notes.begin = change  # type: ignore[method-assign]  # the moment after planning
    with pytest.raises(IntegrityError, match="/big has digest"):
        here.build(recipe)
    del here.notes.begin
    assert "big" in listing(here.build(recipe))


def test_a_damaged_package_in_the_cache_is_refused_once_and_fetched_again(
    here: BuildWorld,
) -> None:
    first = here.build(RECIPE)
    (path,) = [blob.path for file, blob in first.locked.debs.items() if file.id.name == "aa"]
    data = path.read_bytes()
    path.write_bytes(data[:-9] + b"x" * 9)
    with pytest.raises(IntegrityError, match="the package has digest") as caught:
        here.build(RECIPE, fresh=True)
    assert caught.value.hint == "it was removed from the cache; run the same command again"
    assert here.build(RECIPE, fresh=True).built.index.digest == first.built.index.digest
