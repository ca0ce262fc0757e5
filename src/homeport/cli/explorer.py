"""Opening the explorer, whose library is optional, for one image or for two."""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from homeport.cli.options import Session
from homeport.errors import UsageError
from homeport.oci.platform import Platform
from homeport.progress import Handover

if TYPE_CHECKING:
    from homeport.app import App


def explore_one(session: Session, image: str, platform: Platform | None) -> None:
    """The explorer of one image."""
    screen = _load("screen")
    with _opened(session) as (app, progress), app.open_platforms(image) as found:
        screen.explore(found, platform, progress)


def explore_two(
    session: Session, images: tuple[str, str | None], platforms: list[Platform] | None
) -> None:
    """The explorer of two images for one platform, or of two platforms of one image."""
    screen = _load("pair_screen")
    image, other = images
    wanted: list[Platform | None] = [*(platforms or ())]
    if other is None and len(wanted) != 2:
        raise UsageError(
            "diff requires two images, or two platforms of one image",
            hint=f"homeport diff {shlex.quote(image)} --platform linux/amd64,linux/arm64 -i",
        )
    if other is not None:
        if len(wanted) > 1:
            raise UsageError(
                f"the explorer shows one platform at a time, not {len(wanted)}",
                hint="choose one with --platform; the key o opens the others",
            )
        wanted = [*wanted, None][:1] * 2
    with (
        _opened(session) as (app, progress),
        app.open_platforms(image) as one,
        app.open_platforms(other or image) as two,
    ):
        screen.explore_two((one, two), (wanted[0], wanted[1]), progress)


@contextmanager
def _opened(session: Session) -> Iterator[tuple[App, Handover]]:
    if session.format == "json":
        raise UsageError("options cannot be combined: --interactive, --format json")
    progress = Handover(session.progress())
    with session.app(progress) as app:
        yield app, progress


def _load(module: str) -> Any:
    """The explorer is on the same level as the commands."""
    try:
        return importlib.import_module(f"homeport.explorer.{module}")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the explorer requires the Python package {error.name}",
            hint="pip install 'homeport[explorer]'",
        ) from error
