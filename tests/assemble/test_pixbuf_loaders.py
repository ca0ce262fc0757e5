"""gdk-pixbuf finds the loaders that the image has."""

from __future__ import annotations

from pathlib import Path

from builders.building import BARE, BuildWorld, listing
from builders.deb import deb

_FOLDER = "usr/lib/x86_64-linux-gnu/gdk-pixbuf-2.0/2.10.0/"


def _world(tmp_path: Path) -> BuildWorld:
    names = ("libpixbufloader-gif.so", "libpixbufloader-own.so", "libpixbufloader_svg.so")
    return BuildWorld(tmp_path, [
        deb("libgdk-pixbuf-2.0-0", version="2.42.12+dfsg-4", files={"usr/lib/x": "x"}),
        deb("loaders", files={f"{_FOLDER}loaders/{name}": "x" for name in names}),
    ])  # fmt: skip


def test_loaders_are_listed_and_an_unknown_one_is_told(tmp_path: Path) -> None:
    built = _world(tmp_path).build(BARE + "packages: [libgdk-pixbuf-2.0-0, loaders]\n")
    text = listing(built)[_FOLDER + "loaders.cache"]
    assert "from gdk-pixbuf-2.42.12\n#\n" in text
    assert f'"/{_FOLDER}loaders/libpixbufloader-gif.so"\n"gif" 4 "gdk-pixbuf" "GIF"' in text
    assert '"image/svg+xml"' in text
    assert "libpixbufloader-own" not in text
    (warning,) = built.built.images[0].warnings
    assert f"/{_FOLDER}loaders/libpixbufloader-own.so" in warning


def test_there_is_no_list_without_gdk_pixbuf_or_where_it_is_switched_off(tmp_path: Path) -> None:
    world = _world(tmp_path)
    off = BARE.replace("tmp: false", "tmp: false, pixbuf_loaders: false")
    for recipe in (
        BARE + "packages: [loaders]\n",
        off + "packages: [libgdk-pixbuf-2.0-0, loaders]\n",
    ):
        assert _FOLDER + "loaders.cache" not in listing(world.build(recipe))
