"""Builds from recipe to image: what is in it, where it comes from, and what is refused."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from builders.building import BARE, BuildWorld, image_of, listing, tree_of
from builders.deb import MTIME, deb, directory, file, hardlink, link
from builders.elf import elf
from homeport.content.blob import verified
from homeport.content.store import Store
from homeport.errors import AnswerNo, Faults, HomeportError, OutOfDate, UsageError
from homeport.images.address import parse_destination
from homeport.images.image import Index


def world(tmp_path: Path, *packages: bytes) -> BuildWorld:
    return BuildWorld(tmp_path, packages)


def refusal(call: Callable[[], object]) -> str:
    """All that is wrong, a line each."""
    with pytest.raises(HomeportError) as caught:
        call()
    faults = getattr(caught.value, "faults", [caught.value])
    return "\n".join(f"{fault.what}" for fault in faults)


def test_a_whole_package_with_its_dependencies_and_links(tmp_path: Path) -> None:
    here = world(
        tmp_path,
        deb("hello", depends="lib", files={"usr/bin/hello": file(b"hi", mode=0o755)}),
        deb("lib", files={"usr/lib/lib.so": link("lib.so.1"), "usr/lib/lib.so.1": b"code",
                          "usr/lib/same": hardlink("usr/lib/lib.so.1")}),
        deb("other", files={"usr/bin/other": b""}),
    )  # fmt: skip
    built = here.build(BARE + "packages: [hello]")

    assert listing(built) == {
        "usr/bin/hello": "0755 hi",
        "usr/lib/lib.so": "-> lib.so.1",
        "usr/lib/lib.so.1": "0644 code",
        "usr/lib/same": "=> usr/lib/lib.so.1",
    }
    assert [file.id.name for file in built.built.images[0].packages] == ["hello", "lib"]


def test_of_a_sliced_package_only_its_slices_and_what_they_need(tmp_path: Path) -> None:
    here = world(
        tmp_path,
        deb("big", depends="declared", files={"usr/bin/a": b"a", "usr/share/doc/x": b"x"}),
        deb("declared", files={"usr/lib/unused": b""}),
        deb("needed", files={"usr/lib/n1": b"1", "usr/lib/n2": b"2"}),
    )
    here.slices("big", "a: {needs: [needed_one], paths: [/usr/bin/a]}")
    here.slices("needed", "one: {paths: [/usr/lib/n1]}")

    assert listing(here.build(BARE + "packages: [big_a]")) == {
        "usr/bin/a": "0644 a",
        "usr/lib/n1": "0644 1",
    }


@pytest.mark.parametrize("path", ["/bin/tool", "/usr/bin/tool", "/usr/b*/tool", "/usr/**"])
def test_a_slice_names_a_path_as_it_is_shipped_or_as_it_lies_in_the_image(
    path: str, tmp_path: Path
) -> None:
    here = world(tmp_path, deb("tool", files={"bin/tool": b"t", "opt/other": b""}))
    here.slices("tool", f"bin: {{paths: ['{path}']}}")
    text = BARE.replace("usrmerge: false", "usrmerge: true")
    assert listing(here.build(text + "packages: [tool_bin]"))["usr/bin/tool"] == "0644 t"


def test_a_hard_link_whose_file_is_left_out_gets_the_content(tmp_path: Path) -> None:
    files = {"usr/bin/first": b"body", "usr/bin/second": hardlink("usr/bin/first")}
    here = world(tmp_path, deb("tool", files=files))
    here.slices("tool", "second: {paths: [/usr/bin/second]}")
    built = here.build(BARE + "packages: [tool_second]")
    assert listing(built) == {"usr/bin/second": "0644 body"}


def test_the_report_says_what_declared_dependencies_would_have_added(tmp_path: Path) -> None:
    here = world(
        tmp_path,
        deb("big", depends="declared | other, lib, virtual", files={"usr/bin/a": b"a"}),
        deb("lib", files={"usr/lib/l": b"l"}, provides="virtual"),
    )
    here.slices("big", "a: {paths: [/usr/bin/a]}")
    here.slices("lib", "l: {paths: [/usr/lib/l]}")
    recipe = here.write_recipe(BARE + "packages: [big_a, lib_l]")

    for cached in (False, True):
        (image,) = here.build(recipe).built.images
        assert image.cached is cached
        assert image.declared == ("big: declared | other",)


def test_what_debian_needs_beyond_files_is_made_by_steps(tmp_path: Path) -> None:
    stanza_files = {
        "bin/tool": file(b"t", mode=0o755),
        "usr/share/doc/tool/copyright": b"mine",
        "usr/share/doc/tool/changelog": b"long",
    }
    here = world(tmp_path, deb("tool", "1.5", files=stanza_files))
    here.slices("tool", "bin: {paths: [/bin/tool]}")
    built = here.build(
        "steps: {os_release: false}\npackages: [tool_bin]\n"
        "accounts: {users: [{name: app, uid: 1000, gid: 1000}]}\n"
    )
    found = listing(built)
    status = found.pop("var/lib/dpkg/status.d/tool")

    assert found == {
        "bin": "-> usr/bin",
        "etc/group": "0644 root:x:0:\napp:x:1000:\nnogroup:x:65534:",
        "etc/passwd": (
            "0644 root:x:0:0:root:/root:/usr/sbin/nologin\n"
            "app:x:1000:1000::/nonexistent:/usr/sbin/nologin\n"
            "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin"
        ),
        "lib": "-> usr/lib",
        "lib64": "-> usr/lib64",
        "sbin": "-> usr/sbin",
        "tmp": "directory 1777",
        "usr/bin/tool": "0755 t",
        "usr/lib": "directory 0755",
        "usr/lib64": "directory 0755",
        "usr/sbin": "directory 0755",
        "usr/share/doc/tool/copyright": "0644 mine",
        "var/lib/dpkg/status.d/tool.md5sums": (
            "0644 e358efa489f58062f10dd7316b65649e  usr/bin/tool\n"
            + hashlib.md5(b"mine").hexdigest()
            + "  usr/share/doc/tool/copyright"
        ),
    }
    assert status.startswith("0644 Package: tool\nVersion: 1.5\n")


def test_certificates_of_ca_certificates_become_one_bundle(tmp_path: Path) -> None:
    files = {
        "usr/share/ca-certificates/mozilla/B.crt": b"second",
        "usr/share/ca-certificates/mozilla/A.crt": b"first\n",
        "usr/share/ca-certificates/README": b"no",
    }
    here = world(tmp_path, deb("ca-certificates", files=files))
    here.slices("ca-certificates", "none: {paths: [/usr/share/ca-certificates/README]}")
    text = BARE.replace("ca_bundle: false", "ca_bundle: true")

    assert listing(here.build(text + "packages: [ca-certificates_none]")) == {
        "etc/ssl/certs/ca-certificates.crt": "0644 first\nsecond",
        "usr/lib/ssl/cert.pem": "-> /etc/ssl/certs/ca-certificates.crt",
        "usr/lib/ssl/certs": "-> /etc/ssl/certs",
        "usr/share/ca-certificates/README": "0644 no",
    }


def test_files_of_the_recipe(tmp_path: Path) -> None:
    here = world(tmp_path)
    (here.home / "tree/sub").mkdir(parents=True)
    (here.home / "tree/sub/run").write_bytes(b"run")
    (here.home / "tree/sub/run").chmod(0o700)
    (here.home / "tree/note").write_bytes(b"note")
    (here.home / "tree/note").chmod(0o600)
    (here.home / "tree/drop.tmp").write_bytes(b"")
    (here.home / "tree/link").symlink_to("note")
    built = here.build(
        BARE + "files:\n"
        "  - {from: tree, to: /opt/tree, exclude: ['*.tmp', '**/run']}\n"
        "  - {from: tree/sub/run, to: /bin/}\n"
        "  - {from: tree/note, to: /etc/note, mode: '0640', owner: '5:6'}\n"
        "  - {text: 'inline', to: /etc/inline}\n"
        "links: [{path: /etc/alias, target: note}]\n"
        "directories: [{path: /srv, mode: '0700', owner: '7:8'}]\n"
    )

    assert listing(built) == {
        "bin/run": "0755 run",
        "etc/alias": "-> note",
        "etc/inline": "0644 inline",
        "etc/note": "0640 5:6 note",
        "opt/tree/link": "-> note",
        "opt/tree/note": "0644 note",
        "opt/tree/sub": "directory 0755",
        "srv": "directory 0700 7:8",
    }


def test_times_are_the_packages_but_never_after_the_epoch(tmp_path: Path) -> None:
    late = file(b"", mtime=MTIME + 10**9)
    here = world(tmp_path, deb("pp", files={"old": file(b"", mtime=1000), "late": late}))
    built = here.build(BARE + "packages: [pp]\nfiles: [{text: x, to: /own}]")
    epoch = built.locked.lockfile.epoch
    tree = tree_of(built)

    assert tree[b"old"].mtime == 1000 * 10**9
    assert tree[b"late"].mtime == tree[b"own"].mtime == epoch * 10**9


def test_a_file_and_a_tree_out_of_another_image_by_digest(tmp_path: Path) -> None:
    here = world(tmp_path)
    upstream = here.build(
        BARE + "files:\n  - {text: old, to: /opt/u/bin, mode: '0755', owner: '3:4'}\n"
        "  - {text: data, to: /opt/u/share/data}\n",
        outputs=(parse_destination(f"oci:{tmp_path}/upstream"),),
    )
    address = f"oci:{tmp_path}/upstream@{upstream.built.index.digest}"
    built = here.build(
        BARE + "files:\n"
        f"  - {{image: '{address}', path: /opt/u/bin, to: /usr/bin/tool}}\n"
        f"  - {{image: '{address}', path: /opt/u, to: /vendored, owner: '0:0'}}\n"
    )

    assert listing(built) == {
        "usr/bin/tool": "0755 3:4 old",
        "vendored/bin": "0755 old",
        "vendored/share/data": "0644 data",
    }
    missing = f"files: [{{image: '{address}', path: /nope, to: /x}}]\n"
    assert refusal(lambda: here.build(BARE + missing)) == "/nope is not in the image"


def test_the_config_says_how_to_start_it_and_what_it_was_made_of(tmp_path: Path) -> None:
    here = world(tmp_path, deb("pp", depends="left-out", files={"usr/bin/p": b"x"}))
    built = here.build(
        BARE + "packages: [pp]\nwithout: [left-out]\nconfig:\n"
        "  entrypoint: [/usr/bin/p]\n  cmd: [-v]\n  env: {A: '1', B: two}\n"
        "  workdir: /usr\n  user: '5:6'\n  stop_signal: SIGINT\n"
        "  volumes: [/data]\n  exposed_ports: ['80/tcp']\n"
        "  labels: {l: label}\n  annotations: {a: annotation}\n"
    )
    image = image_of(built)
    config = image.config()
    assert config is not None
    run = config.parsed.config

    assert (run.entrypoint, run.cmd, run.env) == (("/usr/bin/p",), ("-v",), ("A=1", "B=two"))
    assert (run.working_dir, run.user, run.stop_signal) == ("/usr", "5:6", "SIGINT")
    assert (run.volumes, run.exposed_ports) == ({"/data": {}}, {"80/tcp": {}})
    assert run.labels["l"] == "label"
    assert run.labels["dev.homeport.without"] == "left-out"
    assert {"dev.homeport.recipe", "dev.homeport.lockfile"} <= run.labels.keys()
    assert image.document.parsed.annotations["a"] == "annotation"
    assert built.built.index.document.parsed.annotations["a"] == "annotation"


def test_a_directory_of_the_recipe_keeps_its_mode_and_owner_although_a_step_makes_it(
    tmp_path: Path,
) -> None:
    here = world(tmp_path, deb("pp", files={"usr/bin/p": b"x", "tmp/": directory(mode=0o755)}))
    on = BARE.replace("tmp: false", "tmp: true")
    own = "packages: [pp]\ndirectories: [{path: /tmp, mode: '0700', owner: '5:6'}]\n"
    assert listing(here.build(on + own))["tmp"] == "directory 0700 5:6"
    assert listing(here.build(on + "packages: [pp]\n"))["tmp"] == "directory 1777"


def test_the_lockfiles_digest_in_an_image_is_of_the_bytes_on_disk(tmp_path: Path) -> None:
    here = world(tmp_path, deb("pp", files={"usr/bin/p": b"x"}))
    text = BARE + "packages: [pp]\n"

    def recorded() -> str:
        config = image_of(here.build(text)).config()
        assert config is not None
        return config.parsed.config.labels["dev.homeport.lockfile"]

    first = recorded()
    lockfile = here.home / "test.lock"
    written = lockfile.read_bytes()
    assert first == f"sha256:{hashlib.sha256(written).hexdigest()}"
    lockfile.write_bytes(written.replace(b"\n", b"\r\n"))
    assert recorded() == f"sha256:{hashlib.sha256(lockfile.read_bytes()).hexdigest()}" != first


def test_one_index_lists_every_platform(tmp_path: Path) -> None:
    files = {"usr/bin/x": b""}
    here = BuildWorld(
        tmp_path,
        [deb("pp", architecture=architecture, files=files) for architecture in ("amd64", "s390x")],
        architectures=("amd64", "s390x"),
    )
    built = here.build(BARE + "platforms: [linux/s390x, linux/amd64]\npackages: [pp]")

    assert isinstance(built.built.index, Index)
    platforms = [str(child.platform) for child in built.built.index.children]
    assert platforms == ["linux/amd64", "linux/s390x", "unknown/unknown", "unknown/unknown"]


@pytest.mark.parametrize(
    ("packages", "recipe", "said"),
    [
        (
            [deb("aa", files={"etc/x": b"1"})],
            "packages: [aa]\nfiles: [{text: '2', to: /etc/x}]",
            "package aa and inline /etc/x (homeport.yaml:",
        ),
        (
            [deb("aa", files={"etc": link("other")})],
            "packages: [aa]\nfiles: [{text: '2', to: /etc/x}]",
            "lies below /etc, which is a symlink of package aa",
        ),
        (
            [deb("aa", files={"usr/bin/.wh.gone": b""})],
            "packages: [aa]",
            "/usr/bin/.wh.gone would be read as a whiteout, which removes files",
        ),
        (
            [deb("aa", files={"bin/x": b"1", "usr/bin/x": b"2"})],
            "packages: [aa]\nsteps: {os_release: false}",
            "/bin/x and /usr/bin/x are the same path in merged /usr",
        ),
        (
            [],
            "files: [{text: x, to: /a}]\nconfig: {entrypoint: [/usr/bin/none]}",
            "the entrypoint /usr/bin/none is not in the image",
        ),
        (
            [],
            "files: [{text: '#!/bin/none -x', to: /run, mode: '0755'}]",
            "/run is a script for '/bin/none', which is not in the image",
        ),
    ],
)
def test_what_cannot_become_an_image_is_refused(
    packages: list[bytes], recipe: str, said: str, tmp_path: Path
) -> None:
    here = BuildWorld(tmp_path, packages)
    text = recipe if "steps:" in recipe else BARE + recipe
    assert said in refusal(lambda: here.build(text))
    assert not (tmp_path / "out").exists()


def test_a_missing_library_is_named_with_the_package_that_has_it(tmp_path: Path) -> None:
    files = {
        "usr/bin/x": file(elf(needed=["liba.so.1"], interpreter="/usr/lib/ld.so"), mode=0o755),
        "usr/lib/ld.so": elf(),
        "usr/lib/liba.so.1": elf(),
    }
    here = world(tmp_path, deb("tool", files=files))
    here.slices("tool", "x: {paths: [/usr/bin/x, /usr/lib/ld.so]}")
    with pytest.raises(HomeportError) as caught:
        here.build(BARE + "packages: [tool_x]")
    assert caught.value.what.startswith("/usr/bin/x needs the library liba.so.1")
    assert caught.value.where["source"] == "package tool (x)"
    assert caught.value.hint == "the package tool has it, but none of the chosen slices takes it"


def test_another_entrypoint_is_looked_for_although_the_layer_is_the_same(tmp_path: Path) -> None:
    here = world(tmp_path)
    text = BARE + "files: [{text: x, to: /a}]\nconfig: {entrypoint: [/a]}\n"
    here.build(text)
    said = refusal(lambda: here.build(text.replace("[/a]", "[/b]")))
    assert said == "the entrypoint /b is not in the image"


def test_a_second_build_reads_no_package_and_writes_the_same(tmp_path: Path) -> None:
    here = world(tmp_path, deb("pp", files={"x": b"x"}))
    recipe = here.write_recipe(BARE + "packages: [pp]")
    first = here.build(recipe)
    for blob in first.locked.debs.values():
        here.store.drop(blob.digest)
    here.mirrors = []  # nobody could be asked
    second = here.build(recipe)

    assert second.built.index.digest == first.built.index.digest
    assert [each.cached for each in second.built.images] == [True]


def test_a_damaged_layer_in_the_cache_is_built_again(tmp_path: Path) -> None:
    here = world(tmp_path, deb("pp", files={"x": b"x" * 1000}))
    recipe = here.write_recipe(BARE + "packages: [pp]")
    first = here.build(recipe)
    path = first.built.images[0].layers[0].blob.path
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.unlink()  # the layout may share the file
    path.write_bytes(data)

    second = here.build(recipe)
    assert second.built.index.digest == first.built.index.digest
    assert [each.cached for each in second.built.images] == [False]


@pytest.mark.usefixtures("later")
def test_a_large_layer_is_hashed_again_only_after_its_file_was_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = b"".join(hashlib.sha256(bytes([a, b])).digest() for a in range(256) for b in range(160))
    here = world(tmp_path, deb("pp", files={"x": noise}))
    recipe = here.write_recipe(BARE + "packages: [pp]")
    layer = here.build(recipe).built.images[0].layers[0]
    assert layer.size > 1 << 20
    hashed: list[str] = []
    monkeypatch.setattr(
        "homeport.assemble.build.verified",
        lambda blob, what: [hashed.append(what), verified(blob, what)][1],
    )

    def build_again() -> tuple[bool, int]:
        hashed.clear()
        built = here.build(recipe).built
        assert built.images[0].layers[0].digest == layer.digest
        return built.images[0].cached, len(hashed)

    assert build_again() == (True, 1)
    assert build_again() == (True, 0)
    path = layer.blob.path
    before = path.stat()
    with path.open("r+b") as stream:
        stream.seek(1000)
        stream.write(b"damage")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert build_again() == (False, 1)
    assert build_again() == (True, 1)


def test_check_builds_again_from_downloads_alone(tmp_path: Path) -> None:
    here = world(tmp_path, deb("pp", files={"x": b"x"}))
    here.build(BARE + "packages: [pp]", check=True)
    assert not list(here.store.root.glob("scratch-*"))


def test_an_answer_that_was_forged_in_the_cache_does_not_become_the_image(tmp_path: Path) -> None:
    here = world(tmp_path, deb("pp", files={"x": b"x"}))
    recipe = here.write_recipe(BARE + "packages: [pp]")
    first = here.build(recipe)
    layer = first.built.images[0].layers[0]
    forged = here.store.put_bytes(b"another layer")
    for answer in (here.store.root / "answers/layers").iterdir():
        text = answer.read_text().replace(str(layer.digest), str(forged.digest))
        answer.write_text(text.replace(f'"size":{layer.size}', f'"size":{forged.size}'))

    assert here.build(recipe, locked=True).built.index.digest == first.built.index.digest


def test_check_says_no_when_a_cached_layer_is_not_what_would_be_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world(tmp_path, deb("pp", files={"x": b"x"}))
    recipe = here.write_recipe(BARE + "packages: [pp]")
    first = here.build(recipe)
    layer = first.built.images[0].layers[0]
    forged = here.store.put_bytes(b"another layer")
    recall = Store.recall

    def wrong(store: Store, namespace: str, key: str) -> bytes | None:
        answer = recall(store, namespace, key)
        if namespace != "layers" or answer is None:
            return answer
        text = answer.replace(str(layer.digest).encode(), str(forged.digest).encode())
        return text.replace(b'"size":%d' % layer.size, b'"size":%d' % forged.size)

    monkeypatch.setattr(Store, "recall", wrong)
    with pytest.raises(AnswerNo, match="the second build differs: linux/amd64"):
        here.build(recipe, check=True)


def test_locked_refuses_what_the_lockfile_does_not_answer(tmp_path: Path) -> None:
    here = world(tmp_path, deb("pp", files={"x": b"x"}))
    with pytest.raises(OutOfDate, match="has no lockfile yet"):
        here.build(BARE + "packages: [pp]", locked=True)


def test_source_date_epoch_overrides_and_is_recorded(tmp_path: Path) -> None:
    from homeport.assemble.plan import BuildOptions

    here = world(tmp_path, deb("pp", files={"x": file(b"x", mtime=2_000_000)}))
    options = BuildOptions(source_date_epoch=1_000_000)
    built = here.build(BARE + "packages: [pp]", options=options)
    config = image_of(built).config()

    assert config is not None
    assert config.parsed.created == "1970-01-12T13:46:40Z"
    assert config.parsed.config.labels["dev.homeport.source-date-epoch"] == "1000000"
    assert tree_of(built)[b"x"].mtime == 1_000_000 * 10**9


@pytest.mark.parametrize(
    ("outputs", "tags", "platforms", "addresses"),
    [
        (("oci:{0}/a",), (), (), ["oci:{0}/a:latest"]),
        (("oci:{0}/a",), ("1", "2"), (), ["oci:{0}/a:1", "oci:{0}/a:2"]),
        (("oci:{0}/a:x", "oci-archive:{0}/f"), ("1",), (), ["oci:{0}/a:x", "oci-archive:{0}/f:1"]),
        (
            ("docker-archive:{0}/d",), (), ("linux/s390x",),
            ["docker-archive:{0}/d:docker.io/library/test:latest"],
        ),
    ],
)  # fmt: skip
def test_outputs_repeat_and_take_the_tags(
    outputs: tuple[str, ...],
    tags: tuple[str, ...],
    platforms: tuple[str, ...],
    addresses: list[str],
    tmp_path: Path,
) -> None:
    here = world(tmp_path)
    text = BARE + "name: test\nplatforms: [linux/amd64, linux/s390x]\nfiles: [{text: x, to: /x}]"
    built = here.build(
        text,
        outputs=tuple(parse_destination(output.format(tmp_path)) for output in outputs),
        tags=tags,
        platforms=platforms,
    )
    assert [str(each.address) for each in built.written] == [
        address.format(tmp_path) for address in addresses
    ]


def test_a_docker_archive_is_not_asked_to_hold_several_platforms(tmp_path: Path) -> None:
    output = parse_destination(f"docker-archive:{tmp_path}/f")
    here = world(tmp_path)
    text = BARE + "name: test\nplatforms: [linux/amd64, linux/s390x]\nfiles: [{text: x, to: /x}]"
    with pytest.raises(UsageError, match="one platform, but --platform names 2"):
        here.build(text, outputs=(output,), platforms=("all",))
    assert not (tmp_path / "f").exists()


def test_an_archive_cannot_hold_two_tags(tmp_path: Path) -> None:
    output = parse_destination(f"oci-archive:{tmp_path}/f")
    here = world(tmp_path)
    with pytest.raises(UsageError, match="holds one image under one name"):
        here.build(BARE + "files: [{text: x, to: /x}]", outputs=(output,), tags=("1", "2"))


def test_a_platform_that_the_recipe_is_not_made_for_is_named(tmp_path: Path) -> None:
    here = world(tmp_path)
    said = refusal(lambda: here.build(BARE + "files: [{text: x, to: /x}]", platforms=("s390x",)))
    assert said.endswith("has no platform linux/s390x")


def test_directories_may_come_from_many_and_the_recipe_decides(tmp_path: Path) -> None:
    files = {"var/d": directory(mode=0o700), "var/d/f": b""}
    here = world(tmp_path, deb("aa", files=files), deb("bb", files={"var/d": directory()}))
    own = "directories: [{path: /var/d, mode: '0750', owner: '1:1'}]"
    assert listing(here.build(BARE + f"packages: [aa, bb]\n{own}")) == {
        "var/d": "directory 0750 1:1",
        "var/d/f": "0644",
    }


def test_the_recipe_replaces_a_packages_file_where_it_says_so(tmp_path: Path) -> None:
    files = {
        "usr/bin/a": file("a", mode=0o755),
        "usr/bin/b": hardlink("usr/bin/a"),
        "usr/bin/c": hardlink("usr/bin/a"),
        "usr/bin/d": link("a"),
        "usr/lib/e": "e",
    }
    here = world(tmp_path, deb("tool", files=files))
    (here.home / "own").mkdir()
    (here.home / "own" / "e").write_text("mine")
    recipe = BARE + (
        "packages: [tool]\n"
        "files:\n"
        "  - {text: mine, to: /usr/bin/a, mode: '0700', replace: true}\n"
        "  - {from: own, to: /usr/lib, replace: true}\n"
        "links: [{path: /usr/bin/d, target: b, replace: true}]\n"
    )
    assert listing(here.build(recipe)) == {
        "usr/bin/a": "0700 mine",
        "usr/bin/b": "0755 a",
        "usr/bin/c": "=> usr/bin/b",
        "usr/bin/d": "-> b",
        "usr/lib/e": "0644 mine",
    }
    with pytest.raises(Faults) as caught:
        here.build(recipe.replace(", replace: true", ""))
    assert [fault.hint for fault in caught.value.faults] == [
        f"to replace it, write replace: true beside {path} in the recipe"
        for path in ("/usr/bin/a", "/usr/bin/d", "/usr/lib/e")
    ]
