"""Odd but valid documents are read as encoding/json reads them, field by field.

``go_reader`` is a few lines over Go's own package, with the types of the OCI specification. What is
generated is null, absent, extra, in another case, or there twice.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from homeport.oci.documents import Descriptor, Manifest
from homeport.oci.go_json import BadJson, Reader

pytestmark = pytest.mark.peer("go")

HERE = Path(__file__).parent / "go_reader"
READER = Reader(Manifest)
DOCUMENTS = 3000


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("go")
    environment = {**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false", "CGO_ENABLED": "0"}
    environment.setdefault("HOME", str(folder))
    built = folder / "reader"
    subprocess.run(["go", "build", "-o", built, "."], cwd=HERE, check=True, env=environment)
    return built


class Maker:
    """Random documents, as JSON text; the same of the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def key(self, key: str) -> str:
        """A spelling that Go takes for the key, or one that it does not."""
        odd = key.replace("s", "ſ").replace("k", "\u212a")
        spellings = (key, key, key, key.lower(), key.upper(), key.capitalize(), odd, f"{key}_")
        return json.dumps(self._random.choice(spellings), ensure_ascii=False)

    def text(self) -> str:
        return self._random.choice(("null", '""', '"a"', '"application/x"'))

    def word(self) -> str:
        return self._random.choice(('""', '"a"'))

    def number(self) -> str:
        return self._random.choice(("null", "0", "7", str(1 << 40)))

    def map(self) -> str:
        pairs = [f'"{self._random.choice("aAb")}":{self.text()}' for _ in range(3)]
        return self._random.choice(("null", "{}", f"{{{','.join(pairs)}}}"))

    def list(self, item: Callable[[], str]) -> str:
        return self._random.choice(("null", "[]", f"[{item()}]", f"[{item()},{item()}]"))

    def object(self, fields: Mapping[str, Callable[[], str]], start: str = "") -> str:
        """Any fields in any order, spelling and number."""
        chosen = self._random.choices(sorted(fields), k=self._random.randint(0, 7))
        pairs = [f"{self.key(key)}:{fields[key]()}" for key in chosen]
        return f"{{{','.join([start, *pairs] if start else pairs)}}}"

    def descriptor(self) -> str:
        # Homeport requires these two, and Go does not empty the elements of a list read twice.
        start = (
            '"mediaType":"","digest":"","size":0,"urls":null,"annotations":null,"artifactType":""'
        )
        return self.object({
            "mediaType": self.text, "digest": self.text, "size": self.number,
            "annotations": self.map, "artifactType": self.text,
            "urls": lambda: self.list(self.word),
        }, start)  # fmt: skip

    def manifest(self) -> str:
        return self.object({
            "schemaVersion": self.number, "mediaType": self.text, "artifactType": self.text,
            "config": self.descriptor, "annotations": self.map, "unknown": self.text,
            "subject": lambda: self._random.choice(("null", self.descriptor())),
            "layers": lambda: self.list(self.descriptor),
        })  # fmt: skip


def ours(text: str) -> Any:
    try:
        found = READER.decode(text.encode())
    except BadJson:
        return None
    return shown(found)


def shown(value: Any) -> Any:
    """The value with every field, as ``json.Marshal`` prints a struct without ``omitempty``."""
    if isinstance(value, (Manifest, Descriptor)):
        pairs = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        return {
            written: shown(getattr(value, name))
            for name, written in pairs
            if not (isinstance(value, Descriptor) and name in ("data", "platform"))
        }
    return [shown(item) for item in value] if isinstance(value, tuple) else value


def theirs(value: Any) -> Any:
    """Go's answer with empty lists and maps for null; what else is null stays."""
    if isinstance(value, list):
        return [theirs(item) for item in value]
    if not isinstance(value, dict):
        return value
    empty: dict[str, Any] = {"layers": [], "urls": [], "annotations": {}}
    return {
        key: empty[key] if item is None and key in empty else theirs(item)
        for key, item in value.items()
    }


def test_documents_are_read_alike(program: Path) -> None:
    seed = int(os.environ.get("HOMEPORT_SEED", "1"))
    maker = Maker(seed)
    documents = [maker.manifest() for _ in range(DOCUMENTS)]
    done = subprocess.run(
        [program], input="\n".join(documents) + "\n", capture_output=True, check=True, text=True
    )
    answers = done.stdout.splitlines()
    assert len(answers) == len(documents)
    for text, answer in zip(documents, answers, strict=True):
        assert ours(text) == theirs(msgspec.json.decode(answer)), f"seed {seed}: {text}"
