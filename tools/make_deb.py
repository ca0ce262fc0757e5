"""Build the .deb of Homeport: the wheels that constraints.txt pins, for one Debian release.

    python tools/make_deb.py [--suite trixie] [--architecture amd64] DIRECTORY

What Homeport needs is not in one Debian release (deflate, rfc3161-client and tree-sitter's
grammar of the shell are in none), so the package holds a virtual environment in
/usr/lib/homeport: pip takes each wheel by the hash in constraints.txt, and what is here is for
the Python of one release. Nothing is compiled or changed; Debian's Python compiles the modules
when the package is installed, as it does for Debian's own.

The same checkout gives the same bytes: every time is SOURCE_DATE_EPOCH, by default that of the
last commit. Needs dpkg-deb, PyPI, and what ``./dev setup`` installs.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from email.utils import formatdate
from pathlib import Path
from typing import NamedTuple

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from release_wheels import (
    MACHINES,
    REPOSITORY,
    build_own,
    download_pinned,
    options_for,
    pip,
    release_epoch,
)

from homeport import __version__

MAINTAINER = "Homeport project <homeport-project@users.noreply.github.com>"
HOME = "https://github.com/homeport-project/homeport"


class Suite(NamedTuple):
    """A Debian release: its number, as versions name it, and its Python."""

    number: str
    python: str


SUITES = {
    "bookworm": Suite("deb12", "3.11"),
    "trixie": Suite("deb13", "3.13"),
    "forky": Suite("deb14", "3.14"),
}
#: What wheels load from the system → the package that has it.
LIBRARIES = {
    "libc.so.6": "libc6 (>= 2.34)", "libm.so.6": "libc6 (>= 2.34)",
    "libpthread.so.0": "libc6 (>= 2.34)", "libdl.so.2": "libc6 (>= 2.34)",
    "librt.so.1": "libc6 (>= 2.34)", "ld-linux-x86-64.so.2": "libc6 (>= 2.34)",
    "ld-linux-aarch64.so.1": "libc6 (>= 2.34)", "libgcc_s.so.1": "libgcc-s1",
    "libstdc++.so.6": "libstdc++6",
}  # fmt: skip

DESCRIPTION = """\
build, publish and prove container images from Debian packages
 Homeport finds every public image that an infrastructure depends on, also
 those that container builds pull without being asked, and builds the ones
 that it has recipes for from signed Debian packages: helper images of
 BuildKit, bases and tools. The same inputs give the same bytes, for seven
 platforms, without root, a daemon or an emulator.
 .
 It also inspects, compares, signs, verifies, pushes, mirrors and updates
 images, and drives BuildKit engines."""
#: What lintian finds that is meant so.
OVERRIDES = """\
# Wheels are as PyPI has them and constraints.txt pins them by hash: not stripped, libraries inside.
homeport: unstripped-binary-or-object [usr/lib/homeport/lib/*]
homeport: embedded-library libyaml [usr/lib/homeport/lib/*/yaml/*]
# The catalog holds files of images: programs for their platforms, without a libc, byte code for
# their Python, scripts that get their mode there. What helpers are tried with is data, too.
homeport: binary-from-other-architecture [usr/lib/homeport/lib/*/homeport/catalog/*.lock.parts/*]
homeport: statically-linked-binary [usr/lib/homeport/lib/*/homeport/catalog/*.lock.parts/*]
homeport: package-installs-python-bytecode [usr/lib/homeport/lib/*/homeport/catalog/*/bytecode/*]
homeport: script-not-executable [usr/lib/homeport/lib/*/homeport/catalog/*]
homeport: executable-not-elf-or-script [usr/lib/homeport/lib/*/homeport/buildkit/helper/*]
homeport: unusual-interpreter /usr/bin/python3.13 [usr/lib/homeport/lib/*/homeport/catalog/*]
# The interpreter of the package's own virtual environment, a link to Debian's.
homeport: wrong-path-for-interpreter * [usr/lib/homeport/bin/homeport]
"""
APACHE = "On Debian systems the text is in /usr/share/common-licenses/Apache-2.0."
LAUNCHER = """\
#!/usr/lib/homeport/bin/python3 -I
from homeport.__main__ import main

raise SystemExit(main())
"""
POSTINST = """\
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    py3compile -p homeport /usr/lib/homeport -V {python}
fi
"""
PRERM = """\
#!/bin/sh
set -e
py3clean -p homeport /usr/lib/homeport
"""


def main() -> None:
    """Build one package and print its path."""
    parser = argparse.ArgumentParser(
        prog="./dev deb",
        description=(__doc__ or "").partition("\n")[0],
        epilog="Needs dpkg-deb and PyPI. The same checkout gives the same bytes.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--suite", choices=SUITES, default="trixie", help="Debian release")
    parser.add_argument("--architecture", choices=MACHINES, default="amd64", help="of the machine")
    parser.add_argument("directory", type=Path, help="where the package is written")
    asked = parser.parse_args()
    asked.directory.mkdir(parents=True, exist_ok=True)
    os.umask(0o022)
    with tempfile.TemporaryDirectory(prefix="homeport-deb-") as work:
        package = Package(Path(work), SUITES[asked.suite], asked.architecture, release_epoch())
        print(package.build(asked.directory))


@dataclass(frozen=True)
class Package:
    """What is to be built, below ``work``."""

    work: Path
    suite: Suite
    architecture: str
    epoch: int

    @property
    def root(self) -> Path:
        return self.work / "root"

    @property
    def site(self) -> Path:
        return self.root / f"usr/lib/homeport/lib/python{self.suite.python}/site-packages"

    @property
    def version(self) -> str:
        return f"{__version__}-1~{self.suite.number}"

    def build(self, directory: Path) -> Path:
        self._install()
        self._environment()
        self._documentation()
        self._control()
        for path in sorted(self.root.rglob("*")):
            if not path.is_symlink():
                executable = path.is_dir() or path.stat().st_mode & 0o100
                path.chmod(0o755 if executable else 0o644)
            os.utime(path, (self.epoch, self.epoch), follow_symlinks=False)
        result = directory / f"homeport_{self.version}_{self.architecture}.deb"
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "--threads-max=1", "-Zxz", "-z2", "--build",
             self.root, result],
            env={**os.environ, "SOURCE_DATE_EPOCH": str(self.epoch)}, check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        return result

    def _install(self) -> None:
        """The wheels by their hashes, and the checkout's own."""
        chosen = options_for(self.suite.python, self.architecture)
        wheels = self.work / "wheels"
        download_pinned(wheels, chosen)
        build_own(wheels, self.work / "source", self.epoch)
        pip("install", "--no-deps", "--no-index", "--no-compile", "--target", self.site,
            *sorted(wheels.iterdir()), *chosen)  # fmt: skip
        shutil.rmtree(self.site / "bin")
        for folder in self.site.glob("*.dist-info"):
            # Where it was installed from: paths of this machine, and the order of pip's work.
            for name in ("direct_url.json", "REQUESTED", "INSTALLER", "RECORD"):
                (folder / name).unlink(missing_ok=True)

    def _environment(self) -> None:
        """A virtual environment of Debian's Python, so that its programs find the modules."""
        home = self.root / "usr/lib/homeport"
        (home / "bin").mkdir()
        (home / "bin/python3").symlink_to(f"../../../bin/python{self.suite.python}")
        (home / "pyvenv.cfg").write_text(
            "home = /usr/bin\ninclude-system-site-packages = false\n"
            f"version = {self.suite.python}\n"
        )
        (home / "bin/homeport").write_text(LAUNCHER)
        (home / "bin/homeport").chmod(0o755)
        (self.root / "usr/bin").mkdir(parents=True)
        (self.root / "usr/bin/homeport").symlink_to("../lib/homeport/bin/homeport")

    def _documentation(self) -> None:
        share = self.root / "usr/share"
        documents = share / "doc/homeport"
        documents.mkdir(parents=True)
        _compressed(documents / "changelog.gz", (REPOSITORY / "CHANGELOG.md").read_bytes())
        _compressed(documents / "changelog.Debian.gz", self._changelog().encode())
        (documents / "copyright").write_text(self._copyright())
        (share / "lintian/overrides").mkdir(parents=True)
        (share / "lintian/overrides/homeport").write_text(OVERRIDES)
        manuals = self.work / "man"
        _homeport("docs", "--man", str(manuals))
        (share / "man/man1").mkdir(parents=True)
        for page in sorted(manuals.rglob("*.1")):
            _compressed(share / "man/man1" / f"{page.name}.gz", page.read_bytes())
        for shell, place in COMPLETIONS.items():
            (share / place).parent.mkdir(parents=True)
            (share / place).write_text(_homeport("completion", shell))

    def _changelog(self) -> str:
        date = formatdate(self.epoch)
        return (
            f"homeport ({self.version}) unstable; urgency=medium\n\n"
            f"  * Version {__version__}; see changelog.gz.\n\n -- {MAINTAINER}  {date}\n"
        )

    def _copyright(self) -> str:
        """Homeport's own, then each wheel's licence as the wheel states it."""
        parts = [
            "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
            f"Upstream-Name: homeport\nSource: {HOME}\n\n"
            "Files: *\nCopyright: 2026 Homeport project\nLicense: Apache-2.0\n"
        ]
        texts = []
        for folder in sorted(self.site.glob("*.dist-info")):
            metadata = _metadata(folder)
            name = metadata["Name"]
            if name == "homeport":
                continue
            license_name = f"{name}-{metadata['Version']}"
            author = metadata["Author"] or metadata["Author-email"] or f"the authors of {name}"
            parts.append(
                f"Files: usr/lib/homeport/lib/*/site-packages/{folder.name.split('-')[0]}*\n"
                f"Copyright: {' '.join(author.split())}\nLicense: {license_name}\n"
            )
            texts.append(f"License: {license_name}\n{_indented(_license(folder, metadata))}\n")
        texts.append(f"License: Apache-2.0\n{_indented(APACHE)}\n")
        return "\n".join(parts + texts)

    def _control(self) -> None:
        control = self.root / "DEBIAN"
        control.mkdir()
        major, minor = map(int, self.suite.python.split("."))
        needed = {
            f"python3 (>= {self.suite.python}~)", f"python3 (<< {major}.{minor + 1}~)",
            f"python{self.suite.python}:any", *_libraries(self.site),
        }  # fmt: skip
        files = [path for path in sorted(self.root.rglob("*")) if path.is_file()]
        size = sum(path.lstat().st_size for path in files if not path.is_symlink()) // 1024
        fields = {
            "Package": "homeport", "Version": self.version, "Architecture": self.architecture,
            "Maintainer": MAINTAINER, "Installed-Size": str(size),
            "Depends": ", ".join(sorted(needed)), "Recommends": "ca-certificates",
            "Suggests": "docker.io | podman", "Section": "utils", "Priority": "optional",
            "Homepage": HOME, "Description": DESCRIPTION,
        }  # fmt: skip
        (control / "control").write_text(
            "".join(f"{name}: {value}\n" for name, value in fields.items())
        )
        (control / "md5sums").write_text(
            "".join(
                f"{_md5(path)}  {path.relative_to(self.root)}\n"
                for path in files
                if not path.is_symlink() and control not in path.parents
            )
        )
        for name, text in (("postinst", POSTINST), ("prerm", PRERM)):
            (control / name).write_text(text.format(python=self.suite.python))
            (control / name).chmod(0o755)


