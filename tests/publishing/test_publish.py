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
from builders.small_registry import small_registry
from homeport.cli.main import run
from homeport.content.digest import Digest
from homeport.publishing.tags import (
    TooManyTags,
    choose_tag,
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

    def __init__(self, root: Path, host: str) -> None:
        self.world = World(root, [deb("app", files={"usr/bin/app": b"x"})], valid_for=None)
        self.work = root / "work"
        self.work.mkdir()
        (self.work / "key.asc").write_bytes(self.world.archive.certificate)
        self.repository = f"{host}/team/app"
        self.write("one")

    def write(self, text: str, wanted: str = "") -> None:
        url = self.world.archive.url
        recipe_file(self.work, RECIPE.format(url=url, text=text, wanted=wanted or text))

    def ask(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            ended = run(list(arguments))
        assert ended == code, out.getvalue()
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
        made = Publisher(tmp_path, registry.host)
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


def test_young_tags_stay_however_many_there_are() -> None:
    now = datetime(2026, 11, 28, tzinfo=UTC)
    tags = [f"1.{now - timedelta(days=n):%Y%m%d}00" for n in range(0, 200, 10)]
    gone = tags_to_prune(tags, keep=3, days=90, now=now)
    assert [each.tag for each in gone] == tags[10:]
    assert len(tags_to_prune(tags, keep=15, days=90, now=now)) == 5
