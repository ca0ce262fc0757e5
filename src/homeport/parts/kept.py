"""Results of parts in files beside the lockfile, so that a build needs no engine.

``NAME.lock.parts`` has one file for each list of a result and for each file that it names,
called by its SHA-256 (docs/formats/lockfile.md). Only what the lockfile pins is read of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from homeport.content.blob import FileBlob, open_regular, verified
from homeport.content.digest import Digest
from homeport.content.files import explained, write_file
from homeport.content.store import Store
from homeport.errors import IntegrityError
from homeport.quantities import human_size
from homeport.recipe.lock.model import LockedTree, Lockfile


def kept_folder(lockfile: Path) -> Path:
    """The folder beside a lockfile."""
    return lockfile.with_name(f"{lockfile.name}.parts")


def restore_kept(output: LockedTree, folders: Iterable[Path], store: Store) -> None:
    """Put a pinned result into the store, from the first folder that has its list.

    Raises ``IntegrityError`` for a file with another content than its name says.
    """
    for folder in folders:
        if _restore(folder, output.digest, output.size, store):
            listed = store.get(output.digest, output.size)
            assert listed is not None
            for digest, size in _files(listed):
                _restore(folder, digest, size, store)
            return


def write_kept(lockfile: Lockfile, folder: Path, store: Store) -> int:
    """Write every result that the lockfile pins, and remove what it does not. How many files.

    A result that the store lacks is left out.
    """
    wanted: dict[str, FileBlob] = {}
    for part in lockfile.parts.values():
        for output in part.outputs.values():
            listed = store.get(output.digest, output.size)
            if listed is None:
                continue
            wanted[output.digest.hex] = listed
            for digest, size in _files(listed):
                content = store.get(digest, size)
                if content is not None:
                    wanted[digest.hex] = content
    with explained(folder):
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            if path.name not in wanted and not path.is_dir():
                path.unlink()
    for name, blob in wanted.items():
        with verified(blob, "the result of a part") as stream:
            write_file(folder / name, stream.read(-1))
    return len(wanted)


def _restore(folder: Path, digest: Digest, size: int, store: Store) -> bool:
    if store.get(digest, size) is not None:
        return True
    path = folder / digest.hex
    if not path.is_file():
        return False
    if path.stat().st_size != size:
        raise IntegrityError(
            f"{path} is damaged: its size is not {human_size(size)}", where={"file": str(path)}
        )
    with explained(path, "read"), open_regular(path) as stream:
        store.put(stream, digest)
    return True


def _files(listed: FileBlob) -> Iterator[tuple[Digest, int]]:
    with verified(listed, "the result of a part") as stream:
        entries = json.loads(stream.read(-1))["entries"]
    for entry in entries:
        if entry.get("digest"):
            yield Digest.parse(entry["digest"]), entry["size"]