COMPLETIONS = {
    "bash": "bash-completion/completions/homeport",
    "zsh": "zsh/vendor-completions/_homeport",
    "fish": "fish/vendor_completions.d/homeport.fish",
}


def _homeport(*words: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "homeport", *words], stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def _compressed(path: Path, data: bytes) -> None:
    path.write_bytes(gzip.compress(data, 9, mtime=0))


def _metadata(folder: Path) -> Message:
    return Parser().parsestr((folder / "METADATA").read_text(), headersonly=True)


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


_LICENCES = ("LICEN", "COPYING", "NOTICE", "AUTHORS")


def _license(folder: Path, metadata: Message) -> str:
    """The wheel's own texts, or the name that it gives."""
    texts = [
        _short(path.read_text(errors="replace"))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name.upper().startswith(("LICEN", "COPYING", "NOTICE", "AUTHORS"))
    ]
    return "\n\n".join(texts) or metadata["License-Expression"] or metadata["License"] or "unknown"


def _short(text: str) -> str:
    """Debian has the Apache License once for all packages."""
    whole = "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in text
    return APACHE if whole and "Apache License" in text else text


def _indented(text: str) -> str:
    lines = (line.rstrip() for line in text.strip().splitlines())
    return "\n".join(f" {line}" if line else " ." for line in lines)


def _libraries(folder: Path) -> Iterator[str]:
    """Packages with what the wheels' libraries load from the system."""
    for path in sorted(folder.rglob("*.so*")):
        bundled = {each.name for each in path.parent.iterdir()}
        with path.open("rb") as stream:
            for section in ELFFile(stream).iter_sections():
                if isinstance(section, DynamicSection):
                    needed = [tag.needed for tag in section.iter_tags("DT_NEEDED")]
                    yield from _packages(path, needed, LIBRARIES, bundled)


def _packages(
    path: Path, needed: list[str], known: Mapping[str, str], bundled: set[str]
) -> Iterator[str]:
    for name in needed:
        if name not in bundled:
            if name not in known:
                raise SystemExit(f"{path}: no Debian package is known for {name}")
            yield known[name]


if __name__ == "__main__":
    main()
