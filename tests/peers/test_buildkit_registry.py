"""Engines pull and push with our logins, which they get only as far as they must."""

from __future__ import annotations

import base64
import io
import json
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.registry import Running, docker_registry
from builders.token_server import token_server
from homeport.buildkit.engine import describe
from homeport.buildkit.protocol.errors import BuildFailed, EngineTooOld
from homeport.cli.solve import command as solve
from peers import buildkit_engines
from peers.buildkit_engines import RunningEngine

pytestmark = [
    pytest.mark.peer("dockerd", "docker-registry", "htpasswd"),
    pytest.mark.root,
]
any_engine = buildkit_engines.any_engine


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A registry that wants a password."""
    folder = tmp_path_factory.mktemp("private")
    with docker_registry(folder, htpasswd={"me": "open sesame"}) as registry:
        yield registry


@pytest.fixture
def known(private: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Running:
    """The same, its login in docker's config."""
    pair = base64.b64encode(b"me:open sesame").decode()
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text(
        json.dumps({"auths": {private.host: {"auth": pair}}})
    )
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return private


def build(engine: RunningEngine, context: Path, dockerfile: str, *more: str) -> None:
    context.mkdir(exist_ok=True)
    (context / "f").write_text("f\n")
    (context / "Dockerfile").write_text(dockerfile)
    arguments = [str(context), "--engine", engine.address, "--progress", "quiet", *more]
    solve.main(arguments, standalone_mode=False)


def test_a_result_is_pushed_by_us_and_pulled_by_the_engine_with_our_login(
    any_engine: RunningEngine, known: Running, tmp_path: Path
) -> None:
    context = tmp_path / "context"
    name = f"{known.host}/made:1"
    build(any_engine, context, "FROM scratch\nCOPY f /f\n", "-o", f"docker://{name}")
    out = tmp_path / "out"
    build(
        any_engine, context, f"FROM {name}\nCOPY f /g\n", "--engine-credentials",
        "-o", f"dir:{out}",
    )  # fmt: skip
    assert sorted(path.name for path in out.iterdir()) == ["f", "g"]


def test_an_engine_that_can_may_push_itself(
    any_engine: RunningEngine, known: Running, tmp_path: Path
) -> None:
    out = ("-o", f"docker://{known.host}/by-engine:1", "--push-by", "engine")
    more = (*out, "--engine-credentials")
    if not describe(any_engine.engine).has_oci_exporter:
        with pytest.raises(EngineTooOld, match="cannot push"):
            build(any_engine, tmp_path / "context", "FROM scratch\nCOPY f /f\n", *more)
        return
    build(any_engine, tmp_path / "context", "FROM scratch\nCOPY f /f\n", *more)
    assert (known.root / "docker/registry/v2/repositories/by-engine/_manifests/tags/1").is_dir()


def test_an_engine_does_not_get_the_password_unasked(
    any_engine: RunningEngine, known: Running, tmp_path: Path
) -> None:
    with pytest.raises(BuildFailed, match=r"engine-credentials|401|authorization"):
        build(any_engine, tmp_path / "context", f"FROM {known.host}/other:1\nCOPY f /g\n")


def test_where_the_registry_takes_tokens_the_engine_gets_one_and_no_password(
    any_engine: RunningEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        token_server(tmp_path, {"me": "open sesame"}) as tokens,
        docker_registry(tmp_path / "registry", token=tokens.registry_options()) as registry,
    ):
        pair = base64.b64encode(b"me:open sesame").decode()
        (tmp_path / "config.json").write_text(
            json.dumps({"auths": {registry.host: {"auth": pair}}})
        )
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        users: list[str] = []
        real = tokens._token
        monkeypatch.setattr(
            tokens, "_token", lambda user, scopes: users.append(user) or real(user, scopes)
        )
        context, name = tmp_path / "context", f"{registry.host}/made:1"
        build(any_engine, context, "FROM scratch\nCOPY f /f\n", "-o", f"docker://{name}")
        users.clear()
        tokens.asked.clear()
        build(any_engine, context, f"FROM {name}\nCOPY f /g\n")
        assert set(users) == {"me"}
        assert "repository:made:pull" in tokens.asked
        # A Dockerfile that only the engine reads names nothing: it pulls as anybody may.
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w", format=tarfile.GNU_FORMAT) as archive:
            archive.add(context / "f", "f")
            archive.add(context / "Dockerfile", "Dockerfile")
        for more, user in ((), ""), (("--allow-pull", f"{registry.host}/made"), "me"):
            users.clear()
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(tar.getvalue())))
            arguments = ["-", "--engine", any_engine.address, "--progress", "quiet", "--no-cache"]
            solve.main([*arguments, *more], standalone_mode=False)
            assert set(users) == {user}
