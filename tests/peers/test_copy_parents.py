"""``--parents`` side by side with BuildKit's file operations, over random trees and words.

The frontends that know ``--parents`` come from a registry, which an engine without a network
does not reach; what they would send is sent here, built as
``frontend/dockerfile/dockerfile2llb`` builds it: the word before ``/./`` is the source, the
rest an include pattern. The seed is printed; HOMEPORT_SEED and HOMEPORT_CASES choose another run.
"""

from __future__ import annotations

import io
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders import copying as table
from builders.copying import Entry, entries, failure_of
from builders.tree_filesystem import TreeFilesystem
from homeport.buildkit.llb import sources
from homeport.buildkit.llb.files import Owner
from homeport.buildkit.llb.files import copy as copy_action
from homeport.buildkit.llb.marshal import marshal
from homeport.buildkit.llb.state import State
from homeport.buildkit.protocol.errors import BuildFailed
from homeport.buildkit.session.context_folder import Offer
from homeport.buildkit.solve import Build, Export, solve
from homeport.copying.command import Flags, copy
from homeport.copying.patterns import has_wildcard
from homeport.copying.resolve import clean
from homeport.copying.rooted import Rooted
from homeport.copying.sources import CopySource
from peers import test_copy_buildkit as builds
from peers.buildkit_engines import RunningEngine, running_in_chroot

pytestmark = [pytest.mark.peer("dockerd"), pytest.mark.root]


@pytest.fixture(scope="module")
def sid() -> Iterator[RunningEngine]:
    with running_in_chroot("sid", containerd_store=True) as engine:
        yield engine


@dataclass(frozen=True, kw_only=True)
class Case:
    """One COPY --parents of a tree into another."""

    source: str  # trees in the notation of tests/data/copy-cases.txt
    before: str
    words: tuple[str, ...]
    destination: str
    owner: int | None = None
    mode: int | None = None
    exclude: tuple[str, ...] = ()
    link: bool = False

    def flags(self) -> Flags:
        return Flags(
            parents=True,
            chown=b"" if self.owner is None else str(self.owner).encode(),
            chmod="" if self.mode is None else f"{self.mode:o}",
            exclude=tuple(pattern.encode() for pattern in self.exclude),
            link=self.link,
        )


# -- cases


def random_case(chance: random.Random) -> Case:
    source = ""
    while not source:  # an empty archive would be copied as the file it is
        source = ", ".join(builds.random_tree(chance))
    before = ", ".join(builds.random_tree(chance, depth=1))
    patterns = ["*.t", "**/*.md", "s", "s/*", "**/c.t", "r.t/**", "!p/a"]
    return Case(
        source=source,
        before=before,
        words=tuple(random_word(chance, entries(source)) for _ in range(chance.choice([1, 1, 2]))),
        destination=chance.choice(["/", "/p", "/p/", "/x", "/x/", "/x/y", "/q/z/", "/é/", "/s"]),
        owner=chance.choice([None, None, 7]),
        mode=chance.choice([None, None, None, 0o640, 0o755]),
        exclude=(chance.choice(patterns),) if chance.random() < 0.25 else (),
        link=chance.random() < 0.2,
    )


def random_word(chance: random.Random, tree: tuple[Entry, ...]) -> str:
    """A path of the tree, some parts of it wild, often with a pivot."""
    parts = chance.choice(tree).name.decode().split("/")
    wild = ["*", "?", "*.t", "[a-r]*", "[^p]", "?*", "**", "**"]
    found = [chance.choice(wild) if chance.random() < 0.3 else part for part in parts]
    if chance.random() < 0.6:
        found.insert(chance.randint(0, len(found)), ".")
    return chance.choice(["", "/", "./"]) + "/".join(found)


# -- both sides


def lowered(case: Case) -> State:
    """The case as the Dockerfile frontend lowers it (``dispatchCopy``)."""
    folder = sources.local("trees")
    source, before = (
        sources.scratch().file(copy_action(folder, f"/{name}.tar", "/", unpack=True))
        if tree else sources.scratch()
        for name, tree in (("source", case.source), ("before", case.before))
    )  # fmt: skip
    owner = None if case.owner is None else Owner(case.owner, case.owner)
    actions = []
    for word in case.words:
        left, pivot, right = word.partition("/./")
        if not pivot:
            left, right = "/", word
        actions.append(
            copy_action(
                source, "/" + "/".join(cleaned(left)), case.destination, owner=owner,
                mode=-1 if case.mode is None else case.mode, contents_only=True,
                follow_symlink=True, wildcard=True, allow_empty_wildcard=True,
                include=("/".join(cleaned(right)),), exclude=case.exclude,
            )
        )  # fmt: skip
    if case.link and case.mode is None:
        return sources.merge(before, sources.scratch().file(*actions))
    return before.file(*actions)


