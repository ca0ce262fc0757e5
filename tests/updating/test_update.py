"""Updating recipes: what is locked anew, committed, and put into one merge request."""

from __future__ import annotations

import base64
import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from builders.archive import DATE
from builders.deb import deb
from builders.forge import FakeForge, forge
from builders.freshness import LATER, entry
from builders.gitlab import JOB_TOKEN, gitlab
from builders.gitlab import TOKEN as PROJECT_TOKEN
from builders.updating import UpdateWorld, git, lib
from homeport.content.store import Store
from homeport.errors import HomeportError, UsageError
from homeport.gitprogram import GitFailed
from homeport.updating.forges import ForgeRefused, Kind, find_place
from homeport.updating.git import PersonsCommits
from homeport.updating.update import TOKEN

CVE = "CVE-2026-1000"
KINDS: tuple[Kind, ...] = ("gitlab", "github", "forgejo")


@pytest.fixture
def world(tmp_path: Path) -> UpdateWorld:
    """lib1 has a security fix, lib2 an update."""
    made = UpdateWorld(tmp_path, {"trixie": [lib("lib1", "1-1"), lib("lib2", "1-1")]})
    made.lock_recipe("packages: [lib1, lib2]")
    made.make_repository()
    made.move("trixie", [lib("lib1", "1-2", f"* {CVE}"), lib("lib2", "1-2")])
    return made


def test_everything_newer_is_locked_and_told_with_ids_files_and_sizes(world: UpdateWorld) -> None:
    (one,) = world.update().recipes
    assert (one.outcome, one.lines) == ("updated", ("lib1 1-1 → 1-2", "lib2 1-1 → 1-2"))
    assert {change.name: change.ids for change in one.changes} == {"lib1": (CVE,), "lib2": ()}
    assert [f.path for f in one.files if f.package == "lib1"] == [
        "/usr/bin/lib1", "/usr/share/doc/lib1/changelog.Debian.gz",
    ]  # fmt: skip
    assert all(size > 0 for size in one.size)
    assert world.subject().changes == ()


def apart(world: UpdateWorld) -> None:
    """The main suite still has what is locked; updates are in suites of their own."""
    world.move("trixie", [lib("lib1", "1-1"), lib("lib2", "1-1")])
    world.move("trixie-security", [lib("lib1", "1-2", f"* {CVE}")])
    world.move("trixie-updates", [lib("lib2", "1-2")])


def test_only_security_leaves_the_others_as_they_are_locked(world: UpdateWorld) -> None:
    apart(world)
    (one,) = world.update(only="security").recipes
    assert one.lines == ("lib1 1-1 → 1-2",)
    assert world.update(only="security").recipes[0].outcome == "current"


def test_a_package_by_name_is_updated_alone(world: UpdateWorld) -> None:
    apart(world)
    assert world.update(packages=("lib2",)).recipes[0].lines == ("lib2 1-1 → 1-2",)


def test_a_name_that_no_lockfile_has_is_a_usage_error(world: UpdateWorld) -> None:
    with pytest.raises(UsageError) as caught:
        world.update(packages=("lib9",))
    assert caught.value.what == "cannot update 'lib9': no package or part of that name is locked"


def test_a_misspelt_recipe_is_told_what_there_is(world: UpdateWorld) -> None:
    with pytest.raises(HomeportError) as caught:
        world.update("dockerfile-cpy")
    assert caught.value.what == (
        "dockerfile-cpy: neither a recipe of the catalog, nor a file or folder here"
    )
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("did you mean dockerfile-copy?")
    with pytest.raises(UsageError) as caught:
        world.update("debian:13")
    assert "debian:13 is not a recipe" in caught.value.what


def test_a_dry_run_writes_nothing(world: UpdateWorld) -> None:
    before = (world.home / "test.lock").read_bytes()
    result = world.update(dry_run=True)
    assert result.recipes[0].lines == ("lib1 1-1 → 1-2", "lib2 1-1 → 1-2")
    assert (world.home / "test.lock").read_bytes() == before
    assert git(world.home, "status", "--porcelain") == ""


def test_nothing_new_touches_no_byte(world: UpdateWorld) -> None:
    world.update()
    before = (world.home / "test.lock").read_bytes()
    packages = [lib("lib1", "1-2", f"* {CVE}"), lib("lib2", "1-2")]
    world.move("trixie", packages, date=LATER + timedelta(hours=5))
    assert world.update().recipes[0].outcome == "current"
    assert (world.home / "test.lock").read_bytes() == before


