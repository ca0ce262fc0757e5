"""COPY and ADD side by side with real BuildKit, over random trees, words and flags.

Each case is a build of three stages: a source and a destination unpacked from archives,
and one COPY or ADD of the one into the other, exported as tar. The seed is printed;
HOMEPORT_SEED and HOMEPORT_CASES choose another run.

Two engines: the ``dockerd`` on PATH, and one inside the Debian root that
HOMEPORT_ENGINE_ROOT names (mmdebstrap with docker.io and docker-buildx of sid).
"""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders import copying as table
from builders.copying import Entry, entries, failure_of
from homeport.copying.codecs import OPENERS
from homeport.copying.command import Flags, copy
from homeport.copying.resolve import clean
from homeport.copying.rooted import Rooted
from homeport.copying.sources import CopySource
from peers import engines

pytestmark = [pytest.mark.peer("dockerd", "docker"), pytest.mark.root]

NOW = 10**17  # nanoseconds; what is younger got its time from a run
SEED = os.environ.get("HOMEPORT_SEED") or str(random.SystemRandom().randint(0, 10**6))
CASES = int(os.environ.get("HOMEPORT_CASES", "40"))


@dataclass(frozen=True)
class Engine:
    """A builder: its client's command, and what it does not know yet."""

    client: tuple[str, ...]
    environ: dict[str, str]
    current: bool

    def build(self, context: bytes) -> bytes | str:
        """The exported tar, or the line that says why not."""
        done = subprocess.run(
            [*self.client, "-o", "type=tar,dest=-", "-"],
            input=context, env={**os.environ, **self.environ}, capture_output=True, check=False,
            timeout=120,
        )  # fmt: skip
        if done.returncode == 0:
            return done.stdout
        return done.stderr.decode(errors="replace").strip().split("\n")[-1]


@pytest.fixture
def old_engine(dockerd: str) -> Engine:
    client = next(p for p in ("/usr/bin/docker", "docker") if p == "docker" or Path(p).exists())
    return Engine(
        (client, "build", "-q", "--no-cache"),
        {"DOCKER_HOST": dockerd, "DOCKER_BUILDKIT": "1"},
        current=False,
    )


@pytest.fixture
def new_engine(tmp_path: Path) -> Iterator[Engine]:
    root = os.environ.get("HOMEPORT_ENGINE_ROOT", "")
    if not root:
        if os.environ.get("CI") == "true" or os.environ.get("HOMEPORT_PEERS") == "1":
            pytest.fail("HOMEPORT_ENGINE_ROOT names no root with a newer engine")
        pytest.skip("HOMEPORT_ENGINE_ROOT names no root with a newer engine")
    with engine_in(Path(root), tmp_path) as host:
        yield Engine(
            ("chroot", root, "docker", "buildx", "build", "-q", "--no-cache"),
            {"DOCKER_HOST": host},
            current=True,
        )


@engines.contextlib.contextmanager
def engine_in(root: Path, log: Path) -> Iterator[str]:
    """A docker daemon inside a root of its own."""
    mounts = [
        (["mount", "--bind", str(root), str(root)], str(root)),
        (["mount", "--make-private", str(root)], ""),
        *((["mount", "--rbind", f"/{n}", str(root / n)], "") for n in ("proc", "sys", "dev")),
        *((["mount", "--make-rslave", str(root / n)], "") for n in ("proc", "sys", "dev")),
    ]
    for command, _ in mounts:
        subprocess.run(command, check=True)
    try:
        (root / "run" / "hp").mkdir(parents=True, exist_ok=True)
        argv = [
            "chroot", str(root), "dockerd", "--data-root", "/run/hp/data", "--exec-root",
            "/run/hp/exec", "-H", "unix:///run/hp/d.sock", "--bridge=none", "--iptables=false",
            "--ip6tables=false", "--pidfile", "/run/hp/pid", "--feature",
            "containerd-snapshotter=true",  # without it --link is an ordinary copy
        ]  # fmt: skip
        with engines.running(argv, log / "engine.log"):
            engines.wait_until(lambda: engines.answers(root / "run" / "hp" / "d.sock"))
            yield "unix:///run/hp/d.sock"
    finally:
        for name in ("proc", "sys", "dev", ""):
            subprocess.run(["umount", "-R", "-l", str(root / name).rstrip("/")], check=False)


