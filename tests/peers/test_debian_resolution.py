"""Resolution against apt's own: the same closures, package by package, version by version.

apt is given an archive and an empty system of its own; nothing of this machine is read.
"""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders.packages import MemoryIndex
from homeport.content.blob import BytesBlob
from homeport.content.store import Store
from homeport.debian.archive.mirror_list import PUBLIC
from homeport.debian.index.index import IndexPart, MergedIndex, pack_index
from homeport.debian.listed_file import ListedFile
from homeport.debian.package import PackageIndex, parse_package
from homeport.debian.resolution.explain import NoSolution
from homeport.debian.resolution.requirements import ResolveRequest, parse_root
from homeport.debian.resolution.resolve import Resolution, resolve
from homeport.progress import CancelToken

pytestmark = pytest.mark.peer("apt-get")

_INSTALLED = re.compile(r"^Inst (\S+) \((\S+) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Apt:
    """apt with a system of its own below ``root``."""

    root: Path

    @classmethod
    def with_source(cls, root: Path, source: str) -> Apt:
        for folder in ("state/lists/partial", "cache/archives/partial", "etc"):
            (root / folder).mkdir(parents=True)
        (root / "status").write_text("")
        (root / "sources.list").write_text(f"{source}\n")
        apt = cls(root)
        apt.run("update")
        return apt

    def run(self, *arguments: str, check: bool = True) -> str:
        options = {
            "Dir::State": f"{self.root}/state",
            "Dir::Cache": f"{self.root}/cache",
            "Dir::Etc": f"{self.root}/etc",
            "Dir::State::status": f"{self.root}/status",
            "Dir::Etc::sourcelist": f"{self.root}/sources.list",
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "Debug::NoLocking": "true",
        }
        settings = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        run = subprocess.run(
            ["apt-get", *settings, *arguments], capture_output=True, text=True, check=False
        )
        assert run.returncode == 0 or not check, run.stderr
        return run.stdout if run.returncode == 0 else ""

    def closure(self, names: Sequence[str]) -> dict[str, str]:
        """Name → version of what apt would install; empty if it would not."""
        listed = self.run("-s", "install", "--no-install-recommends", "-y", *names, check=False)
        return {name.partition(":")[0]: version for name, version in _INSTALLED.findall(listed)}

    def packages(self) -> bytes:
        """The text of its Packages index."""
        (found,) = (self.root / "state/lists").glob("*_Packages*")
        helper = ["/usr/lib/apt/apt-helper", "cat-file", str(found)]
        return subprocess.run(helper, check=True, capture_output=True).stdout


def ours(index: PackageIndex, names: Sequence[str]) -> dict[str, str]:
    """The same by our own resolution; empty if there is no answer."""
    found = resolve(index, "amd64", ResolveRequest(roots=tuple(map(parse_root, names))))
    if not isinstance(found, Resolution):
        return {}
    return {each.package.name: each.package.file.id.version for each in found.packages}


def random_archive(seed: int) -> Iterator[str]:
    """Stanzas with every kind of dependency, where only one alternative is ever possible."""
    source = random.Random(seed)
    names = [f"p{number}" for number in range(120)]

    def dependency(near: int) -> str:
        name, other = source.sample(names[max(0, near - 5) : near + 25], 2)
        return source.choice(
            [
                name,
                f"{name}:any",
                f"{name} (>= 1.0)",
                f"{name} (>> 1.0~)",
                f"{name} (<< 2:0)",
                f"nothing | {name}",
                f"{name} (>= 9:0) | {other}",
                f"v{name[1:]}",
                f"w{name[1:]} (>= 2)",
                f"w{name[1:]} (>= 3) | {name}",
                f"v{name[1:]} | nothing",
                # Some requests must fail, but not all of them.
                *(["nothing"] if source.random() < 0.1 else []),
            ]
        )

    for name in names:
        number = name[1:]
        relations = ", ".join(dependency(int(number)) for _ in range(source.randrange(4)))
        version = source.choice(["1.0", "1.0-1+b1", "1:1.0", "2~rc1"])
        lines = {
            "Package": name,
            "Version": version,
            "Architecture": source.choice(["amd64", "all"]),
            "Multi-Arch": "allowed",
            "Maintainer": "Somebody <somebody@debian.example>",
            # No Pre-Depends: apt also plans an order, and refuses cycles of those.
            "Depends": relations,
            "Provides": f"v{number}, w{number} (= 2.1)",
            "Description": "x",
            "Filename": f"{name}.deb",
            "Size": "1",
            "SHA256": "0a" * 32,
        }
        yield "".join(f"{key}: {value}\n" for key, value in lines.items() if value)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_closures_in_a_generated_archive_are_those_of_apt(tmp_path: Path, seed: int) -> None:
    stanzas = list(random_archive(seed))
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / "Packages").write_text("\n".join(stanzas))
    apt = Apt.with_source(tmp_path / "apt", f"deb [trusted=yes] file:{archive} ./")
    index = MemoryIndex(parse_package(text.encode(), "debian", "x") for text in stanzas)
    answers = {}
    for number in range(0, 120, 4):
        names = [f"p{number}", f"p{number + 1}"] if number % 8 else [f"p{number}"]
        answers[tuple(names)] = (ours(index, names), apt.closure(names))
    assert {names: mine for names, (mine, _) in answers.items()} == {
        names: theirs for names, (_, theirs) in answers.items()
    }
    sizes = [len(mine) for mine, _ in answers.values()]
    assert max(sizes) > 10, "the archive has no closures worth comparing"


REAL = """\
bash build-essential busybox-static ca-certificates curl default-jdk bind9-dnsutils emacs-nox
ffmpeg git golang imagemagick libpython3.13-stdlib libreoffice-writer mariadb-server mawk nginx
nodejs openssh-server perl php-cli podman postgresql python3-numpy python3.13-minimal qemu-user
ruby rustc skopeo sqlite3 systemd texlive-latex-base tzdata umoci vim zlib1g-dev
"""


@pytest.mark.full  # a minute and a half of apt-get
@pytest.mark.network
def test_closures_in_the_real_archive_are_those_of_apt(tmp_path: Path) -> None:
    """Where they differ, apt took an alternative that we found fulfilled by another package,
    or chose silently among several that provide a virtual one, where we ask for a name."""
    source = f"deb [trusted=yes] {PUBLIC['debian']} trixie main"
    apt = Apt.with_source(tmp_path / "apt", source)
    text = BytesBlob(apt.packages())
    entry = ListedFile(path="Packages", digest=text.digest, size=text.size)
    packed = pack_index(text, entry, entry, Store(tmp_path / "store"), CancelToken())
    index = MergedIndex("amd64", [IndexPart(packed=packed, archive="debian", suite="trixie")])
    differing: dict[str, list[tuple[str, str]]] = {}
    asking: list[str] = []
    for name in REAL.split():
        mine, theirs = ours(index, [name]), apt.closure([name])
        if not mine:
            asking.append(name)
        elif mine != theirs:
            differing[name] = sorted(theirs.items() ^ mine.items())
            assert mine.items() <= theirs.items(), (name, differing[name])
    assert len(differing) <= 3, differing
    assert len(asking) <= 3, asking
    for name in asking:
        found = resolve(index, "amd64", ResolveRequest(roots=(parse_root(name),)))
        assert isinstance(found, NoSolution)
        assert "name one" in found.error().what
