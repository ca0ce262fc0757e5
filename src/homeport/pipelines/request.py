"""Which jobs are asked for, and the parts that all systems share: commands and names.

Names are checked, so that none can add a command or an expression to a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, get_args

import msgspec

from homeport.errors import UsageError
from homeport.freshness.subjects import recipe_files
from homeport.printable import shell_path
from homeport.recipe.catalog import catalog_words, current_catalog, is_recipe

System = Literal["gitlab", "github", "forgejo", "woodpecker", "jenkins", "cron", "systemd"]
SYSTEMS: tuple[System, ...] = get_args(System)
#: They run on a machine of yours, which has Homeport.
MACHINES: tuple[System, ...] = ("cron", "systemd")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@+-]*")
#: GitLab's name for the project's own registry.
_OWN_REGISTRY = re.compile(r"\$CI_REGISTRY_IMAGE(?=/|$)/?")


class PipelineRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs.

    image:      of the jobs, with Homeport and git
    repository: to publish to, or empty
    sign:       the job that publishes signs for its own identity
    stage:      of GitLab's jobs; empty: ``test``, or the first that the file has
    directory:  where jobs of cron and systemd run
    """

    system: System
    recipes: tuple[str, ...] = (".",)
    image: str = ""
    repository: str = ""
    sign: bool = False
    stage: str = ""
    file: Path | None = None
    check: bool = False
    directory: Path = msgspec.field(default_factory=Path.cwd)

    @property
    def names(self) -> str:
        """The recipes, as words of a shell, with the catalog that they are looked up in."""
        return " ".join(map(shell_path, self.recipes)) + catalog_words()

    @property
    def update(self) -> str:
        """The command that opens a request, with the images before and after and their tests."""
        return f"homeport update {self.names} --build --request"

    @property
    def publish(self) -> str:
        """The command that publishes."""
        sign = " --sign" if self.sign else ""
        return f"homeport publish {self.names} {self.repository}{sign}"


def check_request(request: PipelineRequest) -> None:
    """Raise ``UsageError`` for what cannot stand in a file, or what is missing."""
    if request.system not in MACHINES and not request.image:
        raise UsageError("the jobs need an image with Homeport and git", hint="give --image IMAGE")
    if request.sign and request.system not in ("gitlab", "github"):
        raise UsageError(
            f"a job of {request.system} has no identity to sign for",
            hint="sign with a key: homeport publish --key env://VARIABLE",
        )
    if request.sign and not request.repository:
        raise UsageError("--sign needs --repository: what is published is signed")
    if request.stage and request.system != "gitlab":
        raise UsageError(f"jobs of {request.system} have no stages")
    own = current_catalog().own
    catalog = own.written if own else ""
    repository = request.repository
    if request.system == "gitlab":
        repository = _OWN_REGISTRY.sub("", repository, count=1)
    check_plain((*request.recipes, request.image, repository, request.stage, catalog))


def build_commands(request: PipelineRequest) -> list[str]:
    """The commands that check every recipe; those of a folder that is here one by one."""
    names: list[str] = []
    for name in request.recipes:
        path = Path(name)
        if path.is_dir() and not is_recipe(name):
            found = [file.as_posix() for file in recipe_files(path)]
            if not found:
                raise UsageError(
                    f"no recipe below {name}", hint="write one: homeport init, or name its folder"
                )
            names += found
        else:
            names.append(name)
    check_plain(names)
    return [
        f"homeport build {shell_path(name)}{catalog_words()} --locked --check" for name in names
    ]


def check_plain(texts: Iterable[str]) -> None:
    """Raise ``UsageError`` for a text that could be read as more than a name."""
    for text in texts:
        if text and text != "." and not _PLAIN.fullmatch(text.removeprefix("./")):
            raise UsageError(
                f"{text!r} cannot stand in a pipeline file",
                hint="use letters, digits and . _ / : @ + - only: other characters could add a"
                " command",
            )
