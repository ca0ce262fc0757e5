"""Plan → apply → audit: every image comes home, and nothing else in any file changes."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.audit import TODAY, every_case, lay_out, read_case
from homeport.audit.auditing import AuditRequest, AuditResult, audit, plan
from homeport.audit.own_files import BadFile
from homeport.audit.plan.applying import (
    EditWouldChangeMore,
    PlanIsForOtherFiles,
    apply_edits,
    prepare,
    write,
)
from homeport.audit.plan.deciding import home_of
from homeport.audit.plan.planfile import Edit, Plan, read_plan
from homeport.errors import Faults, UsageError
from homeport.oci.reference import parse_reference

HOME = "registry.example/mirror"


def audited(root: Path) -> tuple[AuditResult, AuditRequest]:
    request = AuditRequest(paths=["."], root=root, home=HOME, today=TODAY)
    return audit(request), request


def make(root: Path) -> Plan:
    """A plan with the edits that follow from it."""
    return plan(*audited(root))


def bring_home(root: Path) -> None:
    write(prepare(make(root), root), root)


def foreign(root: Path) -> list[str]:
    found, _ = audited(root)
    return [image.name for image in found.report.foreign if image.confidence != "low"]


FILES = {
    "Dockerfile": (
        "# syntax=docker/dockerfile:1.0\n"
        "ARG B=debian\nARG T=13-slim\nARG WHOLE='golang:1.25'\n"
        "FROM docker.io/library/${B}:${T} AS base\n"
        "COPY --from=busybox:1.36 /bin/busybox /bin/\n"
        "FROM $WHOLE\nRUN --mount=from=alpine:3.22,target=/x true\n"
    ),
    "compose.yaml": (
        "\ufeffservices:\r\n  web:\r\n    image: \"nginx:1.27\"   # why\r\n"
        "  db:\r\n    image: ${DB:-postgres:16}\r\n  c: {image: 'redis:7'}"
    ),
    ".github/workflows/ci.yml": (
        "jobs:\n  a:\n    strategy: {matrix: {v: ['python:3.12', 'python:3.13']}}\n"
        "    container: ${{ matrix.v }}\n    steps:\n"
        "      - uses: docker/setup-qemu-action@v3  # emulators\n"
        "      - uses: docker/setup-buildx-action@v3\n        with:\n          install: true\n"
        "      - uses: docker/build-push-action@v6\n        with:\n          sbom: true\n"
    ),
    ".gitlab-ci.yml": 'variables: {IMG: "ruby:3.3"}\nimage: $IMG\na: {script: [x]}\n',
    "values.yaml": "image:\n  registry: quay.io\n  repository: a/b\n  tag: 1.10\n",
    "main.tf": 'resource "docker_image" "x" {\n  name = "nginx:1.27" # x\n}\n',
}  # fmt: skip


def test_after_apply_no_foreign_image_is_left(tmp_path: Path) -> None:
    lay_out(FILES, tmp_path)
    assert len(foreign(tmp_path)) > 10
    bring_home(tmp_path)
    assert foreign(tmp_path) == []


def test_every_place_keeps_its_bytes_around_the_reference(tmp_path: Path) -> None:
    lay_out(FILES, tmp_path)
    bring_home(tmp_path)
    hub = f"{HOME}/docker.io"
    assert (tmp_path / "compose.yaml").read_bytes() == (
        f'\ufeffservices:\r\n  web:\r\n    image: "{hub}/library/nginx:1.27"   # why\r\n'
        f"  db:\r\n    image: ${{DB:-{hub}/library/postgres:16}}\r\n"
        f"  c: {{image: '{hub}/library/redis:7'}}"
    ).encode()
    assert (tmp_path / "Dockerfile").read_text() == (
        f"# syntax={hub}/docker/dockerfile:1\n"
        f"ARG B=debian\nARG T=13-slim\nARG WHOLE='{hub}/library/golang:1.25'\n"
        f"FROM {hub}/library/${{B}}:${{T}} AS base\n"
        f"COPY --from={hub}/library/busybox:1.36 /bin/busybox /bin/\n"
        f"FROM $WHOLE\nRUN --mount=from={hub}/library/alpine:3.22,target=/x true\n"
    )
    assert (tmp_path / ".github/workflows/ci.yml").read_text() == (
        "jobs:\n  a:\n    strategy: {matrix: {v: "
        f"['{hub}/library/python:3.12', '{hub}/library/python:3.13']}}}}\n"
        "    container: ${{ matrix.v }}\n    steps:\n"
        "      - uses: docker/setup-qemu-action@v3  # emulators\n"
        f"        with:\n          image: {hub}/tonistiigi/binfmt:latest\n"
        "      - uses: docker/setup-buildx-action@v3\n        with:\n"
        f"          driver-opts: image={hub}/moby/buildkit:buildx-stable-1\n"
        "          install: true\n"
        "      - uses: docker/build-push-action@v6\n        with:\n"
        f"          sbom: generator={hub}/docker/buildkit-syft-scanner:stable-1\n"
    )
    assert (tmp_path / "values.yaml").read_text() == (
        "image:\n  registry: registry.example\n  repository: mirror/quay.io/a/b\n  tag: 1.10\n"
    )


def test_a_digest_is_kept_beside_its_tag(tmp_path: Path) -> None:
    digest = "sha256:" + "a" * 64
    lay_out({"Dockerfile": f"FROM debian:13@{digest}\n"}, tmp_path)
    bring_home(tmp_path)
    text = (tmp_path / "Dockerfile").read_text()
    assert text == f"FROM {HOME}/docker.io/library/debian:13@{digest}\n"


def test_pairs_name_every_image_that_is_imported_once(tmp_path: Path) -> None:
    lay_out({"a/Dockerfile": "FROM debian:13\n", "b/Dockerfile": "FROM debian:13\n"}, tmp_path)
    assert [msgspec.to_builtins(pair) for pair in make(tmp_path).mirror] == [
        {
            "source": "docker.io/library/debian:13",
            "destination": f"{HOME}/docker.io/library/debian:13",
        }
    ]


def test_what_cannot_be_edited_safely_is_a_setting(tmp_path: Path) -> None:
    lay_out(
        {"main.tf": 'variable "i" { default = "nginx:1" }\n'
                    'resource "docker_container" "c" { image = var.i }\n'}, tmp_path,
    )  # fmt: skip
    (image,) = [i for i in make(tmp_path).images if i.action == "import"]
    assert [p.every_edit for p in image.places] == [()]
    assert image.places[0].setting.endswith(f"{HOME}/docker.io/library/nginx:1")


def test_a_shared_argument_is_not_edited(tmp_path: Path) -> None:
    text = "ARG I=debian:13\nFROM $I\nARG I\nRUN echo $I\n"
    lay_out({"Dockerfile": text}, tmp_path)
    bring_home(tmp_path)
    expected = text.replace("FROM $I", f"FROM {HOME}/docker.io/library/$I")
    assert (tmp_path / "Dockerfile").read_text() == expected


def test_dead_images_are_to_be_deleted_and_not_copied(tmp_path: Path) -> None:
    lay_out({"compose.yaml": "services: {a: {image: docker/compose:1.29.2}}\n"}, tmp_path)
    found = make(tmp_path)
    assert [(i.image, i.action) for i in found.images] == [
        ("docker.io/docker/compose:1.29.2", "delete")
    ]
    assert found.mirror == ()


def test_the_copy_helper_of_earthly_is_built_from_the_catalog(tmp_path: Path) -> None:
    lay_out({"Earthfile": "VERSION 0.8\na:\n  FROM scratch\n  CACHE --persist /c\n"}, tmp_path)
    (image,) = [i for i in make(tmp_path).images if "dockerfile-copy" in i.image]
    assert (image.action, image.recipe) == ("build", "dockerfile-copy")


@pytest.mark.parametrize("home", ["", "mirror", "registry.example/UPPER", "a b.example"])
def test_a_home_must_be_a_registry_and_a_path(tmp_path: Path, home: str) -> None:
    lay_out({"Dockerfile": "FROM a\n"}, tmp_path)
    request = AuditRequest(paths=["."], root=tmp_path, home="")
    found = audit(request)
    with pytest.raises(UsageError):
        plan(found, msgspec.structs.replace(request, home=home))


def test_files_that_changed_since_are_refused_and_none_is_written(tmp_path: Path) -> None:
    lay_out({"a/Dockerfile": "FROM a:1\n", "b/Dockerfile": "FROM b:1\n"}, tmp_path)
    made = make(tmp_path)
    (tmp_path / "b/Dockerfile").write_text("FROM b:2\n")
    with pytest.raises(PlanIsForOtherFiles, match="has changed"):
        prepare(made, tmp_path)
    assert (tmp_path / "a/Dockerfile").read_text() == "FROM a:1\n"


def test_all_files_that_stand_against_a_plan_are_named(tmp_path: Path) -> None:
    lay_out({"a/Dockerfile": "FROM a:1\n", "b/Dockerfile": "FROM b:1\n"}, tmp_path)
    made = make(tmp_path)
    (tmp_path / "a/Dockerfile").unlink()
    (tmp_path / "b/Dockerfile").write_text("FROM b:2\n")
    with pytest.raises(Faults) as raised:
        prepare(made, tmp_path)
    assert raised.value.exit_code == 3
    assert [fault.where["file"] for fault in raised.value.faults] == [
        "a/Dockerfile", "b/Dockerfile",
    ]  # fmt: skip


def test_a_plan_that_would_change_more_than_a_reference_is_refused(tmp_path: Path) -> None:
    lay_out({"compose.yaml": "services:\n  a: {image: nginx:1, user: x}\n"}, tmp_path)
    made = make(tmp_path)
    (image,) = made.images
    (place,) = image.places
    assert place.edit is not None
    for new in ("nginx:1, privileged: true", "[a]", "&x nginx:1", "nginx:1}\n  b: {", "'nginx"):
        edit = msgspec.structs.replace(place.edit, new=new)
        other = msgspec.structs.replace(place, edit=edit)
        images = (msgspec.structs.replace(image, places=(other,)),)
        changed = msgspec.structs.replace(made, images=images)
        with pytest.raises(EditWouldChangeMore):
            prepare(changed, tmp_path)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x"])
def test_a_plan_reaches_nothing_outside(path: str) -> None:
    data = f"schema: homeport-plan/v1\nfiles: [{{path: {path}, sha256: x}}]\n".encode()
    with pytest.raises(BadFile, match="is not below"):
        read_plan(data, "plan.yaml")


def test_a_link_out_of_the_tree_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "root"
    lay_out({"Dockerfile": "FROM a:1\n"}, root)
    made = make(root)
    (root / "Dockerfile").rename(outside / "Dockerfile")
    (root / "Dockerfile").symlink_to(outside / "Dockerfile")
    with pytest.raises(PlanIsForOtherFiles, match="not a file below"):
        prepare(made, root)


def test_modes_stay(tmp_path: Path) -> None:
    lay_out({"Dockerfile": "FROM a:1\n"}, tmp_path)
    (tmp_path / "Dockerfile").chmod(0o640)
    bring_home(tmp_path)
    assert stat.S_IMODE((tmp_path / "Dockerfile").stat().st_mode) == 0o640


def test_a_write_that_fails_puts_back_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out({"a/Dockerfile": "FROM a:1\n", "b/Dockerfile": "FROM b:1\n"}, tmp_path)
    changes = prepare(make(tmp_path), tmp_path)
    real = os.fsync
    calls = iter([False, False, True])  # the file and the folder of a, then the file of b

    def failing(descriptor: int) -> None:
        if next(calls, False):
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(Exception, match="No space"):
        write(changes, tmp_path)
    assert (tmp_path / "a/Dockerfile").read_text() == "FROM a:1\n"
    assert (tmp_path / "b/Dockerfile").read_text() == "FROM b:1\n"


@pytest.mark.parametrize("path", every_case(), ids=lambda p: p.stem)
def test_every_case_of_the_corpus_can_be_planned_and_applied(path: Path, tmp_path: Path) -> None:
    """After that, an image that was edited is never foreign any more."""
    lay_out(read_case(path).files, tmp_path)
    before = make(tmp_path)
    write(prepare(before, tmp_path), tmp_path)
    left = foreign(tmp_path)
    for image in before.images:
        done = [p for p in image.places if p.every_edit]
        if image.action == "import" and len(done) == len(image.places):
            assert image.image not in left, path


REFERENCES = st.from_regex(
    r"\A(?:[a-z]{2,5}\.example(?::[1-9][0-9]{1,3})?/)?[a-z0-9]{1,6}(?:/[a-z0-9]{1,6})?"
    r"(?::[a-z0-9][a-z0-9.]{0,6})?\Z"
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(
    st.lists(REFERENCES, min_size=1, max_size=4),
    st.sampled_from(["", "'", '"']),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "\ufeff"]),
    st.sampled_from(["", "# é 🎉 "]),
)
def test_an_edit_gives_the_wanted_reference_and_changes_nothing_else(
    tmp_path_factory: pytest.TempPathFactory,
    references: list[str], quote: str, end: str, bom: str, comment: str,
) -> None:  # fmt: skip
    root = tmp_path_factory.mktemp("edit")
    lines = [f"{bom}{comment}services:" if not comment else f"{bom}{comment}{end}services:"]
    for number, reference in enumerate(references):
        lines.append(f"  s{number}: {{image: {quote}{reference}{quote}, x: [é]}}  {comment}")
    lay_out({"compose.yaml": end.join(lines)}, root)
    expected = end.join(lines)
    bring_home(root)
    for number, reference in enumerate(references):
        home = str(home_of(parse_reference(reference), HOME))
        old = f"  s{number}: {{image: {quote}{reference}{quote},"
        expected = expected.replace(old, f"  s{number}: {{image: {quote}{home}{quote},")
    assert (root / "compose.yaml").read_bytes() == expected.encode()
    assert foreign(root) == []


@given(st.binary(max_size=40), st.integers(0, 50), st.integers(0, 50), st.text(max_size=5))
def test_an_edit_is_made_exactly_or_refused(data: bytes, start: int, end: int, new: str) -> None:
    piece = data[start:end]
    try:
        old = piece.decode()
        new.encode()
    except UnicodeError:
        return
    edit = Edit(start=start, end=end, old=old, new=new)
    if not 0 <= start <= end <= len(data):
        with pytest.raises(PlanIsForOtherFiles):
            apply_edits(data, [edit])
        return
    assert apply_edits(data, [edit]) == data[:start] + new.encode() + data[end:]


def test_ways_without_an_edit_are_whole_files_for_each_engine(tmp_path: Path) -> None:
    lay_out({"Dockerfile": "FROM debian:13\nCOPY --from=quay.io/a/b:1 /x /\n"}, tmp_path)
    request = AuditRequest(paths=["."], root=tmp_path, home="r.example:5000/m", today=TODAY)
    ways = {way.file: way.text for way in plan(audit(request), request).config_files}
    buildkit = tomllib.loads(ways["buildkitd.toml"])["registry"]
    assert {host: table["mirrors"] for host, table in buildkit.items()} == {
        "docker.io": ["r.example:5000/m/docker.io"], "quay.io": ["r.example:5000/m/quay.io"]
    }  # fmt: skip
    podman = tomllib.loads(ways["/etc/containers/registries.conf"])["registry"]
    assert [(r["prefix"], r["mirror"][0]["location"]) for r in podman] == [
        ("docker.io", "r.example:5000/m/docker.io"), ("quay.io", "r.example:5000/m/quay.io")
    ]  # fmt: skip
    for host in ("docker.io", "quay.io"):
        (to,) = tomllib.loads(ways[f"/etc/containerd/certs.d/{host}/hosts.toml"])["host"]
        assert to == f"https://r.example:5000/v2/m/{host}"
    policy = json.loads(ways["EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"])["rules"]
    assert [rule["updates"]["identifier"] for rule in policy] == [
        "docker-image://r.example:5000/m/docker.io/library/debian:13",
        "docker-image://r.example:5000/m/quay.io/a/b:1",
    ]


def test_the_frontends_that_an_engine_may_be_restricted_to_are_proposed(tmp_path: Path) -> None:
    lay_out({"Dockerfile": "# syntax=docker/dockerfile:1\nFROM debian:13\n"}, tmp_path)
    request = AuditRequest(paths=["."], root=tmp_path, home="r.example/m", today=TODAY)
    ways = {way.file: way.text for way in plan(audit(request), request).config_files}
    assert "frontend" not in tomllib.loads(ways["buildkitd.toml"])
    lines = ways["buildkitd.toml"].splitlines()
    active = "\n".join(line.removeprefix("# ") for line in lines if "syntax=" not in line)
    gateway = tomllib.loads(active)["frontend"]["gateway.v0"]
    assert gateway["allowedRepositories"] == [
        "docker.io/docker/dockerfile", "r.example/m/docker.io/docker/dockerfile"
    ]  # fmt: skip
