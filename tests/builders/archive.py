"""A little signed Debian archive in a temporary folder, whole or broken as a test needs it.

    debian = archive(tmp_path, suites=[suite("trixie", packages=[deb("hello", "1.0-1")])])
    debian.url            # "file:///…": a mirror's base address, below it dists/ and pool/
    debian.certificate    # the armoured certificate that signs it
    with debian.serve() as server:
        server.url        # the same over HTTP, on a free port of the loopback address
        server.fault("*.deb", cut=100, times=1)

``deb`` is that of ``builders.deb``. Packages of architecture ``all`` are listed for every
architecture. By default a suite is like Debian's: signed InRelease, SHA256, by-hash,
Packages as xz and gz (the plain one is vouched for but not there).

Publishing again lays a newer state over the older one:

    debian.publish(suite("trixie", date=LATER, packages=[…]))                 # whole
    debian.publish(suite("trixie", date=LATER, packages=[…]), only={"amd64"}) # mid-sync:
        # InRelease is new, the indexes of all other architectures are still the old ones
    debian.publish(suite("trixie", alias="stable", date=OLD, …), folder="stable")
        # another state of the same suite, served under its alias

Faults that are made by changing files: ``unsign``, ``change_signed``, ``sign_again``,
``detach_signature``, ``damage_index``, ``without_by_hash``, ``lose``.
Needs pysequoia and ``builders.deb`` only.
"""

from __future__ import annotations

import fnmatch
import gzip
import hashlib
import io
import lzma
import shutil
import tarfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pysequoia
import zstandard

from builders.deb import packages_stanza

