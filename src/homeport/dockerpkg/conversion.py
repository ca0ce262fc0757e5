"""Proposes a recipe for an image whose template only installs packages and copies files.

What a recipe can say is carried over; every other line is listed with the reason, and what a
person has to decide. The proposal is text: nothing is built or written.
"""

from __future__ import annotations

import itertools
import json
import posixpath
import re
import shlex
from collections.abc import Sequence
from typing import Any

import msgspec
import yaml

from homeport.dockerfile.lines import Instruction, parse_dockerfile
from homeport.dockerpkg.tree import SourceImage
from homeport.oci.platform import Platform
from homeport.quantities import whole_number

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+(?:=[^=\s]+|/[^\s]+)?")
_DEFAULT_PLATFORMS = ("linux/amd64", "linux/arm64")
_HARMLESS = (
    "apt-get update",
    "apt-get clean",
    "rm -rf /var/lib/apt/lists/*",
    "rm -rf /var/lib/apt/lists",
)


class NotCarried(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the rendered Dockerfile that the recipe does not say."""

    line: int
    text: str
    why: str


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe, and what it lacks of the image."""

    image: str
    recipe: str
    not_carried: tuple[NotCarried, ...]


def propose(image: SourceImage, dockerfile: str, platforms: Sequence[Platform]) -> Proposal:
    """The recipe for a rendered Dockerfile."""
    head = (
        f"# Proposed from {image.folder}/Dockerfile.template; read the report before building it.\n"
    )
    name = image.name.rpartition("/")[2]
    recipe, left = propose_recipe(name, dockerfile, list(map(str, platforms)))
    return Proposal(image=image.name, recipe=head + recipe, not_carried=left)


def propose_recipe(
    name: str, dockerfile: str, platforms: Sequence[str], target: str = ""
) -> tuple[str, tuple[NotCarried, ...]]:
    """A recipe's text, and the lines of the Dockerfile that it does not say.

    target: the stage that is the image; by default the last
    """
    reader = _Reader()
    instructions = parse_dockerfile(dockerfile).instructions
    start, end = _stage(instructions, target)
    for at, instruction in enumerate(instructions):
        if start <= at < end:
            reader.read(instruction)
        elif instruction.keyword != "arg":
            reader.leave(instruction, "another stage: build what it makes in a part")
    found: dict[str, Any] = {
        "homeport": 1,
        "name": name,
        "platforms": list(platforms) or list(_DEFAULT_PLATFORMS),
        "packages": list(reader.packages),
    }
    if reader.files:
        found["files"] = reader.files
    if reader.users:
        found["accounts"] = {"users": reader.users}
    if reader.config:
        found["config"] = reader.config
    text = yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=100)
    return text, tuple(reader.left)


def _stage(instructions: Sequence[Instruction], target: str) -> tuple[int, int]:
    """Where the stage of the image begins, and where it ends."""
    starts = [at for at, each in enumerate(instructions) if each.keyword == "from"]
    for at, end in itertools.pairwise([*starts, len(instructions)]):
        words = instructions[at].arguments.split()
        if target and words[-2:-1] and words[-2].lower() == "as" and words[-1] == target:
            return at, end
    return (starts[-1] if len(starts) > 1 else 0), len(instructions)


