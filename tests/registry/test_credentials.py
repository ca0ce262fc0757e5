"""Which credential is used, and where it is never seen."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest

from builders.http_server import Received, Server, serving
from builders.net import quick_client
from homeport.errors import UsageError
from homeport.net.proxies import Proxies
from homeport.net.url import Url
from homeport.oci.reference import parse_reference, registry_name
from homeport.registry import errors
from homeport.registry.auth import Ticket
from homeport.registry.client import NO_SCOPE, Registry
from homeport.registry.credentials import Credentials, parse_creds
from homeport.registry.docker_config import AuthFile, read_auth_file
from homeport.registry.endpoint import endpoint_for
from homeport.registry.helpers import HelperFailed
from homeport.registry.login import Login
from homeport.registry.login_flow import log_in, log_out
from homeport.registry.registries import Registries
from homeport.registry.tokens import Token

R = "registry.example:5000"


def auth(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def auth_file(path: Path, **hosts: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = {
        name.replace("__", "/"): {"auth": auth(user, "secret")} for name, user in hosts.items()
    }
    path.write_text(json.dumps({"auths": entries}))
    return path


def write(path: Path, document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def find(
    home: Path, registry: str = R, repository: str = "", given: Login | None = None, **env: str
):
    logins = {registry: given} if given else {}
    return Credentials(environment=env, home=home, given=logins).find(registry, repository)


def users(home: Path, *steps: dict[str, str]) -> list[str]:
    return [found.username if (found := find(home, **step)) else "-" for step in steps]


def test_the_sources_are_asked_in_order(tmp_path: Path) -> None:
    write(tmp_path / "runtime/containers/auth.json", {"auths": {R: {"auth": auth("podman", "x")}}})
    write(tmp_path / ".docker/config.json", {"auths": {R: {"auth": auth("docker", "x")}}})
    named = write(tmp_path / "named.json", {"auths": {R: {"auth": auth("named", "x")}}})
    env = {
        "XDG_RUNTIME_DIR": str(tmp_path / "runtime"),
        "DOCKER_AUTH_CONFIG": json.dumps({"auths": {R: {"auth": auth("gitlab-text", "x")}}}),
        "CI_REGISTRY": R, "CI_REGISTRY_USER": "gitlab", "CI_REGISTRY_PASSWORD": "x",
    }  # fmt: skip
    own = {"HOMEPORT_REGISTRY_HOST": R, "HOMEPORT_REGISTRY_USER": "own",
           "HOMEPORT_REGISTRY_PASSWORD": "x"}  # fmt: skip
    file = {"REGISTRY_AUTH_FILE": str(named)}
    given = Login(username="given", password="x", source="--creds")
    found = find(tmp_path, given=given, **env, **own, **file)
    assert found
    assert found.username == "given"
    assert users(tmp_path, {**env, **own, **file}, {**env, **file}, env) == [
        "own", "named", "docker",
    ]  # fmt: skip
    (tmp_path / ".docker/config.json").unlink()
    assert users(tmp_path, env) == ["gitlab-text"]
    del env["DOCKER_AUTH_CONFIG"]
    assert users(tmp_path, env) == ["podman"]
    del env["XDG_RUNTIME_DIR"]
    assert users(tmp_path, env, {}) == ["gitlab", "-"]


def test_a_credential_of_another_registry_is_not_used(tmp_path: Path) -> None:
    write(tmp_path / ".docker/config.json", {"auths": {"other.example": {"auth": auth("u", "x")}}})
    env = {"HOMEPORT_REGISTRY_HOST": "other.example", "HOMEPORT_REGISTRY_PASSWORD": "x",
           "CI_REGISTRY": "other.example", "CI_REGISTRY_PASSWORD": "x"}  # fmt: skip
    assert find(tmp_path, **env) is None
    assert find(tmp_path, registry="evil-other.example") is None
    assert find(tmp_path, registry="other.example.evil.example") is None


@pytest.mark.parametrize(
    "key", ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"]
)
def test_docker_hub_is_found_under_its_old_names(tmp_path: Path, key: str) -> None:
    write(tmp_path / ".docker/config.json", {"auths": {key: {"auth": auth("u", "p:w")}}})
    found = find(tmp_path, registry="docker.io")
    assert found
    assert (found.username, found.password) == ("u", "p:w")


def test_the_most_specific_namespace_wins(tmp_path: Path) -> None:
    write(
        tmp_path / ".docker/config.json",
        {"auths": {R: {"auth": auth("all", "x")}, f"{R}/team": {"auth": auth("team", "x")}}},
    )
    assert [
        found.username if (found := find(tmp_path, repository=name)) else ""
        for name in ("team/a", "team", "teams/a", "")
    ] == ["team", "team", "all", "all"]


@pytest.mark.parametrize(
    ("entry", "login"),
    [
        ({"auth": auth("u", "p")}, ("u", "p", "", "")),
        ({"auth": auth("u", "p").rstrip("=")}, ("u", "p", "", "")),
        ({"auth": auth("u", "p\0\0")}, ("u", "p", "", "")),
        ({"username": "u", "password": "p"}, ("u", "p", "", "")),
        ({"auth": auth("<token>", "t")}, ("", "", "t", "")),
        ({"identitytoken": "t"}, ("", "", "t", "")),
        ({"auth": auth("0", ""), "identitytoken": "t"}, ("0", "", "t", "")),
        ({"registrytoken": "t"}, ("", "", "", "t")),
        ({}, None),
        ("text", None),
    ],
)
def test_every_form_of_an_entry_is_read(tmp_path: Path, entry: object, login: object) -> None:
    write(tmp_path / ".docker/config.json", {"auths": {R: entry}})
    found = find(tmp_path)
    if found is not None:
        shown = (found.username, found.password, found.identity_token, found.registry_token)
        assert shown == login
        assert found.source.endswith("config.json")
    else:
        assert login is None


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '"x"', "\xff", json.dumps({"auths": {R: {"auth": "bm9jb2xvbg=="}}}),
     "[" * 100_000, json.dumps({"auths": {R: {"auth": "\u202e!!"}}})],
)  # fmt: skip
def test_a_damaged_file_is_named_and_its_content_is_not(tmp_path: Path, text: str) -> None:
    path = tmp_path / ".docker/config.json"
    path.parent.mkdir()
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UsageError) as caught:
        find(tmp_path)
    assert caught.value.where["file"] == str(path)
    assert "nocolon" not in str(caught.value)


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="REGISTRY_AUTH_FILE"):
        find(tmp_path, REGISTRY_AUTH_FILE=str(tmp_path / "nope"))


def test_creds_are_split_at_the_first_colon() -> None:
    assert parse_creds("u:p:w").password == "p:w"
    with pytest.raises(UsageError) as caught:
        parse_creds("secretwithoutcolon")
    assert "secretwithoutcolon" not in str(caught.value)


# helpers


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A credential helper that keeps its secrets in files beside it, and records its use."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker-credential-test"
    program.write_text(
        f"""#!/bin/sh
