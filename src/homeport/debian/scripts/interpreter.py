"""Reads a maintainer script as at a first installation, without running anything.

The script is parsed by tree-sitter (a library). This interpreter walks its syntax tree with
``$1`` = ``configure`` (``install`` for a preinst) and ``$2`` empty. It knows variables,
conditions, loops over words, functions and a white list of commands (``commands``). What
it does not know has no value: a condition that depends on it is skipped, and the commands
inside that change an image are reported as not understood.

What a script may cost is bounded: a package comes from a stranger who may write loops, words
that double and files that grow. A script that reaches a bound is read as far as that.

Not for scripts of other interpreters, and not a shell: no file is opened, no process started.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from homeport.budget import Budget, LimitExceeded, Limits
from homeport.debian.scripts.command_output import TEMPORARY, output_of
from homeport.debian.scripts.commands import CHANGES, WITHOUT_EFFECT, run_command
from homeport.debian.scripts.conditions import Status, run_test
from homeport.debian.scripts.effects import Effect, NotUnderstood
from homeport.debian.scripts.line_search import found_lines
from homeport.debian.scripts.machine import Files, Machine
from homeport.debian.scripts.shell_nodes import (
    branches_of_if,
    descendants,
    has_wildcards,
    literal,
    node_text,
    reads,
    unquoted,
    writes,
)
from homeport.debian.scripts.shell_parser import parse_shell
from homeport.quantities import whole_number

if TYPE_CHECKING:
    import tree_sitter

_LONGEST_FILE = 1 << 20  # characters of one that a script writes
_MOST_STEPS = 2_000_000  # of the budget, about a microsecond each
#: Steps of a statement, and of what is noted about the image.
_STATEMENT = 100
_EFFECT = 20
_LETTERS = 8  # of text that cost a step
_DEEPEST = 100
_SHELL = re.compile(rb"#!\s*/(usr/)?bin/(env\s+)?(ba|da)?sh\b")
_PARAMETER = re.compile(r"\$\{?(\w+|[#@*?])(?:(:?[-=+?]|%%?|##?)(.*))?\}?", re.DOTALL)
_NAMED = re.compile(r"\$(?:\{(\w+)\}|(\w+))")

#: What is said of a script that reaches a bound.
TOO_MUCH = "more steps than Homeport follows"

_NOTHING: Mapping[str, str] = MappingProxyType({})


class _Unknown(Exception):
    """A word whose value cannot be known."""


class _Leave(Exception):
    """``exit`` of the script, or ``return`` of a function."""

    def __init__(self, status: Status, *, function: bool) -> None:
        self.status = status
        self.function = function


class _NextRound(Exception):
    """``continue``, or ``break`` of a loop."""

    def __init__(self, *, leave: bool) -> None:
        self.leave = leave


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What a script may ask about the image."""

    architecture: str
    files: Files
    account: Callable[[str, str], bool]


def read_script(
    package: str,
    script: str,
    text: str,
    world: World,
    answers: dict[str, str | None] | None = None,
    *,
    prints: Mapping[str, str] = _NOTHING,
    declared: frozenset[str] = frozenset(),
) -> list[Effect]:
    """What ``text`` does; ``NotUnderstood`` for what is not known.

    answers:  of debconf's questions (``debconf.default_answers``); the script may change them
    prints:   what a command or pipeline prints, by its text with single blanks
    declared: accounts that are there once the script has called ``systemd-sysusers``
    """

    def as_a_whole(what: str) -> NotUnderstood:
        return NotUnderstood(package=package, script=script, line=1, text=what)

    data = text.encode("utf-8", "surrogateescape")
    if data.startswith(b"#!") and not _SHELL.match(data):
        program = data.partition(b"\n")[0][2:].decode("utf-8", "replace").strip()
        return [as_a_whole(f"a program for {program}")]
    if b"\0" in data:
        return [as_a_whole("a script with zero bytes")]
    try:
        root = parse_shell(data)
    except LimitExceeded as error:
        return [as_a_whole(error.what)]
    limits = Limits.of(os.environ)
    limits = msgspec.structs.replace(limits, steps=min(limits.steps, _MOST_STEPS))
    machine = Machine(
        package=package, architecture=world.architecture, files=world.files,
        account=world.account, answers={} if answers is None else answers,
        budget=Budget(f"{script} of {package}", limits), declared=declared,
    )  # fmt: skip
    first = "install" if script == "preinst" else "configure"
    walker = _Walker(machine, script, [first, ""], package, prints)
    try:
        walker.run_all(root.children)
    except _Leave:
        pass
    except (LimitExceeded, RecursionError):
        machine.effects.append(as_a_whole(TOO_MUCH))
    return [each for each in machine.effects if not getattr(each, "path", "").startswith(TEMPORARY)]


