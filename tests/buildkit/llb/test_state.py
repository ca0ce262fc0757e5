"""LLB graphs: the same graph is the same bytes; what is printed is what is there."""

from __future__ import annotations

import pytest

from homeport.buildkit.llb.dump import BadLlb, as_dot, as_json, as_text, read_definition, steps
from homeport.buildkit.llb.files import Owner, copy, mkdir, mkfile, rm, symlink
from homeport.buildkit.llb.marshal import digest_of, marshal
from homeport.buildkit.llb.mounts import bind, cache, secret, ssh_agent, tmpfs
from homeport.buildkit.llb.ops import Definition, Op
from homeport.buildkit.llb.sources import diff, git, http, image, local, merge, oci_layout, scratch
from homeport.buildkit.llb.state import State
from homeport.buildkit.protobuf import decode, encode
from homeport.oci.platform import parse_platform


def graph() -> State:
    """Everything that can stand in a graph."""
    base = image("registry.example/debian:13", platform=parse_platform("linux/arm/v7"))
    ran = base.run(
        ["make", "all"],
        env={"A": "1"},
        cwd="/src",
        user="1000",
        network="none",
        mounts=[
            bind(local("src", exclude=["*.o"], follow=["a"]), "/src", readonly=False),
            cache("/cache", "id", sharing="locked"),
            tmpfs("/tmp", size=1 << 20),
            secret("/run/secrets/s", "s"),
            ssh_agent("/ssh"),
        ],
        secret_env={"TOKEN": "t"},
        name="compile",
    )
    files = scratch().file(
        copy(ran.mount("/src"), "/out", "/out", owner=Owner(0, 5), mode=0o755),
        mkdir("/d", parents=True),
        mkfile("/d/f", b"\x00\xff"),
        symlink("f", "/d/l"),
        rm("/d/x", allow_missing=True),
    )
    other = merge(
        files,
        git("https://git.example/x.git", ref="0123", subdir="sub"),
        http("https://web.example/f", checksum="sha256:" + "0" * 64),
        oci_layout("base@sha256:" + "1" * 64, store="base"),
    )
    return diff(ran.root, other)


def test_the_same_graph_is_the_same_bytes() -> None:
    assert encode(marshal(graph())) == encode(marshal(graph()))


def test_inputs_come_before_what_uses_them_and_each_operation_once() -> None:
    definition = marshal(graph())
    seen: set[str] = set()
    for data in definition.defs:
        assert {each.digest for each in decode(Op, data).inputs} <= seen
        assert digest_of(data) not in seen
        seen.add(digest_of(data))


def test_the_last_operation_only_names_the_result() -> None:
    last = decode(Op, marshal(graph()).defs[-1])
    assert encode(last) == encode(Op(inputs=last.inputs))


def test_every_operation_has_metadata_as_frontend_inputs_need() -> None:
    definition = marshal(graph())
    assert set(definition.metadata) == {digest_of(data) for data in definition.defs}


def test_the_empty_filesystem_is_an_empty_definition() -> None:
    assert marshal(scratch()) == Definition()


def test_a_source_is_the_bytes_that_protocol_buffers_specify() -> None:
    """Op{source=3: {identifier=1}, platform=10: {Architecture=1, OS=2}}."""
    name = b"docker-image://docker.io/library/alpine:latest"
    state = image("docker.io/library/alpine:latest", platform=parse_platform("linux/amd64"))
    source = b"\x0a" + bytes([len(name)]) + name
    assert marshal(state).defs[0] == (
        b"\x1a" + bytes([len(source)]) + source + b"\x52\x0e\x0a\x05amd64\x12\x05linux"
    )


def test_text_names_every_operation_and_its_inputs() -> None:
    text = as_text(marshal(scratch().file(mkfile("/f", b"hi"))))
    assert text.splitlines()[0].split() == ["1", "file", "mkfile"]
    assert "path: '/f'" in text
    assert text.splitlines()[-2].split() == ["2", "result", "result", "←", "1.0"]


def test_an_owner_that_is_root_is_shown() -> None:
    assert "by_id: 0" in as_text(marshal(scratch().file(mkdir("/d", owner=Owner(0, 0)))))


def test_json_and_dot_hold_every_operation() -> None:
    definition = marshal(graph())
    digests = [step.digest for step in steps(definition)]
    assert [each["digest"] for each in as_json(definition)["operations"]] == digests
    assert all(digest in as_dot(definition) for digest in digests)


def test_what_was_marshalled_is_read_again() -> None:
    definition = marshal(graph())
    assert read_definition(encode(definition)) == definition


@pytest.mark.parametrize("data", [b"", b"not LLB at all", b"\x0a\x02\xff\xff"])
def test_what_is_no_definition_is_refused(data: bytes) -> None:
    with pytest.raises(BadLlb):
        read_definition(data)


def test_an_input_that_is_missing_is_named() -> None:
    definition = marshal(scratch().file(mkfile("/f", b"")))
    broken = Definition(defs=definition.defs[1:])
    with pytest.raises(BadLlb, match="which is missing"):
        steps(broken)