cd {folder}
echo "$@" >> calls
input=$(cat)
case $1 in
  get) cat kept 2>/dev/null || (echo 'credentials not found'; exit 1) || exit 1 ;;
  store) printf '%s' "$input" > kept ;;
  erase) rm -f kept ;;
esac
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_a_helper_is_asked_before_the_file(tmp_path: Path, helper: Path) -> None:
    config = {"auths": {R: {"auth": auth("file", "x")}}, "credHelpers": {R: "test"}}
    write(tmp_path / ".docker/config.json", config)
    found = find(tmp_path)
    assert found
    assert found.username == "file"
    (helper / "kept").write_text('{"ServerURL":"x","Username":"helped","Secret":"s"}')
    found = find(tmp_path)
    assert found
    assert (found.username, found.password) == ("helped", "s")
    assert found.source == "docker-credential-test"
    (helper / "kept").write_text('{"Username":"<token>","Secret":"id"}')
    found = find(tmp_path)
    assert found
    assert found.identity_token == "id"


@pytest.mark.parametrize(
    ("script", "says"),
    [("exit 3", None), ("echo x; exit 3", "code 3"), ("echo nonsense", "returned invalid JSON")],
)
def test_a_helper_that_fails_is_named(
    tmp_path: Path, helper: Path, script: str, says: str | None
) -> None:
    (helper / "docker-credential-test").write_text(f"#!/bin/sh\n{script}\n")
    write(tmp_path / ".docker/config.json", {"credsStore": "test"})
    if says is None:
        assert find(tmp_path) is None
    else:
        with pytest.raises(HelperFailed, match=says):
            find(tmp_path)


def test_a_helper_that_is_not_installed_has_no_login_and_is_named(tmp_path: Path) -> None:
    write(tmp_path / ".docker/config.json", {"credsStore": "no-such-helper"})
    write(tmp_path / ".config/containers/auth.json", {"auths": {"other.example": {}}})
    told: list[str] = []
    credentials = Credentials(
        environment={}, home=tmp_path, given={},
        on_missing=lambda registry, error: told.append(f"{registry}: {error.what}"),
    )  # fmt: skip
    assert credentials.find("registry.example") is None
    assert told == [
        "registry.example: the credential helper docker-credential-no-such-helper is not installed"
    ]


