"""Non-distributable layers stay at their owner's server unless the option includes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from builders.certificates import authority, issue
from builders.http_server import Server, server_tls, serving
from builders.images import windows_image
from builders.runtime import runtime
from builders.small_registry import SmallRegistry, small_registry
from homeport.cli.main import homeport
from homeport.content.digest import Digest
from homeport.errors import HomeportError
from homeport.images.address import LayoutAddress
from homeport.images.transports.oci_layout import OciLayout

LAYER = b"distributed by its owner only"
DIGEST = str(Digest.of(LAYER))
TAKE = "--allow-nondistributable-artifacts"


@dataclass(frozen=True, slots=True)
class Place:
    """A registry, the owner's server, and a folder to work in."""

    registry: SmallRegistry
    owner: Server
    folder: Path
    ca: Path

    def layout(self, *urls: str) -> str:
        """An image in a layout; by default its non-distributable layer is at the owner's."""
        value = windows_image(LAYER, urls or (self.owner.url("/layer"),))
        OciLayout(LayoutAddress(path=self.folder / "layout", tag="1")).write(value, runtime())
        return f"oci:{self.folder / 'layout'}:1"

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(homeport, [*arguments, "--ca", str(self.ca)])

    @property
    def ref(self) -> str:
        return f"{self.registry.host}/windows:1"

    @property
    def has_layer(self) -> bool:
        return ("windows", DIGEST) in self.registry.blobs


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    ca = authority(tmp_path)
    pair = issue(ca, tmp_path, "owner")
    with small_registry() as registry, serving(server_tls(pair.certificate, pair.key)) as owner:
        owner.file("/layer", LAYER)
        yield Place(registry, owner, tmp_path, ca.certificate)


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner's server is on this machine, which only a test would want."""
    monkeypatch.setenv("HOMEPORT_TRUSTED_HOSTS", "127.0.0.1")


def test_a_push_leaves_them_with_their_owner_and_says_so(place: Place) -> None:
    result = place.run("push", place.layout(), place.ref)
    assert result.exit_code == 0, result.output
    assert "1 layer is not copied; clients download from" in result.stderr
    assert place.owner.url("/layer") in result.stderr
    assert TAKE in result.stderr
    assert not place.has_layer
    assert place.owner.requests == []


@pytest.mark.usefixtures("trusted")
def test_with_the_option_they_are_fetched_verified_and_pushed(place: Place) -> None:
    left = place.run("push", place.layout(), place.ref, "-q")
    taken = place.run("push", place.layout(), place.ref, TAKE, "-q")
    assert taken.exit_code == 0, taken.output
    assert place.registry.blobs["windows", DIGEST] == LAYER
    assert taken.stdout == left.stdout, "the manifest stays as it was, urls included"
    assert all("authorization" not in one.headers for one in place.owner.requests)


def test_urls_to_private_addresses_are_refused(place: Place) -> None:
    result = place.run("push", place.layout(), place.ref, TAKE)
    assert isinstance(result.exception, HomeportError)
    assert "a loopback address" in result.exception.what
    assert DIGEST in str(result.exception.to_json())
    assert place.owner.requests == []
    assert place.registry.tags == {}


@pytest.mark.parametrize(
    ("url", "says"),
    [("http://owner.example/layer", "an https URL"), ("file:///etc/passwd", "invalid URL"),
     ("https://169.254.169.254/latest", "cloud metadata address"),
     ("https://[::1]/", "a loopback address")],
)  # fmt: skip
def test_other_urls_are_refused_too(place: Place, url: str, says: str) -> None:
    result = place.run("push", place.layout(url), place.ref, TAKE)
    assert isinstance(result.exception, HomeportError)
    assert says in result.exception.what
    assert place.registry.tags == {}


@pytest.mark.usefixtures("trusted")
def test_what_the_owner_sends_is_verified(place: Place) -> None:
    place.owner.file("/layer", LAYER[::-1])
    result = place.run("push", place.layout(), place.ref, TAKE)
    assert isinstance(result.exception, HomeportError)
    assert DIGEST in result.exception.what
    assert not place.has_layer


@pytest.mark.usefixtures("trusted")
def test_an_owner_who_has_it_no_more_is_named(place: Place) -> None:
    result = place.run("push", place.layout(place.owner.url("/gone")), place.ref, TAKE)
    assert isinstance(result.exception, HomeportError)
    assert "cannot fetch the non-distributable layer" in result.exception.what
    assert "/gone" in str(result.exception.to_json())


@pytest.mark.usefixtures("trusted")
def test_a_pull_fetches_them_from_the_registry_that_has_them_else_from_the_owner(
    place: Place,
) -> None:
    place.run("push", place.layout(), place.ref)
    kept = place.folder / "kept/blobs/sha256" / DIGEST.partition(":")[2]
    assert place.run("pull", place.ref, f"oci:{place.folder / 'kept'}:1").exit_code == 0
    assert not kept.exists()
    assert place.run("pull", place.ref, f"oci:{place.folder / 'kept'}:1", TAKE).exit_code == 0
    assert kept.read_bytes() == LAYER
    asked = len(place.owner.requests)
    assert asked > 0

    place.registry.blobs["windows", DIGEST] = LAYER
    options = (TAKE, "--cache-dir", str(place.folder / "other cache"))
    result = place.run("pull", place.ref, f"oci:{place.folder / 'again'}:1", *options)
    assert result.exit_code == 0, result.output
    assert len(place.owner.requests) == asked


@pytest.mark.usefixtures("trusted")
def test_an_archive_for_docker_has_to_hold_them(place: Place) -> None:
    place.run("push", place.layout(), place.ref)
    target = f"docker-archive:{place.folder / 'd.tar'}"
    refused = place.run("pull", place.ref, target)
    assert isinstance(refused.exception, HomeportError)
    assert TAKE in str(refused.exception.hint)
    assert place.run("pull", place.ref, target, TAKE).exit_code == 0


@pytest.mark.usefixtures("trusted")
def test_mirror_and_import_take_them_along_too(place: Place) -> None:
    place.run("push", place.layout(), place.ref)
    with small_registry() as other:
        for number, command in enumerate(("mirror", "import")):
            name = f"home{number}"
            left = place.run(command, place.ref, f"{other.host}/{name}:1")
            assert "1 layer is not copied" in left.stderr
            assert (name, DIGEST) not in other.blobs
            assert place.run(command, place.ref, f"{other.host}/{name}:1", TAKE).exit_code == 0
            assert other.blobs[name, DIGEST] == LAYER


def test_an_inspection_without_them_says_how_to_include_them(place: Place) -> None:
    layout = place.layout()
    result = place.run("inspect", layout)
    assert isinstance(result.exception, HomeportError)
    hint = result.exception.hint or ""
    assert f"homeport pull {layout} oci:DIR {TAKE} includes it" in hint
    assert f"homeport config {layout} shows the rest" in hint
