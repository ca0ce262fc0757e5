"""Who changes a lockfile, or its proof, ships no package that the archive did not sign."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pysequoia
import pytest
import zstandard

from builders.archive import archive, suite
from builders.deb import deb
from builders.locking import World
from builders.recipe import recipe_file
from homeport.cli.main import run
from homeport.content.digest import Digest
from homeport.content.store import Store
from homeport.locking.lock_paths import lock_paths, proof_path
from homeport.locking.lock_verification import compare
from homeport.locking.proof import save_proof, verify, verify_offline
from homeport.locking.proof_file import read_proof
from homeport.locking.verification import NotVerified
from homeport.progress import CancelToken
from homeport.recipe.catalog import shipped_catalog
from homeport.recipe.lock.model import LockedFile, LockedPart, LockedSource, Lockfile
from homeport.recipe.lock.reading import StoredLock, read_lockfile
from homeport.recipe.lock.writing import write_lockfile

TEXT = """
archives: [{{name: test, suites: [trixie], mirrors: ["{url}"], keys: [key.asc]}}]
steps: {{os_release: false}}
packages: [app]
"""
GOOD = deb("app", files={"usr/bin/app": b"good"})
EVIL = deb("app", files={"usr/bin/app": b"evil"})


class Project:
    """A recipe that is locked, its lockfile and proof, and the archive behind it."""

    def __init__(self, home: Path, world: World, use_cache: Callable[[str], None]) -> None:
        self.home = home
        self.world = world
        self.use_cache = use_cache
        self.lock = home / "test.lock"
        self.proof = home / "test.lock.proof"

    def forge(self) -> None:
        """The lockfile names a package that nobody signed, and the mirror serves it."""
        (path,) = (self.world.archive.root / "pool").rglob("app_*.deb")
        self.lock.write_bytes(_forged(self.lock.read_bytes(), path.read_bytes()))
        path.write_bytes(EVIL)

    def build(self, *options: str) -> int:
        return run(["build", ".", "-o", f"oci:{self.home}/out", "--no-progress", *options])


def _forged(text: bytes, good: bytes = GOOD) -> bytes:
    changed = text.replace(Digest.of(good).hex.encode(), Digest.of(EVIL).hex.encode())
    changed = changed.replace(b'"size": %d' % len(good), b'"size": %d' % len(EVIL))
    assert changed != text
    return changed


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    home = tmp_path / "work"
    home.mkdir()
    monkeypatch.chdir(home)

    def use_cache(name: str) -> None:
        monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / name))

    use_cache("cache")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    world = World(tmp_path, [GOOD], valid_for=None)
    (home / "key.asc").write_bytes(world.archive.certificate)
    recipe_file(home, TEXT.format(url=world.archive.url))
    assert run(["lock", "."]) == 0
    return Project(home, world, use_cache)


def test_a_lockfile_is_verified_from_its_proof_alone(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(project.world.archive.root)
    project.use_cache("another machine's")
    capsys.readouterr()
    assert run(["lock", ".", "--verify"]) == 0
    assert capsys.readouterr().out == "test.lock: 1 package verified against the signed archive\n"
    assert run(["lock", ".", "--verify", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "schema": "homeport-lock-verification/v1", "lockfile": "test.lock", "packages": 1,
        "ended_keys": [],
    }  # fmt: skip


@pytest.mark.parametrize("cache", ["cache", "another machine's"])
def test_a_changed_hash_is_not_built(
    project: Project, cache: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project.forge()
    project.use_cache(cache)
    capsys.readouterr()
    for command in (["lock", ".", "--verify"], ["lock", ".", "--verify", "--offline"]):
        assert run(command) == 3
        said = capsys.readouterr().err
        assert "test.lock differs from the signed archive: app 1.0-1 all: the lockfile" in said
        assert "restore the signed values: homeport lock homeport.yaml" in said
    assert project.build("--locked") == 3
    assert project.build() == 3


def test_lock_restores_what_is_signed_before_it_fetches(project: Project) -> None:
    signed = project.lock.read_bytes()
    project.forge()
    project.use_cache("another machine's")
    assert run(["lock", "."]) == 1  # the mirror has no such package any more
    assert project.lock.read_bytes() == signed


def test_without_a_proof_nothing_is_verified(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.proof.unlink()
    assert run(["lock", ".", "--verify"]) == 3
    assert "no test.lock.proof beside it" in capsys.readouterr().err
    assert project.build("--locked") == 0  # from the cache, which has the indexes
    assert "test.lock: verified against the signed archive" in capsys.readouterr().err
    project.use_cache("another machine's")
    assert project.build("--locked") == 0
    told = capsys.readouterr().err
    assert "test.lock: not verified against the signed archive" in told
    assert "not yet checked on this machine (homeport outdated lists newer packages)" in told


@pytest.mark.parametrize("kept_by", ["mirror", "snapshot"])
def test_without_a_proof_the_archive_or_its_snapshot_is_asked(
    project: Project, kept_by: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], tmp_path: Path,
) -> None:  # fmt: skip
    project.proof.unlink()
    if kept_by == "snapshot":
        recorded = read_lockfile(project.lock).archives[0].date
        moment = f"{recorded + timedelta(days=1):%Y%m%dT%H%M%SZ}"
        shutil.copytree(project.world.archive.root, tmp_path / "snapshots/test" / moment)
        (tmp_path / "config.toml").write_text(f"[debian]\nsnapshots = ['{tmp_path}/snapshots']\n")
        monkeypatch.setenv("HOMEPORT_CONFIG", str(tmp_path / "config.toml"))
        project.world.publish([deb("app", "2")], date=datetime.now(UTC), valid_for=None)
    project.use_cache("another machine's")
    capsys.readouterr()
    assert run(["lock", ".", "--verify", "--online"]) == 0
    assert capsys.readouterr().out == "test.lock: 1 package verified against the signed archive\n"
    assert not project.proof.exists()
    assert project.build("--locked") == 0
    assert "test.lock: verified against the signed archive" in capsys.readouterr().err


def test_asking_the_archive_finds_a_forged_hash(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.proof.unlink()
    project.forge()
    project.use_cache("another machine's")
    capsys.readouterr()
    assert run(["lock", ".", "--verify", "--online"]) == 3
    assert "differs from the signed archive: app 1.0-1 all" in capsys.readouterr().err
    assert project.build("--locked") == 3


def test_a_state_that_nobody_has_any_more_proves_nothing(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.proof.unlink()
    project.world.publish([GOOD], date=datetime.now(UTC), valid_for=None)
    project.use_cache("another machine's")
    capsys.readouterr()
    assert run(["lock", ".", "--verify", "--online"]) == 3
    told = capsys.readouterr().err
    assert "neither a mirror nor a snapshot archive has the release file of trixie" in told
    assert run(["lock", ".", "--verify", "--online", "--offline"]) == 2
    assert run(["lock", ".", "--online"]) == 2


def test_lock_writes_a_missing_proof_again(project: Project) -> None:
    proof = project.proof.read_bytes()
    project.proof.unlink()
    assert run(["lock", "."]) == 0
    assert project.proof.read_bytes() == proof
    assert run(["lock", ".", "--verify"]) == 0


def test_without_a_lockfile_the_answer_is_no(project: Project) -> None:
    project.lock.unlink()
    assert run(["lock", ".", "--verify"]) == 3


def test_the_proof_of_another_lockfile_is_none(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    proof = project.proof.read_bytes()
    project.world.publish(
        [deb("app", "1.1-1", files={"usr/bin/app": b"x"})],
        date=datetime.now(UTC) - timedelta(hours=1), valid_for=None,
    )  # fmt: skip
    assert run(["lock", ".", "--update", "all"]) == 0
    assert run(["lock", ".", "--verify"]) == 0
    project.proof.write_bytes(proof)
    capsys.readouterr()
    assert run(["lock", ".", "--verify"]) == 3
    assert "does not contain the release file of trixie" in capsys.readouterr().err


def test_a_package_that_the_archive_does_not_have_is_named(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.lock.write_text(project.lock.read_text().replace('"1.0-1"', '"1.0-2"'))
    assert run(["lock", ".", "--verify"]) == 3
    said = capsys.readouterr().err
    assert "app 1.0-2 all is not in the signed index of trixie" in said
    assert "lock again: homeport lock homeport.yaml --update all" in said


def members(proof: Path) -> dict[str, bytes]:
    with proof.open("rb") as stream:
        data = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(stream).read()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]


def pack(proof: Path, content: dict[str, bytes]) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, text in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    proof.write_bytes(zstandard.ZstdCompressor().compress(data.getvalue()))


def test_what_a_proof_holds_can_be_read_with_tar(project: Project) -> None:
    found = members(project.proof)
    assert list(found) == ["proof.json", "0/InRelease", "0/main/binary-amd64/Packages"]
    assert json.loads(found["proof.json"]) == {
        "schema": "homeport-lock-proof/v1", "states": [{"archive": "test", "suite": "trixie"}],
    }  # fmt: skip
    assert b"Package: app\n" in found["0/main/binary-amd64/Packages"]


def unsigned(content: dict[str, bytes]) -> dict[str, bytes]:
    signed = content["0/InRelease"].partition(b"\n\n")[2].partition(b"-----BEGIN")[0]
    return {**content, "0/InRelease": signed}


def signed_by_a_stranger(content: dict[str, bytes]) -> dict[str, bytes]:
    other = pysequoia.Tsk.generate(user_id="x").signer()
    text = unsigned(content)["0/InRelease"]
    clear = pysequoia.sign(other, text, mode=pysequoia.SignatureMode.CLEAR)
    return {**content, "0/InRelease": bytes(clear)}


INDEX = "0/main/binary-amd64/Packages"
FORGERIES: dict[str, Callable[[dict[str, bytes]], dict[str, bytes]]] = {
    "an index with the forged hash": lambda c: {**c, INDEX: _forged(c[INDEX])},
    "an index that is longer": lambda c: {**c, INDEX: c[INDEX] + b"Package: more\n\n"},
    "an index that is cut": lambda c: {**c, INDEX: c[INDEX][:-1]},
    "an index that is not listed": lambda c: {**c, "0/main/binary-amd64/More": c[INDEX]},
    "no index": lambda c: {name: data for name, data in c.items() if name != INDEX},
    "an index before its release file": lambda c: {
        "proof.json": c["proof.json"], INDEX: c[INDEX], "0/InRelease": c["0/InRelease"],
    },
    "no release file": lambda c: {"proof.json": c["proof.json"]},
    "a release file without signature": unsigned,
    "a release file signed by a stranger": signed_by_a_stranger,
    "another suite": lambda c: {**c, "proof.json": c["proof.json"].replace(b"trixie", b"sid")},
    "another format": lambda c: {**c, "proof.json": c["proof.json"].replace(b"/v1", b"/v2")},
    "no first member": lambda c: {n: data for n, data in c.items() if n != "proof.json"},
    "a state that is not listed": lambda c: {**c, "7/InRelease": c["0/InRelease"]},
    "a path out of the proof": lambda c: {**c, "../x": b""},
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_proof_proves_nothing(
    project: Project, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    project.forge()
    pack(project.proof, FORGERIES[name](members(project.proof)))
    project.use_cache("another machine's")
    assert run(["lock", ".", "--verify"]) == 3
    assert "Traceback" not in capsys.readouterr().err


def test_a_damaged_proof_proves_nothing(project: Project) -> None:
    whole = project.proof.read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 40)):
        project.proof.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        assert run(["lock", ".", "--verify", "-q"]) == 3
    for end in range(0, len(whole), max(1, len(whole) // 20)):
        project.proof.write_bytes(whole[:end])
        assert run(["lock", ".", "--verify", "-q"]) == 3


def test_a_lockfile_stays_valid_when_the_keys_of_its_state_expire(tmp_path: Path) -> None:
    """Old lockfiles build again; that the keys have ended is reported."""
    key = pysequoia.Tsk.generate(user_id="Archive", validity_seconds=86_400)
    now = datetime.now(UTC)
    world = World(tmp_path, [GOOD])
    world.archive = archive(tmp_path / "own", [suite(packages=[GOOD], date=now, valid_for=None)],
                            key=key)  # fmt: skip
    world.mirrors, world.now = [world.archive.url], now
    (world.home / "key.asc").write_bytes(world.archive.certificate)
    asked = world.recipe("packages: [app]")
    locked = world.lock(asked).lockfile
    path = world.home / "test.lock"
    digest = write_lockfile(locked, path)
    assert save_proof(locked, path, asked, world.store)
    found = StoredLock(path=path, lockfile=locked, digest=digest)
    assert verify(found, asked, CancelToken(), now + timedelta(hours=2)).ended == ()
    (ended,) = verify(found, asked, CancelToken(), now + timedelta(days=3)).ended
    assert ended.startswith("the keys that signed trixie expired on ")
    backdated = msgspec.structs.replace(locked, as_of=now + timedelta(days=3))
    with pytest.raises(NotVerified, match="before the lock of"):
        verify(StoredLock(path=path, lockfile=backdated, digest=digest), asked, CancelToken())


def test_the_build_roots_of_parts_are_verified_too(tmp_path: Path) -> None:
    world = World(tmp_path, [GOOD], valid_for=None)
    asked = world.recipe("packages: [app]")
    locked = world.lock(asked).lockfile
    root = _with_hash(locked, EVIL)
    both = msgspec.structs.replace(
        locked, parts={"tool": LockedPart(inputs=locked.request, root=root)}
    )
    path = world.home / "test.lock"
    assert save_proof(both, path, asked, world.store)
    digest = write_lockfile(both, path)
    with pytest.raises(NotVerified, match="the lockfile has sha256"):
        verify(StoredLock(path=path, lockfile=both, digest=digest), asked, CancelToken())


def test_source_packages_of_parts_are_never_called_verified(tmp_path: Path) -> None:
    """Their hashes are in the lockfile too, and a proof has no index of sources."""
    world = World(tmp_path, [GOOD], valid_for=None)
    asked = world.recipe("packages: [app]")
    locked = world.lock(asked).lockfile
    digest = Digest.of(EVIL)
    file = LockedFile(path="pool/main/a/app/app_1.0.dsc", sha256=digest, size=len(EVIL))
    source = LockedSource(name="app", version="1.0", archive="test", suite="trixie", files=(file,))
    part = LockedPart(inputs=locked.request, sources=(source,))
    with_part = msgspec.structs.replace(locked, parts={"tools": part})
    path = world.home / "test.lock"
    assert save_proof(with_part, path, asked, world.store)
    found = StoredLock(path=path, lockfile=with_part, digest=write_lockfile(with_part, path))
    with pytest.raises(NotVerified, match=r"the source package app 1\.0 of part tools"):
        verify(found, asked, CancelToken())
    for store in (world.store, Store(tmp_path / "empty")):
        assert "not verified" in str(verify_offline(found, asked, store, CancelToken()))


def _with_hash(lockfile: Lockfile, package: bytes) -> Lockfile:
    return msgspec.structs.replace(
        lockfile,
        platforms={
            platform: tuple(
                msgspec.structs.replace(
                    each, file=msgspec.structs.replace(each.file, sha256=Digest.of(package))
                )
                for each in packages
            )
            for platform, packages in lockfile.platforms.items()
        },
    )


def test_the_shipped_lockfile_is_proved_and_one_changed_hash_is_noticed(tmp_path: Path) -> None:
    from homeport.locking.archive_access import suite_specs
    from homeport.locking.lock_verification import locked_names
    from homeport.recipe.catalog import find_recipe
    from homeport.recipe.loading import load_recipe

    shipped = shipped_catalog()
    asked = load_recipe(find_recipe("dockerfile-copy", shipped), shipped)
    found = lock_paths(asked, shipped, tmp_path).find()
    assert found is not None
    names = locked_names(found.lockfile)
    evidence = read_proof(proof_path(found.path), suite_specs(asked), names, CancelToken())
    now = datetime.now(UTC)
    assert compare(found.lockfile, evidence, now).verified
    assert compare(found.lockfile, evidence, now).packages == 79
    platform, packages = next(iter(found.lockfile.platforms.items()))
    changed = _with_hash(
        msgspec.structs.replace(found.lockfile, platforms={platform: packages[:1]}), EVIL
    )
    assert len(compare(changed, evidence, now).problems) == 1