def test_a_recipe_that_fails_keeps_its_lockfile_and_the_others_go_on(tmp_path: Path) -> None:
    world = UpdateWorld(tmp_path, {"trixie": [lib("lib1", "1-1"), lib("lib2", "1-1")]})
    world.slices("lib2", "bin: {paths: [/usr/bin/lib2]}")
    world.lock_recipe("name: broken\npackages: [lib2_bin]")
    (world.home / "homeport.yaml").rename(world.home / "broken.yaml")
    world.lock_recipe("packages: [lib1]")
    world.move("trixie", [lib("lib1", "1-2"), deb("lib2", "1-2", files={"usr/bin/renamed": b"x"})])
    before = (world.home / "broken.lock").read_bytes()
    result = world.update(str(world.home / "broken.yaml"), str(world.home / "homeport.yaml"))
    assert [one.outcome for one in result.recipes] == ["failed", "updated"]
    assert "/usr/bin/lib2 of the slice lib2_bin matches nothing" in result.recipes[0].error
    assert "linux/amd64" in result.recipes[0].error or "lib2 1-2" in result.recipes[0].error
    assert (world.home / "broken.lock").read_bytes() == before


def test_one_commit_has_the_lockfiles_and_nothing_else_that_is_staged(world: UpdateWorld) -> None:
    (world.home / "mine").write_text("not yet")
    git(world.home, "add", "mine")
    result = world.update(commit=True)
    assert git(world.home, "rev-parse", "HEAD") == result.commit
    assert git(world.home, "show", "--format=", "--name-only", "HEAD").split() == [
        "test.lock", "test.lock.proof",
    ]  # fmt: skip
    assert git(world.home, "log", "-1", "--format=%B") == (
        "test: lib1, lib2 (1 security fix)\n\ntest:\n  lib1 1-1 → 1-2\n  lib2 1-1 → 1-2"
    )
    assert git(world.home, "status", "--porcelain") == "A  mine"


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_is_opened_updated_left_alone_and_closed(world: UpdateWorld, kind: Kind) -> None:
    with forge(kind) as running:
        world.environment = {**running.variables, TOKEN: "right"}
        first = world.update(request=True)
        assert first.request is not None
        assert (first.request.action, len(running.requests)) == ("created", 1)
        assert git(world.home, "status", "--porcelain") == ""  # the work tree is as it was
        text = _text(running)
        assert running.requests[0]["title"] == "test: lib1, lib2 (1 security fix)"
        assert f"| `lib1` | `1-1 → 1-2` | `trixie` | {CVE} | 1 platform |" in text
        assert "The same result: `homeport update ./homeport.yaml`" in text
        assert world.branch() == first.commit

        asked = len(running.asked)
        again = world.update(request=True)
        assert again.request is not None
        assert (again.request.action, world.branch()) == ("unchanged", first.commit)
        assert [one.partition(" ")[0] for one in running.asked[asked:]] == ["GET"]

        later = [lib("lib1", "1-3", f"* {CVE}"), lib("lib2", "1-2")]
        world.move("trixie", later, date=LATER + timedelta(1))
        changed = world.update(request=True)
        assert changed.request is not None
        assert (changed.request.action, len(running.requests)) == ("updated", 1)
        assert "1-1 → 1-3" in _text(running)
        assert world.branch() == changed.commit != first.commit

        git(world.home, "fetch", "-q", "origin", "homeport/update")
        git(world.home, "merge", "-q", "--ff-only", "FETCH_HEAD")
        done = world.update(request=True)
        assert done.request is not None
        assert done.request.action == "closed"
        assert running.requests[0]["state"] == "closed"


def _text(running: FakeForge) -> str:
    one = running.requests[0]
    return str(one["description"] if running.kind == "gitlab" else one["body"])


def test_what_a_person_closed_is_not_opened_again_until_something_else_is_new(
    world: UpdateWorld,
) -> None:
    with forge("gitlab") as running:
        world.environment = {**running.variables, TOKEN: "right"}
        world.update(request=True)
        running.requests[0]["state"] = "closed"
        git(world.root / "origin.git", "update-ref", "-d", "refs/heads/homeport/update")
        declined = world.update(request=True)
        assert declined.request is not None
        assert (declined.request.action, world.branch()) == ("declined", "")
        later = [lib("lib1", "1-3"), lib("lib2", "1-2")]
        world.move("trixie", later, date=LATER + timedelta(1))
        assert world.update(request=True).request is not None
        assert len(running.requests) == 2