@pytest.mark.parametrize("name", ["../evil", "a b", "a;b"])
def test_a_helper_name_is_only_a_name(tmp_path: Path, name: str) -> None:
    write(tmp_path / ".docker/config.json", {"credsStore": name})
    with pytest.raises(UsageError, match="invalid credential helper name"):
        find(tmp_path)


def registry_wanting_a_password(server: Server, *, password: str = "secret") -> None:
    def answer(request: Received) -> tuple[int, dict[str, str], bytes]:
        if request.headers.get("authorization") == "Basic " + auth("me", password):
            return 200, {}, b'{"tags": []}'
        return 401, {"WWW-Authenticate": 'Basic realm="x"'}, b"{}"

    for path in ("/v2/", "/v2/a/tags/list", "/v2/b/tags/list"):
        server.answers[path] = answer


def list_tags(registries: Registries, server: Server, *repositories: str) -> None:
    for name in repositories:
        reference = parse_reference(f"127.0.0.1:{server.port}/{name}")
        assert list(registries.sources(reference).tags()) == []


def test_a_helper_runs_only_when_a_registry_asks_and_once(tmp_path: Path, helper: Path) -> None:
    (helper / "kept").write_text('{"Username":"me","Secret":"secret"}')
    write(tmp_path / ".docker/config.json", {"credsStore": "test"})
    logins = Credentials(environment={}, home=tmp_path, given={})
    with serving() as server, quick_client() as client:
        for path in ("/v2/", "/v2/a/tags/list"):
            server.answer(path, 200, b'{"tags": []}')
        list_tags(Registries(client, logins), server, "a")
        assert not (helper / "calls").exists(), "the registry asked for no login"
        registry_wanting_a_password(server)
        for _ in range(2):  # a command may open its registries more than once
            list_tags(Registries(client, logins), server, "a", "b")
    assert (helper / "calls").read_text() == "get\n"


def test_a_helper_runs_again_when_the_registry_rejects_its_secret(
    tmp_path: Path, helper: Path
) -> None:
    (helper / "kept").write_text('{"Username":"me","Secret":"secret"}')
    write(tmp_path / ".docker/config.json", {"credsStore": "test"})
    logins = Credentials(environment={}, home=tmp_path, given={})
    with serving() as server, quick_client() as client:
        registry_wanting_a_password(server)
        registries = Registries(client, logins)
        list_tags(registries, server, "a")
        registry_wanting_a_password(server, password="rotated")
        (helper / "kept").write_text('{"Username":"me","Secret":"rotated"}')
        list_tags(registries, server, "a", "b")
    assert (helper / "calls").read_text() == "get\nget\n"


def test_a_helper_that_fails_is_not_run_again(tmp_path: Path, helper: Path) -> None:
    program = helper / "docker-credential-test"
    program.write_text(f"#!/bin/sh\necho x >> {helper}/calls; echo x; exit 3\n")
    write(tmp_path / ".docker/config.json", {"credsStore": "test"})
    logins = Credentials(environment={}, home=tmp_path, given={})
    with serving() as server, quick_client() as client:
        registry_wanting_a_password(server)
        for _ in range(2):
            with pytest.raises(HelperFailed, match="code 3"):
                list_tags(Registries(client, logins), server, "a")
    assert (helper / "calls").read_text() == "x\n"


# login and logout


