"""Addresses are read as docs/formats/addresses.md says."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.content.digest import Digest
from homeport.errors import UsageError
from homeport.images.address import (
    ArchiveAddress,
    EngineAddress,
    FileAddress,
    LayoutAddress,
    RegistryAddress,
    StreamAddress,
    parse_destination,
    parse_source,
)
from homeport.oci.reference import parse_reference

HEX = "0123456789abcdef" * 4
DIGEST = Digest("sha256", HEX)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("debian", RegistryAddress(reference=parse_reference("docker.io/library/debian"))),
        ("docker://r.example/a:1", RegistryAddress(reference=parse_reference("r.example/a:1"))),
        ("localhost:5000/a", RegistryAddress(reference=parse_reference("localhost:5000/a"))),
        ("docker:5000/a", RegistryAddress(reference=parse_reference("docker:5000/a"))),
        ("oci:dir", LayoutAddress(path=Path("dir"))),
        ("oci:./a/b.oci:1.0", LayoutAddress(path=Path("a/b.oci"), tag="1.0")),
        ("oci:dir:r.example/a:1", LayoutAddress(path=Path("dir"), tag="r.example/a:1")),
        (f"oci:dir@{DIGEST}", LayoutAddress(path=Path("dir"), digest=DIGEST)),
        ("oci:/a b/ü:v1", LayoutAddress(path=Path("/a b/ü"), tag="v1")),
        ("oci:me@home", LayoutAddress(path=Path("me@home"))),
        (
            "oci-archive:x.tar:1",
            ArchiveAddress(format="oci-archive", path=Path("x.tar"), tag="1"),
        ),
        ("oci-archive:-", ArchiveAddress(format="oci-archive", path=None)),
        (
            "docker-archive:x.tar:copy:1",
            ArchiveAddress(
                format="docker-archive", path=Path("x.tar"), tag="docker.io/library/copy:1"
            ),
        ),
        (
            "docker-archive:x.tar:@2",
            ArchiveAddress(format="docker-archive", path=Path("x.tar"), position=2),
        ),
        ("docker-archive:-", ArchiveAddress(format="docker-archive", path=None)),
        (
            "docker-daemon:copy:1",
            EngineAddress(engine="docker-daemon", name="docker.io/library/copy:1"),
        ),
        (
            "containers-storage:localhost/copy",
            EngineAddress(engine="containers-storage", name="localhost/copy:latest"),
        ),
        (f"docker-daemon:sha256:{HEX}", EngineAddress(engine="docker-daemon", name=str(DIGEST))),
        ("docker-daemon:0123456789ab", EngineAddress(engine="docker-daemon", name=HEX[:12])),
        ("-", StreamAddress()),
    ],
)
def test_an_address_is_a_transport_and_a_place(text: str, address: object) -> None:
    assert parse_source(text) == address


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("", "the address is empty", None),
        ("./dir", "./dir: no such file or directory", None),
        ("/dev/null", "neither a layout nor an archive", None),
        ("~/dir", "no transport", "a directory is oci:~/dir"),
        ("https://r.example/a", "a URL", "write r.example/a"),
        ("http://r.example/a", "a URL", "write r.example/a --plain-http"),
        ("ftp://r.example/a", "unknown transport", "use one of docker://"),
        ("oci://r.example/a:1", "not a path", "for a registry, write docker://r.example/a:1"),
        ("docker:r.example/a:1", "does not fit", "for a registry, write docker://r.example/a:1"),
        ("registry:127.0.0.1:5/a", "", "for a registry, write docker://127.0.0.1:5/a"),
        (f"{DIGEST}", "a digest without a repository", f"write REPOSITORY@{DIGEST}"),
        ("oci:", "no path", None),
        ("oci:dir:", "empty tag", None),
        ("oci::tag", "no path", None),
        (f"oci:@{DIGEST}", "no path", None),
        ("oci:dir@sha256:12", "sha256 has 64 digits", None),
        ("oci:a\0b", "zero byte", None),
        ("docker-archive:x:@", "the number of an image", None),
        ("docker-archive:x:@-1", "the number of an image", None),
    ],
)
def test_text_that_is_no_address_is_a_usage_error(text: str, says: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        parse_source(text)
    assert says in caught.value.what
    assert hint is None or hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "column"),
    [("docker://r.example/A", 20), ("docker-archive:x.tar:copy:+", 27), ("docker-daemon:A:", 15)],
)
def test_an_error_inside_an_address_points_at_the_character(text: str, column: int) -> None:
    with pytest.raises(UsageError) as caught:
        parse_source(text)
    assert caught.value.where == {"reference": text, "column": column}


@pytest.mark.parametrize("text", ["copy", "team/copy:1", "docker://team/copy:1"])
def test_a_destination_without_a_registry_is_refused_and_spelt_out(text: str) -> None:
    with pytest.raises(UsageError, match="names no registry") as caught:
        parse_destination(text)
    assert "write docker://docker.io/" in (caught.value.hint or "")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "text",
    ["docker.io/team/copy", "localhost/copy", "oci:x", "oci-archive:x:1", "docker-archive:x", "-"],
)
def test_other_destinations_are_read_like_sources(text: str) -> None:
    assert parse_destination(text) == parse_source(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("docker-daemon:copy", "can be read, not written"),
        ("containers-storage:copy", "can be read, not written"),
        (f"oci:x@{DIGEST}", "use a tag, not a digest"),
        ("docker-archive:x:@0", "use a tag, not a position"),
        ("oci:x:ünicode", "unexpected 'ü' (character 7)"),
        ("oci-archive:x:a b", "unexpected ' ' (character 16)"),
        ("oci:x:a..b", "unexpected '.' (character 8)"),
    ],
)
def test_what_cannot_be_written_to_is_a_usage_error(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_destination(text)
    assert says in caught.value.what


@pytest.mark.parametrize(
    "text",
    [
        "docker://r.example/a:1", "oci:dir", "oci:dir:1", f"oci:dir@{DIGEST}", "oci-archive:-:1",
        "docker-archive:x:docker.io/library/copy:1", "docker-archive:x:@2", "-",
        "docker-daemon:r.example/a:1",
    ],
)  # fmt: skip
def test_an_address_prints_as_it_is_written(text: str) -> None:
    assert str(parse_source(text)) == text


@given(st.text(max_size=40), st.sampled_from(["", "oci:", "docker-archive:", "docker-daemon:"]))
def test_any_text_is_an_address_or_a_usage_error(text: str, scheme: str) -> None:
    try:
        address = parse_source(scheme + text)
    except UsageError:
        return
    assert parse_source(str(address)) == address


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a layout, an archive, and things that are neither, to work in."""
    for layout in ("app.oci", "team/app"):
        (tmp_path / layout).mkdir(parents=True)
        (tmp_path / layout / "oci-layout").write_text("{}")
    (tmp_path / "debian").mkdir()  # of a package's source
    (tmp_path / "app.tar").write_bytes(b"\0" * 257 + b"ustar" + b"\0" * 250)
    (tmp_path / "app.tgz").write_bytes(b"\x1f\x8b...")
    (tmp_path / "alpine").write_text("text")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("app.oci", LayoutAddress(path=Path("app.oci"))),
        ("app.oci:1.0", LayoutAddress(path=Path("app.oci"), tag="1.0")),
        ("./app.oci:1.0", LayoutAddress(path=Path("app.oci"), tag="1.0")),
        ("./team/app", LayoutAddress(path=Path("team/app"))),
        ("app.tar", FileAddress(path=Path("app.tar"))),
        ("./app.tgz", FileAddress(path=Path("app.tgz"))),
        ("debian", RegistryAddress(reference=parse_reference("debian"))),
        ("alpine", RegistryAddress(reference=parse_reference("alpine"))),
        ("docker://app.oci/x", RegistryAddress(reference=parse_reference("app.oci/x"))),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_path_is_an_address_where_it_is_nothing_else(text: str, address: object) -> None:
    assert parse_source(text) == address
    assert parse_source(str(address)) == address


