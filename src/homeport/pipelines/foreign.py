"""A pipeline of another system as jobs with steps and lines: Travis, GitHub, GitLab.

Read with the audit's reader of YAML: anchors and merge keys are expanded, nothing is evaluated.
Not what a step means for images: ``pipelines.docker_steps``.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import yaml

from homeport.audit.formats.yaml import Node, documents, entries, get, is_map, items, text_of
from homeport.audit.reading.collector import Collector
from homeport.audit.source import Source
from homeport.errors import UsageError

Kind = Literal["travis", "github", "gitlab"]
LARGEST = 1 << 20
_TRAVIS_STEPS = (
    "before_install", "install", "before_script", "script", "after_success", "after_failure",
    "before_deploy", "after_deploy", "after_script",
)  # fmt: skip
#: Top-level keys of GitLab that are not jobs.
_GITLAB_GLOBAL = frozenset((
    "stages", "variables", "default", "include", "workflow", "image", "services", "cache",
    "before_script", "after_script", "pages", "spec",
))  # fmt: skip


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step: shell text, an action (``uses``) with its inputs, or a setting of the job."""

    line: int
    section: str
    text: str
    uses: str = ""
    inputs: dict[str, str] = {}


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the file besides steps. values: variables that it sets in plain text"""

    line: int
    key: str
    text: str
    values: dict[str, str] = {}


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job. settings: its keys that are not steps"""

    name: str
    line: int
    steps: tuple[Step, ...] = ()
    settings: tuple[Setting, ...] = ()