# -- cases

FILES = ["a", "b", "c.t", "d.md", "é", ".h"]
DIRECTORIES = ["p", "q", "r.t", "s"]


def random_tree(chance: random.Random, prefix: str = "", depth: int = 0) -> list[str]:
    found: list[str] = []
    files: list[str] = []
    for name in chance.sample(FILES, chance.randint(0, 3)):
        path, kind = prefix + name, chance.random()
        if kind < 0.12 and files:
            found.append(f"{path} == {chance.choice(files)}")
        elif kind < 0.3:
            target = chance.choice(["a", "b", "p", "../a", "../p", "p/a", "/p", "/q/a"])
            found.append(f"{path} -> {target}")
        else:
            mode, owner = chance.choice(["", "755", "600", "4711"]), chance.choice(["", "5:7"])
            time = f"@{chance.randint(1, 10**8)}000000000"
            found.append(f"{path} {mode} {owner} {time} = {chance.choice(['x', 'yy'])}{name}")
            files.append(path)
    for name in chance.sample(DIRECTORIES, chance.randint(0, 2)):
        if depth < 3:
            time = f"@{chance.randint(1, 10**8)}000000000"
            mode, owner = chance.choice(["", "700", "2750"]), chance.choice(["", "3:4"])
            found.append(f"{prefix}{name}/ {mode} {owner} {time}")
            found += random_tree(chance, f"{prefix}{name}/", depth + 1)
    return found


def random_word(chance: random.Random, tree: tuple[Entry, ...]) -> str:
    if chance.random() < 0.1:
        return "/"
    parts = chance.choice(tree).name.decode().split("/")
    wild = ["*", "?", "*.t", "[a-r]*", "[^p]", "?*"]
    return "/" + "/".join(chance.choice(wild) if chance.random() < 0.3 else p for p in parts)


def random_flags(chance: random.Random, current: bool) -> list[str]:
    flags = []
    if chance.random() < 0.3:
        flags.append(chance.choice(["--chown=7:8", "--chown=9"]))
    if current and chance.random() < 0.2:  # of old, special bits and new parents differ
        flags.append("--chmod=" + chance.choice(["640", "755"]))
    if current and chance.random() < 0.25:
        flags.append("--link")
    if current and chance.random() < 0.15 and not any("chmod" in f for f in flags):
        flags.append("--chmod=" + chance.choice(["u=rwX,go=rX", "go-w", "g=u", "a+X", "u+s"]))
    if current and chance.random() < 0.3:
        pattern = chance.choice(["*.t", "**/*.md", "s", "s/*", "**/c.t", "r.t/**", "!s/a"])
        flags.append(f"--exclude={pattern}")
    return flags