def cleaned(path: str) -> list[str]:
    return [name.decode() for name in clean(path.encode())]


def theirs(engine: RunningEngine, case: Case, folder: Path) -> dict[bytes, str] | str:
    folder.mkdir()
    for name, tree in (("source", case.source), ("before", case.before)):
        (folder / f"{name}.tar").write_bytes(table.archive(b"x.tar", entries(tree)))
    received = io.BytesIO()
    build = Build(
        definition=marshal(lowered(case)),
        folders={"trees": Offer(folder)},
        exports=(Export(type="tar", to=received),),
    )
    try:
        solve(engine.engine, build)
    except BuildFailed as error:
        return str(error)
    return builds.read_export(received.getvalue())


def copied(case: Case, source: Rooted | TreeFilesystem, target: Rooted | TreeFilesystem) -> str:
    """Ours into one home; the error, if that is how it ends."""
    words = [CopySource(source, word.encode()) for word in case.words]
    error = failure_of(lambda: copy(words, target, case.destination.encode(), case.flags()))
    return "" if error is None else str(error)


def in_a_directory(case: Case, folder: Path) -> dict[bytes, str] | str:
    paths = folder / "source", folder / "before"
    for path, tree in zip(paths, (case.source, case.before), strict=True):
        table.make_directory(path, entries(tree))
    source, target = Rooted(bytes(paths[0])), Rooted(bytes(paths[1]))
    try:
        error = copied(case, source, target)
    finally:
        source.close()
        target.close()
    return error or table.described(paths[1])


def in_a_tree(case: Case) -> dict[bytes, str] | str:
    source = TreeFilesystem(table.ENTRY, tree=table.make_tree(entries(case.source)))
    target = TreeFilesystem(table.ENTRY, tree=table.make_tree(entries(case.before)))
    return copied(case, source, target) or table.described_tree(target.freeze())


def difference(engine: RunningEngine, case: Case, folder: Path) -> str | None:
    folder.mkdir()
    mine, data = in_a_directory(case, folder), in_a_tree(case)
    answer = theirs(engine, case, folder / "trees")
    literal = not all(has_wildcard(word.encode()) for word in case.words)
    if isinstance(mine, str) and literal and "no such file" in mine and isinstance(data, str):
        return None  # engines before 0.26 said nothing of a literal word that is not there
    if isinstance(answer, str) and stumbles(answer, case):
        return None
    if isinstance(mine, str) or isinstance(answer, str) or isinstance(data, str):
        if isinstance(mine, str) and isinstance(answer, str) and isinstance(data, str):
            return None
        return f"{case}\n  we: {str(mine)[:200]}\n  as data: {str(data)[:200]}\n" + (
            f"  engine: {str(answer)[:400]}"
        )
    lines = differing(without_new(mine), "we", without_new(answer), "engine")
    lines += differing(data_times(data, mine), "as data", without_new(mine), "in a directory")
    return "\n".join([str(case), *lines]) if lines else None


def stumbles(answer: str, case: Case) -> bool:
    """The engine looks for what a link leads to as soon as there is a pattern or an exclusion."""
    if "failed to calculate checksum" in answer and answer.endswith("too many links"):
        return True
    missing = re.search(r'failed to calculate checksum.*"/(.*)": not found', answer)
    links = {e.name.decode() for e in entries(case.source) if e.kind == "symlink"}
    return missing is not None and missing[1] in links


def without_new(lines: dict[bytes, str]) -> dict[bytes, str]:
    return builds.without_new_times(lines, True)


def data_times(data: dict[bytes, str], real: dict[bytes, str]) -> dict[bytes, str]:
    """A tree as data, without times where a directory has the time of now."""
    new = {name for name, text in without_new(real).items() if " @" not in text}
    cut = {name: text.partition(" @")[0] if name in new else text for name, text in data.items()}
    return without_new(cut)


def differing(one: dict[bytes, str], who: str, other: dict[bytes, str], whom: str) -> list[str]:
    return [
        f"  {name.decode()}: {who} {one.get(name)}, {whom} {other.get(name)}"
        for name in sorted(one.keys() | other.keys())
        if one.get(name) != other.get(name)
    ]


def test_parents_and_pivots_come_out_as_buildkits_file_operations_do(
    sid: RunningEngine, tmp_path: Path
) -> None:
    print(f"HOMEPORT_SEED={builds.SEED} HOMEPORT_CASES={builds.CASES}")
    found = []
    for number in range(builds.CASES):
        case = random_case(random.Random(f"parents {builds.SEED} {number}"))
        text = difference(sid, case, tmp_path / f"case-{number}")
        if text is not None:
            found.append(f"{number}: {text}")
    assert not found, f"seed {builds.SEED}:\n" + "\n".join(found)
