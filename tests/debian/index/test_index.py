"""Package indexes: cached once, read stanza by stanza, several suites as one."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.content.blob import BytesBlob
from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.debian.index.index import IndexPart, MergedIndex, PackedIndex, open_index, pack_index
from homeport.debian.index.stanzas import index_text
from homeport.debian.listed_file import ListedFile
from homeport.errors import IntegrityError, TooLarge
from homeport.progress import CancelToken


def stanza(name: str, version: str = "1", architecture: str = "amd64", **fields: str) -> str:
    more = "".join(f"{key.replace('_', '-').title()}: {value}\n" for key, value in fields.items())
    return (
        f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n{more}"
        f"Filename: pool/{name}_{version}.deb\nSize: 1\nSHA256: {'ab' * 32}\n"
    )


def entry(data: bytes, path: str = "main/binary-amd64/Packages") -> ListedFile:
    return ListedFile(path=path, digest=Digest.of(data), size=len(data))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def packed(store: Store, *stanzas: str) -> PackedIndex:
    text = "\n".join(stanzas).encode()
    return pack_index(BytesBlob(text), entry(text), entry(text), store, CancelToken())


def merged(store: Store, *stanzas: str) -> MergedIndex:
    part = IndexPart(packed=packed(store, *stanzas), archive="debian", suite="trixie")
    return MergedIndex("amd64", [part])


def test_a_package_is_found_by_its_name_only(store: Store) -> None:
    index = merged(store, stanza("a"), stanza("ab"), stanza("b"), stanza("a.b"), stanza("a-b"))
    for name in ("a", "ab", "b", "a.b", "a-b"):
        assert [package.name for package in index.named(name)] == [name]
    for name in ("", "A", "aa", "c", "a ", "a\t", "0"):
        assert index.named(name) == ()


def test_a_name_may_have_several_versions_and_the_highest_comes_first(store: Store) -> None:
    index = merged(store, stanza("a", "1.9"), stanza("b"), stanza("a", "1.10"), stanza("a", "1.2"))
    assert [package.id.version for package in index.named("a")] == ["1.10", "1.9", "1.2"]


def test_stanzas_come_out_as_they_were_received(store: Store) -> None:
    text = stanza("a", description="short\n more\n .\n text")
    assert merged(store, text).named("a")[0].stanza.decode() == text.rstrip("\n")


def test_providers_are_found_with_or_without_a_version(store: Store) -> None:
    index = merged(
        store,
        stanza("mawk", provides="awk"),
        stanza("gawk", provides="x (= 1),awk (= 2),  y:any , awk"),
        stanza("awkward", depends="awk"),
        stanza("awk"),
    )
    assert [package.name for package in index.providers("awk")] == ["gawk", "mawk"]
    assert [package.name for package in index.providers("y")] == ["gawk"]
    assert [package.name for package in index.named("awk")] == ["awk"]
    assert index.providers("gawk") == ()


def test_only_versions_that_provide_it_are_providers(store: Store) -> None:
    index = merged(store, stanza("a", "1"), stanza("a", "2", provides="v"))
    assert [package.id.version for package in index.providers("v")] == ["2"]


def test_packages_of_other_architectures_are_not_offered(store: Store) -> None:
    index = merged(store, stanza("a", architecture="arm64"), stanza("b", architecture="all"))
    assert index.named("a") == ()
    assert index.named("b")


def test_a_package_in_two_suites_counts_once_as_the_first_has_it(store: Store) -> None:
    main = IndexPart(
        packed=packed(store, stanza("a"), stanza("b")), archive="debian", suite="trixie"
    )
    security = IndexPart(
        packed=packed(store, stanza("a"), stanza("b", "2")),
        archive="debian-security",
        suite="trixie-security",
    )
    index = MergedIndex("amd64", [main, security])
    assert [(p.suite, p.id.version) for p in index.named("a")] == [("trixie", "1")]
    assert [(p.suite, p.id.version) for p in index.named("b")] == [
        ("trixie-security", "2"),
        ("trixie", "1"),
    ]


def test_near_names_help_with_a_misspelt_one(store: Store) -> None:
    index = merged(store, stanza("libssl3t64"), stanza("libc6"), stanza("zlib1g"))
    assert index.near_names("libssl3") == ("libssl3t64",)
    assert index.near_names("zlib") == ("zlib1g",)
    assert index.near_names("quux") == ()


def test_a_cached_index_is_opened_by_the_digest_of_its_text(store: Store) -> None:
    text = stanza("a").encode()
    xz = lzma.compress(text)
    form = entry(xz, "main/binary-amd64/Packages.xz")
    assert open_index(Digest.of(text), store) is None
    pack_index(BytesBlob(xz), form, entry(text), store, CancelToken())
    found = open_index(Digest.of(text), store)
    assert found is not None
    assert found.stanzas("a") == [text.rstrip(b"\n")]


def test_many_frames_are_one_index(store: Store) -> None:
    names = [f"package-{number:05}" for number in range(3000)]
    index = merged(store, *(stanza(name, description="x" * 200) for name in names))
    for name in (*names[::251], names[-1]):
        assert [package.name for package in index.named(name)] == [name]


def test_damaged_frames_are_noticed_and_not_believed(store: Store) -> None:
    index = merged(store, stanza("a"))
    frames = index.parts[0].packed.frames.path
    data = bytearray(frames.read_bytes())
    data[-1] ^= 1
    frames.write_bytes(data)
    with pytest.raises(IntegrityError, match="cached package index is damaged"):
        index.named("a")


def test_a_damaged_table_is_made_again(store: Store) -> None:
    text = stanza("a").encode()
    packed(store, stanza("a"))
    for path in (store.root / "blobs" / "sha256").iterdir():
        data = path.read_bytes()
        if data.startswith(b"a\t"):
            path.write_bytes(data.replace(b"a", b"b"))
    assert open_index(Digest.of(text), store) is None


@pytest.mark.parametrize(
    "text", ["Version: 1\n", "Package:\nVersion: 1\n", "Package: two words\n", "<html>\n"]
)
def test_a_stanza_that_names_no_package_is_refused(store: Store, text: str) -> None:
    with pytest.raises(IntegrityError, match="names no package"):
        packed(store, stanza("a"), text)
    assert list(store.root.glob("answers/**/*.json")) == []


def test_an_empty_index_has_no_packages(store: Store) -> None:
    assert merged(store).named("a") == ()


TEXT = "\n".join(stanza(f"p{number}") for number in range(500)).encode()
FORMS = {
    "Packages": TEXT,
    "Packages.gz": gzip.compress(TEXT),
    "Packages.xz": lzma.compress(TEXT),
}
TWO_MEMBERS = {
    "Packages.gz": gzip.compress(TEXT[:999]) + gzip.compress(TEXT[999:]),
    "Packages.xz": lzma.compress(TEXT[:999]) + lzma.compress(TEXT[999:]),
}


def read(path: str, data: bytes, plain: ListedFile | None) -> bytes:
    blocks = index_text(BytesBlob(data), entry(data, path), plain, CancelToken())
    return b"".join(blocks)


@pytest.mark.parametrize(
    ("path", "data"), [*FORMS.items(), *TWO_MEMBERS.items()], ids=[*FORMS, "gz twice", "xz twice"]
)
def test_every_form_gives_the_same_text(path: str, data: bytes) -> None:
    assert read(path, data, entry(TEXT)) == TEXT
    assert read(path, data, None) == TEXT


@pytest.mark.parametrize("path", ["Packages.gz", "Packages.xz"])
def test_a_form_that_is_cut_or_broken_inside_is_refused(path: str) -> None:
    for data in (FORMS[path][:-9], FORMS[path][: len(FORMS[path]) // 2], b"junk" + FORMS[path]):
        with pytest.raises(IntegrityError):
            read(path, data, None)


def test_text_that_is_not_what_the_release_vouches_for_is_refused() -> None:
    with pytest.raises(IntegrityError, match="unpacks to"):
        read("Packages.xz", FORMS["Packages.xz"], entry(TEXT[:-1] + b"x"))
    with pytest.raises(IntegrityError, match="unpacks to"):
        read("Packages.xz", lzma.compress(TEXT[:-1]), entry(TEXT))


def test_an_index_that_unpacks_to_more_than_it_may_is_stopped() -> None:
    bomb = lzma.compress(bytes(50 << 20))
    with pytest.raises(TooLarge, match=r"more than 1\.00 kB"):
        read("Packages.xz", bomb, ListedFile(path="Packages", digest=Digest.of(b""), size=1000))


def test_what_is_not_the_vouched_for_file_is_never_unpacked_to_the_end() -> None:
    data = FORMS["Packages.gz"]
    other = ListedFile(path="Packages.gz", digest=Digest.of(b"other"), size=len(data))
    with pytest.raises(IntegrityError):
        b"".join(index_text(BytesBlob(data), other, None, CancelToken()))


names = st.from_regex(r"[a-z0-9][a-z0-9+.-]{0,6}", fullmatch=True)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, st.lists(names, max_size=3), max_size=25))
def test_whatever_was_listed_is_found_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, wanted: dict[str, list[str]]
) -> None:
    store = Store(tmp_path_factory.mktemp("cache"))
    index = packed(
        store, *(stanza(name, provides=", ".join(virtual)) if virtual else stanza(name)
                 for name, virtual in wanted.items())
    )  # fmt: skip
    everything = {*wanted, *(virtual for group in wanted.values() for virtual in group), "zzz"}
    for name in everything:
        assert len(index.stanzas(name)) == (name in wanted)
        assert set(index.providers(name)) == {
            owner for owner, virtual in wanted.items() if name in virtual
        }
    assert list(index.names()) == sorted(wanted)