def random_members(chance: random.Random, current: bool) -> str:
    """An archive in any order: names twice, links, and paths that lead away.

    Left out is what is known to differ: engines of today refuse a leading ``..``, give
    implied directories to root, and a directory's time to what replaces it later.
    """
    found: list[str] = []
    if current:
        found += ["p/", "p/q/", "q/", "x/"]
    directories = ("p", "q", "p/q", "x")
    names = ("a", "b", "p/a", "p/b", "p/q/c", "q/a", "l", "m")
    for _ in range(chance.randint(1, 9)):
        lead = ["", "", "", "./", "/", "x/../"] + ([] if current else ["../"])
        kind = chance.choice(["file", "file", "directory", "link", "hard", "fifo"])
        name = chance.choice(lead) + chance.choice(directories if kind == "directory" else names)
        owner = chance.choice(["", "5:7"])
        time = f"@{chance.randint(1, 10**8)}000000000"
        if kind == "directory":
            found.append(f"{name}/ {chance.choice(['', '700', '2750'])} {owner} {time}")
        elif kind == "link":
            found.append(f"{name} -> {chance.choice(['a', 'p', '../q', '/q', '/', 'none'])} {time}")
        elif kind == "hard" and found[4 * current :]:
            target = chance.choice(found[4 * current :]).split(" ")[0]
            of_links = any(  # exported as two links
                " -> " in e and clean(e.split(" ")[0].encode()) == clean(target.encode())
                for e in found
            )
            to_itself = clean(target.encode()) == clean(name.encode())
            astray = not current and target.startswith("x/../")  # there is no x: it loses bits
            if not (target.endswith("/") or of_links or to_itself or astray):
                found.append(f"{name} == {target}")
        elif kind == "fifo":
            found.append(f"{name} fifo {owner} {time}")
        else:
            found.append(
                f"{name} {chance.choice(['', '4755', '600'])} {owner} {time} = {len(found)}"
            )
    return ", ".join(found)


def context(source: tuple[Entry, ...], before: tuple[Entry, ...], line: str) -> bytes:
    """A build context as tar; its Dockerfile copies between two stages."""
    stages = ["FROM scratch AS source", "ADD source.tar /", "FROM scratch"]
    files = {"source.tar": table.archive(b"source.tar", source)}
    if before:
        stages.append("ADD before.tar /")
        files["before.tar"] = table.archive(b"before.tar", before)
    for entry in source:
        if entry.members is not None:
            files[entry.name.decode()] = table.archive(entry.name, entry.members)
    files["Dockerfile"] = "\n".join([*stages, line, ""]).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def read_export(data: bytes) -> dict[bytes, str]:
    kinds = {v: k for k, v in table.TYPES.items()}
    found = []
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for info in tar:
            content = tar.extractfile(info) if info.isreg() else None
            name = info.name.strip("/").encode("utf-8", "surrogateescape")
            if name in (b"", b"."):
                continue
            link = info.linkname.encode("utf-8", "surrogateescape")
            found.append(
                Entry(
                    name=name, kind=kinds[info.type], mode=info.mode & 0o7777, uid=info.uid,
                    gid=info.gid, content=content.read() if content else b"",
                    target=link.lstrip(b"/") if info.islnk() else link,
                    time=int(float(info.pax_headers.get("mtime", info.mtime)) * 10**9),
                )
            )  # fmt: skip
    return {entry.name: table.line(entry) for entry in found}


def ours(
    tmp_path: Path, source: tuple[Entry, ...], before: tuple[Entry, ...], flags: Flags,
    words: list[str], destination: str,
) -> dict[bytes, str] | str:  # fmt: skip
    names = tmp_path / "source", tmp_path / "before"
    for path, tree in zip(names, (source, before), strict=True):
        table.make_directory(path, tree)
    homes = [Rooted(bytes(path)) for path in names]
    try:
        error = failure_of(
            lambda: copy(
                [CopySource(homes[0], w.encode()) for w in words],
                homes[1],
                destination.encode(),
                flags,
            )
        )
    finally:
        for home in homes:
            home.close()
    return str(error) if error else table.described(tmp_path / "before")


def without_new_times(lines: dict[bytes, str], directories: bool) -> dict[bytes, str]:
    found = {}
    for name, text in lines.items():
        head, _, time = text.rpartition(" @")
        skip = text.startswith("directory") and not directories
        if not head:
            found[name] = text
        elif skip or int(time) > NOW:
            found[name] = head
        else:  # archives keep seconds
            found[name] = f"{head} @{int(time) // 10**9}"
    return found


