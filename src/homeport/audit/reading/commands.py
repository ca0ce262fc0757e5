"""Shell text: which container tools it runs, and the images it names.

A reading of words, not of shell: quotes, continuation lines and the ends of commands are
understood, variables and functions are not. So images found here have low confidence; what a
tool pulls implicitly is left to the rules, which get every command as a cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from homeport.audit.reading.collector import Collector
from homeport.audit.reading.programs import Programs, command_pattern
from homeport.audit.source import Written

_END = re.compile(r"[;&|)`\n]")
_WORD = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|\$\([^)]*\)|\\.|[^\s"'\\;&|()`])+""", re.DOTALL)
_GAP = re.compile(r"(?:[ \t]|\\\r?\n)*")

#: Long options of ``run`` and ``create`` that take no value; all others take one.
_SWITCHES = frozenset({
    "--rm", "--detach", "--interactive", "--tty", "--privileged", "--init", "--read-only",
    "--no-healthcheck", "--publish-all", "--oom-kill-disable", "--sig-proxy", "--quiet", "--help",
    "--disable-content-trust", "--replace", "--rmi", "--tls-verify", "--no-hosts", "--http-proxy",
    "--all", "--all-tags",
})  # fmt: skip
_SHORT_SWITCHES = re.compile(r"-[ditqPaf]+$")
#: Words that precede subcommands.
_GROUPS = frozenset({"container", "image", "buildx", "manifest", "compose", "create", "builder"})
MOST_COMMANDS = 2_000


class Command(msgspec.Struct, frozen=True):
    """A tool and its words, and the text that contains them."""

    tool: str
    words: tuple[Written, ...]
    written: Written

    @property
    def name(self) -> str:
        """Tool and subcommands: ``docker buildx create``."""
        found = [self.tool]
        for word in self.words:
            if word.text.startswith("-") or not re.fullmatch(r"[a-z][a-z-]*", word.text):
                break
            found.append(word.text)
            if word.text not in _GROUPS or len(found) > 2:
                break
        return " ".join(found)

    @property
    def arguments(self) -> list[Written]:
        """The words after tool and subcommands."""
        return list(self.words[len(self.name.split(" ")) - 1 :])


def commands(written: Written, programs: Programs) -> Iterator[Command]:
    """The ``programs`` that a piece of shell text runs."""
    text = written.text
    for number, match in enumerate(command_pattern(programs).finditer(text)):
        if number >= MOST_COMMANDS:
            return
        line_start = text.rfind("\n", 0, match.start("tool")) + 1
        if re.match(r"\s*(?:#|//|REM\b)", text[line_start : match.start("tool")]):
            continue
        at = match.end("tool")
        words: list[Written] = []
        end = at
        while True:
            at = _gap(text, at)
            if at >= len(text) or _END.match(text, at) or len(words) > 200:
                break
            word = _WORD.match(text, at)
            if word is None:
                break
            if text.startswith("#", at):
                break
            words.append(_unquoted(written.part(at, word.end())))
            at = end = word.end()
        if words:
            yield Command(match.group("tool"), tuple(words), written.part(match.start("tool"), end))


def read_commands(written: Written, found: Collector, key: str) -> None:
    """Hand the images and causes in a piece of shell text to ``found``."""
    for command in commands(written, found.programs):
        for word in _images(command):
            found.image(word, f"{key}: {command.name}" if key else command.name, confidence="low")
        for word in _tags(command):
            found.produces(word.text, f"{found.source.path}: {command.name}")
        attributes = {"args": " ".join(word.text for word in command.words)}
        found.cause("command", command.name, command.written, key=key, attributes=attributes)


def _gap(text: str, at: int) -> int:
    match = _GAP.match(text, at)
    return match.end() if match else at


def _unquoted(word: Written) -> Written:
    quote = word.text[:1]
    if quote in ("'", '"') and word.text.endswith(quote) and word.text.count(quote) == 2:
        return word.part(1, len(word.text) - 1)
    return word


def _images(command: Command) -> Iterator[Written]:
    words = command.arguments
    last = command.name.rpartition(" ")[2]
    match command.tool, last:
        case (("docker" | "podman" | "nerdctl"), ("run" | "create")) if (
            "buildx" not in command.name
        ):
            yield from _positional(words)[:1]
        case (("docker" | "podman" | "nerdctl" | "buildah"), ("pull" | "from")):
            yield from _positional(words)[:1]
        case (("docker" | "podman" | "nerdctl"), "build"):
            yield from _options(words, ("--build-context",), after="=docker-image://")
        case "crane", ("pull" | "copy" | "cp" | "export" | "digest" | "manifest" | "config"):
            yield from _positional(words)[:1]
        case (("skopeo" | "regctl" | "oras"), _):
            for word in words[:20]:
                if word.text.startswith("docker://"):
                    yield word.after("docker://")
                    if last in ("copy", "sync"):
                        return
        case (("kubectl" | "kind" | "k3d"), _):
            yield from _options(words, ("--image",))
        case _:
            return


def _tags(command: Command) -> Iterator[Written]:
    """Names that a build gives to what it makes."""
    if command.name.rpartition(" ")[2] in ("build", "bud", "tag", "commit"):
        yield from _options(command.arguments, ("-t", "--tag"))
        if command.name.endswith((" tag", " commit")):
            yield from _positional(command.arguments)[1:2]


def _positional(words: list[Written]) -> list[Written]:
    found: list[Written] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif not word.text.startswith("-"):
            found.append(word)
        elif "=" not in word.text and word.text not in _SWITCHES:
            skip = not _SHORT_SWITCHES.match(word.text)
    return found


def _options(words: list[Written], names: tuple[str, ...], after: str = "") -> Iterator[Written]:
    for number, word in enumerate(words):
        name, equals, _ = word.text.partition("=")
        if name not in names:
            continue
        if equals:
            value = word.part(len(name) + 1)
        elif number + 1 < len(words):
            value = words[number + 1]
        else:
            continue
        if after:
            at = value.text.find(after)
            if at < 0:
                continue
            value = value.part(at + len(after))
        yield value
