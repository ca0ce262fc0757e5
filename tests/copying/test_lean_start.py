"""The start of the helper is its product: what a plain copy loads is frozen here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SOURCE = str(Path(__file__).parents[2] / "src")

SHOW = """
import sys
before = set(sys.modules)
sys.path.insert(0, {source!r})
from homeport.copying.helper import main
code = main(sys.argv[1:])
assert code == 0, code
print("\\n".join(sorted(set(sys.modules) - before)))
"""

PLAIN = {
    "errno",
    "homeport",
    "homeport.copying",
    "homeport.copying.engine",
    "homeport.copying.errors",
    "homeport.copying.metadata",
    "homeport.copying.helper",
    "homeport.copying.resolve",
    "homeport.copying.rooted",
    "homeport.copying.rules",
    "homeport.copying.sources",
    "posix",
    "_signal",
}
UNPACK = PLAIN | {
    "homeport.copying.codecs",
    "homeport.copying.tarstream",
    "homeport.copying.transfer",
    "homeport.copying.unpack",
}


def loaded(directory: Path, *arguments: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-ISB", "-c", SHOW.format(source=SOURCE), *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(run.stdout.split())


def test_a_plain_copy_loads_nothing_but_the_engine(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    assert loaded(tmp_path, "a", "b") <= PLAIN


def test_a_tree_and_an_owner_by_number_load_a_module_each(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_text("x")
    expected = PLAIN | {"homeport.copying.accounts", "homeport.copying.tree_copy"}
    assert loaded(tmp_path, f"--chown={os.getuid()}:{os.getgid()}", "d", "e") <= expected


def test_wildcards_load_the_patterns(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    expected = PLAIN | {"homeport.copying.wildcards", "homeport.copying.patterns"}
    assert loaded(tmp_path, "a*", "d/") <= expected


def test_unpacking_a_plain_tar_loads_no_decompressor(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    subprocess.run(["tar", "-cf", "a.tar", "a"], cwd=tmp_path, check=True)
    assert loaded(tmp_path, "--unpack", "a.tar", "d/") <= UNPACK
    assert (tmp_path / "d" / "a").read_text() == "x"


def test_each_compression_loads_its_own_library(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    for option, library in (("-z", "zlib"), ("-j", "_bz2"), ("-J", "_lzma")):
        subprocess.run(["tar", option, "-cf", "a.tar", "a"], cwd=tmp_path, check=True)
        assert loaded(tmp_path, "--unpack", "a.tar", "d/") <= UNPACK | {library}


def test_the_documented_modules_are_those_that_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    text = (Path(__file__).parents[2] / "docs" / "copy.md").read_text(encoding="utf-8")
    block = text.split("```modules\n")[1].split("```")[0]
    documented = {k: set(v.split()) for k, _, v in (s.partition(":") for s in block.splitlines())}
    options = {"tar": [], "gzip": ["-z"], "bzip2": ["-j"], "xz": ["-J"], "zstd": ["--zstd"]}
    assert documented.pop("plain") == set()
    assert set(documented) == set(options)
    for name, modules in documented.items():
        subprocess.run(["tar", *options[name], "-cf", "a.tar", "a"], cwd=tmp_path, check=True)
        found = loaded(tmp_path, "--rules=current", "--unpack", "a.tar", "d/")
        assert found - UNPACK - FROZEN == modules


#: Frozen into the interpreter, so no files of the image: what ctypes loads of them.
FROZEN = {"_collections_abc", "_stat", "genericpath", "os", "os.path", "posixpath", "stat"}


def test_the_count_of_cases_in_the_docs_is_right() -> None:
    root = Path(__file__).parents[2]
    table = (root / "tests" / "data" / "copy-cases.txt").read_text(encoding="utf-8")
    cases = table.count("\n### ")
    with_go = sum(line.startswith("proof:") and "Go tool" in line for line in table.splitlines())
    docs = (root / "docs" / "copy.md").read_text(encoding="utf-8")
    assert f"| {cases}, of which {with_go} were also run with the Go tool |" in docs
