"""Where an archive is looked for, in which order; and what a mirror is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from builders.archive import serve
from builders.net import quick_client
from builders.opening import World
from homeport.content.digest import Digest
from homeport.debian.archive.apt_sources import AptSource, AptSources
from homeport.debian.archive.mirror import (
    DirectoryMirror,
    ExpectedFile,
    HttpMirror,
    MirrorUnreachable,
    NotOnMirror,
    open_mirror,
)
from homeport.debian.archive.mirror_list import (
    PUBLIC,
    SNAPSHOTS,
    MirrorAddress,
    Mirrors,
    MirrorSources,
    NoMirror,
    mirror_addresses,
    open_mirrors,
)
from homeport.errors import IntegrityError, TooLarge, UsageError
from homeport.net.credentials import netrc_provider


def apt(*entries: tuple[str, str]) -> AptSources:
    return AptSources(
        sources=tuple(
            AptSource(
                uris=(uri,), suites=tuple(suites.split()), components=("main",),
                architectures=(), signed_by="", file="x.sources", line=1,
            )
            for uri, suites in entries
        )
    )  # fmt: skip


MACHINE = apt(
    ("http://apt.example/debian", "bookworm bookworm-updates"),
    ("http://apt.example/debian-security", "bookworm-security"),
    ("http://ubuntu.example/ubuntu", "noble"),
    ("cdrom:[Debian]/", "bookworm"),
)
EVERYBODY = MirrorSources(
    option=["http://option.example/debian"],
    environment={"HOMEPORT_DEBIAN_MIRROR": "http://environment.example/debian"},
    configured={"debian": ["http://configured.example/debian"]},
    recipe={"debian": ["http://recipe.example/debian"]},
    apt=MACHINE,
)


def hosts(archive: str, sources: MirrorSources) -> list[str]:
    return [address.text.split("/")[2] for address in mirror_addresses(archive, sources)]


def without(sources: MirrorSources, *names: str) -> MirrorSources:
    fields = {
        name: getattr(sources, name)
        for name in ("option", "environment", "configured", "recipe", "apt")
        if name not in names
    }
    return MirrorSources(**fields)


def test_a_mirror_named_for_this_run_is_the_only_one() -> None:
    assert hosts("debian", EVERYBODY) == ["option.example"]


def test_otherwise_all_that_are_named_are_asked_in_the_documented_order() -> None:
    assert hosts("debian", without(EVERYBODY, "option", "environment")) == [
        "configured.example",
        "recipe.example",
        "apt.example",
    ]


def test_the_public_mirror_is_asked_only_when_nobody_names_another() -> None:
    assert hosts("debian", MirrorSources(apt=MACHINE)) == ["apt.example"]
    assert [address.text for address in mirror_addresses("debian", MirrorSources())] == [
        PUBLIC["debian"]
    ]
    assert mirror_addresses("debian", MirrorSources())[0].configured_by == "the public mirror"


def test_the_machines_mirror_serves_suites_that_the_machine_does_not_name() -> None:
    # The machine is a bookworm; the recipe's trixie is looked for on the same mirror.
    assert hosts("debian", MirrorSources(apt=MACHINE)) == ["apt.example"]
    assert [a.text for a in mirror_addresses("debian-security", MirrorSources(apt=MACHINE))] == [
        "http://apt.example/debian-security"
    ]


def test_who_names_a_mirror_of_debian_means_its_security_archive_beside_it() -> None:
    sources = MirrorSources(
        environment={"HOMEPORT_DEBIAN_MIRROR": "http://m.example/debian/"}, apt=MACHINE
    )
    assert [address.text for address in mirror_addresses("debian-security", sources)] == [
        "http://m.example/debian-security",
        "http://apt.example/debian-security",
    ]


def test_the_variable_is_exclusive_as_the_option_is() -> None:
    assert hosts("debian", without(EVERYBODY, "option")) == ["environment.example"]


def test_archives_are_told_apart_by_name() -> None:
    sources = MirrorSources(
        option=["debian-security=http://s.example", "vendor=/srv/vendor", "/srv/debian", "/srv/2"],
        environment={"HOMEPORT_VENDOR_MIRROR": "http://other.example"},
    )
    assert [a.text for a in mirror_addresses("debian", sources)] == ["/srv/debian", "/srv/2"]
    assert [a.text for a in mirror_addresses("debian-security", sources)] == ["http://s.example"]
    assert [a.text for a in mirror_addresses("vendor", sources)] == ["/srv/vendor"]


def test_a_variable_may_name_several_and_each_place_is_asked_once() -> None:
    sources = MirrorSources(
        environment={"HOMEPORT_DEBIAN_MIRROR": "http://a.example http://b.example"},
        configured={"debian": ["http://b.example/", "http://c.example"]},
    )
    assert hosts("debian", sources) == ["a.example", "b.example"]


def test_an_archive_that_nobody_places_is_an_error_that_says_how() -> None:
    with pytest.raises(NoMirror) as caught:
        mirror_addresses("vendor", MirrorSources(apt=MACHINE))
    assert "--mirror vendor=URL" in str(caught.value.hint)


def test_opening_says_whose_mirror_cannot_be_understood() -> None:
    sources = MirrorSources(environment={"HOMEPORT_DEBIAN_MIRROR": "ftp://m.example/debian"})
    with pytest.raises(UsageError, match="invalid mirror") as caught:
        open_mirrors(["debian"], sources, quick_client())
    assert caught.value.where["configured_by"] == "HOMEPORT_DEBIAN_MIRROR"


@pytest.mark.parametrize("address", [*SNAPSHOTS, "http://Snapshot.Debian.org./archive"])
def test_names_of_vendors_packages_are_not_sent_to_debians_snapshots(address: str) -> None:
    own = "https://snapshots.vendor.example/{archive}/{timestamp}"
    mirrors = Mirrors(by_archive={}, snapshots=(address, own), client=quick_client())
    moment = datetime(2026, 9, 12, tzinfo=UTC)
    asked = [m.label for states in mirrors.snapshot_mirrors("vendor", moment) for m in states]
    assert asked == ["https://snapshots.vendor.example/vendor/20260912T000000Z"]
    assert len(list(mirrors.snapshot_mirrors("debian", moment))) == 2


@pytest.mark.parametrize("address", ["file:///snap/{archive}/{timestamp}", "/snap", "/snap/"])
def test_snapshots_are_asked_at_the_states_moment(address: str) -> None:
    mirrors = Mirrors(by_archive={}, snapshots=(address,), client=None)
    moment = datetime(2026, 1, 10, 12, 0, 5, tzinfo=UTC)
    later = moment + timedelta(days=1)
    (states,) = mirrors.snapshot_mirrors("debian-security", moment, later)
    assert [mirror.label for mirror in states] == [
        "/snap/debian-security/20260110T120005Z",
        "/snap/debian-security/20260111T120005Z",
    ]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("file:///srv/a%20b", "/srv/a b"),
        ("file:/srv/x", "/srv/x"),
        ("/srv/x", "/srv/x"),
        ("http://user:geheim@m.example/debian/", "http://user:***@m.example/debian"),
        ("https://m.example", "https://m.example"),
    ],
)
def test_a_mirror_is_a_url_or_a_directory_and_prints_no_password(text: str, label: str) -> None:
    mirror = open_mirror(text, quick_client())
    assert mirror.label == label
    assert "geheim" not in repr(mirror)
    assert "geheim" not in repr(MirrorAddress(text=text, configured_by="--mirror"))


@pytest.mark.parametrize(
    "text", ["", "ftp://m.example", "cdrom:x", "file://host/x", "mirror+http://x"]
)
def test_anything_else_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        open_mirror(text, quick_client())


@pytest.fixture(params=["directory", "http"])
def mirror(request: pytest.FixtureRequest, root: Path):
    """Both kinds of mirror over the same files."""
    (root / "pool").mkdir(parents=True)
    (root / "pool" / "g++_1.0~x+y.deb").write_bytes(b"content")
    if request.param == "directory":
        yield DirectoryMirror(root=root)
    else:
        with serve(root) as server:
            yield open_mirror(server.url, quick_client())


EXPECTED = ExpectedFile(path="pool/g++_1.0~x+y.deb", digest=Digest.of(b"content"), size=7)


def test_both_kinds_of_mirror_keep_the_same_promises(mirror, world: World) -> None:
    assert mirror.read_small("pool/g++_1.0~x+y.deb", 7) == b"content"
    with pytest.raises(TooLarge):
        mirror.read_small("pool/g++_1.0~x+y.deb", 6)
    with pytest.raises(NotOnMirror):
        mirror.read_small("pool/absent", 10)
    assert mirror.may_have(EXPECTED)
    blob = mirror.fetch(EXPECTED, world.runtime)
    with blob.open() as stream:
        assert stream.read() == b"content"
    assert world.store.get(EXPECTED.digest, 7) is not None


def test_both_kinds_of_mirror_hand_out_nothing_that_is_wrong(mirror, world: World) -> None:
    for expected in (
        ExpectedFile(path=EXPECTED.path, digest=Digest.of(b"other"), size=7),
        ExpectedFile(path=EXPECTED.path, digest=EXPECTED.digest, size=8),
        ExpectedFile(path="../pool/x", digest=EXPECTED.digest, size=7),
        ExpectedFile(path="/etc/passwd", digest=EXPECTED.digest, size=7),
    ):
        with pytest.raises(IntegrityError):
            mirror.fetch(expected, world.runtime)
        assert world.store.get(expected.digest, expected.size) is None
    with pytest.raises(NotOnMirror):
        mirror.fetch(
            ExpectedFile(path="pool/absent", digest=EXPECTED.digest, size=7), world.runtime
        )


def test_a_directory_that_is_not_there_is_an_unreachable_mirror(tmp_path: Path) -> None:
    with pytest.raises(MirrorUnreachable, match="there is no directory"):
        DirectoryMirror(root=tmp_path / "absent").read_small("x", 1)


def test_credentials_of_apts_auth_conf_are_sent_where_they_belong(root: Path) -> None:
    root.mkdir()
    (root / "x").write_bytes(b"1")
    with serve(root) as server:
        host = server.url.removeprefix("http://")
        provider = netrc_provider(f"machine http://{host} login ann password pw\n")
        mirror = open_mirror(server.url, quick_client(), provider)
        assert isinstance(mirror, HttpMirror)
        assert mirror.read_small("x", 1) == b"1"
        assert server.headers[-1]["Authorization"].startswith("Basic ")
        stranger = netrc_provider("machine http://other.example login a password b\n")
        open_mirror(server.url, quick_client(), stranger).read_small("x", 1)
        assert "Authorization" not in server.headers[-1]
