"""Trust, mirrors and plain HTTP per registry, as docker, podman and containerd configure them."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.http_server import serving
from builders.net import quick_client
from builders.registry import image
from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.errors import UsageError
from homeport.net.tls_settings import Trust
from homeport.oci import media_types
from homeport.oci.documents import Descriptor
from homeport.oci.reference import parse_reference
from homeport.registry.credentials import Credentials
from homeport.registry.endpoint import Endpoint, endpoint_for
from homeport.registry.hosts import Mirror, read_hosts
from homeport.registry.login import Login
from homeport.registry.registries import Registries

R = "registry.example:5000"


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("registry", "plain", "urls"),
    [
        ("registry.example", None, ["https://registry.example/v2/"]),
        (R, True, [f"http://{R}/v2/"]),
        ("docker.io", None, ["https://registry-1.docker.io/v2/"]),
        ("localhost:5000", None, ["http://localhost:5000/v2/", "https://localhost:5000/v2/"]),
        ("[::1]:5000", None, ["http://[::1]:5000/v2/", "https://[::1]:5000/v2/"]),
        ("10.0.0.1:5000", None, ["https://10.0.0.1:5000/v2/"]),
        ("127.0.0.1:5000", False, ["https://127.0.0.1:5000/v2/"]),
    ],
)
def test_where_a_registry_is_asked(registry: str, plain: bool | None, urls: list[str]) -> None:
    endpoint = endpoint_for(registry, plain_http=plain)
    assert [url.wire() for url in endpoint.candidates] == urls


def test_without_any_file_a_registry_is_itself(tmp_path: Path) -> None:
    found = read_hosts(R, [tmp_path / "nope"])
    assert (found.server, found.mirrors, found.trust) == (endpoint_for(R), (), {})


@pytest.mark.parametrize("folder", [R, "registry.example_5000_"])
def test_dockers_certificates_are_found(tmp_path: Path, folder: str) -> None:
    base = tmp_path / folder
    for name in ("b.crt", "a.crt", "client.cert", "client.key", "lonely.cert"):
        write(base / name)
    assert read_hosts(R, [tmp_path]).trust[R] == Trust(
        ca_files=(base / "a.crt", base / "b.crt"),
        client_certificate=(base / "client.cert", base / "client.key"),
    )


def test_hosts_toml_names_server_mirrors_and_trust(tmp_path: Path) -> None:
    write(
        tmp_path / R / "hosts.toml",
        f"""
server = "https://{R}"
[host."https://mirror.example"]
  capabilities = ["pull", "resolve"]
  ca = "mirror.pem"
[host."http://plain.example:8080/cache"]
  capabilities = ["pull"]
[host."https://nested.example/v2/hub"]
  override_path = true
  capabilities = ["pull"]
[host."https://push.example"]
  capabilities = ["push"]
  skip_verify = true
  client = [["c.pem", "c.key"]]
""",
    )
    found = read_hosts(R, [tmp_path])
    assert found.server.host == R
    assert [mirror.endpoint.candidates[0].wire() for mirror in found.mirrors] == [
        "https://mirror.example/v2/",
        "http://plain.example:8080/cache/v2/",
        "https://nested.example/v2/hub/",
    ]
    assert {mirror.endpoint.namespace for mirror in found.mirrors} == {R}
    assert [set(mirror.capabilities) for mirror in found.mirrors] == [
        {"pull", "resolve"}, {"pull"}, {"pull"}
    ]  # fmt: skip
    assert found.trust["mirror.example"] == Trust(ca_files=(tmp_path / R / "mirror.pem",))
    assert found.trust["push.example"].verify is False


@pytest.mark.parametrize("host", ["registry.example:5000", "REGISTRY.example:5000/v2"])
def test_a_host_that_is_the_registry_itself_is_no_mirror(tmp_path: Path, host: str) -> None:
    """containerd's files often list the server among the hosts; it is not to be asked twice."""
    write(
        tmp_path / R / "hosts.toml",
        f"""
[host."https://mirror.example"]
  capabilities = ["pull", "resolve"]
[host."https://{host}"]
  capabilities = ["pull", "resolve", "push"]
  ca = "own.pem"
""",
    )
    found = read_hosts(R, [tmp_path])
    assert [mirror.endpoint.host for mirror in found.mirrors] == ["mirror.example"]
    assert found.server == endpoint_for(R)
    assert found.trust == {R: Trust(ca_files=(tmp_path / R / "own.pem",))}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("=", "not valid TOML"),
        ("host = 3", "must be a table"),
        ('[host."https://a b"]', "invalid URL"),
        ('[host."https://a.example"]\ncapabilities = "pull"', "must be a list"),
        ('[host."https://a.example"]\ncapabilities = ["pul"]', "unknown capability 'pul'"),
        ('[host."https://a.example"]\nskip_verify = "no"', "true or false"),
        ("server = 3", "server must be a URL"),
        ("#" * (1 << 20) + "\n", "the file is larger than 1.05 MB"),
        ('[host."https://a.example"]\nclient = ["a", "b", "c"]', "pair of files"),
    ],
)
def test_a_mistake_names_file_and_field(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path / R / "hosts.toml", text)
    with pytest.raises(UsageError, match=says) as caught:
        read_hosts(R, [tmp_path])
    assert caught.value.where["file"] == str(path)


