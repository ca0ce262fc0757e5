"""``NAME.lock.proof``: what the archive signed, kept beside a lockfile (docs/formats/lockfile.md).

A tar in one zstd frame. An archive signs the hash of a whole index, so nothing less than the
index proves a package: it is here as text. Indexes of several architectures share much of it,
so one frame with a window of 128 MiB takes half of what their own files take. Reading trusts
nothing: release files are verified by the recipe's keys, indexes by the release files.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
import zstandard

from homeport.content.digest import Digest
from homeport.content.files import atomic_write, explained, open_input
from homeport.content.reading import Readable, VerifiedReader, read_bounded
from homeport.content.store import Store
from homeport.copying.errors import CopyError
from homeport.copying.tarstream import TarReader
from homeport.debian.archive.index_fetch import IndexTask, index_tasks
from homeport.debian.archive.release import MAX_RELEASE
from homeport.debian.archive.release_candidates import (
    MAX_SIGNATURE,
    Candidate,
    ReleaseFiles,
    SuiteLocation,
    verified_candidate,
)
from homeport.debian.archive.state import SuiteSpec
from homeport.debian.index.index import open_index
from homeport.debian.index.stanzas import stream_text
from homeport.debian.index.table import stanzas_of, whole_stanzas
from homeport.errors import AnswerNo, HomeportError
from homeport.progress import CancelToken
from homeport.quantities import human_size
from homeport.tree.decompression import Source, decoded

_SCHEMA = "homeport-lock-proof/v1"
_FIRST = "proof.json"
_LARGEST_FIRST = 1 << 20
_MOST_STATES = 64
_WINDOW_LOG = 27  # 128 MiB, what ``zstd -d`` accepts without an option
_LEVEL = 3  # level 9 takes three times as long for 3 % less
_MEMBER = re.compile(r"([0-9]{1,2})/(\S{1,250})")
_SIGNED = ("InRelease", "Release", "Release.gpg")

#: (archive, suite, digest of the signed text)
StateKey = tuple[str, str, Digest]


class BadProof(AnswerNo):
    """A proof file is damaged, or does not prove what it claims."""

    id = "bad-proof"


class StateEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """A verified release file, and stanzas of its verified indexes.

    stanzas: digest of the index → name → stanzas, for the names that were asked for
    """

    candidate: Candidate
    stanzas: Mapping[Digest, Mapping[str, tuple[bytes, ...]]]


Evidence = Mapping[StateKey, StateEvidence]


class _State(msgspec.Struct, frozen=True):
    archive: str
    suite: str


class _First(msgspec.Struct, frozen=True):
    schema: str
    states: tuple[_State, ...]


_DECODER = msgspec.json.Decoder(_First)


def write_proof(
    path: Path, states: Mapping[StateKey, tuple[Candidate, tuple[str, ...]]], store: Store
) -> bool:
    """Write the proof of these states; ``False``, and nothing, if the cache lacks an index.

    states: the candidates, each with the architectures whose indexes are needed
    """
    contents = [
        (f"{number}/{name}", content)
        for number, (candidate, architectures) in enumerate(states.values())
        for name, content in (*_signed_files(candidate), *_indexes(candidate, architectures, store))
    ]
    first = {
        "schema": _SCHEMA,
        "states": [{"archive": archive, "suite": suite} for archive, suite, _ in states],
    }
    members = [(_FIRST, _from_bytes(msgspec.json.encode(first) + b"\n"))]
    for name, content in contents:
        if content is None:
            return False
        members.append((name, content))
    with atomic_write(path) as stream:
        _write_members(members, stream)
    return True


class _Content(msgspec.Struct, frozen=True):
    size: int
    open: Callable[[], AbstractContextManager[Source]]


def _from_bytes(data: bytes) -> _Content:
    return _Content(len(data), lambda: closing(io.BytesIO(data)))


def _write_members(members: Iterable[tuple[str, _Content]], stream: BinaryIO) -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, window_log=_WINDOW_LOG, enable_ldm=True, threads=2, write_checksum=True
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    with (
        compressor.stream_writer(stream, closefd=False) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size, member.mode = content.size, 0o644
            with content.open() as source:
                tar.addfile(member, cast("Any", _Whole(source)))


def _signed_files(candidate: Candidate) -> Iterator[tuple[str, _Content]]:
    files = candidate.files
    if files.signature is None:
        yield "InRelease", _from_bytes(files.release)
    else:
        yield "Release", _from_bytes(files.release)
        yield "Release.gpg", _from_bytes(files.signature)


def _indexes(
    candidate: Candidate, architectures: Iterable[str], store: Store
) -> Iterator[tuple[str, _Content | None]]:
    """The text of each index; the file, where the archive does not list the text."""
    for digest, task in index_tasks(candidate, tuple(architectures)).items():
        if task.plain is None:
            blob = store.get(digest, task.forms[0].size)
            yield task.forms[0].path, _Content(blob.size, blob.open) if blob else None
            continue
        packed = open_index(digest, store)
        yield task.plain.path, _Content(task.plain.size, packed.open_text) if packed else None


def read_proof(
    path: Path, specs: Iterable[SuiteSpec], names: frozenset[str], cancel: CancelToken
) -> dict[StateKey, StateEvidence]:
    """What the proof at ``path`` proves, with the stanzas of packages of these names.

    specs: the recipe's suites and their keys
    Raises ``BadProof``, ``BadSignature``, ``IntegrityError`` and what reading a release raises.
    """
    known = {(spec.archive, spec.suite): spec for spec in specs}
    with explained(path, "read"), open_input(path) as stream:
        source = decoded(cast("Readable", stream), "zstd", path.name, padded=False)
        try:
            reader = _ProofReader(TarReader(source), known, names, cancel)
            return reader.read()
        except CopyError as error:
            raise BadProof(f"{path.name} is damaged: {error.what}") from error
        except HomeportError as error:
            error.at(proof=str(path))
            raise


class _ProofReader:
    """One pass over the members: each state's release file comes before its indexes."""

    def __init__(
        self,
        tar: TarReader,
        specs: Mapping[tuple[str, str], SuiteSpec],
        names: frozenset[str],
        cancel: CancelToken,
    ) -> None:
        self._tar = tar
        self._specs = specs
        self._names = frozenset(name.encode() for name in names)
        self._cancel = cancel
        self._release: dict[int, bytes] = {}
        self._candidates: dict[int, Candidate] = {}
        self._stanzas: dict[int, dict[Digest, Mapping[str, tuple[bytes, ...]]]] = {}

    def read(self) -> dict[StateKey, StateEvidence]:
        states = self._first()
        seen: set[str] = set()
        while (member := self._tar.next()) is not None:
            name = member.name.decode("ascii", "replace")
            match = _MEMBER.fullmatch(name)
            if match is None or member.kind != "file" or name in seen:
                raise BadProof(f"unexpected member {name!r} in the proof")
            seen.add(name)
            number = int(match[1])
            if number >= len(states):
                raise BadProof(f"the proof lists no state {number}")
            if match[2] in _SIGNED:
                self._read_signed(number, match[2], states[number])
            else:
                self._read_index(number, match[2], member.size)
        return {
            (c.spec.archive, c.spec.suite, c.digest): StateEvidence(
                candidate=c, stanzas=self._stanzas.get(number, {})
            )
            for number, c in self._candidates.items()
        }

    def _first(self) -> tuple[SuiteSpec, ...]:
        member = self._tar.next()
        if member is None or member.name != _FIRST.encode() or member.kind != "file":
            raise BadProof("the file is not a proof of a lockfile")
        try:
            first = _DECODER.decode(self._bytes(_LARGEST_FIRST, _FIRST))
        except msgspec.DecodeError as error:
            raise BadProof(f"invalid {_FIRST}: {error}") from error
        if first.schema != _SCHEMA or len(first.states) > _MOST_STATES:
            raise BadProof(f"unknown proof format {first.schema!r}; this Homeport reads {_SCHEMA}")
        specs = [self._specs.get((state.archive, state.suite)) for state in first.states]
        for state, spec in zip(first.states, specs, strict=True):
            if spec is None:
                raise BadProof(f"the recipe has no suite {state.suite} of {state.archive}")
        return tuple(spec for spec in specs if spec is not None)

    def _read_signed(self, number: int, name: str, spec: SuiteSpec) -> None:
        data = self._bytes(MAX_SIGNATURE if name == "Release.gpg" else MAX_RELEASE, name)
        if name == "Release":
            self._release[number] = data
            return
        files = ReleaseFiles(release=data)
        if name == "Release.gpg":
            if number not in self._release:
                raise BadProof("a signature precedes its release file")
            files = ReleaseFiles(release=self._release[number], signature=data)
        # Whatever the name under which it was found: it must be of the recipe's suite.
        location = SuiteLocation(mirror=None, folder=spec.suite, directory="", label="the proof")
        self._candidates[number] = verified_candidate(spec, location, files)

    def _read_index(self, number: int, path: str, size: int) -> None:
        candidate = self._candidates.get(number)
        entry = candidate.release.files.get(path) if candidate else None
        if entry is None or entry.size != size:
            raise BadProof(f"the signed release file does not list {path} of {human_size(size)}")
        found: dict[str, list[bytes]] = {}
        with VerifiedReader(cast("Readable", _Member(self._tar)), entry.digest, size, path) as text:
            for block in whole_stanzas(stream_text(text, path, self._cancel)):
                for name, stanza in stanzas_of(block):
                    if name in self._names:
                        found.setdefault(name.decode(), []).append(stanza)
        self._stanzas.setdefault(number, {})[entry.digest] = {
            name: tuple(stanzas) for name, stanzas in found.items()
        }

    def _bytes(self, limit: int, what: str) -> bytes:
        return read_bounded(cast("Readable", _Member(self._tar)), limit, what)


class _Whole:
    """Reads as many bytes as were asked for, which ``tarfile`` expects of a file."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def read(self, size: int) -> bytes:
        pieces = []
        while size > 0 and (data := self._source.read(size)):
            pieces.append(data)
            size -= len(data)
        return b"".join(pieces)


class _Member:
    """The content of the current member as a stream."""

    def __init__(self, tar: TarReader) -> None:
        self._tar = tar

    def read(self, size: int = -1, /) -> bytes:
        if size >= 0:
            return self._tar.read(size)
        return b"".join(iter(lambda: self._tar.read(1 << 20), b""))

    def close(self) -> None:
        pass


def tasks_of(candidate: Candidate, architecture: str) -> list[IndexTask]:
    """The indexes that list the packages of one architecture."""
    return list(index_tasks(candidate, [architecture]).values())