def test_login_keeps_what_the_registry_accepts_and_logout_forgets_it(tmp_path: Path) -> None:
    path = tmp_path / "docker/config.json"
    write(path, {"auths": {"other.example": {"auth": "eA=="}}, "HttpHeaders": {"X": "y"}})
    login = Login(username="me", password="secret", source="the test")
    with serving() as server, quick_client() as client:
        registry_wanting_a_password(server)
        name = f"127.0.0.1:{server.port}"
        file = read_auth_file(path)
        assert file
        log_in(Registry(client, endpoint_for(name), lambda _rejected: login), login, file)
    document = json.loads(path.read_text())
    assert document["auths"][name] == {"auth": auth("me", "secret")}
    assert document["HttpHeaders"] == {"X": "y"}
    assert "other.example" in document["auths"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    file = read_auth_file(path)
    assert file
    assert log_out(name, file)
    assert json.loads(path.read_text())["auths"] == {"other.example": {"auth": "eA=="}}
    file = read_auth_file(path)
    assert file
    assert not log_out(name, file)


def test_login_keeps_a_linked_file_linked_and_writes_what_it_leads_to(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles/config.json", tmp_path / "docker/config.json"
    write(real, {"HttpHeaders": {"X": "y"}})
    link.parent.mkdir()
    link.symlink_to("../dotfiles/config.json")
    login = Login(username="me", password="secret", source="the test")
    file = read_auth_file(link)
    assert file
    file.with_login("registry.example", login).save()

    assert link.is_symlink()
    document = json.loads(real.read_text())
    assert document["auths"] == {"registry.example": {"auth": auth("me", "secret")}}
    assert document["HttpHeaders"] == {"X": "y"}
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


def test_login_keeps_nothing_that_is_refused(tmp_path: Path) -> None:
    login = Login(username="me", password="wrong", source="the test")
    file = AuthFile(path=tmp_path / "config.json", document={})
    with serving() as server, quick_client() as client:
        registry_wanting_a_password(server)
        name = f"127.0.0.1:{server.port}"
        with pytest.raises(errors.Unauthorized):
            log_in(Registry(client, endpoint_for(name), lambda _rejected: login), login, file)
        assert len(server.requests) <= 4, "a wrong password is not tried again and again"
    assert not file.path.exists()


def test_login_uses_the_helper_if_one_is_set(tmp_path: Path, helper: Path) -> None:
    login = Login(username="me", password="secret", source="the test")
    file = AuthFile(path=tmp_path / "config.json", document={"credsStore": "test"})
    with serving() as server, quick_client() as client:
        registry_wanting_a_password(server)
        registry = Registry(
            client, endpoint_for(f"127.0.0.1:{server.port}"), lambda _rejected: login
        )
        assert log_in(registry, login, file) == "docker-credential-test"
    assert json.loads((helper / "kept").read_text())["Secret"] == "secret"
    assert "secret" not in (helper / "calls").read_text(), "never an argument"
    assert not file.path.exists()


@pytest.mark.parametrize(
    ("text", "name"),
    [("registry.example", "registry.example"), ("https://registry.example:5000/v2/", R),
     ("docker.io", "docker.io"), ("localhost", "localhost"), ("[::1]:5000", "[::1]:5000")],
)  # fmt: skip
def test_a_registry_is_named_with_or_without_scheme(text: str, name: str) -> None:
    assert registry_name(text) == name


@pytest.mark.parametrize("text", ["", "debian", "r.example/team", "a b", "-x.example"])
def test_what_names_no_registry_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="invalid registry name"):
        registry_name(text)


# where a credential goes


def test_a_password_is_not_sent_without_tls_to_another_machine() -> None:
    login = Login(username="me", password="secret", source="the test")
    with serving() as proxy:
        proxy.answer("http://registry.example/v2/", 401, b"", WWW_Authenticate='Basic realm="x"')
        proxies = Proxies(http=Url.parse(proxy.url()))
        with quick_client(proxies=proxies) as client:
            endpoint = endpoint_for("registry.example", plain_http=True)
            registry = Registry(client, endpoint, lambda _rejected: login)
            with pytest.raises(errors.Unauthorized, match="without TLS; refused to send it"):
                registry.ping()
            # --plain-http says that a password is sent, too.
            endpoint = endpoint_for("registry.example", plain_http=True, unencrypted_password=True)
            with pytest.raises(errors.Unauthorized, match="authentication failed"):
                Registry(client, endpoint, lambda _rejected: login).ping()
        sent = [one.headers.get("authorization") for one in proxy.requests]
        assert sent == [None, None, "Basic " + auth("me", "secret")]


def test_another_host_that_asks_gets_nothing() -> None:
    login = Login(username="me", password="secret", source="the test")
    with serving() as home, serving() as other, quick_client() as client:
        registry_wanting_a_password(home)
        other.answer("/blob", 401, b"", WWW_Authenticate='Basic realm="give me"')
        home.answer("/v2/x/blobs/y", 307, b"", Location=other.url("/blob"))
        registry = Registry(client, endpoint_for(f"127.0.0.1:{home.port}"), lambda _rejected: login)
        response = registry.request("GET", "x/blobs/y", NO_SCOPE)
        assert response.status == 401
        response.close()
        assert [one.headers.get("authorization") for one in other.requests] == [None]


@pytest.mark.parametrize(
    "value",
    [
        Login(username="u", password="geheim", identity_token="geheim", registry_token="geheim"),
        Token(value="geheim", renew_at=1.0),
        Ticket(header="Bearer geheim", secret="geheim"),
        AuthFile(path=Path("config.json"), document={"auths": {"r.example": {"auth": "geheim"}}}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_holds_a_secret_does_not_print_it(value: object) -> None:
    assert "geheim" not in f"{value} {value!r} {[value]}"