def test_settings_at_the_root_are_the_servers(tmp_path: Path) -> None:
    write(
        tmp_path / R / "hosts.toml",
        """
server = "https://inside.example/api"
ca = "ca.pem"
client = ["c.pem", "c.key"]
skip_verify = true
override_path = true
""",
    )
    found = read_hosts(R, [tmp_path])
    assert [url.wire() for url in found.server.candidates] == ["https://inside.example/api/"]
    folder = tmp_path / R
    assert found.trust == {
        "inside.example": Trust(
            ca_files=(folder / "ca.pem",),
            client_certificate=(folder / "c.pem", folder / "c.key"),
            verify=False,
        )
    }


def test_the_default_folder_is_for_registries_without_one(tmp_path: Path) -> None:
    write(tmp_path / "_default/hosts.toml", '[host."https://mirror.example"]\n')
    write(tmp_path / "own.example/hosts.toml", '[host."https://other.example"]\n')
    found = read_hosts(R, [tmp_path])
    assert found.server == endpoint_for(R)
    assert found.mirrors == (
        Mirror(
            endpoint=Endpoint(name="mirror.example", host="mirror.example", plain_http=False,
                              namespace=R),
            capabilities=frozenset({"pull", "resolve", "push", "referrers"}),
        ),
    )  # fmt: skip
    own = read_hosts("own.example", [tmp_path]).mirrors
    assert [mirror.endpoint.host for mirror in own] == ["other.example"]
    assert read_hosts("mirror.example", [tmp_path]).mirrors == (), "not a mirror of itself"


def test_what_the_user_says_wins_over_a_file(tmp_path: Path) -> None:
    write(tmp_path / R / "hosts.toml", 'server = "https://elsewhere.example"')
    said = endpoint_for(R, plain_http=True)
    assert read_hosts(R, [tmp_path], server=said).server == said


def test_a_mirror_is_read_first_and_its_lies_do_no_harm(tmp_path: Path) -> None:
    manifest, blobs = image(b"layer")
    layer = Digest.of(b"layer")
    descriptor = Descriptor(media_type="", digest=str(layer), size=5)
    with serving() as home, serving() as mirror, quick_client() as client:
        name = f"127.0.0.1:{home.port}"
        write(
            tmp_path / name / "hosts.toml",
            f'[host."http://127.0.0.1:{mirror.port}"]\ncapabilities = ["pull", "resolve"]\n',
        )
        for server in (home, mirror):
            server.answer("/v2/", 200, b"{}")
            server.answer(
                f"/v2/a/manifests/{manifest.digest}", 200, manifest.raw,
                Content_Type=media_types.OCI_MANIFEST,
            )  # fmt: skip
        home.file(f"/v2/a/blobs/{layer}", b"layer")
        mirror.file(f"/v2/a/blobs/{layer}", b"liars")
        given = {name: Login(username="u", password="secret", source="the test")}
        logins = Credentials(environment={}, home=tmp_path, given=given)
        registries = Registries(client, logins, folders=[tmp_path])
        sources = registries.sources(parse_reference(f"{name}/a"))
        assert len(sources.mirrors) == 1
        found = sources.manifest(manifest.digest)
        assert found.raw == manifest.raw
        assert not home.paths(), "the mirror had it"
        assert f"/v2/a/manifests/{manifest.digest}?ns={name}" in mirror.paths()
        store = Store(tmp_path / "store")
        blob = sources.fetch_blob(descriptor, store)
        with blob.open() as stream:
            assert stream.read() == b"layer"
        assert all("authorization" not in one.headers for one in mirror.requests)
    assert len(blobs) == 2
