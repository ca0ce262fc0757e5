"""Which host a repository is read from, by what each may be used for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from builders.http_server import Server, serving
from builders.net import quick_client
from builders.registry import image
from homeport.cli.main import homeport
from homeport.content.digest import Digest
from homeport.errors import HomeportError
from homeport.net.client import Client
from homeport.oci import media_types
from homeport.oci.reference import parse_reference
from homeport.registry.errors import NotFound
from homeport.registry.registries import Registries
from homeport.registry.sources import RepositorySources

OLD, OLD_BLOBS = image(b"old")
NEW, NEW_BLOBS = image(b"new")
LAYER = Digest.of(b"new")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A registry, and mirrors of it as ``hosts.toml`` in ``folder`` says."""

    folder: Path
    home: Server
    client: Client
    mirrors: dict[str, Server] = field(default_factory=dict)
    reports: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.home.port}"

    def host(self, mirror: Server) -> str:
        return f"127.0.0.1:{mirror.port}"

    def mirror(self, server: Server, *capabilities: str) -> None:
        path = self.folder / ".config/containers/certs.d" / self.name / "hosts.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as stream:
            stream.write(
                f'[host."http://{self.host(server)}"]\ncapabilities = {json.dumps(capabilities)}\n'
            )

    def sources(self) -> RepositorySources:
        folders = [self.folder / ".config/containers/certs.d"]
        registries = Registries(self.client, folders=folders)
        registries.on_read = self.reports.append
        return registries.sources(parse_reference(f"{self.name}/a"))


def serve(server: Server, tag: str = "new") -> None:
    """Both images by digest, one of them as ``a:1``, and its tags and blobs."""
    tagged = {"new": NEW, "old": OLD}[tag]
    server.answer("/v2/", 200, b"{}")
    for path, manifest in ((OLD.digest, OLD), (NEW.digest, NEW), ("1", tagged)):
        server.answer(
            f"/v2/a/manifests/{path}", 200, manifest.raw,
            Content_Type=media_types.OCI_MANIFEST, Docker_Content_Digest=str(manifest.digest),
        )  # fmt: skip
    server.file(f"/v2/a/blobs/{LAYER}", b"new")
    server.answer("/v2/a/tags/list", 200, json.dumps({"tags": [tag]}).encode())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with serving() as home, quick_client() as client:
        serve(home)
        yield Place(folder=tmp_path, home=home, client=client)


@pytest.fixture
def mirror() -> Iterator[Server]:
    """A mirror whose tag is behind."""
    with serving() as server:
        serve(server, "old")
        yield server


def asked(server: Server) -> list[str]:
    """What was requested of a server, without the probe and without ``ns=``."""
    return [
        f"{one.method} {one.path.partition('?')[0].removeprefix('/v2/a/')}"
        for one in server.requests
        if one.path.startswith("/v2/a/")
    ]


def test_a_mirror_that_may_not_resolve_decides_no_tag(place: Place, mirror: Server) -> None:
    place.mirror(mirror, "pull")
    assert place.sources().manifest("1").digest == NEW.digest
    assert asked(place.home) == ["HEAD manifests/1"]
    assert asked(mirror) == [f"GET manifests/{NEW.digest}"]
    assert place.sources().manifest_digest("1") == NEW.digest
    assert place.sources().tags() == ["new"]
    assert asked(mirror) == [f"GET manifests/{NEW.digest}"], "no tag was asked of the mirror"


def test_a_mirror_that_may_resolve_decides_tags(place: Place, mirror: Server) -> None:
    place.mirror(mirror, "pull", "resolve")
    assert place.sources().manifest("1").digest == OLD.digest
    assert place.sources().manifest_digest("1") == OLD.digest
    assert place.sources().tags() == ["old"]
    assert asked(place.home) == []


def test_a_mirror_that_only_resolves_serves_no_content(place: Place, mirror: Server) -> None:
    place.mirror(mirror, "resolve")
    assert place.sources().manifest("1").raw == OLD.raw
    assert asked(mirror) == ["HEAD manifests/1"]
    assert asked(place.home) == [f"GET manifests/{OLD.digest}"]


