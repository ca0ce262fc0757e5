"""Every kind of COPY and ADD that a helper image must serve, as data.

Each case is a Dockerfile over ``FROM scratch`` and the one context that ``write_context``
makes. The proof (``homeport.buildkit.helper.copy_proof``) builds each twice, with the helper and
without, and compares. ``{url}`` stands for a web server with ``remote.txt``.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
from pathlib import Path
from typing import Literal

import msgspec

Refused = Literal["", "both", "helper"]
_THEN = 1_500_000_000  # seconds; an age that no copy has by accident


class Case(msgspec.Struct, frozen=True):
    """A kind of COPY or ADD.

    refused: "both" must refuse, or the "helper" alone may: the public helper images do so,
             and the engine's own file operations, which came later, do not
    public:  where public helpers make something else of it than those file operations: the
             Dockerfile of which these make the same
    """

    name: str
    dockerfile: str
    refused: Refused = ""
    public: str = ""


def _case(name: str, *lines: str, refused: Refused = "", public: tuple[str, ...] = ()) -> Case:
    return Case(name, _dockerfile(lines), refused, _dockerfile(public) if public else "")


def _dockerfile(lines: tuple[str, ...]) -> str:
    return "\n".join(("FROM scratch", *lines)) + "\n"


_ACCOUNTS = ("COPY etc/passwd etc/group /etc/",)
_STAGE = ("COPY dir /s/", "COPY f1 /s/one", "FROM scratch")

CASES: tuple[Case, ...] = (
    _case("COPY a file to a name", "COPY f1 /one"),
    _case("COPY a file into a directory", "COPY f1 /d/"),
    _case("COPY a file into the root", "COPY f1 /"),
    _case("COPY a file to a deep path that does not exist", "COPY f1 /a/b/c/d/one"),
    _case("COPY a file from a deep path", "COPY dir/in/y /q/w"),
    _case("COPY an empty file", "COPY empty /e"),
    _case("COPY a large file", "COPY large /l"),
    _case("COPY a file with setuid, setgid and execute bits", "COPY modes /m/"),
    _case("COPY over an existing file", "COPY f1 /one", "COPY f2 /one"),
    _case("COPY a directory", "COPY dir /d"),
    _case("COPY a directory to a name with a slash", "COPY dir/ /d/"),
    _case("COPY a directory over an existing one", "COPY dir /d", "COPY more /d/"),
    _case("COPY an empty directory", "COPY hollow /h/"),
    _case("COPY a directory of 500 files", "COPY many /many/"),
    _case("COPY the whole context, without what .dockerignore names", "COPY . ."),
    _case("COPY the whole context into a directory", "COPY . /all/"),
    _case("COPY by a star", "COPY f* /d/"),
    _case("COPY by a question mark", "COPY f? /d/"),
    _case("COPY by a class of characters", "COPY f[12] /d/"),
    _case("COPY by a star in the middle of a path", "COPY dir/*/y /d/"),
    _case("COPY by a star that finds directories", "COPY glob/* /g/",
          public=("COPY glob/one /g/one", "COPY glob/two /g/two")),
    _case("COPY several files", "COPY f1 f2 /d/"),
    _case("COPY files and directories at once", "COPY f1 dir more /d/"),
    _case("COPY names with spaces", 'COPY ["a b", "/c d/"]'),
    _case("COPY names that are not ASCII", "COPY grüße /hallo/"),
    _case("COPY a name that begins with a dash", 'COPY ["-dash", "/d/"]'),
    _case("COPY a symbolic link (its target is copied)", "COPY link /l"),
    _case("COPY a directory with symbolic links in it", "COPY links /l/"),
    _case("COPY hard links", "COPY hard /h/"),
    _case("COPY through a link to a directory", "COPY links /l/", "COPY f1 /l/here/"),
    _case("COPY --chown by numbers", "COPY --chown=1:2 f1 /one"),
    _case("COPY --chown by one number", "COPY --chown=7 f1 /one"),
    _case("COPY --chown of a directory, parents new", "COPY --chown=1:2 dir /new/d/"),
    _case("COPY --chown by names", *_ACCOUNTS, "COPY --chown=bob:staff f1 /one"),
    _case("COPY --chown by a name alone", *_ACCOUNTS, "COPY --chown=bob f1 /one"),
    _case("COPY --from a stage, a file to a name", *_STAGE, "COPY --from=0 /s/one /two"),
    _case("COPY --from a stage, a directory", *_STAGE, "COPY --from=0 /s /two/"),
    _case("COPY --from a stage, everything", *_STAGE, "COPY --from=0 / /"),
    _case("COPY --from a stage with --chown", *_STAGE, "COPY --from=0 --chown=5:6 /s /two/"),
    _case("COPY relative to WORKDIR", "WORKDIR /w/x", "COPY f1 one"),
    _case("COPY into WORKDIR itself", "WORKDIR /w/x", "COPY f1 ./"),
    _case("COPY below WORKDIR", "WORKDIR /w/x", "COPY f1 a/b/"),
    _case("COPY with a stage's USER and ENV", "USER 1000", "ENV PATH=/none", "COPY f1 /one"),
    _case("ADD a file", "ADD f1 /one"),
    _case("ADD a file into a directory", "ADD f1 /d/"),
    _case("ADD a directory", "ADD dir /d/"),
    _case("ADD a tar, unpacked", "ADD a.tar /t/"),
    _case("ADD a tar.gz, unpacked", "ADD a.tar.gz /t/"),
    _case("ADD a tar.bz2, unpacked", "ADD a.tar.bz2 /t/"),
    _case("ADD a tar.xz, unpacked", "ADD a.tar.xz /t/"),
    _case("ADD a file that is only named like a tar", "ADD fake.tar /t/"),
    _case("ADD a file and a tar", "ADD f1 a.tar /t/"),
    _case("ADD a tar over existing files", "COPY dir /t/d/", "ADD a.tar /t/"),
    _case("ADD --chown of a file", "ADD --chown=3:4 f1 /one"),
    _case("ADD a URL", "ADD {url}/remote.txt /u/"),
    _case("ADD a URL to a name", "ADD {url}/remote.txt /u"),
    _case("ADD a URL with --chown", "ADD --chown=3:4 {url}/remote.txt /u/"),
    _case("COPY a file that does not exist", "COPY nope /x", refused="both"),
    _case("COPY by a star that finds nothing", "COPY f1 /x/", "COPY nope* /x/",
          refused="helper"),
    _case("COPY several files to a non-directory", "COPY f1 /x", "COPY f1 f2 /x/",
          refused="both"),
)  # fmt: skip

REMOTE = b"from the web\n"


def write_context(folder: Path) -> None:
    """Everything that the cases copy, with modes and times that do not depend on us."""
    for name, content in _FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o644)
    for number in range(500):
        path = folder / f"many/{number % 10}/file-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d\n" % number)
        path.chmod(0o644)
    (folder / "hollow").mkdir()
    (folder / "link").symlink_to("f1")
    (folder / "links").mkdir()
    (folder / "links/relative").symlink_to("../f1")
    (folder / "links/nowhere").symlink_to("/no/where")
    (folder / "links/here").symlink_to("there")
    (folder / "links/there").mkdir()
    (folder / "hard").mkdir()
    (folder / "hard/one").write_bytes(b"linked\n")
    (folder / "hard/one").chmod(0o644)
    os.link(folder / "hard/one", folder / "hard/two")
    for name, mode in (("setuid", 0o4755), ("setgid", 0o2750), ("run", 0o755), ("own", 0o600)):
        path = folder / "modes" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
        path.chmod(mode)
    _settle(folder)


def _settle(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
        os.utime(path, (_THEN, _THEN), follow_symlinks=False)


def _tar() -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, mode, link in (
            ("d", tarfile.DIRTYPE, 0o750, ""),
            ("d/file", tarfile.REGTYPE, 0o640, ""),
            ("d/again", tarfile.LNKTYPE, 0o640, "d/file"),
            ("d/link", tarfile.SYMTYPE, 0o777, "file"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.linkname = kind, mode, link
            member.uid, member.gid, member.mtime = 11, 12, _THEN + 1
            content = b"in a tar\n" if kind == tarfile.REGTYPE else b""
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return raw.getvalue()


_FILES: dict[str, bytes] = {
    ".dockerignore": b"skip\n",
    "skip": b"never seen\n",
    "f1": b"one\n",
    "f2": b"two\n",
    "empty": b"",
    "large": bytes(range(256)) * 16384,
    "dir/in/y": b"y\n",
    "dir/top": b"top\n",
    "more/in/z": b"z\n",
    "more/top": b"another top\n",
    "glob/one/a": b"a\n",
    "glob/two/b": b"b\n",
    "a b": b"with a space\n",
    "grüße": "grüße\n".encode(),
    "-dash": b"dash\n",
    "etc/passwd": b"root:x:0:0::/:\nbob:x:1001:1002::/:\n",
    "etc/group": b"root:x:0:\nbob:x:1002:\nstaff:x:50:\n",
    "fake.tar": b"not an archive\n",
    "a.tar": _tar(),
    "a.tar.gz": gzip.compress(_tar(), mtime=0),
    "a.tar.bz2": bz2.compress(_tar()),
    "a.tar.xz": lzma.compress(_tar()),
}