def test_a_persons_commit_on_the_branch_is_never_overwritten(world: UpdateWorld) -> None:
    with forge("gitlab") as running:
        world.environment = {**running.variables, TOKEN: "right"}
        world.update(request=True)
        other = world.root / "other"
        git(world.root, "clone", "-qb", "homeport/update", str(world.root / "origin.git"), "other")
        (other / "fix").write_text("by hand")
        git(other, "add", "fix")
        git(other, "-c", "user.name=P", "-c", "user.email=p@x.example", "commit", "-qm", "Mine")
        git(other, "push", "-q", "origin", "homeport/update")
        before = world.branch()
        later = [lib("lib1", "1-3"), lib("lib2", "1-2")]
        world.move("trixie", later, date=LATER + timedelta(1))
        with pytest.raises(PersonsCommits):
            world.update(request=True)
        assert world.branch() == before
        assert git(world.home, "status", "--porcelain") == ""


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_token_the_branch_is_pushed_and_the_link_is_given(
    world: UpdateWorld, kind: Kind
) -> None:
    with forge(kind) as running:
        world.environment = running.variables
        result = world.update(request=True)
        assert result.request is not None
        assert (result.request.action, world.branch()) == ("link", result.commit)
        assert result.request.url.startswith(running.server.url("/group/images/"))
        assert "homeport%2Fupdate" in result.request.url
        assert running.asked == []


def test_without_a_token_gitlab_is_asked_by_push_options(world: UpdateWorld) -> None:
    """By a server's hook, in which git puts them; other forges get none."""
    origin = world.root / "origin.git"
    git(origin, "config", "receive.advertisePushOptions", "true")
    hook = origin / "hooks/post-receive"
    hook.write_text('#!/bin/sh\nenv | grep "^GIT_PUSH_OPTION_[0-9]" | sort > options\n')
    hook.chmod(0o755)
    with forge("gitlab") as running:
        world.environment = running.variables
        result = world.update(request=True)
    lines = (origin / "options").read_text().splitlines()
    tree = git(origin, "rev-parse", "homeport/update^{tree}")
    assert [line.partition("=")[2] for line in lines] == [
        "merge_request.create",
        "merge_request.target=main",
        "merge_request.title=test: lib1, lib2 (1 security fix)",
        "merge_request.description=What changes and what it fixes is in the message of the commit."
        f" <!-- homeport-update {tree} -->",
        "merge_request.remove_source_branch",
    ]
    assert result.request is not None
    assert result.request.action == "link"