class _Walker:
    def __init__(
        self,
        machine: Machine,
        script: str,
        arguments: list[str],
        package: str,
        prints: Mapping[str, str] = _NOTHING,
    ) -> None:
        self._machine = machine
        self._prints = prints
        self._script = script
        self._package = package
        # Where dpkg has unpacked a preinst, and where it keeps the others.
        self._path = (
            "/var/lib/dpkg/tmp.ci/preinst" if script == "preinst"
            else f"/var/lib/dpkg/info/{package}.{script}"
        )  # fmt: skip
        self._arguments = arguments
        self._variables: dict[str, str | None] = {
            "DPKG_MAINTSCRIPT_PACKAGE": package,
            "DPKG_MAINTSCRIPT_NAME": script,
            "DPKG_MAINTSCRIPT_ARCH": machine.architecture,
            "DPKG_ROOT": "",
            "DEBIAN_FRONTEND": "noninteractive",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "RET": None,
            "PWD": "/",
        }
        self._functions: dict[str, tree_sitter.Node] = {}
        #: What the function prints whose output is wanted; ``None``: not wanted or not known.
        self._captured: list[str] | None = None
        #: Lines of standard input, the next one last; ``None``: not known.
        self._input: list[str] | None = None
        self._depth = 0

    def run_all(self, nodes: list[tree_sitter.Node]) -> Status:
        status: Status = True
        for node in nodes:
            if node.is_named and node.type not in ("comment", "heredoc_body"):
                status = self.run(node)
        return status

    def run(self, node: tree_sitter.Node) -> Status:
        self._machine.budget.steps(_STATEMENT + node.child_count)
        self._machine.budget.depth(self._depth, most=_DEEPEST)
        known = _STATEMENTS.get(node.type)
        if known is None:
            self.skip(node)
            return None
        self._depth += 1
        try:
            return known(self, node)
        finally:
            self._depth -= 1

    def skip(self, node: tree_sitter.Node) -> None:
        """Report the commands of a part that is not followed, if they change anything."""
        self._captured = None  # which it may print to
        for each in descendants(node):
            self._machine.budget.steps()
            if each.type == "command" and _changes(each):
                self.not_understood(each, node_text(each))
            elif each.type == "command" and node_text(each).startswith("db_set "):
                self._forget(each)

    def _forget(self, node: tree_sitter.Node) -> None:
        """``db_set`` that may or may not run: the answer is not known any more."""
        question = unquoted(node_text(node).split()[1])
        for name in [question] if "$" not in question else list(self._machine.answers):
            self._machine.answers[name] = None

    def not_understood(self, node: tree_sitter.Node, text: str) -> None:
        self._machine.budget.steps(_EFFECT)
        self._machine.effects.append(
            NotUnderstood(
                package=self._package, script=self._script,
                line=node.start_point[0] + 1, text=" ".join(text.split())[:120],
            )
        )  # fmt: skip

    # Statements

    def _command(self, node: tree_sitter.Node, text: str | None = None) -> Status:
        """``text``: what comes on standard input, if that is known."""
        try:
            words = self._words_of(node)
        except _Unknown:
            name = node_text(node.child_by_field_name("name"))
            if _changes(node):
                self.not_understood(node, node_text(node))
            elif name == "db_set":
                self._forget(node)
            elif name == "db_get":
                self._variables["RET"] = None
            return None
        if not words:
            return True
        return self._call(words, node, text)

    def _words_of(self, command: tree_sitter.Node) -> list[str]:
        """Its name and arguments; assignments before it are made if they are not for it alone."""
        words: list[str] = []
        for child in command.children:
            if child.type == "variable_assignment":
                if _for_itself(child, command.child_by_field_name("name")):
                    self._assign(child)
            elif child.type == "command_name" and len(child.children) == 1:
                words += self.words(child.children[0])  # which may be words, or nothing
            elif child.is_named and child.type not in _REDIRECTS:
                words += self.words(child)
        return words

    def _call(self, words: list[str], node: tree_sitter.Node, text: str | None) -> Status:  # noqa: PLR0911  a row a kind of command
        # Reading options takes the words off one by one.
        self._machine.budget.steps(len(words) ** 2 // 1_000)
        name = words[0]
        if name in self._functions:
            return self._call_function(name, words[1:])
        if name in _JUMPS:
            raise _JUMPS[name](words)
        if name in (".", "source"):
            return self._source(words[1:])
        if name in ("[", "test"):
            return run_test(words[1:-1] if name == "[" else words[1:], self._machine)
        if name == "shift":
            count = whole_number(words[1]) if words[1:] else 1
            del self._arguments[: 1 if count is None else count]
            return True
        if name == "set":
            if "--" in words:
                self._arguments = words[words.index("--") + 1 :]
            return True
        if (found := self._grep(words, text)) is not None and self._captured is None:
            return found
        if name in ("unset", "read", "db_get", "db_fget", "db_metaget"):
            return self._set_by_command(words)
        if self._captured is not None and name not in _SILENT:
            output = output_of(words, text, self._machine)
            self._captured = None if output is None else [*self._captured, output]
        before = len(self._machine.effects)
        status, understood = run_command(words, text, self._machine)
        self._machine.budget.steps(_EFFECT * max(0, len(self._machine.effects) - before))
        return status if understood else self._other_script(words, node)

    def _set_by_command(self, words: list[str]) -> Status:
        """Commands that give variables a value: those of debconf answer in ``RET``."""
        name = words[0]
        if name == "db_get" and words[1:]:
            self._variables["RET"] = self._machine.answers.get(words[1])
            return True if words[1] in self._machine.answers else None
        told = self._prints.get(" ".join(words))
        if name == "db_fget" and told is not None:
            self._variables["RET"] = told
            return True
        if name == "read" and self._input is not None:
            return self._read_line([word for word in words[1:] if word[0] != "-"])
        for variable in words[1:] if name in ("unset", "read") else ["RET"]:
            self._variables[variable] = "" if name == "unset" else None
        return True if name == "unset" else None

    def _read_line(self, names: list[str]) -> Status:
        """``read``: a word a variable, the rest of the line for the last one."""
        assert self._input is not None
        there = bool(self._input)
        line = self._read(self._input.pop()) if there else ""
        words = line.split(None, max(0, len(names) - 1))
        for number, name in enumerate(names):
            self._variables[name] = words[number].strip() if number < len(words) else ""
        return there

    def _call_function(self, name: str, arguments: list[str]) -> Status:
        body = self._functions[name].child_by_field_name("body")
        outside, self._arguments = self._arguments, arguments
        try:
            return self.run(body) if body is not None else True
        except _Leave as leave:
            if not leave.function:
                raise
            return leave.status
        finally:
            self._arguments = outside

    def _redirected(self, node: tree_sitter.Node) -> Status:
        body = node.child_by_field_name("body")
        redirects = [child for child in node.children if child.type in _REDIRECTS]
        # The grammar has what follows <<EOF on its line inside of it.
        redirects += [c for each in redirects for c in each.children if c.type in _REDIRECTS]
        text = next((self._heredoc(r) for r in redirects if r.type == "heredoc_redirect"), None)
        source = next((r for r in redirects if r.type == "file_redirect" and reads(r)), None)
        if source is not None:
            path = self._destination(source)
            text = self._machine.text_of(path) if path is not None else None
        target = next((r for r in redirects if r.type == "file_redirect" and writes(r)), None)
        if target is not None:
            destination = self._destination(target)
            if destination is None or not destination.startswith("/dev/"):
                if body is not None and body.type in ("list", "negated_command"):
                    return self._last_redirected(body, target, text)
                return self._write(body, target, destination, text)
        if body is None:
            return True
        if body.type == "command":
            return self._command(body, text)
        return self._with_input(text, partial(self.run, body))

    def _with_input(self, text: str | None, run: Callable[[], Status]) -> Status:
        """Follow a part that reads ``text`` line by line, if it reads anything."""
        outside = self._input
        self._input = None if text is None else text.splitlines()[::-1]
        try:
            return run()
        finally:
            self._input = outside

    def _last_redirected(
        self, body: tree_sitter.Node, target: tree_sitter.Node, text: str | None
    ) -> Status:
        """The grammar gives the redirection of the last command to the whole list."""
        last = body.children[-1]
        if body.type == "list":
            status, operator = self.run(body.children[0]), body.children[1].type
            if status is not None and status != (operator == "&&"):
                return status
            if status is None:
                self.skip(last)
                return None
        name = node_text(last.child_by_field_name("name"))
        if last.type != "command" or name not in WITHOUT_EFFECT | {"echo", "cat", "printf"}:
            self.not_understood(body, f"{node_text(body)} {node_text(target)}")
            return None
        status = self._write(last, target, self._destination(target), text)
        return not status if body.type == "negated_command" and status is not None else status

    def _write(
        self,
        body: tree_sitter.Node | None,
        target: tree_sitter.Node,
        path: str | None,
        text: str | None,
    ) -> Status:
        """What is printed into a file; of a file that is there only the script's own grows."""
        output = "" if body is None else None
        if body is not None and body.type == "command":
            output = self._output(body, text)
        elif body is not None and body.type in _BLOCKS:
            output = self._captured_of(partial(self._with_input, text, partial(self.run, body)))
        elif body is not None and body.type == "pipeline":
            output = self._piped([child for child in body.children if child.is_named])
        appends = node_text(target).lstrip("0123456789").startswith(">>")
        before: str | None = ""
        if appends and path is not None and self._machine.type_of(path) is not None:
            own = self._machine.made(path) is not None
            before = self._machine.text_of(path) if own else None
        if output is not None and len(before or "") + len(output) > _LONGEST_FILE:
            output = None
        if path is None or output is None or before is None:
            self.not_understood(body or target, f"{node_text(body)} {node_text(target)}".strip())
            return None
        self._machine.budget.steps(len(before + output) // 1_000)
        self._machine.write(path, before + output)
        return True

    def _captured_of(self, run: Callable[[], object]) -> str | None:
        """What is printed meanwhile; ``None`` if that is not known."""
        outside, self._captured = self._captured, []
        try:
            run()
            return None if self._captured is None else "".join(self._captured)
        finally:
            self._captured = outside

    def _destination(self, redirect: tree_sitter.Node) -> str | None:
        try:
            return "".join(
                word
                for child in redirect.children
                if child.is_named and child.type != "file_descriptor"
                for word in self.words(child)
            )
        except _Unknown:
            return None

    def _heredoc(self, node: tree_sitter.Node) -> str | None:
        body = next((child for child in node.children if child.type == "heredoc_body"), None)
        if body is None:
            return ""
        try:
            inside = self._inside(body)
        except _Unknown:
            return None
        strips = any(child.type == "<<-" for child in node.children)
        return re.sub(r"^\t+", "", inside, flags=re.MULTILINE) if strips else inside

    def _printed(self, node: tree_sitter.Node) -> str | None:
        """What a command or a function of the script prints; ``None`` if that is not known."""
        name = node_text(node.child_by_field_name("name"))
        if name not in self._functions:
            return self._output(node, None)
        return self._captured_of(partial(self._command, node))

    def _output(self, node: tree_sitter.Node, text: str | None) -> str | None:
        """What a command prints, for the few whose output follows from their arguments."""
        self._read(node_text(node))
        known = self._prints.get(" ".join(node_text(node).split()))
        if known is not None:
            return known
        try:
            words = self._words_of(node)
        except _Unknown:
            return None
        return output_of(words, text, self._machine)

    def _list(self, node: tree_sitter.Node) -> Status:
        left, operator, right = node.children[0], node.children[1].type, node.children[-1]
        status = self.run(left)
        if status is None:
            # ``something || true`` hides a failure; ``probe && act`` acts on what is not known.
            if operator == "&&":
                self.skip(right)
            return None if operator == "&&" else True
        if status == (operator == "&&"):
            return self.run(right)
        return status

    def _pipeline(self, node: tree_sitter.Node) -> Status:
        """``command | grep -q pattern`` of a command that prints nothing; no other is known."""
        stages = [child for child in node.children if child.is_named]
        negated = stages[0].type == "negated_command"  # of the whole, says the shell
        if negated:
            stages[0] = stages[0].children[-1]
        if len(stages) == 2 and all(stage.type == "command" for stage in stages):
            output = self._output(stages[0], None)
            self._machine.budget.steps(len(node_text(stages[1])))
            try:
                words = shlex.split(node_text(stages[1]))
            except ValueError:
                words = [""]
            found = self._grep(words, output)
            if found is not None:
                return found != negated
        if [stage.type for stage in stages[1:]] == ["while_statement"] and not negated:
            output = self._output(stages[0], None) if stages[0].type == "command" else None
            if output is not None:
                before = dict(self._variables)
                try:
                    return self._with_input(output, partial(self.run, stages[1]))
                finally:
                    self._variables = before  # of a shell of its own
        self.skip(node)
        return None

    def _piped(self, stages: list[tree_sitter.Node]) -> str | None:
        """What the last command prints; each reads what the one before it prints."""
        text: str | None = None
        for number, stage in enumerate(stages):
            if number and text is None:
                return None
            if stage.type in _BLOCKS:
                before = dict(self._variables)
                run = partial(self._with_input, text, partial(self.run, stage))
                text = self._captured_of(run)
                self._variables = before
            else:
                text = self._output(stage, text)
        return text

    def _grep(self, words: list[str], text: str | None) -> Status:
        """Whether a grep finds a line in what is known."""
        if not words or words[0] not in ("grep", "egrep", "fgrep"):
            return None
        self._machine.budget.steps(len(text or "") // 1_000)
        found = found_lines(words[0], words[1:], text, self._machine)
        return None if found is None else bool(found)

    def _negated(self, node: tree_sitter.Node) -> Status:
        status = self.run(node.children[-1])
        return None if status is None else not status

    def _if(self, node: tree_sitter.Node) -> Status:
        branches = branches_of_if(node)
        for number, (condition, body) in enumerate(branches):
            status: Status = True
            for each in condition:
                status = self.run(each)
            if status is None:
                for _, rest in branches[number:]:
                    for each in rest:
                        self.skip(each)
                return None
            if status:
                return self.run_all(body)
        return True

    def _case(self, node: tree_sitter.Node) -> Status:
        value = node.child_by_field_name("value")
        items = [child for child in node.children if child.type == "case_item"]
        try:
            text = " ".join(self.words(value, split=False)) if value is not None else ""
        except _Unknown:
            for item in items:
                self.skip(item)
            return None
        for item in items:
            end = next((i for i, c in enumerate(item.children) if c.type == ")"), 0)
            patterns = [unquoted(node_text(c)) for c in item.children[:end] if c.is_named]
            for pattern in patterns:
                self._compare(text, pattern)
            if any(fnmatch.fnmatchcase(text, pattern) for pattern in patterns):
                return self.run_all(item.children[end + 1 :])
        return True

    def _for(self, node: tree_sitter.Node) -> Status:
        body = node.child_by_field_name("body")
        variable = node.child_by_field_name("variable")
        values = node.children_by_field_name("value")
        assert body is not None
        try:
            words = [
                found
                for value in values
                for word in self.words(value)
                for found in (self._matches(word) if has_wildcards(value) else [word])
            ]
        except _Unknown:
            self.skip(body)
            return None
        for word in words:
            self._variables[node_text(variable)] = word
            if not self._round(body):
                break
        return True

    def _while(self, node: tree_sitter.Node) -> Status:
        body = node.child_by_field_name("body")
        condition = node.children_by_field_name("condition")
        assert body is not None
        while True:
            status = self.run_all(condition)
            if status is None or node.children[0].type == "until":
                self.skip(body)
                return None
            if not status or not self._round(body):
                return True

    def _round(self, body: tree_sitter.Node) -> bool:
        """Run the body of a loop once; whether the loop goes on."""
        try:
            self.run(body)
        except _NextRound as jump:
            return not jump.leave
        return True

    def _matches(self, word: str) -> list[str]:
        """The paths that a pattern matches; without a match itself, as in the shell."""
        folder, _, name = word.rpartition("/")
        if not any(c in word for c in "*?["):
            return [word]
        if any(c in folder for c in "*?["):
            raise _Unknown(word)
        names = self._machine.names_in(self._machine.path(folder or "."))
        for each in names:
            self._compare(each, name)
        before = f"{folder}/" if "/" in word else ""
        hidden = name.startswith(".")
        found = [each for each in names
                 if fnmatch.fnmatchcase(each, name) and each.startswith(".") == hidden]  # fmt: skip
        return [before + each for each in found] or [word]

    def _source(self, words: list[str]) -> Status:
        """Run a file of functions; those of debconf, PHP and Apache are known by themselves."""
        path = words[0] if words else ""
        text = self._machine.text_of(path) if path.startswith("/") else None
        if text is None or path.rpartition("/")[2] in _KNOWN_FUNCTIONS:
            return True
        return self._inner(text)

    def _inner(self, text: str) -> Status:
        if self._depth > _DEEPEST // 2:
            return None
        data = text.encode("utf-8", "surrogateescape")
        self._machine.budget.steps(len(data))
        return self.run_all(parse_shell(data).children)

    def _other_script(self, words: list[str], node: tree_sitter.Node) -> Status:
        """Another shell script of the image, read like this one."""
        text = self._machine.text_of(words[0]) if words[0].startswith("/") else None
        if text is None or not _SHELL.match(text.encode("utf-8", "surrogateescape")):
            self.not_understood(node, node_text(node))
            return None
        outside, self._arguments = self._arguments, words[1:]
        before = dict(self._variables)
        try:
            return self._inner(text)
        except _Leave as leave:
            return leave.status
        finally:
            self._arguments, self._variables = outside, before

    def _function(self, node: tree_sitter.Node) -> Status:
        self._functions[node_text(node.child_by_field_name("name"))] = node
        return True

    def _group(self, node: tree_sitter.Node) -> Status:
        return self.run_all(node.children)

    def _subshell(self, node: tree_sitter.Node) -> Status:
        self._machine.budget.steps(len(self._variables) // _LETTERS)
        before = dict(self._variables)
        try:
            return self.run_all(node.children)
        except _Leave as leave:
            return leave.status
        finally:
            self._variables = before

    def _declaration(self, node: tree_sitter.Node) -> Status:
        for child in node.children:
            if child.type == "variable_assignment":
                self._assign(child)
        return True

    def _assignment(self, node: tree_sitter.Node) -> Status:
        return self._assign(node)

    def _assignments(self, node: tree_sitter.Node) -> Status:
        return self._declaration(node)

    def _unset(self, node: tree_sitter.Node) -> Status:
        for child in node.children[1:]:
            self._variables[node_text(child)] = ""
        return True

    def _test_command(self, node: tree_sitter.Node) -> Status:
        try:
            words = [word for child in node.children[1:-1] for word in self._operands(child)]
        except _Unknown:
            return None
        return run_test(words, self._machine)

    def _assign(self, node: tree_sitter.Node) -> Status:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        try:
            text = " ".join(self.words(value, split=False)) if value is not None else ""
        except _Unknown:
            self._variables[node_text(name)] = None
            return None
        self._variables[node_text(name)] = text
        return True

    # Words

    def _operands(self, node: tree_sitter.Node) -> Iterator[str]:
        """The words between [ and ], which the grammar has as an expression."""
        if node.type in ("binary_expression", "unary_expression", "parenthesized_expression",
                         "negation_expression"):  # fmt: skip
            for child in node.children:
                yield from self._operands(child)
        elif node.is_named and node.type != "test_operator":
            yield from self.words(node)
        else:
            yield node_text(node)

    def words(self, node: tree_sitter.Node, *, split: bool = True) -> list[str]:
        """The words that ``node`` stands for."""
        if node_text(node) in ('"$@"', "$@", "$*"):
            self._machine.budget.steps(len(self._arguments))
            return [self._read(each) for each in self._arguments]
        text = self._value(node)
        plain = node.type in ("simple_expansion", "expansion", "command_substitution")
        if plain and split:
            words = text.split()
            self._machine.budget.steps(len(words))
            return words
        return [text]

    def _read(self, text: str) -> str:
        """Pay for text that is read or made."""
        self._machine.budget.steps(1 + len(text) // _LETTERS)
        return text

    def _compare(self, text: str, pattern: str) -> None:
        """Pay for matching a pattern: each of its wildcards may look through the whole text."""
        wildcards = sum(pattern.count(each) for each in "*?[")
        self._machine.budget.steps(1 + (len(text) + len(pattern)) * (1 + wildcards) // _LETTERS)

    def _value(self, node: tree_sitter.Node) -> str:
        """The text that ``node`` stands for."""
        self._read(node_text(node))
        return self._read(self._value_of(node))

    def _value_of(self, node: tree_sitter.Node) -> str:  # noqa: PLR0911  a row a kind of word
        text = node_text(node)
        match node.type:
            case "command_name":
                return "".join(self._value(child) for child in node.children)
            case "extglob_pattern" | "regex" if "$" in text:
                return self._pattern(text)
            case "word" | "number" | "extglob_pattern" | "regex" | "test_operator":
                return re.sub(r"\\(.)", r"\1", text.replace("\\\n", ""))
            case "raw_string":
                return text[1:-1]
            case "string":
                return self._inside(node)
            case "concatenation":
                return "".join(self._value(child) for child in node.children)
            case "simple_expansion" | "expansion":
                return self._parameter(text[text.index("$") :])
            case "command_substitution":
                return self._substitution(node)
        raise _Unknown(text)

    def _pattern(self, text: str) -> str:
        """The right side of ``!=``, which the grammar does not look into."""
        if text.startswith("$(") and text.endswith(")"):
            output = output_of(text[2:-1].split(), None, self._machine)
            if output is None:
                raise _Unknown(text)
            return output.rstrip("\n")
        return self._parameter(text)

    def _inside(self, node: tree_sitter.Node) -> str:
        """Text with expansions in it: of a string in double quotes, or of a here-document."""
        data = node.text or b""
        quotes = 1 if node.type == "string" else 0
        start = node.start_byte
        at, end = start + quotes, node.end_byte - quotes
        parts: list[str] = []
        for child in node.children:
            expands = child.type in ("simple_expansion", "expansion", "command_substitution")
            sign = re.search(rb"[$`]", child.text or b"")
            if expands and sign is not None:
                # The grammar counts blanks before an expansion to it.
                begin = child.start_byte + sign.start()
                parts.append(literal(data[at - start : begin - start]))
                parts.append(self._value(child))
                at = child.end_byte
        parts.append(literal(data[at - start : end - start]))
        return "".join(parts)

    def _parameter(self, text: str) -> str:
        if text.startswith("${"):
            text = text[:-1]
        match = _PARAMETER.fullmatch(text)
        if match is None:
            raise _Unknown(text)
        name, operator, word = match[1], match[2] or "", match[3] or ""
        value = self._lookup(name)
        if operator.lstrip(":") == "+" and not value:
            return ""
        if operator.lstrip(":") in ("-", "=") and value:
            return value
        word = _NAMED.sub(lambda found: self._lookup(found[1] or found[2]), word.strip("\"'"))
        if operator.lstrip(":") in ("-", "=", "+"):
            return word
        if operator in ("%", "%%", "#", "##"):
            self._machine.budget.steps(len(value) * (len(value) + len(word)) // 1_000)
            return _trimmed(value, operator, word)
        return value

    def _lookup(self, name: str) -> str:
        if name == "0":
            return self._path
        if name.isdigit():
            number = whole_number(name) or 0
            return self._arguments[number - 1] if 0 < number <= len(self._arguments) else ""
        if name in ("@", "*"):
            return self._read(" ".join(self._arguments))
        if name == "#":
            return str(len(self._arguments))
        if name == "?":
            raise _Unknown(name)
        value = self._variables.get(name, "")
        if value is None:
            raise _Unknown(name)
        return self._read(value)

    def _substitution(self, node: tree_sitter.Node) -> str:
        inside = [child for child in node.children if child.is_named]
        known = self._prints.get(" ".join(node_text(node).removeprefix("$(").strip("`()").split()))
        if known is not None:
            return known
        if len(inside) == 1 and inside[0].type == "redirected_statement":
            body = inside[0].child_by_field_name("body")
            inside = [body] if body is not None else []
        if len(inside) == 1 and inside[0].type == "pipeline":
            text = self._piped([each for each in inside[0].children if each.is_named])
            if text is not None:
                return text.rstrip("\n")
        if len(inside) == 1 and inside[0].type == "command":
            output = self._printed(inside[0])
            if output is not None:
                return output.rstrip("\n")
        if len(inside) > 1 or (inside and inside[0].type in _BLOCKS):
            before = dict(self._variables)
            printed = self._captured_of(partial(self.run_all, inside))
            self._variables = before
            if printed is not None:
                return printed.rstrip("\n")
        raise _Unknown(node_text(node))


#: Commands that end a loop's round, a loop, a function or the script.
_JUMPS: dict[str, Callable[[list[str]], Exception]] = {
    "continue": lambda words: _NextRound(leave=False),
    "break": lambda words: _NextRound(leave=True),
    "return": lambda words: _Leave(words[1:] in ([], ["0"]), function=True),
    "exit": lambda words: _Leave(words[1:] in ([], ["0"]), function=False),
}

#: Files of functions that ``commands`` knows.
_KNOWN_FUNCTIONS = ("confmodule", "php-maintscript-helper", "apache2-maintscript-helper")

#: Print nothing.
_SILENT = frozenset((":", "true", "false", "cd", "mkdir", "rm", "touch", "chmod", "chown", "umask"))

#: Statements whose output is that of the commands in them.
_BLOCKS = ("for_statement", "while_statement", "if_statement", "compound_statement", "subshell")

_REDIRECTS = ("file_redirect", "heredoc_redirect", "herestring_redirect")

_STATEMENTS: dict[str, Callable[[_Walker, tree_sitter.Node], Status]] = {
    "command": _Walker._command,
    "redirected_statement": _Walker._redirected,
    "list": _Walker._list,
    "pipeline": _Walker._pipeline,
    "negated_command": _Walker._negated,
    "if_statement": _Walker._if,
    "case_statement": _Walker._case,
    "for_statement": _Walker._for,
    "while_statement": _Walker._while,
    "function_definition": _Walker._function,
    "compound_statement": _Walker._group,
    "do_group": _Walker._group,
    "subshell": _Walker._subshell,
    "declaration_command": _Walker._declaration,
    "variable_assignment": _Walker._assignment,
    "variable_assignments": _Walker._assignments,
    "test_command": _Walker._test_command,
    "unset_command": _Walker._unset,
}


def _for_itself(assignment: tree_sitter.Node, name: tree_sitter.Node | None) -> bool:
    """Whether it is not for one command: the grammar takes the next line's for that."""
    return name is None or name.start_point[0] > assignment.end_point[0]


def _changes(command: tree_sitter.Node) -> bool:
    """Whether it changes an image."""
    name = node_text(command.child_by_field_name("name"))
    if name == "dpkg-divert":
        return _diverts(node_text(command))
    if name == "dpkg-statoverride":
        return "--add" in node_text(command)
    return name in CHANGES or (name == "sed" and " -i" in node_text(command))


def _diverts(text: str) -> bool:
    """Whether ``dpkg-divert`` diverts a file: not for upgrades to merged /usr (DEP 17) alone."""
    asks = ("--remove", "--list", "--truename")
    return not any(word in text for word in (*asks, ".usr-is-merged"))


def _trimmed(value: str, operator: str, pattern: str) -> str:
    """``${value%pattern}`` and its three siblings."""
    lengths = range(len(value) + 1)
    if operator in ("%", "##"):
        lengths = range(len(value), -1, -1)
    for at in lengths:
        part = value[at:] if operator[0] == "%" else value[:at]
        if fnmatch.fnmatchcase(part, pattern):
            return value[:at] if operator[0] == "%" else value[at:]
    return value