def test_a_mirror_that_only_takes_pushes_is_not_read(place: Place, mirror: Server) -> None:
    place.mirror(mirror, "push")
    sources = place.sources()
    assert sources.manifest("1").digest == NEW.digest
    assert (mirror.requests, sources.mirrors) == ([], ())


def test_what_a_mirror_lacks_comes_from_the_registry(place: Place, mirror: Server) -> None:
    place.mirror(mirror, "pull", "resolve")
    mirror.answers.clear()
    mirror.answer("/v2/", 200, b"{}")
    mirror.answer("/v2/a/tags/list", 200, b'{"tags": null}')
    sources = place.sources()
    assert sources.manifest("1").digest == NEW.digest
    assert sources.manifest_digest("1") == NEW.digest
    assert sources.tags() == ["new"]


def test_a_tag_that_no_host_has_is_the_registrys_error(place: Place, mirror: Server) -> None:
    place.mirror(mirror, "pull")
    with pytest.raises(NotFound, match=rf"^tag not found: {place.name}/a:2$") as caught:
        place.sources().manifest("2")
    assert caught.value.hint == f"list them: homeport tags {place.name}/a"


def test_referrers_come_from_a_mirror_that_may_list_them(place: Place, mirror: Server) -> None:
    listed = {"schemaVersion": 2, "manifests": [
        {"mediaType": media_types.OCI_MANIFEST, "digest": str(OLD.digest), "size": 3}
    ]}  # fmt: skip
    mirror.answer(
        f"/v2/a/referrers/{NEW.digest}", 200, json.dumps(listed).encode(),
        Content_Type=media_types.OCI_INDEX,
    )  # fmt: skip
    place.mirror(mirror, "pull", "referrers")
    assert [one.digest for one in place.sources().referrers(NEW.digest)] == [str(OLD.digest)]
    assert asked(place.home) == []


def test_each_host_that_served_is_reported_once(place: Place, mirror: Server) -> None:
    place.mirror(mirror, "pull")
    sources = place.sources()
    for _ in range(2):
        sources.manifest("1")
    mirror.answers.clear()
    sources.manifest(NEW.digest)
    host = place.host(mirror)
    assert place.reports == [
        f"{place.name}/a: read from {place.name}",
        f"{place.name}/a: read from {host}",
        f"{place.name}/a: not read from the mirror {host}: {host}: cannot read "
        f"a:{NEW.digest} (404)",
    ]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(homeport, list(arguments))


@pytest.fixture
def commands(place: Place, mirror: Server, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A place that commands find, whose registry itself cannot be read."""
    monkeypatch.setenv("HOME", str(place.folder))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(place.folder / "cache"))
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG", "CI_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    place.mirror(mirror, "pull", "resolve")
    place.home.answers.clear()
    place.home.answer("/v2/", 200, b"{}")
    return place


@pytest.mark.parametrize(
    "arguments",
    [
        ["tags", "{}/a"],
        ["manifest", "{}/a:1"],
        ["blob", f"{{}}/a@{LAYER}"],
        ["mirror", "{}/a", "{}/b", "--all-tags", "--dry-run"],
        ["pull", "{}/a:1", "oci:OUT:1"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_every_reading_command_uses_mirrors_and_says_so(
    commands: Place, mirror: Server, tmp_path: Path, arguments: list[str]
) -> None:
    for digest, blob in OLD_BLOBS.items():
        with blob.open() as stream:
            mirror.file(f"/v2/a/blobs/{digest}", stream.read())
    mirror.answer("/v2/a/manifests/old", 200, OLD.raw, Content_Type=media_types.OCI_MANIFEST)
    given = [one.format(commands.name).replace("OUT", str(tmp_path / "out")) for one in arguments]
    result = run(*given, "-v")
    assert not isinstance(result.exception, HomeportError), result.exception
    assert result.exit_code in (0, 3), result.output
    assert f"{commands.name}/a: read from {commands.host(mirror)}\n" in result.stderr
    assert [one for one in asked(commands.home) if "blobs/uploads" not in one] == []
    assert "read from" not in run(*given).stderr
