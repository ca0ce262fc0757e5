"""What an update says: the commit's message, the request's title and text, the terminal's table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from homeport.freshness.model import Change
from homeport.printable import printable, shell_path
from homeport.quantities import counted, human_size
from homeport.updating.model import ImageChange, TestsSaid, UpdatedRecipe, UpdateResult

_SHOWN_NAMES = 4
_SHOWN_IDS = 6
_SHOWN_FILES = 10
_MOST_TEXT = 60_000  # GitHub takes 65,536 characters


def title(updated: Sequence[UpdatedRecipe]) -> str:
    """``copy: libc6, zlib1g (17 security fixes)``."""
    names = list(dict.fromkeys(change.name for one in updated for change in _sorted(one)))
    rest = len(names) - _SHOWN_NAMES
    shown = ", ".join(names[:_SHOWN_NAMES]) + (f" and {rest} more" if rest > 0 else "")
    ids = {id for one in updated for change in one.changes for id in change.ids}
    fixes = f" ({counted(len(ids), 'security fix', 'security fixes')})" if ids else ""
    recipes = updated[0].name if len(updated) == 1 else counted(len(updated), "image")
    return printable(f"{recipes}: {shown or 'packages'}{fixes}")


def commit_message(updated: Sequence[UpdatedRecipe]) -> str:
    """The title, and one line a package."""
    lines = [title(updated), ""]
    for one in updated:
        lines.append(f"{one.name}:")
        lines += [f"  {line}" for line in one.lines]
    return "\n".join(map(printable, lines)) + "\n"


def request_text(result: UpdateResult, mark: str, root: Path) -> str:
    """Markdown for the forge; strangers' words stand in code, where they mark up nothing.

    root: the work tree, from which the command that gives the same result is run
    """
    lines: list[str] = []
    for one in result.updated:
        lines += _recipe(one)
    for one in result.failed:
        lines += [f"### {_code(one.name)}: could not be updated", "", _code(one.error), ""]
    paths = " ".join(shell_path(_below(Path(one.recipe), root)) for one in result.updated)
    lines += [f"The same result: {_code(f'homeport update {paths}')}", ""]
    text = "\n".join(lines)
    if len(text) > _MOST_TEXT:
        text = text[:_MOST_TEXT].rpartition("\n")[0] + "\n\n(cut)\n"
    return f"{text}\n{mark}\n"


def _below(path: Path, root: Path) -> str:
    """A path in the work tree; with a slash, so that it is no name of the catalog."""
    try:
        return f"./{path.resolve().relative_to(root.resolve()).as_posix()}"
    except ValueError:
        return str(path)


def _recipe(one: UpdatedRecipe) -> Iterator[str]:
    yield f"### {_code(one.name)}"
    yield ""
    yield "| package | old → new | from | fixes | platforms |"
    yield "|---|---|---|---|---|"
    known = {change.name: change for change in one.changes}
    for change in _sorted(one):
        ids = ", ".join(change.ids[:_SHOWN_IDS])
        ids += f" and {len(change.ids) - _SHOWN_IDS} more" if len(change.ids) > _SHOWN_IDS else ""
        where = counted(len(change.platforms), "platform")
        yield (
            f"| {_code(change.name)} | {_code(f'{change.old} → {change.new}')} | "
            f"{_code(change.suite)} | {ids} | {where} |"
        )
    for line in one.lines:
        if line.split(" ", 1)[0] not in known:
            yield f"| {_code(line)} | | | | |"
    yield ""
    before, after = one.size
    yield f"Packages: {human_size(before)} → {human_size(after)}."
    yield ""
    yield from _images(one)
    yield from _files(one)
    for package, news in one.news.items():
        yield f"<details><summary>NEWS of {_code(package)}</summary>"
        yield ""
        yield "```"
        yield printable_lines(news)
        yield "```"
        yield "</details>"
        yield ""


def _images(one: UpdatedRecipe) -> Iterator[str]:
    """Digests and sizes before and after, and what tests said."""
    if one.images:
        yield "| platform | image before | image after | size |"
        yield "|---|---|---|---|"
        for each in one.images:
            old = _code(each.old) or "not known"
            yield f"| {_code(each.platform)} | {old} | {_code(each.new)} | {_sizes(each)} |"
        yield ""
    if one.tests is not None:
        yield _code(tests_text(one.tests))
        yield ""


def _sizes(each: ImageChange) -> str:
    new = human_size(each.new_size)
    return f"{human_size(each.old_size)} → {new}" if each.old else new


def tests_text(tests: TestsSaid) -> str:
    """``tests: 4 passed, 1 failed: …``."""
    text = f"tests: {tests.passed} passed"
    text += f", {tests.not_run} not run" if tests.not_run else ""
    return text + (f", {len(tests.failed)} failed: {tests.failed[0]}" if tests.failed else "")


def _files(one: UpdatedRecipe) -> Iterator[str]:
    if one.unknown:
        yield f"Not known: {_code(one.unknown)}"
        yield ""
    if one.files:
        yield f"{counted(len(one.files), 'file')} of the image change:"
        yield ""
        for file in one.files[:_SHOWN_FILES]:
            yield f"- {file.how} {_code(file.path)} ({_code(file.package)})"
        if len(one.files) > _SHOWN_FILES:
            yield f"- and {len(one.files) - _SHOWN_FILES} more"
    elif not one.unknown:
        yield "No file of the image changes besides its package database."
    yield ""


def result_text(result: UpdateResult) -> str:
    """For the terminal."""
    lines: list[str] = []
    for one in result.recipes:
        if one.outcome == "current":
            lines.append(f"{one.name}: nothing to update")
        elif one.outcome == "failed":
            lines.append(f"{one.name}: failed: {one.error}")
        else:
            lines += _shown(one, dry_run=result.dry_run)
    if result.commit:
        lines.append(f"committed {result.commit[:12]}")
    if result.request is not None and result.request.action != "none":
        request = result.request
        lines.append(f"request {request.action}: {request.url or request.branch}")
    return "\n".join(map(printable, lines))


def _shown(one: UpdatedRecipe, *, dry_run: bool) -> Iterator[str]:
    ids = {id for change in one.changes for id in change.ids}
    fixes = f", {counted(len(ids), 'security fix', 'security fixes')}" if ids else ""
    verb = "would update" if dry_run else "updated"
    yield f"{one.name}: {verb} {counted(len(one.lines), 'package')}{fixes}"
    known = {change.name: change for change in one.changes}
    for line in one.lines:
        change = known.get(line.split(" ", 1)[0])
        more = f"  [{', '.join(change.ids[:3])}]" if change is not None and change.ids else ""
        yield f"  {line}{more}"
    before, after = one.size
    yield f"  packages {human_size(before)} → {human_size(after)}"
    for each in one.images:
        yield f"  {each.platform}  {each.old or 'not known'} → {each.new}  {_sizes(each)}"
    if one.tests is not None:
        yield f"  {tests_text(one.tests)}"
    if one.unknown:
        yield f"  not known: {one.unknown}"
    if one.files or not one.unknown:
        yield f"  files of the image that change: {len(one.files)}"


def printable_lines(text: str) -> str:
    return "\n".join(printable(line).replace("```", "'''") for line in text.split("\n"))


def _sorted(one: UpdatedRecipe) -> list[Change]:
    """Security first."""
    return sorted(one.changes, key=lambda change: (not change.security, change.name))


def _code(text: str) -> str:
    """As code, in one cell of a table."""
    return "`" + printable(text).replace("`", "'").replace("|", "\\|") + "`" if text else ""
