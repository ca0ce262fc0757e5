"""Text of strangers on its way to a terminal, a log or JSON; and globs over hostile paths."""

from __future__ import annotations

import json

from homeport.inspection.image.path_globs import Glob
from homeport.printable import json_text, output_text, path_text, printable

EXPECTED = ()
MAX_LENGTH = 4096


def fuzz_one(data: bytes) -> None:
    """As text in three encodings, as a path, and as a pattern and a path."""
    for text in (
        data.decode("utf-8", "surrogateescape"), data.decode("latin-1"), path_text(data)
    ):  # fmt: skip
        assert printable(text).isprintable()
        shown = output_text(text)
        assert all(line.replace("\t", "").isprintable() for line in shown.split("\n"))
        assert not any(line.strip(" \t").startswith("::") for line in shown.split("\n"))
        assert "##[" not in shown
        assert "##vso[" not in shown.lower()
        assert shown.count("\n") == text.count("\n")
        encoded = json.dumps(text, ensure_ascii=False)
        for encoding in ("utf-8", "latin-1"):
            assert json.loads(json_text(encoded, encoding)) == text
    pattern, _, path = data.partition(b"\0")
    found = Glob(pattern).matches(path)
    assert not found or Glob(b"**").matches(path)


def seeds() -> list[bytes]:
    """Escape sequences, commands of CI systems, direction marks, patterns."""
    return [
        "::error::x\n ##[group]\x1b[2J\u202e\x9b\u2028".encode(),
        b"##VSO[task]\xff\xfe\t\r\n",
        b"**/*a*[!b-d]?\0usr/lib/aaa/x.so",
        b"[a-\0a]",
    ]
