"""``-o``, ``--tag``, ``--push`` and ``--load`` of a build on an engine, as people type them."""

from __future__ import annotations

import pytest

from homeport.buildkit.outputs import parse_output, with_tags
from homeport.errors import UsageError


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("type=local,dest=out", "dir:out"),
        ("type=tar,dest=rootfs.tar", "tar:rootfs.tar"),
        ("type=tar,dest=-", "tar:-"),
        ("type=oci,dest=app.tar", "oci-archive:app.tar"),
        ("type=oci,tar=false,dest=app", "oci:app"),
        ("dest=app.tar,type=docker", None),
        ("type=docker,dest=app.tar", "docker-archive:app.tar"),
        ("type=registry,name=r.example/a:1", "docker://r.example/a:1"),
        ("type=image,name=r.example/a:1,push=true", "docker://r.example/a:1"),
        ("type=image,name=r.example/a:1", None),
        ("type=local", None),
        ("type=cacheonly", None),
        ("type=local,dest=a,dest=b", None),
        ("type=oci,dest=a.tar,compression=zstd", None),
    ],
)
def test_outputs_are_read_as_buildx_writes_them(text: str, means: str | None) -> None:
    if means is None:
        with pytest.raises(UsageError):
            parse_output(text)
    else:
        assert str(parse_output(text)) == means


@pytest.mark.parametrize(
    ("outputs", "tags", "flags", "means"),
    [
        ([], ["r.example/a:1"], "push", ["docker://r.example/a:1"]),
        ([], ["r.example/a:1", "r.example/a:2"], "push",
         ["docker://r.example/a:1", "docker://r.example/a:2"]),
        ([], ["a:1"], "load", ["load:docker.io/library/a:1"]),
        (["dir:out"], ["r.example/a:1"], "push load",
         ["dir:out", "docker://r.example/a:1", "load:r.example/a:1"]),
        (["oci:out"], ["1", "2"], "", ["oci:out:1", "oci:out:2"]),
        (["docker-archive:a.tar"], ["a:1"], "", ["docker-archive:a.tar:docker.io/library/a:1"]),
        (["dir:out"], [], "", ["dir:out"]),
        ([], [], "push", "--push requires a name"),
        ([], [], "load", "--load requires a name"),
        ([], ["a:1"], "", "no output takes it"),
        (["oci:out:1"], ["2"], "", "no output takes it"),
        (["oci:out"], ["r.example/a:1"], "", "keep a tag, not a name"),
    ],
)  # fmt: skip
def test_every_name_goes_somewhere(
    outputs: list[str], tags: list[str], flags: str, means: list[str] | str
) -> None:
    parsed = [parse_output(text) for text in outputs]
    asked = {"push": "push" in flags, "load": "load" in flags}
    if isinstance(means, str):
        with pytest.raises(UsageError, match=means):
            with_tags(parsed, tags, **asked)
    else:
        assert [str(each) for each in with_tags(parsed, tags, **asked)] == means
