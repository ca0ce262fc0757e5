"""The store: content by digest, shared by processes, safe to kill, never trusted blindly."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.content.blob import FileBlob
from homeport.content.digest import Digest
from homeport.content.store import Damage, Store, _StoreFile
from homeport.errors import IntegrityError, Interrupted
from homeport.progress import CancelToken


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def content(blob: FileBlob, offset: int = 0) -> bytes:
    with blob.open(offset) as stream:
        return stream.read()


def leftovers(store: Store) -> list[str]:
    return sorted(path.name for path in (store.root / "partial").glob("*"))


def test_content_comes_back_under_its_digest(store: Store) -> None:
    blob = store.put(io.BytesIO(b"hello"))

    assert blob.digest == Digest.of(b"hello")
    found = store.get(blob.digest, 5)
    assert found is not None
    assert content(found, 1) == b"ello"
    assert leftovers(store) == []


def test_content_with_another_digest_is_refused_and_leaves_nothing(store: Store) -> None:
    with pytest.raises(IntegrityError, match="expected sha256:"):
        store.put(io.BytesIO(b"evil"), Digest.of(b"good"))

    assert store.get(Digest.of(b"good")) is None
    assert store.get(Digest.of(b"evil")) is None
    assert leftovers(store) == []


def test_only_what_this_process_has_hashed_itself_counts_as_verified(store: Store) -> None:
    blob = store.put(io.BytesIO(b"hello"))
    here, later = store.get(blob.digest), Store(store.root).get(blob.digest)
    assert here is not None
    assert later is not None
    assert here.verified_file() == blob.path
    assert later.verified_file() is None

    blob.path.write_bytes(b"jello")
    os.utime(blob.path, ns=(0, 0))
    damaged = store.get(blob.digest)
    assert damaged is not None
    assert damaged.verified_file() is None


def test_a_file_of_the_wrong_size_is_dropped_not_used(store: Store) -> None:
    blob = store.put(io.BytesIO(b"hello"))
    blob.path.write_bytes(b"hel")

    assert store.get(blob.digest, 5) is None
    assert not blob.path.exists()


def test_a_cut_download_is_continued_where_it_stopped(store: Store) -> None:
    digest = Digest.of(b"first second")
    with store.partial(digest) as stream:
        stream.write(b"first ")
    with store.partial(digest) as stream:
        assert stream.tell() == 6
        stream.write(b"second")
        blob = store.commit_partial(stream, digest, 12)

    assert content(blob) == b"first second"
    assert leftovers(store) == []


def test_a_damaged_download_is_emptied_so_that_it_can_begin_again(store: Store) -> None:
    digest = Digest.of(b"right")
    with store.partial(digest) as stream:
        stream.write(b"wrong")
        with pytest.raises(IntegrityError):
            store.commit_partial(stream, digest, 5)
        assert stream.tell() == 0

    assert store.get(digest) is None


def test_two_runs_take_turns_at_one_download(store: Store) -> None:
    digest = Digest.of(b"x")
    order: list[str] = []

    def second() -> None:
        with store.partial(digest):
            order.append("second")

    with store.partial(digest) as stream:
        thread = threading.Thread(target=second)
        thread.start()
        order.append("first")
        stream.write(b"x")
        store.commit_partial(stream, digest, 1)
    thread.join()

    assert order == ["first", "second"]
    assert store.get(digest) is not None


def test_waiting_for_another_run_can_be_interrupted(store: Store) -> None:
    cancel = CancelToken()
    with store.partial(Digest.of(b"x")):
        cancel.cancel()
        with pytest.raises(Interrupted), store.partial(Digest.of(b"x"), cancel):
            pass


def test_prune_removes_the_least_recently_used_first(store: Store) -> None:
    old, new = (store.put(io.BytesIO(text)) for text in (b"old!", b"new!"))
    os.utime(old.path, (1, 1))
    os.utime(new.path, (2, 2))

    pruned = store.prune(4)

    assert (pruned.removed, pruned.removed_bytes, pruned.kept_bytes) == (1, 4, 4)
    assert store.get(old.digest) is None
    assert store.get(new.digest) is not None


def test_a_use_counts_for_prune_and_leaves_the_times_of_the_content_alone(store: Store) -> None:
    """Those times say whether it has changed since it was hashed."""
    used, unused = (store.put(io.BytesIO(text)) for text in (b"used", b"idle"))
    for path, when in ((used.path, 1), (unused.path, 2)):
        os.utime(path, (when, when))
    before = used.path.stat()

    assert Store(store.root).get(used.digest) is not None
    after = used.path.stat()
    assert (after.st_mtime_ns, after.st_ctime_ns) == (before.st_mtime_ns, before.st_ctime_ns)
    assert store.prune(4).removed == 1
    assert used.path.exists()
    assert not unused.path.exists()


def test_marks_of_use_go_with_the_content(store: Store) -> None:
    blobs = [store.put(io.BytesIO(text)) for text in (b"one", b"two", b"three")]
    for blob in blobs:
        assert store.get(blob.digest) is not None
    marks = store.root / "uses/sha256"
    store.drop(blobs[0].digest)
    blobs[1].path.unlink()
    store.prune()
    assert [path.name for path in marks.iterdir()] == [blobs[2].digest.hex]
    assert marks.joinpath(blobs[2].digest.hex).stat().st_mode & 0o777 == 0o600
    store.prune(0)
    assert list(marks.iterdir()) == []


def test_prune_keeps_what_a_running_build_has_used(store: Store) -> None:
    before = store.put(io.BytesIO(b"before"))
    os.utime(before.path, (1, 1))
    with store.lease():
        used = store.put(io.BytesIO(b"used"))
        later = time.time() + 5
        os.utime(used.path, (later, later))
        assert store.prune(0).removed == 1
        assert store.get(used.digest) is not None
    assert store.get(before.digest) is None


def test_what_another_process_uses_while_prune_lists_the_files_is_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = [store.put(io.BytesIO(data)) for data in (b"one", b"two")]
    for blob in blobs:
        os.utime(blob.path, (1, 1))
    other = Store(store.root)
    listing = store._files

    def listing_takes_a_while(kind: str) -> Iterator[_StoreFile]:
        yield from listing(kind)
        if kind == "partial":  # the last kind
            assert other.get(blobs[0].digest) is not None

    monkeypatch.setattr(store, "_files", listing_takes_a_while)
    with other.lease():
        assert store.prune(0).removed == 1
    assert blobs[0].path.exists()
    assert not blobs[1].path.exists()


def test_a_file_that_vanishes_while_it_is_asked_for_is_not_there(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = store.put(io.BytesIO(b"one"))
    lstat = Path.lstat

    def removed_after(path: Path) -> os.stat_result:
        found = lstat(path)
        if path == blob.path:
            path.unlink()
        return found

    monkeypatch.setattr(Path, "lstat", removed_after)
    assert store.get(blob.digest) is None


def test_the_lease_of_a_killed_process_ends_with_it(store: Store) -> None:
    program = (
        "import sys, time; from pathlib import Path; from homeport.content.store import Store\n"
        "with Store(Path(sys.argv[1])).lease():\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(store.root)], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    blob = store.put(io.BytesIO(b"content"))
    os.utime(blob.path, (1, 1))

    assert store.prune(0).removed == 1
    assert list((store.root / "leases").iterdir()) == []


def test_verify_finds_and_drops_what_was_damaged(store: Store) -> None:
    good, bad = store.put(io.BytesIO(b"good")), store.put(io.BytesIO(b"bad!"))
    bad.path.write_bytes(b"BAD!")

    assert store.verify() == Damage(blobs=(bad.digest,), answers=0)
    assert store.get(bad.digest) is None
    assert store.get(good.digest) is not None


def test_answers_are_remembered_by_key(store: Store) -> None:
    assert store.recall("pieces", "a key / with anything") is None
    store.remember("pieces", "a key / with anything", b"answer")
    assert store.recall("pieces", "a key / with anything") == b"answer"
    store.forget("pieces", "a key / with anything")
    assert store.recall("pieces", "a key / with anything") is None


def test_usage_counts_files_and_bytes(store: Store) -> None:
    store.put(io.BytesIO(b"12345"))
    store.remember("x", "y", b"123")
    usage = store.usage()
    assert (usage.blobs, usage.blob_bytes, usage.answers, usage.answer_bytes) == (1, 5, 1, 3)
    assert usage.total_bytes == 8


def answer_files(store: Store, kind: str = "answers") -> list[Path]:
    return [path for path in (store.root / kind).rglob("*") if path.is_file()]


def test_an_answer_that_something_else_changed_is_no_answer_and_verify_removes_it(
    store: Store,
) -> None:
    store.remember("x", "good", b"1")
    store.remember("x", "bad", b"2")
    for path in answer_files(store):
        if path.read_bytes() == b"2":
            path.write_bytes(b"3")

    assert store.recall("x", "bad") is None
    assert store.verify() == Damage(blobs=(), answers=1)
    assert store.recall("x", "good") == b"1"
    assert len(answer_files(store)) == len(answer_files(store, "seals")) == 1


def test_answers_exchanged_among_keys_and_namespaces_are_none(store: Store) -> None:
    store.remember("x", "one", b"1")
    store.remember("x", "two", b"2")
    one, two = sorted(answer_files(store), key=lambda path: path.read_bytes())
    one.write_bytes(b"2")
    two.write_bytes(b"1")
    assert (store.recall("x", "one"), store.recall("x", "two")) == (None, None)

    store.remember("x", "one", b"1")
    for kind in ("answers", "seals"):
        (store.root / kind / "x").rename(store.root / kind / "y")
    assert store.recall("y", "one") is None


def test_an_answer_of_another_key_is_neither_used_nor_replaced(store: Store) -> None:
    store.remember("x", "key", b"ours")
    other = Store(store.root, lambda: b"k" * 32)

    assert other.recall("x", "key") is None
    other.remember("x", "key", b"theirs")
    assert store.recall("x", "key") == b"ours"
    assert other.verify() == Damage(blobs=(), answers=1)
    assert other.recall("x", "key") == b"theirs"
    assert store.recall("x", "key") is None


def test_a_store_of_another_user_gives_content_but_no_answers(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = store.put(io.BytesIO(b"hello"))
    store.remember("x", "key", b"answer")
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    other = Store(store.root)

    assert other.recall("x", "key") is None
    other.remember("x", "new", b"answer")
    assert len(answer_files(store)) == 1
    found = other.get(blob.digest)
    assert found is not None
    assert found.verified_file() is None
    assert other.working_folder() is None


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_the_store_is_private_whatever_the_umask(store: Store, umask: int) -> None:
    before = os.umask(umask)
    try:
        store.put(io.BytesIO(b"hello"))
        store.remember("x", "key", b"answer")
        with store.partial(Digest.of(b"later")), store.lease():
            found = [store.root, *store.root.rglob("*")]
            modes = {oct(path.stat().st_mode & 0o777) for path in found if path.is_dir()}
            files = {oct(path.stat().st_mode & 0o777) for path in found if path.is_file()}
    finally:
        os.umask(before)
    assert (modes, files) == ({"0o700"}, {"0o600"})


@pytest.mark.parametrize("kind", ["fifo", "link", "directory"])
def test_what_is_no_regular_file_is_no_content_and_no_answer(
    store: Store, tmp_path: Path, kind: str
) -> None:
    def replace(path: Path) -> None:
        path.unlink()
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "link":
            path.symlink_to("/dev/zero")
        else:
            path.mkdir()

    blob = store.put(io.BytesIO(b"hello"))
    replace(blob.path)
    assert store.get(blob.digest) is None
    store.remember("x", "key", b"answer")
    replace(answer_files(store)[0])
    assert store.recall("x", "key") is None
    again = Digest.of(b"again")
    with store.partial(again) as stream:
        stream.write(b"again")
        if kind != "directory":
            replace(store.root / "partial" / f"sha256-{again.hex}")
    if kind != "directory":
        with store.partial(again) as stream:
            assert stream.tell() == 0
    assert store.verify().answers == int(kind != "directory")  # a folder is no file


def test_prune_and_verify_follow_no_links(store: Store, tmp_path: Path) -> None:
    kept = tmp_path / "elsewhere/keep"
    kept.parent.mkdir()
    kept.write_bytes(b"kept")
    store.put(io.BytesIO(b"hello"))
    (store.root / "blobs/evil").symlink_to(kept.parent)
    (store.root / "leases").mkdir(exist_ok=True)
    (store.root / "leases" / ("0" * 24)).symlink_to(kept)
    store.root.joinpath("answers").symlink_to(kept.parent)

    assert store.verify() == Damage(blobs=(), answers=0)
    store.prune(0)
    assert kept.read_bytes() == b"kept"
    assert not (store.root / "leases" / ("0" * 24)).is_symlink()
