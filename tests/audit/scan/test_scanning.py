"""Walking and reading: bounds, links, binaries, what cannot be read, and whatever is hostile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.audit import every_case, lay_out, read_case
from homeport.audit.reading.context import Context
from homeport.audit.reading.programs import ALWAYS
from homeport.audit.reading.tree_files import LARGEST
from homeport.audit.scan.file_types import KINDS, kinds_of
from homeport.audit.scan.scanning import read_source, scan
from homeport.audit.source import Source, Written


def found(root: Path, *paths: str) -> list[str]:
    return [use.place.file for use in scan(paths or ["."], root=root).uses]


def test_files_are_read_once_and_in_order(tmp_path: Path) -> None:
    lay_out({"b/Dockerfile": "FROM b\n", "a/Dockerfile": "FROM a\n"}, tmp_path)
    assert found(tmp_path, "b", ".", "a/Dockerfile") == ["a/Dockerfile", "b/Dockerfile"]


def test_links_to_folders_are_not_entered(tmp_path: Path) -> None:
    lay_out({"a/Dockerfile": "FROM a\n"}, tmp_path)
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "Dockerfile").symlink_to("/dev/zero")
    assert found(tmp_path) == ["a/Dockerfile"]


def test_other_peoples_folders_are_left_out(tmp_path: Path) -> None:
    lay_out({"node_modules/x/Dockerfile": "FROM a\n", ".git/Dockerfile": "FROM b\n"}, tmp_path)
    assert found(tmp_path) == []


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "Dockerfile")
    assert found(tmp_path) == []


def test_binary_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_bytes(b"FROM a\0\n")
    assert found(tmp_path) == []


def test_a_huge_file_is_named_and_left_out(tmp_path: Path) -> None:
    with (tmp_path / "Dockerfile").open("wb") as stream:
        stream.truncate(LARGEST + 1)
    result = scan(["."], root=tmp_path)
    assert [(u.file, "larger" in u.what) for u in result.unread] == [("Dockerfile", True)]


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = scan(["nowhere"], root=tmp_path)
    assert [(u.file, u.what) for u in result.unread] == [("nowhere", "No such file or directory")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    lay_out({"a/Dockerfile": "FROM a\n", "b/Dockerfile": "FROM b\n"}, tmp_path)
    (tmp_path / "a").chmod(0)
    try:
        result = scan(["."], root=tmp_path)
    finally:
        (tmp_path / "a").chmod(0o755)
    assert [u.file for u in result.unread] == ["a"]
    assert [u.place.file for u in result.uses] == ["b/Dockerfile"]


def test_nothing_outside_the_tree_is_opened(tmp_path: Path) -> None:
    root = tmp_path / "root"
    lay_out({"Dockerfile": "FROM secret\n"}, tmp_path / "outside")
    lay_out({"compose.yaml": "services: {a: {build: ../outside}}\n"}, root)
    (root / "link").symlink_to(tmp_path / "outside")
    lay_out({"x/compose.yaml": "services: {a: {build: ../link}}\n"}, root)
    assert found(root) == []


def test_an_excluded_path_is_not_read(tmp_path: Path) -> None:
    lay_out({"vendor/x/Dockerfile": "FROM a\n", "Dockerfile": "FROM b\n"}, tmp_path)
    result = scan(["."], root=tmp_path, exclude=["vendor/*"])
    assert [u.place.file for u in result.uses] == ["Dockerfile"]


def test_the_audit_can_be_stopped_between_files(tmp_path: Path) -> None:
    lay_out({"Dockerfile": "FROM a\n"}, tmp_path)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(["."], root=tmp_path, check=stop)


def test_every_row_of_kinds_has_a_reader() -> None:
    from homeport.audit.scan.file_types import reader_of

    for kind in KINDS:
        assert callable(reader_of(kind))


NAMES = sorted({name for path in every_case() for name in read_case(path).files})
BODIES = [body.encode() for path in every_case() for body in read_case(path).files.values()]


@settings(deadline=None, max_examples=250)
@given(st.sampled_from(NAMES), st.sampled_from(BODIES), st.data())
def test_a_damaged_file_never_stops_the_audit(name: str, body: bytes, data: st.DataObject) -> None:
    """Any file of the corpus under any name, with a piece cut out, doubled or replaced."""
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(len(body), start + 40)))
    middle = data.draw(st.sampled_from([b"", body[start:end] * 2, b"\xff", b"{{", b"\n\t", b"'"]))
    damaged = body[:start] + middle + body[end:]
    collector = read_source(Source(name, damaged), Context(Path("/nonexistent")))
    for use in collector.uses if collector else []:
        assert 0 <= use.place.start <= use.place.end <= len(damaged)
        if use.exact:
            raw = damaged[use.place.start : use.place.end]
            assert raw.decode("utf-8", "surrogateescape") == use.expression


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(NAMES), st.text(max_size=200))
def test_any_text_under_any_name_is_read(name: str, text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    for kind, _ in kinds_of(name, ALWAYS):
        from homeport.audit.reading.collector import Collector
        from homeport.audit.scan.file_types import reader_of

        source = Source(name, data)
        reader_of(kind)(source, Collector(source, kind.name), Context(Path("/nonexistent")))


@given(st.text(max_size=80), st.integers(0, 80), st.integers(0, 80))
def test_places_convert_between_characters_and_bytes(text: str, start: int, end: int) -> None:
    text = text.encode("utf-8", "replace").decode()
    start, end = min(start, len(text)), min(end, len(text))
    if start > end:
        return
    place = Source("x", text.encode()).place(start, end)
    assert text.encode()[place.start : place.end].decode() == text[start:end]
    assert text.split("\n")[place.line - 1][place.column - 1 :].startswith(
        text[start:end].split("\n")[0]
    )


def test_a_part_of_a_block_scalar_knows_its_line() -> None:
    from homeport.audit.formats.yaml import documents, get, written
    from homeport.audit.reading.collector import Collector

    source = Source("x.yml", "é: 1\na: |\n    one\n\n      two\n".encode())
    (node,) = documents(source, Collector(source, "x"))
    value = get(node, "a")
    assert value is not None
    block: Written = written(source, value)
    part = block.part(block.text.index("two"), block.text.index("two") + 3)
    assert part.exact
    assert source.data[part.place.start : part.place.end] == b"two"
    assert part.place.line == 5