def run(engine: Engine, tmp_path: Path, number: int) -> str | None:
    """One case; what differs."""
    chance = random.Random(f"{SEED} {number}")
    source: tuple[Entry, ...] = ()
    while not source:  # an empty archive would be copied as the file it is
        source = entries(", ".join(random_tree(chance)))
    before = entries(", ".join(random_tree(chance, depth=1)))
    if chance.random() < 0.3:
        return run_add(engine, tmp_path, number, chance, before)
    words = [random_word(chance, source) for _ in range(chance.choice([1, 1, 2]))]
    destination = chance.choice(["/", "/p", "/p/", "/x", "/x/", "/x/y", "/a", "/q/z/", "/é/", "/s"])
    options = random_flags(chance, engine.current)
    line = f"COPY --from=source {' '.join(options)} {json.dumps([*words, destination])}"
    if any("exclude" in option for option in options):
        # BuildKit never excludes a source itself, which is a difference on purpose.
        words = ["/"]
        line = f"COPY --from=source {' '.join(options)} {json.dumps([*words, destination])}"
    flags = Flags()
    for option in options:
        key, _, value = option[2:].partition("=")
        if key == "exclude":
            flags.exclude = (value.encode(),)
        elif key == "chown":
            flags.chown = value.encode()
        else:
            setattr(flags, key, value or True)
    return compared(
        engine, tmp_path, f"{number}: {line}", line, source, before, flags, words, destination
    )


def run_add(
    engine: Engine, tmp_path: Path, number: int, chance: random.Random, before: tuple[Entry, ...]
) -> str | None:
    """ADD of an archive."""
    suffix = chance.choice(["tar", "tgz", "tbz", "txz"])
    members = random_members(chance, engine.current)
    source = entries(f"t.{suffix} {{{members}}}")
    destination = chance.choice(["/", "/p", "/p/", "/x", "/a", "/q/z/"])
    flags = Flags(unpack=OPENERS)
    option = ""
    if engine.current and chance.random() < 0.3:  # of old, what was unpacked kept its owner
        option, flags.chown = "--chown=7:8 ", b"7:8"
    line = f"ADD {option}t.{suffix} {destination}"
    title = f"{number}: {line} with {members}"
    words = [f"t.{suffix}"]
    return compared(engine, tmp_path, title, line, source, before, flags, words, destination)


def compared(
    engine: Engine, tmp_path: Path, title: str, line: str, source: tuple[Entry, ...],
    before: tuple[Entry, ...], flags: Flags, words: list[str], destination: str,
) -> str | None:  # fmt: skip
    mine = ours(tmp_path, source, before, flags, words, destination)
    answer = engine.build(context(source, before, line))
    if flags.exclude and isinstance(answer, str) and "failed to calculate checksum" in answer:
        return None  # it stumbles over links to nothing as soon as there is an exclusion
    if isinstance(mine, str) or isinstance(answer, str):
        if isinstance(mine, str) and isinstance(answer, str):
            return None
        return f"{title}\n  we: {str(mine)[:300]}\n  engine: {str(answer)[:300]}"
    theirs = without_new_times(read_export(answer), engine.current)
    mine = without_new_times(mine, engine.current)
    if mine == theirs:
        return None
    lines = [title]
    for name in sorted(mine.keys() | theirs.keys()):
        if mine.get(name) != theirs.get(name):
            lines.append(f"  {name.decode()}: we {mine.get(name)}, engine {theirs.get(name)}")
    return "\n".join(lines)


def compare(engine: Engine, tmp_path: Path) -> None:
    print(f"HOMEPORT_SEED={SEED} HOMEPORT_CASES={CASES}")
    differing = []
    for number in range(CASES):
        here = tmp_path / f"case-{number}"
        here.mkdir()
        difference = run(engine, here, number)
        if difference is not None:
            differing.append(difference)
    assert not differing, f"seed {SEED}:\n" + "\n".join(differing)


def test_buildkit_of_bookworm_copies_as_we_do(old_engine: Engine, tmp_path: Path) -> None:
    compare(old_engine, tmp_path)


def test_buildkit_of_sid_copies_as_we_do(new_engine: Engine, tmp_path: Path) -> None:
    compare(new_engine, tmp_path)