def test_a_runner_has_no_identity_and_credentials_of_its_job_in_url_and_header(
    world: UpdateWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """GitLab's runner writes the job's token into the URL, actions/checkout into a header."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv(TOKEN, PROJECT_TOKEN)
    with gitlab(tmp_path) as server:
        git(world.home, "remote", "set-url", "origin", str(server.bare))
        git(world.home, "push", "-q", "origin", "main")
        git(world.home, "remote", "set-url", "origin", server.url_of_job)
        job = base64.b64encode(f"gitlab-ci-token:{JOB_TOKEN}".encode()).decode()
        header = f"http.{server.forge.server.url()}.extraheader"
        git(world.home, "config", header, f"Authorization: Basic {job}")
        for name in ("user.name", "user.email"):
            git(world.home, "config", name, "")
        world.environment = {**server.forge.variables, TOKEN: PROJECT_TOKEN}
        result = world.update(request=True)
        assert result.request is not None
        assert result.request.action == "created"
        assert server.git("log", "-1", "--format=%an <%ae>", "homeport/update") == (
            "Homeport <homeport@localhost>"
        )


def test_a_shallow_clone_does_not_have_the_fork_of_the_branch(world: UpdateWorld) -> None:
    with forge("gitlab") as running:
        world.environment = {**running.variables, TOKEN: "right"}
        world.update(request=True)
        git(world.home, "commit", "-q", "--allow-empty", "-m", "Second")
        git(world.home, "push", "-q", "origin", "main")
        world.home.rename(world.root / "whole")
        git(world.root, "clone", "-q", "--depth", "1", f"file://{world.root}/origin.git",
            str(world.home))  # fmt: skip
        result = world.update(request=True)
        assert git(world.root / "origin.git", "rev-parse", "homeport/update^") == (
            git(world.home, "rev-parse", "HEAD")
        )
        assert result.commit == world.branch()


def test_a_token_that_is_refused_is_an_error_with_what_to_do(world: UpdateWorld) -> None:
    with forge("gitlab") as running:
        world.environment = {**running.variables, TOKEN: "expired"}
        with pytest.raises(ForgeRefused) as caught:
            world.update(request=True)
        assert "401" in caught.value.what
        assert caught.value.hint is not None
        assert TOKEN in caught.value.hint
        assert "expired" not in caught.value.what


def test_a_branch_that_moved_meanwhile_is_not_overwritten(world: UpdateWorld) -> None:
    """The lease: two schedules at once, or a protected branch."""
    hook = world.root / "origin.git/hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho protected branch >&2; exit 1\n")
    hook.chmod(0o755)
    with forge("gitlab") as running:
        world.environment = {**running.variables, TOKEN: "right"}
        with pytest.raises(GitFailed) as caught:
            world.update(request=True)
        assert "git push failed" in caught.value.what
        assert running.requests == []


@pytest.mark.parametrize(
    ("remote", "kind", "api"),
    [
        ("https://u:secret@gitlab.example.org/group/sub/images.git", "gitlab",
         "https://gitlab.example.org/api/v4"),
        ("git@github.com:group/images.git", "github", "https://api.github.com"),
        ("ssh://git@codeberg.example/group/images", "forgejo", "https://codeberg.example/api/v1"),
        ("https://github.example.org:8443/group/images", "github",
         "https://github.example.org:8443/api/v3"),
    ],
)  # fmt: skip
def test_the_forge_is_found_by_the_remotes_host(remote: str, kind: Kind, api: str) -> None:
    place = find_place(remote, {})
    assert (place.kind, place.api) == (kind, api)
    assert "secret" not in str(place)


def test_an_unknown_host_asks_for_its_kind() -> None:
    with pytest.raises(HomeportError) as caught:
        find_place("https://git.example.org/a/b.git", {})
    assert caught.value.hint == "name it: --forge gitlab, github or forgejo"
    place = find_place("https://git.example.org/a/b.git", {}, "forgejo")
    assert place.api == "https://git.example.org/api/v1"


def test_news_that_breaks_users_is_quoted(tmp_path: Path) -> None:
    world = UpdateWorld(tmp_path, {"trixie": [lib("lib1", "1-1")]})
    world.lock_recipe("packages: [lib1]")
    world.make_repository()
    news = entry("lib1", "1-2", "* The option -x is gone.")
    world.move("trixie", [lib("lib1", "1-2", news=news)], date=DATE + timedelta(3))
    with forge("gitlab") as running:
        world.environment = {**running.variables, TOKEN: "right"}
        world.update(request=True)
        assert "NEWS of `lib1`" in _text(running)
        assert "The option -x is gone." in _text(running)


TESTED = "tests: [{name: it is new, file: /usr/bin/lib1, contains: ['1-2']}]"


def test_images_are_built_before_and_after_and_tested(tmp_path: Path) -> None:
    world = UpdateWorld(tmp_path, {"trixie": [lib("lib1", "1-1")]})
    world.lock_recipe(f"packages: [lib1]\n{TESTED}")
    world.make_repository()
    before = world.build(world.home / "homeport.yaml").built.images[0].image.digest
    world.move("trixie", [lib("lib1", "1-2")])
    with forge("gitlab") as running:
        world.environment = {**running.variables, TOKEN: "right"}
        (one,) = world.update(build=True, request=True).recipes
        text = _text(running)
    assert one.unknown == ""
    (image,) = one.images
    assert (image.platform, image.old) == ("linux/amd64", str(before))
    assert (image.new != image.old, image.old_size > 0, image.new_size > 0) == (True, True, True)
    assert one.tests is not None
    assert (one.tests.passed, one.tests.failed) == (1, ())
    assert f"| `linux/amd64` | `{image.old}` | `{image.new}` |" in text
    assert "`tests: 1 passed`" in text


def test_what_cannot_be_built_any_more_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    """The archive dropped the old packages, and this machine never had them."""
    world = UpdateWorld(tmp_path, {"trixie": [lib("lib1", "1-1")]})
    world.lock_recipe(f"packages: [lib1]\n{TESTED.replace('1-2', '9-9')}")
    world.move("trixie", [lib("lib1", "1-2")])
    world.archive.lose("pool/*1-1*")
    world.store = Store(tmp_path / "another")
    (one,) = world.update(build=True).recipes
    assert (one.outcome, [image.old for image in one.images]) == ("updated", [""])
    assert "the image before: " in one.unknown
    assert one.tests is not None
    (failed,) = one.tests.failed
    assert failed.startswith("it is new (linux/amd64): ")


@pytest.mark.parametrize(
    ("option", "hint"),
    [("commit", "in a git repository: git init"), ("request", "name the remote of the forge with")],
)
def test_without_a_repository_or_a_remote_the_error_says_what_to_do(
    world: UpdateWorld, option: str, hint: str
) -> None:
    if option == "request":
        git(world.home, "remote", "remove", "origin")
    else:
        shutil.rmtree(world.home / ".git")
    with pytest.raises(GitFailed) as caught:
        world.update(**{option: True})
    assert hint in str(caught.value.hint)
