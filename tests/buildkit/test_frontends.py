"""Files that another frontend builds: which one, and what it is told."""

from __future__ import annotations

import socket
import ssl
import urllib.request
from pathlib import Path

import pytest

from homeport.buildkit.address import Surroundings, parse_engine
from homeport.buildkit.builds import served_frontend
from homeport.buildkit.dockerfile import DockerfileBuild, prepare
from homeport.buildkit.local_registry import local_registry
from homeport.buildkit.solve import Build
from homeport.errors import UsageError
from homeport.images.image import new_index

REFERENCE = "r.example/releng/blubber/buildkit:v1.8.0"


def frontend(context: Path, text: str, **more: object) -> tuple[str, str]:
    """The frontend, and its image."""
    (context / "f").write_text(text)
    build = prepare(DockerfileBuild(context=context, file=context / "f", **more))  # type: ignore[arg-type]
    assert build.attrs.get("cmdline") == build.attrs.get("source")
    assert build.attrs["filename"] == "f"
    return build.frontend, build.attrs.get("source", "")


@pytest.mark.parametrize(
    "text",
    [
        f"# syntax={REFERENCE}\nversion: v4\n",
        f"#syntax = {REFERENCE} more words\nversion: v4\n",
        f"// syntax={REFERENCE}\n",
        f'{{"syntax": "{REFERENCE}", "a": 1}}',
        f"#!/usr/bin/env x\n# check=skip=all\n# syntax={REFERENCE}\n",
    ],
)
def test_the_first_lines_name_the_frontend(tmp_path: Path, text: str) -> None:
    assert frontend(tmp_path, text) == ("gateway.v0", REFERENCE)


@pytest.mark.parametrize(
    "text",
    ["FROM scratch\n", f"FROM scratch\n# syntax={REFERENCE}\n", f"\n# syntax={REFERENCE}\n", ""],
)
def test_other_files_are_for_the_frontend_in_the_engine(tmp_path: Path, text: str) -> None:
    assert frontend(tmp_path, text) == ("dockerfile.v0", "")


def test_the_build_argument_comes_before_the_file_and_the_option_before_both(
    tmp_path: Path,
) -> None:
    text = f"# syntax={REFERENCE}\n"
    given = {"BUILDKIT_SYNTAX": "r.example/argument:1"}
    assert frontend(tmp_path, text, build_args=given)[1] == "r.example/argument:1"
    found = frontend(tmp_path, text, build_args=given, syntax="r.example/option:1")
    assert found == ("gateway.v0", "r.example/option:1")
    assert frontend(tmp_path, text, syntax="dockerfile.v0") == ("dockerfile.v0", "")


def test_the_file_may_be_named_by_its_path_in_the_context(tmp_path: Path) -> None:
    (tmp_path / ".pipeline").mkdir()
    (tmp_path / ".pipeline/blubber.yaml").write_text(f"# syntax={REFERENCE}\n")
    build = prepare(DockerfileBuild(context=tmp_path, file=Path(".pipeline/blubber.yaml")))
    assert build.attrs["filename"] == "blubber.yaml"
    assert build.folders["dockerfile"].path == tmp_path / ".pipeline"


def test_a_frontend_of_this_machine_is_for_engines_of_this_machine() -> None:
    around = Surroundings(environment={}, home=Path("/nonexistent"))
    far = parse_engine("tcp://engine.example:1234", around)
    with (
        pytest.raises(UsageError, match="cannot reach local images"),
        served_frontend(Build(), new_index([]), [far]),
    ):
        pass
    near = parse_engine("unix:///run/docker.sock", around)
    value = new_index([])
    with served_frontend(Build(), value, [near]) as build:
        reference = build.attrs["source"]
        host, _, name = reference.partition("/")
        assert name == f"helper@{value.digest}"
        with urllib.request.urlopen(f"http://{host}/v2/helper/manifests/{value.digest}") as answer:
            assert answer.read() == value.document.raw


def test_an_engine_that_tries_tls_first_is_answered_by_http() -> None:
    """containerd asks again without TLS if the answer to its first record begins with HTTP/."""
    with local_registry(None, {}) as served:
        host, _, port = served.host.partition(":")
        with socket.create_connection((host, int(port)), timeout=5) as plain:
            hello = ssl.MemoryBIO()
            context = ssl.create_default_context()
            session = context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
            with pytest.raises(ssl.SSLWantReadError):
                session.do_handshake()
            plain.sendall(hello.read().replace(b"\n", b"\r"))  # not a line for a web server
            assert plain.recv(100).startswith(b"HTTP/1.1 400 ")


def test_a_frontend_may_read_what_lies_beside_a_file_in_the_context(tmp_path: Path) -> None:
    (tmp_path / "homeport.yaml").write_text("# syntax=host.example/homeport:1\nhomeport: 1\n")
    (tmp_path / ".dockerignore").write_text("*\n!demo.lock\n")
    wanted = DockerfileBuild(context=tmp_path, file=tmp_path / "homeport.yaml")
    offered = prepare(wanted).folders["dockerfile"]
    assert (offered.path, offered.only) == (tmp_path, ())
    assert offered.ignore == (b"*", b"!demo.lock", b"!homeport.yaml")
    (tmp_path / "homeport.yaml").write_text("FROM scratch\n")
    assert prepare(wanted).folders["dockerfile"].only == (
        b"homeport.yaml", b"homeport.yaml.dockerignore",
    )  # fmt: skip