@pytest.mark.usefixtures("folder")
def test_a_path_that_could_be_a_name_is_an_error_with_both_spellings() -> None:
    with pytest.raises(UsageError, match="is a path here and also the name of an image") as caught:
        parse_source("team/app")
    assert caught.value.hint == "write ./team/app or docker://team/app"
    assert parse_source("docker://team/app")


def test_a_path_that_is_no_image_is_an_error(folder: Path) -> None:
    for text in ("./debian", str(folder / "alpine")):
        with pytest.raises(UsageError, match="neither a layout nor an archive"):
            parse_source(text)


def test_a_directory_without_an_image_says_what_can_be_done_with_it(folder: Path) -> None:
    with pytest.raises(UsageError, match="neither a layout nor an archive") as caught:
        parse_source("./debian")
    assert caught.value.hint is not None
    assert caught.value.hint.endswith("audit its files: homeport audit ./debian")
    (folder / "debian/homeport.yaml").write_text("homeport: 1")
    with pytest.raises(UsageError) as caught:
        parse_source("./debian")
    assert str(caught.value.hint).endswith("build its image: homeport build ./debian")


@pytest.mark.parametrize("name", ["gone.tar", "out/gone.tar.gz", "gone.tgz"])
def test_a_name_of_an_archive_that_is_not_here_is_looked_for_in_no_registry(name: str) -> None:
    with pytest.raises(UsageError, match="no such file or directory") as caught:
        parse_source(name)
    assert caught.value.hint
    assert f"docker://docker.io/{name}" in caught.value.hint
    assert parse_source(f"docker://docker.io/{name}")
    assert parse_source(f"registry.example/{name}")


def test_a_damaged_archive_by_its_name_is_looked_for_in_no_registry(folder: Path) -> None:
    (folder / "bad.tar").write_bytes(b"x" * 600)
    with pytest.raises(UsageError, match="neither a layout nor an archive"):
        parse_source("bad.tar")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("foo.tar", "for a file, write oci-archive:foo.tar or docker-archive:foo.tar"),
        ("foo.tgz", "for a file, write oci-archive:foo.tgz or docker-archive:foo.tgz"),
        ("foo.oci", "for a directory, write oci:foo.oci"),
        ("docker:foo", "for docker or podman, use build --load, or write docker-archive:FILE"),
        ("ocidir:a/b", "for a directory, write oci:a/b"),
    ],
)
def test_a_destination_in_the_words_of_other_tools_gets_the_right_ones(
    text: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        parse_destination(text)
    assert (caught.value.hint or "").startswith(hint)


def test_a_destination_is_never_looked_up() -> None:
    with pytest.raises(UsageError, match="names no registry") as caught:
        parse_destination("app.tar")
    assert (caught.value.hint or "").startswith(
        "for a file, write oci-archive:app.tar or docker-archive:app.tar; "
    )
    with pytest.raises(UsageError, match="no transport"):
        parse_destination("./app.oci")
