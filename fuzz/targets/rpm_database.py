"""rpm's databases in hostile images: sqlite, ndb and the headers in both."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

from builders.rpm import header, ndb
from homeport.errors import HomeportError
from homeport.inspection.packages.rpmdb import read_rpm_database

EXPECTED = (HomeportError,)
MAX_LENGTH = 16 << 10


def fuzz_one(data: bytes) -> None:
    """As a database of either kind, and as one package's header."""
    for database in (data, ndb(data)):
        try:
            for _ in read_rpm_database(database):
                pass
        except EXPECTED:
            continue


def seeds() -> list[bytes]:
    """A package of three files in both kinds of database."""
    one = header(
        name="bash", version="5.2", release="1", epoch=[1], basenames=["bash", "sh", "bash"],
        dirnames=["/usr/bin/", "/etc/"], dirindexes=[0, 0, 1], digests=["a", "b", "c"],
        flags=[0, 0, 1], algorithm=[8],
    )  # fmt: skip
    return [one, ndb(one, header(name="a", version="1", release="2")), _sqlite(one)]


def _sqlite(blob: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "db"
        database = sqlite3.connect(path)
        database.execute("PRAGMA page_size = 512")
        database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
        database.execute("INSERT INTO Packages VALUES (1, ?)", (blob,))
        database.commit()
        database.close()
        return path.read_bytes()