class _Reader:
    """Instructions → fields of a recipe."""

    def __init__(self) -> None:
        self.packages: dict[str, None] = {}
        self.files: list[dict[str, str]] = []
        self.users: list[dict[str, Any]] = []
        self.config: dict[str, Any] = {}
        self.left: list[NotCarried] = []
        self._folder = "/"

    def read(self, instruction: Instruction) -> None:
        handler = getattr(self, f"_{instruction.keyword}", None)
        if handler is None:
            self.leave(instruction, f"{instruction.keyword.upper()} has no field in recipes")
        else:
            handler(instruction)

    def leave(self, instruction: Instruction, why: str) -> None:
        text = " ".join(instruction.text.split())
        self.left.append(NotCarried(line=instruction.lines[0], text=text[:200], why=why))

    def _from(self, instruction: Instruction) -> None:
        if instruction.arguments.split()[:1] == ["scratch"]:
            return  # as a recipe begins
        why = "a recipe has no base image: name the packages of it that the image needs"
        self.leave(instruction, why)

    def _run(self, instruction: Instruction) -> None:
        commands = [" ".join(each.split()) for each in instruction.arguments.split("&&")]
        left = [each for each in commands if not self._command(each)]
        if left:
            self.leave(instruction, f"runs {left[0]!r}: declare its result, or run it in a part")

    def _command(self, command: str) -> bool:
        """Carry one shell command over; whether that was possible."""
        if not command or any(command.startswith(each) for each in _HARMLESS):
            return True
        if "80_proxy" in command:
            return True
        try:
            words = shlex.split(command)
        except ValueError:
            return False
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            del words[0]
        if words[:2] == ["apt-get", "install"] or words[:2] == ["apt", "install"]:
            return self._install([word for word in words[2:] if not word.startswith("-")])
        if words[:1] == ["useradd"]:
            return self._useradd(words[1:])
        return words[:1] == ["groupadd"]

    def _install(self, names: list[str]) -> bool:
        if not names or not all(_NAME.fullmatch(name) for name in names):
            return False
        self.packages |= dict.fromkeys(names)
        return True

    def _useradd(self, words: list[str]) -> bool:
        options = dict(itertools.pairwise(words))
        number = whole_number(options.get("-u", ""))
        if not words or number is None:
            return False
        user: dict[str, Any] = {"name": words[-1], "uid": number}
        if "-d" in options:
            user["home"] = options["-d"]
        self.users.append(user)
        return True

    def _copy(self, instruction: Instruction) -> None:
        flags = {
            flag.text.partition("=")[0]: flag.text.partition("=")[2] for flag in instruction.flags
        }
        words = _listed(instruction.arguments) or instruction.arguments.split()
        if set(flags) - {"--chown", "--chmod"} or len(words) < 2 or instruction.heredocs:
            self.leave(
                instruction, "copies from another stage or image: use files with image or part"
            )
            return
        if any(character in word for word in words for character in "*?[$"):
            self.leave(instruction, "copies by a pattern or variable: name the files")
            return
        target = self._absolute(words[-1])
        if len(words) > 2 and not target.endswith("/"):
            target += "/"
        for source in words[:-1]:
            entry = {"from": f"./{source.removeprefix('./')}", "to": target}
            if "--chmod" in flags:
                entry["mode"] = flags["--chmod"].zfill(4)
            if "--chown" in flags:
                entry["owner"] = flags["--chown"]
            self.files.append(entry)

    _add = _copy

    def _workdir(self, instruction: Instruction) -> None:
        self._folder = self._absolute(instruction.arguments.strip())
        self.config["workdir"] = self._folder

    def _absolute(self, path: str) -> str:
        """A path below the working directory; one that ends in a slash keeps it."""
        found = posixpath.normpath(posixpath.join(self._folder, path))
        return found if found == "/" or not path.endswith(("/", ".")) else f"{found}/"

    def _user(self, instruction: Instruction) -> None:
        self.config["user"] = instruction.arguments.strip()

    def _env(self, instruction: Instruction) -> None:
        words = [word.text for word in instruction.words()]
        if words and "=" not in words[0]:
            words = [f"{words[0]}={' '.join(words[1:])}"]
        for word in words:
            name, _, value = word.partition("=")
            self.config.setdefault("env", {})[name] = value.strip("\"'")

    def _label(self, instruction: Instruction) -> None:
        for word in instruction.words():
            name, _, value = word.text.partition("=")
            self.config.setdefault("labels", {})[name.strip("\"'")] = value.strip("\"'")

    def _entrypoint(self, instruction: Instruction) -> None:
        self._words("entrypoint", instruction)

    def _cmd(self, instruction: Instruction) -> None:
        self._words("cmd", instruction)

    def _words(self, key: str, instruction: Instruction) -> None:
        text = instruction.arguments.strip()
        words = _listed(text)
        self.config[key] = words if words is not None else ["/bin/sh", "-c", text]
        if words is None and "dash" not in self.packages:
            self.packages["dash"] = None

    def _expose(self, instruction: Instruction) -> None:
        self.config.setdefault("exposed_ports", []).extend(instruction.arguments.split())

    def _arg(self, instruction: Instruction) -> None:
        self.leave(instruction, "a recipe has no build arguments: write the value")

    def _volume(self, instruction: Instruction) -> None:
        words = _listed(instruction.arguments) or instruction.arguments.split()
        self.config.setdefault("volumes", []).extend(words)

    def _stopsignal(self, instruction: Instruction) -> None:
        self.config["stop_signal"] = instruction.arguments.strip()


def _listed(text: str) -> list[str] | None:
    """The words of the JSON form; ``None`` if it is not that."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    if isinstance(found, list) and all(isinstance(each, str) for each in found):
        return found
    return None