class ForeignPipeline(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. faults: what could not be read, with lines."""

    kind: Kind
    path: str
    jobs: tuple[Job, ...]
    settings: tuple[Setting, ...]
    faults: tuple[tuple[int, str], ...] = ()


def read_pipeline(path: Path, data: bytes) -> ForeignPipeline:
    """Tell the system by the file's content and name. Raises ``UsageError`` for another file."""
    source = Source(str(path), data)
    found = Collector(source, "pipeline")
    root = next(documents(source, found), None)
    faults = tuple((each.line, each.what) for each in found.unread)
    if not is_map(root):
        why = f" (line {faults[0][0]}: {faults[0][1]})" if faults else ""
        raise UsageError(f"{path} is not a pipeline file{why}", where={"file": str(path)})
    keys = {name for name, _ in entries(root)}
    kind: Kind
    if path.name.endswith("travis.yml") or (
        ("language" in keys or "services" in keys)
        and (keys & {"script", "matrix", "deploy", "dist"} and "jobs" not in keys)
    ):
        kind = "travis"
    elif "jobs" in keys and keys & {"on", "true", "name", "permissions"}:
        kind = "github"
    elif any(get(value, "script") is not None for name, value in entries(root)):
        kind = "gitlab"
    else:
        raise UsageError(
            f"{path} is neither a .travis.yml nor a GitHub workflow nor a .gitlab-ci.yml",
            where={"file": str(path)},
        )
    assert root is not None
    read = {"travis": _travis, "github": _github, "gitlab": _gitlab}[kind]
    jobs, settings = read(root)
    return ForeignPipeline(
        kind=kind, path=str(path), jobs=tuple(jobs), settings=tuple(settings), faults=faults
    )


def gitlab_stages(path: Path, data: bytes) -> tuple[str, ...]:
    """The stages that a ``.gitlab-ci.yml`` lists; none if it cannot be read or lists none."""
    source = Source(str(path), data)
    root = next(documents(source, Collector(source, "pipeline")), None)
    found = get(root, "stages") if is_map(root) else None
    return tuple(text for item in items(found) if (text := text_of(item)))


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _text(node: Node | None, depth: int = 0) -> str:
    """A value on one line, for the report."""
    if (text := text_of(node)) is not None:
        return text.strip()
    if depth > 4:
        return "…"
    if is_map(node):
        return ", ".join(f"{name}: {_text(value, depth + 1)}" for name, value in entries(node))
    return ", ".join(_text(item, depth + 1) for item in items(node))


def _lines(node: Node, section: str) -> Iterator[Step]:
    """The commands of a string or list; continued lines are one."""
    for item in items(node) or [node]:
        text = text_of(item)
        if text is None:
            if items(item):  # GitLab: lists in lists, by anchors
                yield from _lines(item, section)
            continue
        block = isinstance(item, yaml.ScalarNode) and item.style in ("|", ">")
        start = _line(item) + block
        pending, first = "", 0
        for number, line in enumerate(text.split("\n")):
            first = first if pending else number
            if line.rstrip().endswith("\\"):
                pending += line.rstrip()[:-1] + " "
                continue
            whole = (pending + line).strip()
            pending = ""
            if whole and not whole.startswith("#"):
                place = start + first if block else start
                yield Step(line=place, section=section, text=whole)
        if pending.strip():
            yield Step(line=start + first, section=section, text=pending.strip())


def _values(node: Node) -> dict[str, str]:
    """Variables that are set: ``A=1 B=2`` in Travis, mappings elsewhere."""
    found: dict[str, str] = {}
    for item in items(node) or [node]:
        if is_map(item):
            found |= {name: _text(value) for name, value in entries(item) if name != "secure"}
        try:
            words = shlex.split(text_of(item) or "")
        except ValueError:
            continue
        for word in words:
            name, equals, value = word.partition("=")
            if equals and name.isidentifier():
                found[name] = value
    return found


def _setting(name: str, value: Node) -> Setting:
    values = _values(value) if name in ("env", "variables") else {}
    return Setting(line=_line(value), key=name, text=_text(value)[:300], values=values)


def _travis(root: Node) -> tuple[list[Job], list[Setting]]:
    settings: list[Setting] = []
    shared: list[Step] = []
    jobs: list[Job] = []
    for name, value in entries(root):
        if name in _TRAVIS_STEPS:
            shared += _lines(value, name)
        elif name in ("jobs", "matrix") and is_map(value):
            for key, inner in entries(value):
                if key == "include":
                    jobs += [_travis_job(one, at) for at, one in enumerate(items(inner), 1)]
                else:
                    settings.append(_setting(f"{name}.{key}", inner))
        elif name == "deploy":
            jobs += [_deploy(one) for one in (items(value) or [value])]
        elif name == "env" and is_map(value):
            settings += [_travis_env(f"env.{key}", inner) for key, inner in entries(value)]
        elif name == "env":  # a list of several is a job each
            key = "env.matrix" if len(items(value)) > 1 else "env"
            settings.append(_travis_env(key, value))
        else:
            settings.append(_setting(name, value))
    if shared or not jobs:
        jobs.insert(0, Job(name="default", line=shared[0].line if shared else 1,
                           steps=tuple(shared)))  # fmt: skip
    return jobs, settings


def _travis_env(name: str, value: Node) -> Setting:
    secure = [item for item in (items(value) or [value]) if get(item, "secure") is not None]
    key = f"{name}.secure" if secure else name
    node = secure[0] if secure else value
    text = "" if secure else _text(value)[:300]
    return Setting(line=_line(node), key=key, text=text, values=_values(value))


def _travis_job(node: Node, at: int) -> Job:
    name = _text(get(node, "name")) or _text(get(node, "stage")) or f"job {at}"
    steps: list[Step] = []
    settings: list[Setting] = []
    for key, value in entries(node):
        if key in _TRAVIS_STEPS:
            steps += _lines(value, key)
        elif key == "deploy":
            for one in items(value) or [value]:
                inner = _deploy(one)
                steps += inner.steps
                settings += inner.settings
        elif key != "name":
            settings.append(_setting(key, value))
    return Job(name=name, line=_line(node), steps=tuple(steps), settings=tuple(settings))


def _deploy(node: Node) -> Job:
    provider = _text(get(node, "provider")) or "script"
    steps: list[Step] = []
    settings = [_setting(f"deploy.{key}", value) for key, value in entries(node) if key != "script"]
    script = get(node, "script")
    if script is not None:
        steps += _lines(script, "deploy.script")
    return Job(
        name=f"deploy ({provider})", line=_line(node), steps=tuple(steps), settings=tuple(settings)
    )


def _github(root: Node) -> tuple[list[Job], list[Setting]]:
    settings = [_setting(name, value) for name, value in entries(root) if name != "jobs"]
    jobs: list[Job] = []
    for name, job in entries(get(root, "jobs")):
        steps: list[Step] = []
        conditions: list[Setting] = []
        for step in items(get(job, "steps")):
            run, uses = get(step, "run"), _text(get(step, "uses"))
            conditions += [
                _setting(key, value) for key, value in entries(step)
                if key in ("if", "continue-on-error")
            ]  # fmt: skip
            if run is not None:
                steps += _lines(run, "run")
            elif uses:
                inputs = {key: text_of(value) or _text(value)
                          for key, value in entries(get(step, "with"))}  # fmt: skip
                steps.append(
                    Step(line=_line(step), section="uses", text=uses, uses=uses.partition("@")[0],
                         inputs=inputs)
                )  # fmt: skip
        others = [_setting(key, value) for key, value in entries(job) if key != "steps"]
        others += conditions
        jobs.append(Job(name=name, line=_line(job), steps=tuple(steps), settings=tuple(others)))
    return jobs, settings


def _gitlab(root: Node) -> tuple[list[Job], list[Setting]]:
    settings: list[Setting] = []
    jobs: list[Job] = []
    for name, value in entries(root):
        if name in _GITLAB_GLOBAL or not is_map(value):
            if name in ("before_script", "after_script"):
                jobs.append(Job(name=name, line=_line(value), steps=tuple(_lines(value, name))))
            else:
                settings.append(_setting(name, value))
            continue
        steps: list[Step] = []
        others: list[Setting] = []
        for key, inner in entries(value):
            if key in ("before_script", "script", "after_script"):
                steps += _lines(inner, key)
            else:
                others.append(_setting(key, inner))
        jobs.append(Job(name=name, line=_line(value), steps=tuple(steps), settings=tuple(others)))
    return jobs, settings
