"""What users write, and what engines are told: outputs, contexts, secrets, caches."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.buildkit.caching import parse_cache
from homeport.buildkit.dockerfile import DockerfileBuild, prepare, read_context
from homeport.buildkit.outputs import FolderOutput, ImageOutput, TarOutput, export_to, parse_output
from homeport.buildkit.protocol.control import CacheOptionsEntry
from homeport.buildkit.session.context_folder import BadContext, Offer
from homeport.buildkit.session.secrets import SecretNotFound, read_agents, read_secrets
from homeport.errors import HomeportError, UsageError
from homeport.oci.platform import parse_platform


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "other").mkdir()
    return tmp_path


def test_every_option_becomes_the_frontends_attribute(context: Path) -> None:
    build = prepare(
        DockerfileBuild(
            context=context,
            target="app",
            build_args={"A": "1"},
            labels={"l": "2"},
            build_contexts={"more": str(context / "other"), "base": "docker-image://r.example/b"},
            platforms=[parse_platform("linux/amd64"), parse_platform("linux/arm/v7")],
            no_cache=True,
            attests=["provenance,mode=max", "sbom"],
            options={"override-copy-image": "r.example/copy"},
        )
    )
    assert build.attrs == {
        "filename": "Dockerfile",
        "target": "app",
        "no-cache": "",
        "platform": "linux/amd64,linux/arm/v7",
        "build-arg:A": "1",
        "label:l": "2",
        "attest:provenance": "mode=max",
        "attest:sbom": "",
        "context:more": "local:context:more",
        "context:base": "docker-image://r.example/b",
        "override-copy-image": "r.example/copy",
    }
    assert build.folders == {
        "context": Offer(context),
        "dockerfile": Offer(context, only=(b"Dockerfile", b"Dockerfile.dockerignore")),
        "context:more": Offer(context / "other"),
    }


def test_a_dockerfile_may_lie_outside_of_its_context(context: Path, tmp_path: Path) -> None:
    build = prepare(DockerfileBuild(context=context / "other", file=context / "Dockerfile"))
    assert {name: offer.path for name, offer in build.folders.items()} == {
        "context": context / "other", "dockerfile": context,
    }  # fmt: skip


def test_what_is_ignored_is_known_here_by_the_rules_of_the_frontend(context: Path) -> None:
    def ignored(**more: object) -> tuple[tuple[bytes, ...], ...]:
        build = prepare(DockerfileBuild(context=context, **more))  # type: ignore[arg-type]
        return tuple(offer.ignore for offer in build.folders.values())

    assert ignored() == ((), ())
    (context / ".dockerignore").write_text("# secrets\n/.env\n!x\n")
    assert ignored() == ((b".env", b"!x"), ())
    (context / "other/.dockerignore").write_text("y\n")
    named = ignored(build_contexts={"more": str(context / "other")})
    assert named == ((b".env", b"!x"), (), (b"y",))
    # A file of the Dockerfile's own replaces that of the context.
    (context / "Dockerfile.dockerignore").write_text("z\n")
    assert ignored() == ((b"z",), ())
    assert ignored(options={"filename": "Other"}) == ((b".env", b"!x"), ())


def test_a_broken_ignore_file_is_named(context: Path) -> None:
    (context / ".dockerignore").write_text("a\n[\n")
    with pytest.raises(BadContext, match="invalid ignore file") as caught:
        prepare(DockerfileBuild(context=context))
    assert caught.value.where["file"] == str(context / ".dockerignore")


def test_a_url_is_fetched_by_the_engine() -> None:
    assert read_context("https://git.example/x.git#main") == "https://git.example/x.git#main"
    build = prepare(DockerfileBuild(context="https://git.example/x.git"))
    assert build.attrs == {"context": "https://git.example/x.git"}
    assert build.folders == {}


def test_two_contexts_have_two_keys_so_that_engines_do_not_mix_them(context: Path) -> None:
    (context / "other/Dockerfile").write_text("FROM scratch\n")
    keys = {
        prepare(DockerfileBuild(context=each)).shared_key for each in (context, context / "other")
    }
    assert len(keys) == 2


def test_what_is_missing_is_named(context: Path) -> None:
    with pytest.raises(BadContext, match="no such directory"):
        read_context(str(context / "nope"))
    with pytest.raises(BadContext, match="not a directory"):
        read_context(str(context / "Dockerfile"))
    with pytest.raises(BadContext, match="cannot read the Dockerfile"):
        prepare(DockerfileBuild(context=context / "other"))
    with pytest.raises(BadContext, match="'more' is not a directory"):
        prepare(DockerfileBuild(context=context, build_contexts={"more": "nope"}))


def test_outputs_are_directories_archives_and_images() -> None:
    assert parse_output("dir:out") == FolderOutput(Path("out"))
    assert parse_output("tar:-") == TarOutput(None)
    assert isinstance(parse_output("oci:x:1"), ImageOutput)
    assert str(parse_output("docker://r.example/x:1")) == "docker://r.example/x:1"


@pytest.mark.parametrize("text", ["dir", "dir:", "tar:", "type=other,dest=x", "-", "x"])
def test_what_is_no_output_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_output(text)


def test_an_archive_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "x.tar"
    with pytest.raises(HomeportError), export_to(TarOutput(file)) as (export,):
        assert export.to is not None
        export.to.write(b"half")  # type: ignore[union-attr]  # it is a stream here
        raise HomeportError("the engine went away")
    assert list(tmp_path.iterdir()) == []


def test_secrets_come_from_files_and_variables(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"one")
    texts = [f"id=a,src={tmp_path / 's'}", "id=b,env=B", "id=C"]
    assert read_secrets(texts, {"B": "two", "C": "three"}) == {
        "a": b"one",
        "b": b"two",
        "C": b"three",
    }


@pytest.mark.parametrize("text", ["src=x", "id", "id=a,src=/nonexistent", "id=a", "id=a,x=y"])
def test_a_secret_that_is_not_there_stops_before_the_build(text: str) -> None:
    with pytest.raises(UsageError):
        read_secrets([text], {})


def test_an_agent_needs_a_socket(tmp_path: Path) -> None:
    with pytest.raises(SecretNotFound, match="no ssh agent runs"):
        read_agents(["default"], {})
    with pytest.raises(SecretNotFound, match="not a socket of an agent"):
        read_agents([f"x={tmp_path}"], {})


def test_caches_are_a_type_and_its_attributes() -> None:
    assert parse_cache("r.example/c") == CacheOptionsEntry(
        type="registry", attrs={"ref": "r.example/c"}
    )
    assert parse_cache("type=inline") == CacheOptionsEntry(type="inline")
    for text in ("ref=x", "type=registry,ref"):
        with pytest.raises(UsageError):
            parse_cache(text)


def test_a_platform_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    wrong = parse_platform("linux/nonsense")
    with pytest.raises(UsageError, match="unknown platform"):
        prepare(DockerfileBuild(context=tmp_path, platforms=(wrong,)))
