"""The table of COPY and ADD by example (tests/data/copy-cases.txt), over both homes."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import copying as table
from builders.tree_filesystem import TreeFilesystem
from homeport.copying.codecs import OPENERS
from homeport.copying.command import Flags, copy
from homeport.copying.errors import CopyError
from homeport.copying.rooted import Rooted
from homeport.copying.rules import rule_set
from homeport.copying.sources import CopySource

TABLE = Path(__file__).parent.parent / "data" / "copy-cases.txt"
ROWS = [
    pytest.param(case, rules, id=f"{case.title} [{rules}]")
    for case in table.cases(TABLE)
    for rules in ("old", "current")
    if case.rules in ("both", rules)
]


@pytest.mark.root
@pytest.mark.parametrize(("case", "rules"), ROWS)
def test_a_real_directory_comes_out_as_the_table_says(
    case: table.Case, rules: str, tmp_path: Path
) -> None:
    table.make_directory(tmp_path / "source", case.source)
    target = tmp_path / "source"
    if case.before is not None:
        target = tmp_path / "target"
        table.make_directory(target, case.before)
    homes = Rooted(bytes(tmp_path / "source")), Rooted(bytes(target))
    try:
        failure = run(case, rules, *homes)
    finally:
        for home in homes:
            home.close()
    check(case, failure, table.described(target))


@pytest.mark.parametrize(("case", "rules"), ROWS)
def test_a_tree_as_data_comes_out_as_the_table_says(case: table.Case, rules: str) -> None:
    source = TreeFilesystem(table.ENTRY, tree=table.make_tree(case.source))
    target = source
    if case.before is not None:
        target = TreeFilesystem(table.ENTRY, tree=table.make_tree(case.before))
    failure = run(case, rules, source, target)
    check(case, failure, table.described_tree(target.freeze()))


def test_the_table_is_complete() -> None:
    assert len(ROWS) >= 200
    titles = [case.title for case in table.cases(TABLE)]
    assert len(set(titles)) == len(titles)


def run(
    case: table.Case, rules: str, source: Rooted | TreeFilesystem, target: Rooted | TreeFilesystem
) -> CopyError | None:
    workdir, verb, options, paths, destination = table.command(case.run)
    flags = Flags(rules=rule_set(rules), unpack=OPENERS if verb == "ADD" else None)
    exclude = []
    for option in options:
        name, _, value = option[2:].partition("=")
        if name == "chown":
            flags.chown = value.encode()
        elif name == "chmod":
            flags.chmod = value
        elif name == "exclude":
            exclude.append(value.encode())
        elif name == "unpack":
            flags.unpack = OPENERS if value != "false" else None
        else:
            setattr(flags, name, True)
    flags.exclude = tuple(exclude)
    if not destination.startswith(b"/"):
        destination = workdir + b"/" + destination
    try:
        copy([CopySource(source, path) for path in paths], target, destination, flags)
    except CopyError as error:
        return error
    return None


def check(case: table.Case, failure: CopyError | None, found: dict[bytes, str]) -> None:
    if case.gives is None:
        assert failure is not None, f"should fail, but gave {found}"
        assert case.fails in str(failure)
        return
    assert failure is None, str(failure)
    # An archive that was copied is named for what is in it, not written out again.
    expected = table.wanted(case.gives, found)
    for name, text in found.items():
        if name.endswith(b".tar") and name in expected:
            expected[name] = text
    assert found == expected
