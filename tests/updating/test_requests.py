"""Merge requests when runs meet, tokens may not write, or there is nothing to say."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from builders.forge import forge
from builders.freshness import LATER, package
from builders.updating import UpdateWorld, git, lib
from homeport.building.lock import lock_recipe
from homeport.building.request import BuildResult
from homeport.errors import Interrupted, UsageError
from homeport.gitprogram import GitFailed
from homeport.locking.ensure_lock import EnsuredLock
from homeport.recipe.model import Recipe
from homeport.updating.forges import ForgeRefused, Kind
from homeport.updating.git import TRAILER, PersonsCommits
from homeport.updating.update import TOKEN


@pytest.fixture
def world(tmp_path: Path) -> UpdateWorld:
    """lib1 has an update."""
    made = UpdateWorld(tmp_path, {"trixie": [lib("lib1", "1-1")]})
    made.lock_recipe("packages: [lib1]")
    made.make_repository()
    made.move("trixie", [lib("lib1", "1-2")])
    return made


def test_without_anything_newer_there_is_no_branch_and_no_push(world: UpdateWorld) -> None:
    world.update(commit=True)
    before = (world.home / "test.lock").read_bytes()
    world.move("trixie", [lib("lib1", "1-2")], date=LATER + timedelta(1))
    with forge("gitlab") as running:
        world.environment = {**running.variables, TOKEN: "right"}
        result = world.update(request=True)
        assert result.request is not None
        assert (result.request.action, world.branch(), running.asked) == ("none", "", [])
    assert (world.home / "test.lock").read_bytes() == before
    assert git(world.home, "status", "--porcelain") == ""


def test_two_recipes_that_need_the_same_change_share_one_request(tmp_path: Path) -> None:
    world = UpdateWorld(tmp_path, {"trixie": [lib("lib1", "1-1")]})
    for name in ("one", "two"):
        world.lock_recipe(f"name: {name}\npackages: [lib1]")
        (world.home / "homeport.yaml").rename(world.home / f"{name}.yaml")
    world.make_repository()
    world.move("trixie", [lib("lib1", "1-2", "* CVE-2026-1000")])
    with forge("gitlab") as running:
        world.environment = {**running.variables, TOKEN: "right"}
        result = world.update(str(world.home), request=True)
        assert len(running.requests) == 1
        assert running.requests[0]["title"] == "2 images: lib1 (1 security fix)"
    changed = git(world.home, "show", "--format=", "--name-only", result.commit).split()
    assert changed == ["one.lock", "one.lock.proof", "two.lock", "two.lock.proof"]


def test_an_update_outside_of_the_slices_changes_no_file_and_another_digest(
    tmp_path: Path,
) -> None:
    def app(version: str) -> bytes:
        return package("app", version, files={"usr/lib/app.so": b"same"})

    world = UpdateWorld(tmp_path, {"trixie": [app("1-1")]})
    world.slices("app", "libs: {paths: [/usr/lib/app.so]}")
    world.lock_recipe("packages: [app_libs]")
    world.make_repository()

    def built() -> BuildResult:
        return world.build(world.home / "homeport.yaml", locked=True)

    first = built()
    world.move("trixie", [app("1-2")])
    with forge("gitlab") as running:
        world.environment = {**running.variables, TOKEN: "right"}
        world.update(request=True)
        text = str(running.requests[0]["description"])
        assert "No file of the image changes besides its package database." in text
    world.update()
    assert built().written[0].digest != first.written[0].digest


@pytest.mark.parametrize("kind", ["gitlab", "github", "forgejo"])
def test_a_push_that_was_half_done_is_finished_by_the_next_run(
    world: UpdateWorld, kind: Kind
) -> None:
    """A token that may push but not write to the API: the branch is there, the request is not."""
    with forge(kind) as running:
        world.environment = {**running.variables, TOKEN: "right"}
        running.read_only = True
        with pytest.raises(ForgeRefused) as caught:
            world.update(request=True)
        assert "403" in caught.value.what
        assert caught.value.hint is not None
        assert TOKEN in caught.value.hint
        pushed = world.branch()
        assert pushed
        assert git(world.home, "status", "--porcelain") == ""

        running.read_only = False
        again = world.update(request=True)
        assert again.request is not None
        assert (again.request.action, world.branch()) == ("created", pushed)


def meanwhile(world: UpdateWorld, *, same: bool) -> None:
    """Another run pushes its commit between our look at the branch and our push."""
    other = world.root / "other"
    git(world.root, "clone", "-q", str(world.root / "origin.git"), "other")
    world.update()
    for name in ("test.lock", "test.lock.proof"):
        (other / name).write_bytes((world.home / name).read_bytes())
    git(world.home, "checkout", "-q", ".")
    git(world.home, "clean", "-fdq")
    if not same:
        (other / "test.lock").write_text("something else")
    message = f"Update\n\n{TRAILER}\n"
    git(other, "add", "-A")
    git(other, "-c", "user.name=O", "-c", "user.email=o@x.example", "commit", "-qam", message)
    hook = world.home / ".git/hooks/pre-push"
    hook.write_text(
        f"#!/bin/sh\nunset GIT_DIR\nrm {hook}\n"
        f"git -C {other} push -q origin HEAD:refs/heads/homeport/update\n"
    )
    hook.chmod(0o755)


def test_of_two_runs_at_once_the_second_finds_its_work_done(world: UpdateWorld) -> None:
    meanwhile(world, same=True)
    with forge("gitlab") as running:
        world.environment = {**running.variables, TOKEN: "right"}
        result = world.update(request=True)
        assert result.request is not None
        assert (result.request.action, len(running.requests)) == ("created", 1)
        assert (result.commit, git(world.home, "status", "--porcelain")) == ("", "")
        assert world.branch() == git(world.root / "other", "rev-parse", "HEAD")


def test_what_another_run_pushed_meanwhile_is_not_overwritten(world: UpdateWorld) -> None:
    meanwhile(world, same=False)
    with forge("gitlab") as running:
        world.environment = {**running.variables, TOKEN: "right"}
        with pytest.raises(GitFailed) as caught:
            world.update(request=True)
        assert "was changed by another run or a person" in caught.value.what
        assert world.branch() == git(world.root / "other", "rev-parse", "HEAD")
        assert running.requests == []
        assert git(world.home, "status", "--porcelain") == ""


def test_a_remote_that_is_no_forges_is_said_before_anything_is_locked(
    world: UpdateWorld,
) -> None:
    before = (world.home / "test.lock").read_bytes()
    with pytest.raises(UsageError) as caught:
        world.update(request=True, forge="gitlab")
    assert "origin.git is not at a forge" in caught.value.what
    assert (world.home / "test.lock").read_bytes() == before
    assert world.branch() == ""


@pytest.mark.parametrize("option", ["request", "commit"])
def test_outside_of_a_work_tree_nothing_is_locked(tmp_path: Path, option: str) -> None:
    world = UpdateWorld(tmp_path, {"trixie": [lib("lib1", "1-1")]})
    world.lock_recipe("packages: [lib1]")
    world.move("trixie", [lib("lib1", "1-2")])
    before = (world.home / "test.lock").read_bytes()
    with pytest.raises(GitFailed):
        world.update(**{option: True})
    assert (world.home / "test.lock").read_bytes() == before


def test_an_interrupt_leaves_the_work_tree_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = UpdateWorld(tmp_path, {"trixie": [lib("lib1", "1-1")]})
    for name in ("one", "two"):
        world.lock_recipe(f"name: {name}\npackages: [lib1]")
        (world.home / "homeport.yaml").rename(world.home / f"{name}.yaml")
    world.make_repository()
    world.move("trixie", [lib("lib1", "1-2")])
    written: list[Path] = []

    def second_is_interrupted(*arguments: Any) -> tuple[Recipe, EnsuredLock]:
        if written:
            raise Interrupted("interrupted")
        done = lock_recipe(*arguments)
        written.append(done[1].path)
        return done

    monkeypatch.setattr("homeport.updating.update.lock_recipe", second_is_interrupted)
    with forge("gitlab") as running:
        world.environment = {**running.variables, TOKEN: "right"}
        with pytest.raises(Interrupted):
            world.update(str(world.home), request=True)
    assert written == [world.home / "one.lock"]
    assert git(world.home, "status", "--porcelain") == ""
    assert world.branch() == ""


def test_of_recipes_that_cannot_be_read_no_request_is_made(world: UpdateWorld) -> None:
    (world.home / "homeport.yaml").write_text("homeport: 1\npakages: [x]\n")
    with forge("gitlab") as running:
        world.environment = {**running.variables, TOKEN: "right"}
        result = world.update(str(world.root), directory=world.home, request=True)
        assert [one.outcome for one in result.recipes] == ["failed"]
        assert (running.requests, world.branch()) == ([], "")


KINDS: list[Kind] = ["gitlab", "github", "forgejo"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_from_a_fork_is_a_strangers_whatever_its_branch_is_called(
    world: UpdateWorld, kind: Kind
) -> None:
    """Or the table of Homeport would recommend what a stranger wrote."""
    with forge(kind) as running:
        world.environment = {**running.variables, TOKEN: "right"}
        theirs = running.fork("homeport/update")
        before = dict(theirs)
        result = world.update(request=True)
        assert result.request is not None
        assert (result.request.action, len(running.requests)) == ("created", 2)
        assert theirs == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_that_another_run_opened_meanwhile_is_used(
    world: UpdateWorld, kind: Kind
) -> None:
    with forge(kind) as running:
        world.environment = {**running.variables, TOKEN: "right"}
        world.update(request=True)
        running.unlisted = 1
        again = world.update(request=True)
        assert again.request is not None
        assert (again.request.action, len(running.requests)) == ("unchanged", 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_request_whose_branch_was_deleted_is_not_opened_again(
    world: UpdateWorld, kind: Kind
) -> None:
    with forge(kind) as running:
        world.environment = {**running.variables, TOKEN: "right"}
        world.update(request=True)
        running.requests[0]["state"] = "closed"
        git(world.root / "origin.git", "branch", "-D", "homeport/update")
        running.delete_branch()
        again = world.update(request=True)
        assert again.request is not None
        assert (again.request.action, world.branch()) == ("declined", "")


def test_a_request_is_found_behind_pages_of_others(world: UpdateWorld) -> None:
    with forge("forgejo") as running:
        world.environment = {**running.variables, TOKEN: "right"}
        world.update(request=True)
        running.others(70)
        again = world.update(request=True)
        assert again.request is not None
        assert (again.request.action, len(running.requests)) == ("unchanged", 71)


PAGE = {"Content-Type": "text/html; charset=utf-8"}
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("answer", "what", "hint"),
    [
        ((200, PAGE, b"<html>Log in</html>"), "a web page instead of the answer", "login"),
        ((403, PAGE, b"<html>Blocked</html>"), "a web page instead of the answer", "proxy"),
        ((200, JSON, b"<html>"), "is not that of", "--forge"),
        ((200, JSON, b'{"data": []}'), "is not that of", "--forge"),
        ((200, JSON, b'[{"number": "x"}]'), "is not that of", "--forge"),
        ((200, JSON, b"null"), "is not that of", "--forge"),
        ((401, JSON, b'{"error": "invalid_token", "error_description": "Token is expired."}'),
         "status 401: Token is expired.", TOKEN),
        ((403, {**JSON, "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1796000000"},
          b'{"message": "API rate limit exceeded"}'),
         "limits requests until 2026-11-30 00:53 UTC: API rate limit exceeded", "later"),
        ((403, JSON, b'{"message": "You have exceeded a secondary rate limit."}'),
         "limits requests: You have exceeded a secondary rate limit.", "later"),
        ((404, JSON, b'{"message": "404 Project Not Found"}'), "404 Project Not Found", "not see"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_helps_nobody_is_one_clear_error_and_nothing_is_half_done(
    world: UpdateWorld, kind: Kind, answer: tuple[int, dict[str, str], bytes], what: str, hint: str
) -> None:
    before = (world.home / "test.lock").read_bytes()
    with forge(kind) as running:
        world.environment = {**running.variables, TOKEN: "right"}
        running.instead = answer
        with pytest.raises(ForgeRefused) as caught:
            world.update(request=True)
    assert what in caught.value.what
    assert "\n" not in caught.value.what
    assert hint in (caught.value.hint or "")
    assert (world.home / "test.lock").read_bytes() == before
    assert git(world.home, "status", "--porcelain") == ""
    assert world.branch() == ""


@pytest.mark.parametrize("options", [{"branch": "main"}, {"branch": "next", "target": "next"}])
def test_the_branch_that_is_merged_into_is_never_pushed_to(
    world: UpdateWorld, options: dict[str, str]
) -> None:
    main = world.branch("main")
    with forge("gitlab") as running:
        world.environment = {**running.variables, TOKEN: "right"}
        with pytest.raises(UsageError) as caught:
            world.update(request=True, **options)
        assert "is to be merged into" in caught.value.what
        assert (world.branch("main"), running.asked) == (main, [])


def test_what_is_no_name_of_a_branch_is_a_usage_error(world: UpdateWorld) -> None:
    with pytest.raises(UsageError) as caught:
        world.update(request=True, forge="gitlab", branch="a..b")
    assert caught.value.what == "a..b is no name of a branch for git"


def test_a_branch_with_another_history_is_left_alone(world: UpdateWorld) -> None:
    origin = world.root / "origin.git"
    tree = git(origin, "rev-parse", "main^{tree}")
    who = ("-c", "user.name=O", "-c", "user.email=o@x.example")
    other = git(origin, *who, "commit-tree", tree, "-m", f"Other\n\n{TRAILER}")
    git(origin, "update-ref", "refs/heads/homeport/update", other)
    with forge("gitlab") as running:
        world.environment = {**running.variables, TOKEN: "right"}
        with pytest.raises(PersonsCommits) as caught:
            world.update(request=True)
        assert "shares no commit" in caught.value.what
        assert (world.branch(), running.requests) == (other, [])


def test_a_branch_in_the_way_of_ours_is_named_with_what_to_do(world: UpdateWorld) -> None:
    """Git keeps branches as files: where ``homeport`` is one, ``homeport/update`` cannot be."""
    git(world.root / "origin.git", "branch", "homeport", "main")
    with forge("gitlab") as running:
        world.environment = {**running.variables, TOKEN: "right"}
        with pytest.raises(GitFailed) as caught:
            world.update(request=True)
        assert caught.value.hint is not None
        assert "--branch NAME" in caught.value.hint
        assert running.requests == []
        assert git(world.home, "status", "--porcelain") == ""


def test_an_expired_token_is_said_before_anything_is_locked(world: UpdateWorld) -> None:
    before = (world.home / "test.lock").read_bytes()
    with forge("gitlab") as running:
        git(world.home, "remote", "set-url", "origin", running.server.url("/group/images.git"))
        world.environment = {**running.variables, TOKEN: "expired"}
        with pytest.raises(GitFailed) as caught:
            world.update(request=True)
    assert "Authentication failed" in caught.value.what
    assert TOKEN in (caught.value.hint or "")
    assert "expired" not in caught.value.what
    assert (world.home / "test.lock").read_bytes() == before
