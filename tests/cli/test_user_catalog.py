"""A catalog of the user's: every command that takes a recipe's name looks there first."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders.deb import deb
from builders.locking import World
from builders.small_registry import SmallRegistry, small_registry
from homeport.attest.keys.private_key import encrypt_key, generate_key
from homeport.cli.main import run
from homeport.recipe.catalog import shipped_catalog

POLICY = """
schema: homeport-policy/v1
identities:
  us: {keys: [our.pub]}
images:
  - {match: [HOST/team/catalog], identity: [us]}
"""
ARCHIVE = 'archives: [{{name: test, suites: [trixie], mirrors: ["{url}"], keys: [../key.asc]}}]\n'


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory beside ``catalog/``, which has three recipes and a slice."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "the-cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    packages = [deb("app", files={"usr/bin/app": b"x", "usr/share/big": b"y" * 999})]
    archive = World(tmp_path, packages, valid_for=None).archive
    catalog = tmp_path / "catalog"
    write(catalog / "key.asc", "").write_bytes(archive.certificate)
    head = "homeport: 1\nplatforms: [linux/amd64]\nsteps: {os_release: false}\n"
    head += ARCHIVE.format(url=archive.url)
    write(
        catalog / "base/homeport.yaml",
        f"{head}name: base\nsummary: Ours\npackages: [app_bins]\n"
        "files: [{from: ../shared, to: /shared/}]\n",
    )
    write(catalog / "base/replaces.txt", "docker.io/library/nginx  # as a test\n")
    write(catalog / "tool/homeport.yaml", "homeport: 1\nname: tool\nextends: base\nsummary: Mine\n")
    write(
        catalog / "curl/homeport.yaml",
        "homeport: 1\nname: curl\nextends: curl\nsummary: The shipped one, changed\n",
    )
    write(catalog / "shared/notes", "shared")
    write(
        catalog / "slices/app.yaml",
        "homeport: 1\npackage: app\nslices:\n  bins:\n    paths: [/usr/bin/app]\n",
    )
    return work


@pytest.fixture
def catalog(home: Path) -> Path:
    return home.parent / "catalog"


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_its_recipes_are_listed_before_those_of_homeport(
    catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["catalog", "list", "--catalog", "../catalog", "--format", "json"]) == 0
    found = {each["name"]: each for each in printed(capsys)["recipes"]}
    assert found.keys() == {*shipped_catalog().names(), "tool"}
    assert found["base"]["file"] == str(catalog / "base/homeport.yaml")
    assert found["binfmt"]["file"] == str(shipped_catalog().directory / "binfmt/homeport.yaml")


@pytest.mark.usefixtures("catalog")
def test_the_variable_and_the_users_configuration_name_it_too(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOMEPORT_CATALOG", "../catalog")
    assert run(["catalog", "show", "base"]) == 0
    assert "base: Ours" in capsys.readouterr().out
    monkeypatch.delenv("HOMEPORT_CATALOG")
    assert run(["catalog", "show", "base"]) == 0
    assert "base: Ours" not in capsys.readouterr().out
    write(home.parent / "config/homeport/config.toml", 'catalog = "../catalog"\n')
    assert run(["catalog", "show", "base"]) == 0
    assert "base: Ours" in capsys.readouterr().out


@pytest.mark.usefixtures("catalog")
def test_a_project_file_cannot_name_one(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(home / "homeport.toml", 'catalog = "../catalog"\n[build]\ncatalog = "../catalog"\n')
    assert run(["catalog", "list"]) == 2
    error = capsys.readouterr().err
    assert "unknown setting catalog" in error
    assert "build.catalog may not stand in a project file" in error


def test_lock_and_build_write_the_lockfile_beside_the_recipe(
    home: Path, catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["lock", "tool", "--catalog", "../catalog"]) == 0
    assert (catalog / "tool/tool.lock").is_file()
    assert not list(home.iterdir())
    build = ["build", "tool", "--catalog", "../catalog", "-o", "oci:out", "--locked"]
    assert run([*build, "--attest", "provenance,kit"]) == 0
    assert run(["inspect", "oci:out", "--format", "json", "--files"]) == 0
    text = capsys.readouterr().out
    assert "usr/bin/app" in text
    assert "shared/notes" in text
    assert "usr/share/big" not in text


@pytest.mark.usefixtures("catalog")
def test_what_uses_the_catalog_is_built_again_from_its_kit_alone(
    catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = ["build", "tool", "--catalog", "../catalog", "-o", "oci:out"]
    assert run([*build, "--attest", "provenance,kit"]) == 0
    (catalog / "slices/app.yaml").unlink()
    (catalog / "base/homeport.yaml").unlink()
    capsys.readouterr()
    assert run(["verify", "oci:out", "--rebuild", "--trust-kit", "--format", "json"]) == 0
    assert printed(capsys)["verdict"] == "reproduced"


def test_a_recipe_elsewhere_extends_one_of_it_by_name(
    home: Path, catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(home / "homeport.yaml", "homeport: 1\nname: mine\nextends: tool\n")
    assert run(["recipe", "check", "--catalog", str(catalog)]) == 0
    assert run(["lock", "--catalog", str(catalog)]) == 0
    assert run(["build", "--catalog", str(catalog), "--locked", "-o", "oci:out"]) == 0
    capsys.readouterr()
    assert run(["recipe", "check"]) == 2
    assert "the catalog has no recipe 'tool'" in capsys.readouterr().err


def test_a_recipe_elsewhere_names_no_file_of_it(
    home: Path, catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        home / "homeport.yaml",
        "homeport: 1\nname: mine\nextends: tool\n"
        "files: [{from: ../catalog/shared, to: /stolen/}]\n",
    )
    assert run(["recipe", "check", "--catalog", str(catalog)]) == 2
    assert "is outside the recipe's folder" in capsys.readouterr().err


@pytest.mark.usefixtures("catalog")
def test_a_recipe_may_extend_the_shipped_one_of_its_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["catalog", "show", "curl", "--catalog", "../catalog", "--format", "json"]) == 0
    shown = printed(capsys)
    assert shown["summary"] == "The shipped one, changed"
    assert "curl" in [package["name"] for package in shown["packages"]]


@pytest.mark.usefixtures("catalog")
def test_a_shipped_recipe_stays_as_it_was_locked(capsys: pytest.CaptureFixture[str]) -> None:
    # base is also the name of one of the user's, which the shipped cc extends.
    assert run(["lock", "cc", "--check", "--catalog", "../catalog"]) == 0
    capsys.readouterr()


@pytest.mark.usefixtures("catalog")
def test_what_it_replaces_is_planned_as_a_build(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(home / "Dockerfile", "FROM nginx:1.29\n")
    plan = ["audit", "Dockerfile", "--plan", "plan.yaml", "--home", "registry.example/team"]
    assert run([*plan, "--catalog", "../catalog"]) == 0
    images = yaml.safe_load((home / "plan.yaml").read_text())["images"]
    assert [(each["action"], each["recipe"]) for each in images] == [("build", "base")]
    capsys.readouterr()
    assert run(["audit", "explain", "nginx:1.29", ".", "--catalog", "../catalog"]) == 0
    assert "homeport build base --catalog ../catalog" in capsys.readouterr().out


def test_outdated_and_graph_know_its_recipes(
    catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["lock", "tool", "--catalog", str(catalog)]) == 0
    capsys.readouterr()
    assert run(["outdated", "tool", "--catalog", str(catalog), "--format", "json"]) == 0
    assert "tool" in capsys.readouterr().out
    assert run(["graph", "tool", "base", "--catalog", str(catalog), "--format", "json"]) == 0
    edges = printed(capsys)["edges"]
    assert [(edge["user"], edge["used"], edge["kind"]) for edge in edges] == [
        ("tool", "base", "extends")
    ]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("none", "the catalog 'none' is not a folder"),
        (".", "the catalog '.' has no recipes and no slices"),
        ("https://host.example/r.git", "does not name a commit by its whole hash"),
        ("https://host.example/r.git@main", "does not name a commit by its whole hash"),
    ],
)
def test_what_is_no_catalog_is_an_error_that_says_what_one_is(
    home: Path, capsys: pytest.CaptureFixture[str], named: str, message: str
) -> None:
    assert run(["catalog", "list", "--catalog", named]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "hint:" in error
    assert not list(home.iterdir())


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SmallRegistry]:
    monkeypatch.setenv("HOME", str(tmp_path))
    with small_registry() as served:
        yield served


def pushed(registry: SmallRegistry, capsys: pytest.CaptureFixture[str], tag: str = "1") -> str:
    """Push ``../catalog``; its address by digest."""
    place = f"docker://{registry.host}/team/catalog:{tag}"
    assert run(["catalog", "push", "../catalog", place, "--format", "json"]) == 0
    document = printed(capsys)
    assert document["schema"] == "homeport-catalog-push/v1"
    return str(document["catalog"])


def test_the_same_files_are_the_same_artifact(
    catalog: Path, registry: SmallRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    first = pushed(registry, capsys)
    (catalog / ".git").mkdir()
    write(catalog / ".git/config", "of an editor or a repository")
    os.utime(catalog / "base/homeport.yaml", (1, 1))
    assert pushed(registry, capsys, tag="2") == first
    write(catalog / "shared/notes", "other notes")
    assert pushed(registry, capsys, tag="3") != first


@pytest.mark.usefixtures("catalog")
@pytest.mark.parametrize("by", ["digest", "tag", "layout"])
def test_an_artifact_is_a_catalog_whose_lockfiles_are_written_here(
    home: Path, registry: SmallRegistry, capsys: pytest.CaptureFixture[str], by: str
) -> None:
    if by == "layout":
        assert run(["catalog", "push", "../catalog", "oci:../pushed:1"]) == 0
        named = "oci:../pushed:1"
    else:
        pinned = pushed(registry, capsys)
        named = pinned if by == "digest" else f"docker://{registry.host}/team/catalog:1"
    capsys.readouterr()
    assert run(["lock", "tool", "--catalog", named]) == 0
    assert (home / "tool.lock").is_file()
    assert ("catalog docker://" in capsys.readouterr().err) == (by == "tag")
    assert run(["build", "tool", "--catalog", named, "--locked", "-o", "oci:out"]) == 0
    assert run(["inspect", "oci:out", "--files"]) == 0
    assert "shared/notes" in capsys.readouterr().out
    assert run(["add", "wget", "--recipe", "tool", "--catalog", named]) == 2
    assert "lies in a catalog that is not written to" in capsys.readouterr().err


@pytest.mark.usefixtures("catalog")
def test_an_artifact_by_digest_is_used_offline_once_it_was_fetched(
    registry: SmallRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    named = pushed(registry, capsys)
    show = ["catalog", "show", "tool", "--catalog", named]
    assert run([*show, "--offline"]) == 2
    assert "is not in the cache" in capsys.readouterr().err
    assert run(show) == 0
    assert run([*show, "--offline"]) == 0
    assert "tool: Mine" in capsys.readouterr().out


@pytest.mark.usefixtures("catalog")
def test_a_policy_lets_in_signed_catalogs_only(
    home: Path, registry: SmallRegistry, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("COSIGN_PASSWORD", "")
    named = pushed(registry, capsys)
    key = generate_key()
    write(home / "our.key", "").write_bytes(encrypt_key(key, b""))
    write(home / "our.pub", "").write_bytes(key.public.pem)
    write(
        home / "policy.yaml",
        POLICY.replace("HOST", registry.host),
    )
    show = ["catalog", "show", "tool", "--catalog", named, "--catalog-policy", "policy.yaml"]
    assert run(show) == 3
    capsys.readouterr()
    assert run(["sign", named.removeprefix("docker://"), "--key", "our.key"]) == 0
    assert run(show) == 0
    assert "tool: Mine" in capsys.readouterr().out


@pytest.mark.usefixtures("catalog")
def test_another_artifact_is_no_catalog(
    home: Path, registry: SmallRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    place = f"docker://{registry.host}/team/base:1"
    assert run(["build", "base", "--catalog", "../catalog", "-o", place]) == 0
    capsys.readouterr()
    assert run(["catalog", "list", "--catalog", place]) == 2
    assert "is not a catalog" in capsys.readouterr().err


def test_a_faulty_catalog_is_not_pushed(
    catalog: Path, registry: SmallRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    write(catalog / "tool/homeport.yaml", "homeport: 1\nname: tool\nextends: nothing\n")
    write(catalog / "slices/app.yaml", "homeport: 1\npackage: other\nslices: {}\n")
    place = f"docker://{registry.host}/team/catalog:1"
    assert run(["catalog", "push", "../catalog", place]) == 2
    error = capsys.readouterr().err
    assert "the catalog has no recipe 'nothing'" in error
    assert "app.yaml" in error
    assert not registry.manifests


def test_a_catalog_with_links_is_not_pushed(
    catalog: Path, registry: SmallRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    (catalog / "shared/link").symlink_to("/etc/passwd")
    place = f"docker://{registry.host}/team/catalog:1"
    assert run(["catalog", "push", "../catalog", place]) == 2
    assert "the catalog holds a symlink, shared/link" in capsys.readouterr().err
    assert not registry.manifests


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=T", "-c", "user.email=t@example"]
    return subprocess.run(
        [*command, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(catalog: Path) -> str:
    """The catalog in ``catalogs/ours`` of a repository; the address of its first commit."""
    root = catalog.parent / "repository"
    root.mkdir()
    shutil.copytree(catalog, root / "catalogs/ours")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "one")
    commit = git(root, "rev-parse", "HEAD")
    shutil.rmtree(root / "catalogs")
    git(root, "commit", "-qam", "two")
    return f"file://{root}@{commit}"


def test_a_commit_of_git_is_a_catalog(
    home: Path, repository: str, capsys: pytest.CaptureFixture[str]
) -> None:
    named = f"{repository}#catalogs/ours"
    assert run(["lock", "tool", "--catalog", named]) == 0
    assert (home / "tool.lock").is_file()
    shutil.rmtree(home.parent / "repository")
    assert run(["build", "tool", "--catalog", named, "--locked", "-o", "oci:out", "--offline"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("REPOSITORY", "has no recipes and no slices"),
        ("REPOSITORY#none", "git archive failed"),
        ("REPOSITORY#../x", "names an invalid folder"),
        ("URL@" + "0" * 40, "git cat-file failed"),
    ],
)
def test_what_git_does_not_have_is_an_error(
    repository: str, capsys: pytest.CaptureFixture[str], named: str, message: str
) -> None:
    url = repository.partition("@")[0]
    text = named.replace("REPOSITORY", repository).replace("URL", url)
    assert run(["catalog", "list", "--catalog", text]) in (1, 2)
    assert message in capsys.readouterr().err


def test_a_repository_that_unpacks_to_more_than_it_may_never_reaches_the_disk(
    catalog: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (catalog / "zeros").write_bytes(bytes(1 << 20))
    git(catalog, "init", "-q")
    git(catalog, "add", ".")
    git(catalog, "commit", "-qm", "one")
    named = f"file://{catalog}@{git(catalog, 'rev-parse', 'HEAD')}"
    monkeypatch.setattr("homeport.catalogs.git.CATALOG_LIMIT", 1 << 19)
    assert run(["catalog", "list", "--catalog", named]) == 1
    assert "git gave more than" in capsys.readouterr().err


def test_a_repository_whose_pack_is_larger_than_it_may_be_is_not_fetched(
    catalog: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (catalog / "noise").write_bytes(random.Random(1).randbytes(1 << 20))
    git(catalog, "init", "-q")
    git(catalog, "add", ".")
    git(catalog, "commit", "-qm", "one")
    commit = git(catalog, "rev-parse", "HEAD")
    git(catalog, "rm", "-q", "noise")
    git(catalog, "commit", "-qm", "two")
    monkeypatch.setattr("homeport.catalogs.git.CATALOG_LIMIT", 1 << 19)
    assert run(["catalog", "list", "--catalog", f"file://{catalog}@{commit}"]) == 1
    assert "larger than 524.29 kB" in capsys.readouterr().err
    latest = git(catalog, "rev-parse", "HEAD")
    assert run(["catalog", "list", "--catalog", f"file://{catalog}@{latest}"]) == 0


def test_links_in_a_repository_are_refused(
    catalog: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (catalog / "evil").mkdir()
    (catalog / "evil/homeport.yaml").symlink_to("/etc/passwd")
    git(catalog, "init", "-q")
    git(catalog, "add", ".")
    git(catalog, "commit", "-qm", "one")
    named = f"file://{catalog}@{git(catalog, 'rev-parse', 'HEAD')}"
    assert run(["catalog", "list", "--catalog", named]) == 3
    assert "it holds a symlink, evil/homeport.yaml" in capsys.readouterr().err
