"""Two images side by side."""

from __future__ import annotations

import pytest

from builders.images import Layer, index
from builders.inspection import directory, file, layer, made, opened, symlink
from builders.runtime import runtime
from homeport.inspection.image.opened_image import OpenedImage
from homeport.inspection.report.compare_images import compare, compare_platforms
from homeport.inspection.report.diffing import FileDiff, ImageDiff, diff_images
from homeport.oci.documents import RunConfig
from homeport.oci.platform import parse_platform

STATUS = "Package: {}\nStatus: install ok installed\nArchitecture: all\nVersion: {}\n\n"


def status(*packages: tuple[str, str]) -> bytes:
    return "".join(STATUS.format(*one) for one in packages).encode()


def rows(found: ImageDiff) -> dict[str, str]:
    return {row.path: row.change for row in found.files}


def test_files_are_added_removed_and_changed() -> None:
    found = diff_images(
        opened(layer(file("a", b"1"), file("b", b"1"), file("c", b"1"), symlink("l", "a"))),
        opened(layer(file("b", b"2"), file("c", b"1", mode=0o755), file("d"), symlink("l", "b"))),
    )
    assert rows(found) == {
        "/a": "removed", "/b": "content", "/c": "metadata", "/d": "added", "/l": "target",
    }  # fmt: skip
    facts = {row.path: row.facts for row in found.files if row.facts}
    assert facts == {"/c": ("mode 0644 → 0755",), "/l": ("a → b",)}


def test_times_alone_are_counted_and_listed_only_when_asked_for() -> None:
    one, other = opened(layer(file("a", mtime=1))), opened(layer(file("a", mtime=2)))
    found = diff_images(one, other)
    assert (found.same, found.time_only) == (True, 1)
    assert rows(diff_images(one, other, times=True)) == {"/a": "time"}


def test_packages_go_up_and_down_by_debians_rules() -> None:
    def image(*packages: tuple[str, str]) -> OpenedImage:
        return opened(layer(file("var/lib/dpkg/status", status(*packages))))

    found = diff_images(
        image(("a", "1.9"), ("b", "2.0"), ("c", "1")),
        image(("a", "1.10"), ("b", "2.0~rc1"), ("d", "1")),
    )
    assert [(one.name, one.change) for one in found.packages] == [
        ("a", "upgraded"), ("b", "downgraded"), ("c", "removed"), ("d", "added"),
    ]  # fmt: skip


def test_the_config_is_compared_variable_by_variable() -> None:
    one = opened(layer(), config=RunConfig(env=("A=1", "B=2"), user="root", labels={"x": "1"}))
    other = opened(layer(), config=RunConfig(env=("A=1", "B=3"), entrypoint=("/e",)))
    found = [(each.field, each.before, each.after) for each in diff_images(one, other).config]
    assert found == [
        ("Entrypoint", None, ("/e",)), ("Env B", "2", "3"), ("Labels x", "1", None),
        ("User", "root", None),
    ]  # fmt: skip


def test_small_texts_are_compared_line_by_line() -> None:
    found = diff_images(
        opened(layer(file("a", b"one\ntwo\n"))), opened(layer(file("a", b"one\n2\n")))
    )
    assert found.files == (
        FileDiff(
            change="content", path="/a", size_before=8, size_after=6,
            text=("@@ -1,2 +1,2 @@", " one", "-two", "+2"),
        ),
    )  # fmt: skip


def test_layers_that_are_the_same_are_counted() -> None:
    base = layer(file("base"))
    found = diff_images(opened(base, layer(file("a"))), opened(base, layer(file("b"))))
    assert (found.layers.shared, found.layers.before, found.layers.after) == (1, 2, 2)


def test_two_platforms_are_compared_without_the_machines_names() -> None:
    def image(machine: str, *more: str) -> Layer:
        folder = f"usr/lib/{machine}-linux-gnu"
        members = [directory(folder), file(f"{folder}/libc.so.6", b"\x7fELF" + machine.encode())]
        return layer(*members, *(file(name) for name in more))

    one = made(image("x86_64", "only-amd64"), platform="linux/amd64")
    other = made(image("aarch64"), platform="linux/arm64")
    value = index([one, other])
    found = compare_platforms(
        value, "x", (parse_platform("amd64"), parse_platform("arm64")), runtime()
    )
    assert rows(found.images[0]) == {"/only-amd64": "removed"}


def test_indexes_are_compared_platform_by_platform() -> None:
    same = made(layer(file("a")), platform="linux/amd64")
    one = index([same, made(layer(file("b", b"1")), platform="linux/arm64")])
    other = index(
        [
            same,
            made(layer(file("b", b"2")), platform="linux/arm64"),
            made(layer(file("c")), platform="linux/s390x"),
        ]
    )
    found = compare((one, other), ("one", "other"), None, runtime())
    assert (found.only_before, found.only_after) == ((), ("linux/s390x",))
    assert found.equal == ("linux/amd64",)
    assert [(each.platform_before, rows(each)) for each in found.images] == [
        ("linux/arm64", {"/b": "content"})
    ]
    assert not found.same
    assert compare((one, one), ("one", "one"), None, runtime()).same


@pytest.mark.parametrize("data", [b"\xff\xfe", b"a\0b"])
def test_what_is_no_text_is_not_compared_by_lines(data: bytes) -> None:
    found = diff_images(opened(layer(file("a", b"x"))), opened(layer(file("a", data))))
    assert found.files[0].text == ()