SEVEN = ("amd64", "arm64", "armhf", "i386", "ppc64el", "riscv64", "s390x")
#: The date of a state unless a test says otherwise, and a moment at which it is valid.
DATE = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)
NOW = DATE + timedelta(hours=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One state of a suite; made by ``suite``."""

    name: str
    packages: tuple[bytes, ...]
    codename: str
    alias: str
    version: str
    date: datetime | None
    valid_for: timedelta | None
    architectures: tuple[str, ...]
    components: tuple[str, ...]
    forms: tuple[str, ...]
    by_hash: bool
    pool: str
    fields: Mapping[str, str]
    sections: tuple[str, ...]


def suite(
    name: str = "trixie",
    packages: Iterable[bytes] = (),
    *,
    codename: str | None = None,
    alias: str | None = None,
    version: str = "",
    date: datetime | None = DATE,
    valid_for: timedelta | None = timedelta(days=7),
    architectures: Sequence[str] = SEVEN,
    components: Sequence[str] = ("main",),
    forms: Sequence[str] = ("xz", "gz"),
    by_hash: bool = True,
    pool: str = "pool/main",
    fields: Mapping[str, str] | None = None,
    sections: Sequence[str] = ("SHA256",),
) -> Suite:
    """A state of a suite.

    packages:  whole packages, listed in the first component
    codename, alias: the Codename and Suite fields; by default both are ``name``
    valid_for: distance from Date to Valid-Until; ``None`` writes none, as stable has none
    forms:     how Packages is served: ``xz``, ``gz`` and ``""`` (plain)
    fields:    more or other fields of the Release file; ``""`` as value leaves one out
    sections:  ``SHA256``, ``SHA512``, ``MD5Sum``
    """
    return Suite(
        name=name, packages=tuple(packages), codename=codename or name, alias=alias or name,
        version=version, date=date, valid_for=valid_for, architectures=tuple(architectures),
        components=tuple(components), forms=tuple(forms), by_hash=by_hash, pool=pool,
        fields=dict(fields or {}), sections=tuple(sections),
    )  # fmt: skip


def new_key(name: str = "Archive <archive@debian.example>") -> pysequoia.Tsk:
    """A fresh signing key; a few milliseconds."""
    return pysequoia.Tsk.generate(user_id=name)


def certificate_of(key: pysequoia.Tsk) -> bytes:
    """The armoured public half of a key."""
    return str(key.extract_certificate()).encode()


class Archive:
    """A mirror's directory; see the module's text."""

    def __init__(self, root: Path, key: pysequoia.Tsk) -> None:
        self.root = root
        self.key = key
        root.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return self.root.as_uri()

    @property
    def certificate(self) -> bytes:
        return certificate_of(self.key)

    @property
    def fingerprint(self) -> str:
        return str(self.key.extract_certificate().fingerprint).upper()

    def publish(
        self,
        state: Suite,
        *,
        folder: str | None = None,
        only: Iterable[str] | None = None,
        key: pysequoia.Tsk | None = None,
    ) -> Path:
        """Write a state over what is there and return its directory.

        folder: below ``dists``, the suite's name by default
        only:   architectures whose new indexes arrive (all by default)
        """
        directory = self.dists(folder or state.name)
        stanzas = [self._add_to_pool(package, state.pool) for package in state.packages]
        arrived = set(state.architectures if only is None else only)
        files: dict[str, bytes] = {}
        for component in state.components:
            for architecture in state.architectures:
                text = "".join(
                    f"{stanza}\n"
                    for owner, stanza in stanzas
                    if (owner in (architecture, "all") or state.name.endswith("/"))
                    and component == state.components[0]
                )
                served = _index_forms(_index_folder(state, component, architecture), text, state)
                for path, (data, is_served) in served.items():
                    files[path] = data
                    if is_served and architecture in arrived:
                        self._serve_index(directory, path, data, by_hash=state.by_hash)
        _write(directory / "Release", _release_text(state, files))
        self.sign_again(folder or state.name, key=key)
        return directory

    def dists(self, folder: str) -> Path:
        """A suite's directory (``dists/NAME``; ``NAME/`` with a slash is a flat one)."""
        return self.root / folder if folder.endswith("/") else self.root / "dists" / folder

    def sign_again(self, folder: str, *, key: pysequoia.Tsk | None = None) -> None:
        """Sign the Release file that lies there, with the archive's key or another."""
        directory = self.dists(folder)
        signed = pysequoia.sign(
            (key or self.key).signer(),
            (directory / "Release").read_bytes(),
            mode=pysequoia.SignatureMode.CLEAR,
        )
        _write(directory / "InRelease", signed)

    def unsign(self, folder: str) -> None:
        """InRelease holds the bare text of Release."""
        directory = self.dists(folder)
        _write(directory / "InRelease", (directory / "Release").read_bytes())

    def change_signed(self, folder: str, old: bytes, new: bytes) -> None:
        """Change bytes of InRelease without signing again."""
        path = self.dists(folder) / "InRelease"
        data = path.read_bytes()
        assert old in data
        _write(path, data.replace(old, new, 1))

    def detach_signature(self, folder: str, *, key: pysequoia.Tsk | None = None) -> None:
        """Release and Release.gpg instead of InRelease."""
        directory = self.dists(folder)
        signature = pysequoia.sign(
            (key or self.key).signer(),
            (directory / "Release").read_bytes(),
            mode=pysequoia.SignatureMode.DETACHED,
        )
        _write(directory / "Release.gpg", signature)
        (directory / "InRelease").unlink()

    def damage_index(self, folder: str, architecture: str, component: str = "main") -> None:
        """Flip a byte in every form of an index, also under its by-hash names."""
        for path in self._index_paths(folder, architecture, component):
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            _write(path, bytes(data))

    def without_by_hash(self, folder: str) -> None:
        """Remove every by-hash directory of a suite."""
        for path in self.dists(folder).rglob("by-hash"):
            shutil.rmtree(path)

    def lose(self, pattern: str) -> list[str]:
        """Remove the files whose path below the archive matches, and say which."""
        found = [
            path
            for path in self.root.rglob("*")
            if path.is_file() and fnmatch.fnmatch(path.relative_to(self.root).as_posix(), pattern)
        ]
        assert found, f"nothing matches {pattern}"
        for path in found:
            path.unlink()
        return [path.relative_to(self.root).as_posix() for path in found]

    @contextmanager
    def serve(self) -> Iterator[Server]:
        """The archive over HTTP while the block runs."""
        with serve(self.root) as server:
            yield server

    def publish_sources(
        self,
        folder: str,
        versions: Mapping[str, Sequence[str]],
        *,
        dsc_lists: Mapping[str, bytes] | None = None,
    ) -> None:
        """Sources of these packages in these versions, listed in the state of a suite.

        dsc_lists: what each .dsc lists instead of the files that are there
        """
        stanzas = []
        for package, each in versions.items():
            pool = f"pool/main/{package[0]}/{package}"
            for version in each:
                files = {
                    f"{package}_{version.rpartition('-')[0]}.orig.tar.xz": b"upstream",
                    f"{package}_{version}.debian.tar.xz": b"patches",
                }
                listed = _checksums(files if dsc_lists is None else dsc_lists)
                dsc = _DSC.format(f"Source: {package}\nVersion: {version}\n{listed}").encode()
                files = {f"{package}_{version}.dsc": dsc, **files}
                for name, data in files.items():
                    _write(self.root / pool / name, data)
                fields = f"Package: {package}\nVersion: {version}\nDirectory: {pool}\n"
                stanzas.append(fields + _checksums(files))
        index = lzma.compress("\n".join(stanzas).encode())
        directory = self.dists(folder)
        self._serve_index(directory, "main/source/Sources.xz", index, by_hash=True)
        release = directory / "Release"
        line = f" {hashlib.sha256(index).hexdigest()} {len(index)} main/source/Sources.xz\n"
        release.write_text(release.read_text().replace("SHA256:\n", f"SHA256:\n{line}"))
        self.sign_again(folder)

    def _add_to_pool(self, package: bytes, pool: str) -> tuple[str, str]:
        control = control_of(package)
        fields = dict(
            line.split(": ", 1) for line in control.splitlines() if ": " in line and line[0] != " "
        )
        name, version = fields["Package"], fields["Version"].rpartition(":")[2]
        prefix = name[:4] if name.startswith("lib") else name[0]
        path = f"{pool}/{prefix}/{name}/{name}_{version}_{fields['Architecture']}.deb"
        _write(self.root / path, package)
        return fields["Architecture"], packages_stanza(package, control, path)

    def _serve_index(self, directory: Path, path: str, data: bytes, *, by_hash: bool) -> None:
        _write(directory / path, data)
        if by_hash:
            digest = hashlib.sha256(data).hexdigest()
            _write((directory / path).parent / "by-hash" / "SHA256" / digest, data)

    def _index_paths(self, folder: str, architecture: str, component: str) -> list[Path]:
        directory = self.dists(folder) / component / f"binary-{architecture}"
        return [path for path in directory.rglob("*") if path.is_file()]


def archive(
    tmp_path: Path, suites: Iterable[Suite] = (), *, key: pysequoia.Tsk | None = None
) -> Archive:
    """An archive in ``tmp_path`` with these suites (by default an empty ``trixie``)."""
    made = Archive(tmp_path, key or new_key())
    for state in list(suites) or [suite()]:
        made.publish(state)
    return made


def control_of(package: bytes) -> str:
    """The control file of a package, as text."""
    offset = 8
    while offset < len(package):
        name = package[offset : offset + 16].decode().strip().rstrip("/")
        size = int(package[offset + 48 : offset + 58])
        data = package[offset + 60 : offset + 60 + size]
        if name.startswith("control.tar"):
            with tarfile.open(fileobj=io.BytesIO(_decompress(data, name))) as tar:
                member = tar.extractfile("./control")
                assert member
                return member.read().decode()
        offset += 60 + size + size % 2
    raise AssertionError("no control.tar in the package")


def _decompress(data: bytes, name: str) -> bytes:
    if name.endswith(".xz"):
        return lzma.decompress(data)
    if name.endswith(".gz"):
        return gzip.decompress(data)
    if name.endswith(".zst"):
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return data


def _index_folder(state: Suite, component: str, architecture: str) -> str:
    return "" if state.name.endswith("/") else f"{component}/binary-{architecture}/"


def _index_forms(folder: str, text: str, state: Suite) -> dict[str, tuple[bytes, bool]]:
    """Path → bytes and whether a mirror has that file. The plain form is always vouched for."""
    plain = text.encode()
    found = {f"{folder}Packages": (plain, "" in state.forms)}
    if "xz" in state.forms:
        found[f"{folder}Packages.xz"] = (lzma.compress(plain, preset=1), True)
    if "gz" in state.forms:
        found[f"{folder}Packages.gz"] = (gzip.compress(plain, mtime=0), True)
    return found


def _release_text(state: Suite, files: Mapping[str, bytes]) -> bytes:
    fields = {
        "Origin": "Debian",
        "Label": "Debian",
        "Suite": state.alias,
        "Version": state.version,
        "Codename": state.codename,
        "Date": _rfc_date(state.date) if state.date else "",
        "Valid-Until": _rfc_date(state.date + state.valid_for)
        if state.date and state.valid_for is not None
        else "",
        "Acquire-By-Hash": "yes" if state.by_hash else "no",
        "No-Support-for-Architecture-all": "Packages",
        "Architectures": " ".join(("all", *state.architectures)),
        "Components": " ".join(state.components),
        "Description": "an archive made for a test",
        **state.fields,
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    for section in state.sections:
        algorithm = section.removesuffix("Sum").lower()
        lines.append(f"{section}:")
        lines += [
            f" {hashlib.new(algorithm, data).hexdigest()} {len(data):8} {path}"
            for path, data in files.items()
        ]
    return ("\n".join(lines) + "\n").encode()


_DSC = (
    "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{}\n"
    "-----BEGIN PGP SIGNATURE-----\n\nnobody looks\n-----END PGP SIGNATURE-----\n"
)


def _checksums(files: Mapping[str, bytes]) -> str:
    lines = [f" {hashlib.sha256(data).hexdigest()} {len(data)} {n}" for n, data in files.items()]
    return "Checksums-Sha256:\n" + "\n".join(lines) + "\n"


def _rfc_date(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S UTC")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens to requests whose path matches, the first ``times`` times (0: always).

    status:    answer with this and no content
    body:      answer 200 with these bytes instead of the file's
    cut:       close the connection after so many bytes of the body
    stall:     send so many bytes of the body, then nothing until the server stops
    no_range:  answer a Range request with 200 and everything
    hook:      called before the answer is written, with the path
    """

    pattern: str
    status: int = 0
    body: bytes | None = None
    content_type: str = "application/octet-stream"
    cut: int | None = None
    stall: int | None = None
    no_range: bool = False
    times: int = 0
    hook: object = None
    used: int = 0


@dataclass(slots=True)
class Server:
    """A running HTTP server; ``requests`` has what was asked, as (path, Range header)."""

    root: Path
    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    gets: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, pattern: str, **what: object) -> Fault:
        """Break requests for paths that match; the latest fault that applies wins."""
        made = Fault(pattern=pattern, **what)  # type: ignore[arg-type]  # fields of Fault
        self.faults.append(made)
        return made

    def fetched(self, pattern: str) -> list[str]:
        """The paths that match and whose content was asked for, not only their size."""
        return [path for path in self.gets if fnmatch.fnmatch(path, pattern)]

    def asked(self, pattern: str) -> list[str]:
        """The paths asked for that match, in order."""
        return [path for path, _ in self.requests if fnmatch.fnmatch(path, pattern)]

    def applying(self, path: str) -> Fault | None:
        with self.lock:
            for fault in reversed(self.faults):
                if fnmatch.fnmatch(path, fault.pattern) and not 0 < fault.times <= fault.used:
                    fault.used += 1
                    return fault
        return None


@contextmanager
def serve(root: Path) -> Iterator[Server]:
    """A directory over HTTP on a free loopback port, with Range and with faults."""
    server = Server(root)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _answer(self, server)

        def do_HEAD(self) -> None:
            _answer(self, server)

        def log_message(self, format: str, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    server.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def _answer(handler: BaseHTTPRequestHandler, server: Server) -> None:
    path = handler.path.lstrip("/")
    range_header = handler.headers.get("Range", "")
    with server.lock:
        server.requests.append((path, range_header))
        if handler.command == "GET":
            server.gets.append(path)
        server.headers.append(dict(handler.headers))
    fault = server.applying(path) or Fault(pattern="")
    if callable(fault.hook):
        fault.hook(path)
    file = server.root / path
    if fault.status or (fault.body is None and not file.is_file()):
        _send(handler, server, fault, fault.status or 404, b"", {})
        return
    data = file.read_bytes() if fault.body is None else fault.body
    headers = {"Content-Type": fault.content_type, "Accept-Ranges": "bytes"}
    start = _range_start(range_header)
    if start is None or fault.no_range:
        _send(handler, server, fault, 200, data, headers)
    elif start >= len(data):
        _send(handler, server, fault, 416, b"", {"Content-Range": f"bytes */{len(data)}"})
    else:
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        _send(handler, server, fault, 206, data[start:], headers)


def _range_start(header: str) -> int | None:
    if header.startswith("bytes=") and header.endswith("-"):
        return int(header[6:-1])
    return None


def _send(
    handler: BaseHTTPRequestHandler,
    server: Server,
    fault: Fault,
    status: int,
    body: bytes,
    headers: Mapping[str, str],
) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command == "HEAD":
        return
    limit = fault.cut if fault.cut is not None else fault.stall
    part = body if limit is None else body[:limit]
    try:
        handler.wfile.write(part)
        handler.wfile.flush()
        if fault.stall is not None:
            while not server.stopping.is_set():
                time.sleep(0.01)
    except OSError:
        handler.close_connection = True  # the client has gone
    if fault.cut is not None or fault.stall is not None:
        handler.close_connection = True
