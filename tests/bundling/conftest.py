"""The two sides of a gap: a registry with a published image, and an empty one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builders.published import published
from builders.small_registry import SmallRegistry, small_registry


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallRegistry]:
    with published(tmp_path, monkeypatch, sources=["1.0-1"]) as registry:
        yield registry


@pytest.fixture
def inside() -> Iterator[SmallRegistry]:
    with small_registry(page=1000) as registry:
        yield registry
