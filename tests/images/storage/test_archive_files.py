"""Archives are listed once and read in place; no name and no link leads out of them."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders.archives import tar
from builders.runtime import runtime
from homeport.errors import HomeportError, TooLarge
from homeport.images.image import Missing
from homeport.images.storage import archive_files
from homeport.images.storage.archive_files import open_archive
from homeport.images.storage.files import BadLayout


def read(path: Path, name: str, offset: int = 0) -> bytes:
    with open_archive(path, runtime()) as files, files.open(name, offset) as stream:
        return stream.read()


def test_files_are_read_from_any_offset_and_side_by_side(tmp_path: Path) -> None:
    path = tar(tmp_path / "x", {"./a": b"0123456789", "b/c": b"abc"})
    with open_archive(path, runtime()) as files:
        assert files.names == ["a", "b/c"]
        assert (files.size("a"), files.size("b/c"), files.size("d")) == (10, 3, None)
        with files.open("a", 3) as one, files.open("a") as two, files.open("b/c", 99) as end:
            assert [one.read(2), two.read(4), one.read(), end.read()] == [
                b"34", b"0123", b"56789", b"",
            ]  # fmt: skip


def test_an_archive_may_come_through_a_pipe_with_a_name(tmp_path: Path) -> None:
    whole = tar(tmp_path / "x", {"a": b"content"}, "w:gz").read_bytes()
    reading, writing = os.pipe()
    os.write(writing, whole)
    os.close(writing)
    try:
        assert read(Path(f"/dev/fd/{reading}"), "a") == b"content"
    finally:
        os.close(reading)


def test_links_are_followed_inside_the_archive(tmp_path: Path) -> None:
    members = {"a/layer.tar": b"content", "b/layer.tar": "../a/layer.tar", "c": "=b/layer.tar"}
    path = tar(tmp_path / "x", members)
    assert read(path, "b/layer.tar") == b"content"
    assert read(path, "c") == b"content"


@pytest.mark.parametrize(
    "members",
    [
        {"../x": b""},
        {"a/../../x": b""},
        {"a": "../x"},
        {"a": "/etc/passwd"},
        {"a/b": "../../etc/passwd"},
        {"a": "=../x"},
        {"a": "=/etc/passwd"},
    ],
)
def test_a_name_or_link_that_leads_out_is_refused(members, tmp_path: Path) -> None:
    path = tar(tmp_path / "x", members)
    with pytest.raises(BadLayout, match="is outside the archive"), open_archive(path, runtime()):
        pass


def test_a_slash_in_front_of_a_name_counts_for_nothing(tmp_path: Path) -> None:
    """Buildpacks' pack writes such names, and docker load reads them."""
    assert read(tar(tmp_path / "x", {"/x": b"content"}), "x") == b"content"


def test_links_in_a_circle_lead_nowhere(tmp_path: Path) -> None:
    path = tar(tmp_path / "x", {"a": "b", "b": "a"})
    with pytest.raises(BadLayout, match="form a circle"):
        read(path, "a")


def test_a_document_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with tarfile.open(path, "w") as archive:
        for data in (b"one", b"two"):
            member = tarfile.TarInfo("index.json")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    with pytest.raises(BadLayout, match=r"holds index.json twice"), open_archive(path, runtime()):
        pass


def test_devices_pipes_and_folders_are_no_files(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with tarfile.open(path, "w") as archive:
        for name, kind in (("a", tarfile.CHRTYPE), ("b", tarfile.FIFOTYPE), ("c", tarfile.DIRTYPE)):
            member = tarfile.TarInfo(name)
            member.type = kind
            archive.addfile(member)
    with open_archive(path, runtime()) as files:
        assert files.names == []
        with pytest.raises(Missing):
            files.open("a")


def test_an_archive_cut_anywhere_is_damaged_or_ends_before_a_member(tmp_path: Path) -> None:
    whole = tar(tmp_path / "x", {"a": b"1" * 700, "b": b"2"}).read_bytes()
    cut = tmp_path / "cut"
    for length in [*range(1, 3000, 97), 512, 1024, 1536, 2048, 2560]:
        cut.write_bytes(whole[:length])
        try:
            with open_archive(cut, runtime()) as files:
                names = files.names
        except BadLayout as error:
            assert str(cut) in error.what  # noqa: PT017  either is right
        else:
            assert length in (1536, 2048 + 512, 2560 + 512) or length > 3072 - 512, length
            assert names == (["a"] if length <= 1536 else ["a", "b"])


def test_a_huge_member_costs_nothing_to_step_over(tmp_path: Path) -> None:
    path = tmp_path / "x"
    size = 40 << 30
    with path.open("wb") as stream:
        member = tarfile.TarInfo("layer")
        member.size = size
        stream.write(member.tobuf(tarfile.GNU_FORMAT))
        stream.seek(size, os.SEEK_CUR)
        last = tarfile.TarInfo("index.json")
        last.size = 2
        stream.write(last.tobuf() + b"{}".ljust(512, b"\0") + bytes(1024))
    assert read(path, "index.json") == b"{}"


def test_members_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_files, "MEMBER_LIMIT", 3)
    path = tar(tmp_path / "x", dict.fromkeys("abcd", b""))
    with pytest.raises(TooLarge, match="more than 3 members"), open_archive(path, runtime()):
        pass


def test_what_a_compressed_archive_unfolds_to_is_bounded_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_files, "SPOOL_LIMIT", 1 << 20)
    path = tar(tmp_path / "x", {"a": bytes(3 << 20)}, "w:gz")
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spool))
    with (
        pytest.raises(TooLarge, match=r"decompresses to more than 1\.05 MB"),
        open_archive(path, runtime()),
    ):
        pass
    assert list(spool.iterdir()) == []


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=2000) | st.binary(max_size=200).map(lambda data: data * 10))
def test_any_bytes_are_an_archive_or_an_error_of_ours(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    try:
        with open_archive(path, runtime()) as files:
            assert isinstance(files.names, list)
    except HomeportError as error:
        assert str(path) in f"{error.what}{error.where}"  # noqa: PT017  either is right
