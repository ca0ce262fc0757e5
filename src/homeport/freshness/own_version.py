"""Homeport itself: the version that locked a recipe, this one, and the newest of an index.

An index of Python packages (PEP 691, JSON) is asked only if the user names one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec

from homeport import __version__
from homeport.errors import HomeportError, Interrupted
from homeport.freshness.model import Input, OwnVersion
from homeport.net.client import Client
from homeport.net.download import expect_ok

NAME = "homeport"
JSON = "application/vnd.pypi.simple.v1+json"
_LONGEST = 4 << 20
#: Final releases; who runs them is not told of prereleases.
_RELEASE = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6}){0,3}")
_FILE = re.compile(rf"{NAME}-({_RELEASE.pattern})(?:-[^/]*\.whl|\.tar\.gz)")


class _File(msgspec.Struct, frozen=True):
    filename: str = ""
    yanked: bool | str = False


class _Project(msgspec.Struct, frozen=True):
    files: tuple[_File, ...] = ()


_PROJECTS = msgspec.json.Decoder(_Project)


class BadIndex(HomeportError):
    """What a package index returned is not a list of files."""

    id = "package-index"


def newest_release(index: str, client: Client) -> str:
    """The highest version of Homeport that a package index has; empty: none. Raises
    ``BadIndex``, ``HttpFailure``, ``NetError``.
    """

    def once() -> bytes:
        url = f"{index.rstrip('/')}/{NAME}/"
        with client.request("GET", url, headers={"Accept": JSON}) as response:
            expect_ok(response)
            return response.read_json(_LONGEST, "the index's answer")

    try:
        project = _PROJECTS.decode(client.retrier.reread(once, client.cancel))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadIndex(
            f"{index} did not return the JSON of PEP 691",
            hint="name the address of the simple API: https://HOST/simple/",
        ) from error
    names = (_FILE.fullmatch(each.filename) for each in project.files if not each.yanked)
    return max((match[1] for match in names if match), key=_order, default="")


def own_version(index: str, ask: Callable[[str], str]) -> OwnVersion:
    """This Homeport, and the newest that ``index`` has; without an index nothing is asked."""
    newest, why = "", ""
    if index:
        try:
            newest = ask(index)
        except Interrupted:
            raise
        except HomeportError as error:
            why = error.what
    return OwnVersion(version=__version__, newest=newest, why=why)


def locked_by(locked: str) -> Iterator[Input]:
    """A note if another version locked: its rules and slices of its catalog may differ."""
    if locked != __version__:
        text = f"{locked} locked this, {__version__} checks it"
        yield Input(level="note", what="homeport", text=text)


def is_newer(one: str, two: str) -> bool:
    """Whether ``one`` is a later release than ``two``."""
    return bool(_RELEASE.fullmatch(one)) and _order(one) > _order(two)


def _order(text: str) -> tuple[int, ...]:
    match = _RELEASE.match(text)
    numbers = [int(word) for word in match[0].split(".")] if match else []
    return tuple(numbers + [0] * (4 - len(numbers)))
