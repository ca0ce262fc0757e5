"""Publishing to a registry: dated tags that never move, tags that do, and the way back."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from builders.archive import DATE
from builders.deb import deb
from builders.locking import World
from builders.recipe import recipe_file
from builders.small_registry import SmallRegistry, small_registry
from homeport.attest.keys.private_key import encrypt_key, generate_key
from homeport.cli.main import run
from homeport.content.digest import Digest
from homeport.errors import AnswerNo
from homeport.publishing.tags import (
    TooManyTags,
    choose_tag,
    claim_tag,
    dated_tag,
    moving_tags,
    newest_first,
    parse_dated,
    tags_to_prune,
)

RECIPE = """
archives: [{{name: test, suites: [trixie], mirrors: ["{url}"], keys: [key.asc]}}]
steps: {{os_release: false}}
platforms: [linux/amd64, linux/arm64]
packages: [app]
files: [{{text: "{text}", to: /etc/text}}]
tests: [{{name: the text is there, file: /etc/text, contains: ["{wanted}"]}}]
"""


class Publisher:
    """A recipe that can change, and the commands that a CI job runs."""

    def __init__(self, root: Path, registry: SmallRegistry) -> None:
        self.registry = registry
        self.world = World(root, [deb("app", files={"usr/bin/app": b"x"})], valid_for=None)
        self.work = root / "work"
        self.work.mkdir()
        (self.work / "key.asc").write_bytes(self.world.archive.certificate)
        self.repository = f"{registry.host}/team/app"
        self.write("one")

    def write(self, text: str, wanted: str = "") -> None:
        url = self.world.archive.url
        recipe_file(self.work, RECIPE.format(url=url, text=text, wanted=wanted or text))

    def ask(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told := io.StringIO()):
            ended = run(list(arguments))
        assert ended == code, f"{told.getvalue()}{out.getvalue()}"
        return dict(json.loads(out.getvalue()))

    def publish(self, *options: str, code: int = 0) -> dict[str, Any]:
        found = self.ask(
            "publish", ".", self.repository, "--version", "1.2", "--plain-http", *options,
            code=code,
        )  # fmt: skip
        return dict(found["images"][0]) if code == 0 else found

    def digests(self) -> dict[str, str]:
        tags = self.ask("tags", self.repository, "--plain-http")["tags"]
        return {
            tag: self.ask("digest", f"{self.repository}:{tag}", "--plain-http")["digest"]
            for tag in tags
        }


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HOMEPORT_FORMAT", "json")
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG", "CI_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    with small_registry() as registry:
        made = Publisher(tmp_path, registry)
        monkeypatch.chdir(made.work)
        made.ask("lock", ".")
        yield made


DAY = f"{DATE:%Y%m%d}"


def test_a_dated_tag_and_then_the_moving_ones_lead_to_the_image(publisher: Publisher) -> None:
    image = publisher.publish()
    assert (image["tag"], image["moved"]) == (f"1.2.{DAY}00", ["1.2", "1", "latest"])
    assert (image["outcome"], image["tests"], image["not_run"]) == ("published", 2, 0)
    assert publisher.digests() == dict.fromkeys(
        (f"1.2.{DAY}00", "1.2", "1", "latest"), image["digest"]
    )


def test_the_same_again_does_nothing_and_mends_a_lost_tag(publisher: Publisher) -> None:
    first = publisher.publish()
    assert publisher.publish()["outcome"] == "unchanged"
    publisher.ask("delete", f"{publisher.repository}:1", "--plain-http")
    again = publisher.publish()
    assert (again["outcome"], again["tag"], again["moved"]) == ("published", first["tag"], ["1"])


def test_another_image_of_the_same_day_counts_up_and_the_first_stays(publisher: Publisher) -> None:
    first = publisher.publish()
    publisher.write("two")
    second = publisher.publish()
    assert second["tag"] == f"1.2.{DAY}01"
    digests = publisher.digests()
    assert digests[first["tag"]] == first["digest"] != second["digest"]
    assert digests["latest"] == digests["1.2"] == second["digest"]


def test_a_failing_test_moves_no_tag(publisher: Publisher) -> None:
    first = publisher.publish()
    publisher.write("two", wanted="three")
    error = publisher.publish(code=3)
    assert "no tag was moved: the text is there (linux/amd64)" in error["error"]["what"]
    assert publisher.digests() == dict.fromkeys(
        (first["tag"], "1.2", "1", "latest"), first["digest"]
    )


def test_rolling_back_moves_the_tags_to_the_dated_one_before(publisher: Publisher) -> None:
    first = publisher.publish()
    publisher.write("two")
    second = publisher.publish()
    done = publisher.ask("rollback", publisher.repository, "--plain-http")
    assert (done["tag"], done["moved"]) == (first["tag"], ["1", "1.2", "latest"])
    digests = publisher.digests()
    assert digests["latest"] == digests["1"] == first["digest"]
    assert digests[second["tag"]] == second["digest"]
    publisher.ask("rollback", publisher.repository, "--plain-http", code=1)
    there = publisher.ask("rollback", publisher.repository, "--to", second["tag"], "--plain-http")
    assert there["new"] == second["digest"]


def test_old_dated_tags_go_and_those_in_use_stay(publisher: Publisher) -> None:
    tags = []
    for text in ("one", "two", "three"):
        publisher.write(text)
        tags.append(publisher.publish()["tag"])
    publisher.ask("rollback", publisher.repository, "--to", tags[0], "--plain-http")
    arguments = ("prune-tags", publisher.repository, "--keep", "1", "--days", "0", "--plain-http")
    assert publisher.ask(*arguments, "--dry-run")["removed"] == [tags[1]]
    assert publisher.ask(*arguments)["kept"] == 2
    assert set(publisher.digests()) == {tags[0], tags[2], "1.2", "1", "latest"}


def test_a_recipe_without_a_version_is_a_usage_error(publisher: Publisher) -> None:
    error = publisher.ask("publish", ".", publisher.repository, "--plain-http", code=2)
    assert error["error"]["what"] == "test has no version"


def test_tags_of_both_forms_sort_by_time() -> None:
    epoch = int(datetime(2026, 11, 28, 5, tzinfo=UTC).timestamp())
    assert dated_tag("1.2", epoch, 0, "version") == "1.2.2026112800"
    assert dated_tag("1.2", epoch, 0, "hyphen") == "1.2-20261128"
    assert dated_tag("1.2", epoch, 1, "hyphen") == "1.2-20261128.1"
    tags = ["1.10.2026112800", "1.9.2026112901", "latest", "1.9.2026112900", "1.9", "1.9.2"]
    assert [each.tag for each in newest_first(tags)] == [
        "1.10.2026112800", "1.9.2026112901", "1.9.2026112900",
    ]  # fmt: skip
    assert parse_dated("1.2.2026133100") is None
    assert moving_tags("3") == ("3", "latest")


def test_a_hundred_images_of_a_day_are_the_limit() -> None:
    digest = Digest.of(b"x")
    with pytest.raises(TooManyTags):
        choose_tag("1", 0, "version", digest, lambda _tag: Digest.of(b"y"))
    assert choose_tag("1", 0, "version", digest, lambda _tag: digest)[1]


def test_a_dated_tag_that_another_run_took_meanwhile_is_left_to_it() -> None:
    ours, theirs = Digest.of(b"ours"), Digest.of(b"theirs")
    tags: dict[str, Digest] = {}

    def claim(tag: str) -> None:
        if not tags:
            tags[tag] = theirs
            raise AnswerNo("the tag leads to another image")
        tags[tag] = ours

    tag = claim_tag(lambda: choose_tag("1.2", 0, "version", ours, tags.get), claim)
    assert tags == {"1.2.1970010100": theirs, "1.2.1970010101": ours}
    assert tag == "1.2.1970010101"


def test_young_tags_stay_however_many_there_are() -> None:
    now = datetime(2026, 11, 28, tzinfo=UTC)
    tags = [f"1.{now - timedelta(days=n):%Y%m%d}00" for n in range(0, 200, 10)]
    gone = tags_to_prune(tags, keep=3, days=90, now=now)
    assert [each.tag for each in gone] == tags[10:]
    assert len(tags_to_prune(tags, keep=15, days=90, now=now)) == 5


def test_what_consumers_name_by_tag_by_digest_or_by_a_platforms_digest_stays(
    publisher: Publisher, tmp_path: Path
) -> None:
    images = []
    for text in ("one", "two", "three", "four", "five"):
        publisher.write(text)
        images.append(publisher.publish())
    tags, name = [image["tag"] for image in images], publisher.repository
    publisher.ask("pull", f"{name}:{tags[2]}", "oci:pulled", "--plain-http")
    parts = json.loads(Path("pulled/blobs", images[2]["digest"].replace(":", "/")).read_text())
    shop, infra = tmp_path / "shop", tmp_path / "infra"
    shop.mkdir()
    infra.mkdir()
    (shop / "Dockerfile").write_text(f"FROM {name}:{tags[0]}\nFROM debian:13\n")
    (infra / "compose.yaml").write_text(
        f"services: {{a: {{image: '{name}@{images[1]['digest']}'}},\n"
        f"           b: {{image: '{name}@{parts['manifests'][0]['digest']}'}}}}\n"
    )
    pruned = publisher.ask(
        "prune-tags", name, "--keep", "1", "--days", "0", "--plain-http",
        "--consumers", str(shop), "--consumers", str(infra),
    )  # fmt: skip
    assert pruned["removed"] == [tags[3]]
    assert pruned["used"] == {
        tags[0]: f"{shop}/Dockerfile:1",
        tags[1]: f"{infra}/compose.yaml:1",
        tags[2]: f"{infra}/compose.yaml:2",
    }
    assert set(publisher.digests()) == {*tags[:3], tags[4], "1.2", "1", "latest"}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("Dockerfile", "ARG V\nFROM NAME:$V\n"),
        ("compose.yaml", "services: {a: {image: 'NAME:1.2'}\n"),  # not valid YAML
    ],
)
def test_if_it_is_not_clear_what_a_consumer_names_no_tag_is_removed(
    publisher: Publisher, tmp_path: Path, file: str, text: str
) -> None:
    publisher.publish()
    publisher.write("two")
    publisher.publish()
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / file).write_text(text.replace("NAME", publisher.repository))
    arguments = ("prune-tags", publisher.repository, "--keep", "1", "--days", "0", "--plain-http")
    before = publisher.digests()
    error = publisher.ask(*arguments, "--consumers", str(shop), code=3)["error"]
    assert f"{shop}/{file}" in error["what"]
    assert publisher.digests() == before
    missing = publisher.ask(*arguments, "--consumers", str(tmp_path / "none"), code=2)["error"]
    assert "none is not a directory" in missing["what"]


def test_with_a_key_the_image_is_signed_and_attested_before_it_has_a_name(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSIGN_PASSWORD", "")
    key = generate_key()
    Path("us.key").write_bytes(encrypt_key(key, b""))
    Path("us.pub").write_bytes(key.public.pem)
    stranger = generate_key()
    Path("stranger.pub").write_bytes(stranger.public.pem)
    image = publisher.publish("--key", "us.key")
    for name in (image["tag"], "latest"):
        reference = f"{publisher.repository}:{name}"
        found = publisher.ask("verify", reference, "--key", "us.pub", "--plain-http")
        assert found["verified"]
        publisher.ask("verify", reference, "--key", "stranger.pub", "--plain-http", code=3)
    shown = publisher.ask("inspect", f"{publisher.repository}:latest")
    text = json.dumps(shown)
    assert "spdx" in text.lower()
    assert "slsa" in text.lower()
    rebuilt = publisher.ask(
        "verify", f"{publisher.repository}:latest", "--rebuild", "--trust-kit", "--plain-http"
    )
    assert rebuilt["verdict"] == "reproduced", rebuilt


def test_a_key_that_cannot_be_read_is_told_before_anything_is_built_or_pushed(
    publisher: Publisher,
) -> None:
    Path("us.key").write_text("no key")
    error = publisher.publish("--key", "us.key", code=1)
    assert "us.key is not a private key" in error["error"]["what"]
    assert not publisher.registry.manifests


@pytest.fixture
def fleet(publisher: Publisher) -> Publisher:
    """Three recipes of a folder instead of one; the tests of the second fail."""
    text = (publisher.work / "homeport.yaml").read_text()
    (publisher.work / "homeport.yaml").unlink()
    for name, wanted in (("one", "one"), ("three", "one"), ("two", "three")):
        folder = publisher.work / name
        folder.mkdir()
        (folder / "key.asc").write_bytes((publisher.work / "key.asc").read_bytes())
        own = text.replace('contains: ["one"]', f'contains: ["{wanted}"]')
        own = "\n".join(line for line in own.split("\n") if not line.startswith("name:"))
        (folder / "homeport.yaml").write_text(f"{own}\nname: {name}\n")
        publisher.ask("lock", f"./{name}")
    return publisher


def published(fleet: Publisher, *options: str, repository: str = "", code: int) -> dict[str, Any]:
    """Of each recipe what became of it."""
    found = fleet.ask(
        "publish", ".", repository or fleet.registry.host + "/team", "--version", "1.2",
        "--plain-http", *options, code=code,
    )  # fmt: skip
    return {image["recipe"]: image for image in found["images"]}


def test_of_several_recipes_one_that_fails_does_not_stop_the_others(fleet: Publisher) -> None:
    (fleet.work / "four").mkdir()
    (fleet.work / "four/homeport.yaml").write_text("homeport: 1\npakages: []\n")
    images = published(fleet, code=3)
    assert {name: image["outcome"] for name, image in images.items()} == {
        "one": "published", "three": "published", "two": "failed", "four/homeport.yaml": "failed",
    }  # fmt: skip
    assert "tests of two failed, and no tag was moved" in images["two"]["error"]["what"]
    assert images["two"]["error"]["exit_code"] == 3
    tagged = {repository for repository, _ in fleet.registry.tags}
    assert tagged == {"team/one", "team/three"}
    again = published(fleet, "--no-test", code=1)
    assert [again[name]["outcome"] for name in ("one", "three", "two")] == [
        "unchanged", "unchanged", "published",
    ]  # fmt: skip


def test_if_the_registry_is_gone_the_rest_is_not_tried(fleet: Publisher) -> None:
    images = published(fleet, repository="127.0.0.1:9/team", code=1)
    errors = [images[name]["error"]["what"] for name in ("one", "three", "two")]
    assert errors[0].startswith("cannot connect to 127.0.0.1 port 9")
    assert errors[1] == errors[2] == f"skipped, because {errors[0]}"


def test_two_recipes_of_one_name_are_said_before_anything_is_pushed(fleet: Publisher) -> None:
    other = fleet.work / "two/homeport.yaml"
    other.write_text(other.read_text().replace("name: two", "name: one"))
    error = fleet.ask(
        "publish", ".", fleet.registry.host + "/team", "--version", "1.2", "--plain-http", code=2
    )
    assert "are both named one" in error["error"]["what"]
    assert fleet.registry.manifests == {}


@pytest.mark.parametrize(
    ("broken", "tags"),
    [
        (r"(POST|PATCH|PUT) .*/blobs/uploads/.*", []),
        (r"PUT .*/manifests/sha256:.*", []),
        (r"PUT .*/manifests/1\.2\.\d+", []),
        (r"PUT .*/manifests/1\.2", [f"1.2.{DAY}00"]),
        (r"PUT .*/manifests/1", ["1.2", f"1.2.{DAY}00"]),
        (r"PUT .*/manifests/latest", ["1", "1.2", f"1.2.{DAY}00"]),
    ],
)
def test_where_the_registry_fails_the_same_command_goes_on(
    publisher: Publisher, broken: str, tags: list[str]
) -> None:
    """What has a name is whole and tested; ``latest`` never leads where the others do not."""
    publisher.registry.statuses = {broken: 403}
    publisher.publish(code=1)
    publisher.registry.statuses = {}
    assert sorted(tag for _, tag in publisher.registry.tags) == tags
    image = publisher.publish()
    assert (image["outcome"], image["tag"]) == ("published", f"1.2.{DAY}00")
    assert set(image["moved"]) == {"1.2", "1", "latest"} - set(tags)
    assert set(publisher.digests().values()) == {image["digest"]}
