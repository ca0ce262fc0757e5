"""What an examination finds: one line for each thing, and what to do about it."""

from __future__ import annotations

from typing import Literal

import msgspec

#: ``note``: something is missing that only some commands need; ``skipped``: not looked at.
State = Literal["ok", "note", "warning", "failed", "skipped"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing looked at. ``advice``: what to do; empty where nothing is to be done."""

    area: Literal["cache", "clock", "engine", "login", "mirror", "network", "settings"]
    name: str
    state: State
    text: str
    advice: str = ""
