"""How many pulls a registry still allows, where it says so (Docker Hub, and those like it)."""

from __future__ import annotations

from collections.abc import Mapping


def pulls_left(headers: Mapping[str, str]) -> str:
    """``76 of 100 pulls left in 6 hours``, or ``""`` if the answer does not say."""
    left, window = _count(headers.get("ratelimit-remaining", ""))
    allowed, limit_window = _count(headers.get("ratelimit-limit", ""))
    if left is None:
        return ""
    of = f" of {allowed}" if allowed is not None else ""
    return f"{left}{of} pulls left{_in_time(window or limit_window)}"


def pulls_allowed(headers: Mapping[str, str]) -> str:
    """``100 pulls in 6 hours``, or ``""``."""
    allowed, window = _count(headers.get("ratelimit-limit", ""))
    return "" if allowed is None else f"{allowed} pulls{_in_time(window)}"


def _count(value: str) -> tuple[int | None, int]:
    """``100;w=21600``: how many, and in how many seconds (0: it does not say)."""
    count, _, window = value.partition(";w=")
    return _number(count), _number(window) or 0


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


def _in_time(seconds: int) -> str:
    for size, unit in ((3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            many = round(seconds / size)
            return f" in {many} {unit}{'s' if many > 1 else ''}"
    return ""
