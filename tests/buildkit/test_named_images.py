"""The images that a build names, which are the only ones that an engine gets tokens for."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.buildkit.caching import parse_cache
from homeport.buildkit.dockerfile import DockerfileBuild, prepare
from homeport.buildkit.llb.marshal import marshal
from homeport.buildkit.llb.source_policy import Policy, Rule, Selector, Update
from homeport.buildkit.llb.sources import image, merge
from homeport.buildkit.named_images import repositories_of
from homeport.buildkit.session.repositories import Repositories, allowed_name
from homeport.buildkit.solve import Build
from homeport.errors import UsageError
from homeport.oci.platform import parse_platform

DOCKERFILE = """\
ARG BASE=r.example/team/base
FROM ${BASE}:1 AS build
FROM r.example/${TARGETARCH}/tools AS tools
FROM debian
COPY --from=build / /
COPY --from=r.example/copied:1 / /
RUN --mount=from=r.example/mounted,target=/m make r.example/not-an-image
ONBUILD COPY --from=r.example/later / /
"""


def named(context: Path, dockerfile: str = DOCKERFILE, **more: object) -> set[str]:
    (context / "Dockerfile").write_text(dockerfile)
    build = prepare(DockerfileBuild(context=context, **more))  # type: ignore[arg-type]
    return set(repositories_of(build).pulls)


def test_every_image_of_a_dockerfile_is_named(tmp_path: Path) -> None:
    platforms = [parse_platform("linux/amd64"), parse_platform("linux/arm/v7")]
    assert named(tmp_path, platforms=platforms) == {
        "r.example/team/base", "r.example/amd64/tools", "r.example/arm/tools", "r.example/copied",
        "docker.io/library/debian", "r.example/mounted", "r.example/later",
    }  # fmt: skip


def test_without_platforms_every_usual_architecture_may_be_meant(tmp_path: Path) -> None:
    found = named(tmp_path, "FROM r.example/$TARGETARCH/x\n")
    assert {"r.example/riscv64/x", "r.example/arm64/x"} <= found


def test_arguments_contexts_and_attributes_name_images_too(tmp_path: Path) -> None:
    found = named(
        tmp_path,
        "ARG BASE\nFROM $BASE\n",
        build_args={"BASE": "r.example/given", "BUILDKIT_SYNTAX": "r.example/frontend:1"},
        build_contexts={"more": "docker-image://r.example/context@sha256:" + "a" * 64},
        attests=["sbom,generator=r.example/scanner"],
        options={
            "override-copy-image": "r.example/copy:1",
            "cache-from": "r.example/a,r.example/b",
        },
    )
    assert found == {
        f"r.example/{name}"
        for name in ("given", "frontend", "context", "scanner", "copy", "a", "b")
    }


def test_in_a_file_for_another_frontend_every_word_may_be_an_image(tmp_path: Path) -> None:
    text = "# syntax=r.example/frontend:1\nversion: v4\nvariants:\n  a: {base: 'r.example/b:1'}\n"
    assert {"r.example/frontend", "r.example/b"} <= named(tmp_path, text)


def test_graphs_policies_and_caches_name_images() -> None:
    update = Update(identifier="docker-image://r.example/instead:1")
    build = Build(
        definition=marshal(merge(image("r.example/one:1"), image("r.example/two:1"))),
        source_policy=Policy(rules=(Rule(action=2, selector=Selector(), updates=update),)),
        cache_imports=[
            parse_cache("r.example/imported"),
            parse_cache("type=local,src=a/b"),
        ],
        cache_exports=[parse_cache("type=registry,ref=r.example/exported:1,mode=max")],
    )
    found = repositories_of(build, pushes=["r.example/result:1"], more=["r.example/team/*"])
    names = {"one", "two", "instead", "imported", "exported", "result", "team/*"}
    assert found.pulls == {f"r.example/{name}" for name in names}
    assert found.pushes == {"r.example/exported", "r.example/result"}


@pytest.mark.parametrize(
    ("host", "asked", "given"),
    [
        ("r.example", "repository:base:pull", "repository:base:pull"),
        ("r.example", "repository:base:pull,push,delete", "repository:base:pull"),
        ("r.example", "repository:base:*", ""),
        ("r.example", "repository:base:push", ""),
        ("r.example", "repository:made:pull,push,delete", "repository:made:pull,push"),
        ("r.example", "repository:team/a/b:pull", "repository:team/a/b:pull"),
        ("r.example", "repository:team:pull", ""),
        ("r.example", "repository:teams/a:pull", ""),
        ("r.example", "repository:other:pull", ""),
        ("other.example", "repository:base:pull", ""),
        ("r.example/base", "repository::pull", ""),
        ("r.example", "repository(plugin):base:pull", ""),
        ("r.example", "registry:catalog:*", ""),
        ("r.example", "", ""),
        ("registry-1.docker.io", "repository:library/hub:pull", "repository:library/hub:pull"),
    ],
)
def test_a_scope_is_reduced_to_what_the_build_needs(host: str, asked: str, given: str) -> None:
    repositories = Repositories(
        pulls=frozenset({"r.example/base", "r.example/team/*", "docker.io/library/hub"}),
        pushes=frozenset({"r.example/made"}),
    )
    assert repositories.permitted(host, [asked]) == (frozenset({given}) if given else frozenset())


def test_only_registries_of_the_build_are_known() -> None:
    repositories = Repositories(pulls=frozenset({"r.example:5000/a", "docker.io/library/b"}))
    hosts = ["r.example:5000", "r.example", "r.example:5000/v2?x=", "registry-1.docker.io", ""]
    assert [repositories.has_registry(host) for host in hosts] == [True, False, False, True, False]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("r.example/a:1", "r.example/a"),
        ("debian", "docker.io/library/debian"),
        ("r.example/*", "r.example/*"),
        ("r.example/team/*", "r.example/team/*"),
        ("team/*", "docker.io/team/*"),
        ("*", None),
        ("r.example/A", None),
        ("r.example/a*", None),
        ("", None),
    ],
)
def test_what_a_user_allows_is_a_repository_or_all_below(text: str, name: str | None) -> None:
    if name is None:
        with pytest.raises(UsageError, match="--allow-pull"):
            allowed_name(text)
    else:
        assert allowed_name(text) == name
