"""What reading one foreign thing may cost at most: the one budget of every reader.

Layers, archives, folders of an engine and YAML files come from strangers, and a few bytes of
them can describe exabytes, millions of entries or loops. Each reader makes one ``Budget`` for
the thing that it reads and spends from it as it goes::

    budget = Budget(f"layer {number}")   # names the thing in the error
    budget.depth(level)                  # before it goes one level deeper
    budget.entry(path)                   # for each entry: counts it, its path and its depth
    budget.data(size)                    # for each content, holes of sparse files included
    budget.steps(n)                      # for work that does not follow from the above
    budget.memory(n)                     # for metadata that stays in memory

Every method returns nothing or raises ``LimitExceeded``, which names the thing, the limit and
the option that raises it. Call it before the work, not after it. A reader that
has a million cheap entries may count them in bulk (``entries``). One step is about a
microsecond of work in Python: spend 5 for a node of a document, the number of components for
a path that is walked. A budget belongs to one reader on one thread; parts that are read on
several threads have one each. Where a smaller limit follows from the thing itself
(``most``), the limit of the user still counts.

Limits are those of the process's environment (``HOMEPORT_LIMIT_ENTRIES`` and so on, which
``--limit`` sets for one command, docs/limits.md) unless the caller passes others. Not for the
size of single documents, which their readers bound (``read_bounded``), and not for time.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from homeport.errors import TooLarge, UsageError
from homeport.quantities import human_size, parse_size

VARIABLE = "HOMEPORT_LIMIT_"


class LimitExceeded(TooLarge):
    """Reading a thing would cost more than its budget allows."""

    id = "limit-exceeded"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """At most this much for one thing.

    entries:    files, directories, links of an archive or folder
    bytes:      of contents, unpacked, holes of sparse files included
    ratio:      times its packed size that a thing may unpack to, once it is larger than 1 GiB
    path_bytes: of all paths together, those of implied directories included
    memory:     bytes of metadata kept in memory, as estimated by the reader
    steps:      work that does not follow from the other limits, about a microsecond each
    depth:      directories or values inside each other
    """

    entries: int = 2_000_000
    bytes: int = 256 << 30
    ratio: int = 1_100  # deflate's own bound is 1032; bombs of zstd go far beyond
    path_bytes: int = 256 << 20
    memory: int = 1 << 30
    steps: int = 10_000_000
    depth: int = 128

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Limits:
        """The limits that ``HOMEPORT_LIMIT_...`` set, else the defaults. Raises ``UsageError``."""
        found: dict[str, int] = {}
        for name in cls.__struct_fields__:
            variable = VARIABLE + name.upper()
            if text := environment.get(variable, ""):
                found[name] = _number(variable, text)
        return cls(**found)

    @classmethod
    def of_small(cls, most: int) -> Limits:
        """For a thing that needs no more than ``most`` bytes, unless the user sets the limit."""
        limits = cls.of(os.environ)
        if os.environ.get(f"{VARIABLE}BYTES"):
            return limits
        return msgspec.structs.replace(limits, bytes=most)

    def unpacked(self, packed: int) -> int:
        """Bytes that a thing of ``packed`` bytes may unpack to."""
        return min(self.bytes, max(_RATIO_MATTERS, packed * self.ratio))


_RATIO_MATTERS = 1 << 30  # below this a thing may unpack to any multiple of its size
_NOUNS = {
    "entries": "entries", "bytes": "of content", "ratio": "of content",
    "path_bytes": "of paths", "memory": "of metadata", "steps": "steps of work",
    "depth": "levels of nesting",
}  # fmt: skip
_SIZES = ("bytes", "ratio", "path_bytes", "memory")


class Budget:
    """What is left for reading ``what``."""

    __slots__ = ("_data_limit", "_data_name", "_spent", "limits", "what")

    def __init__(
        self, what: str, limits: Limits | None = None, *, packed: int | None = None
    ) -> None:
        """
        limits: other than those of the environment
        packed: size of the thing before it is unpacked, for the limit ``ratio``
        """
        self.what = what
        self.limits = limits or Limits.of(os.environ)
        self._spent = {"entries": 0, "bytes": 0, "path_bytes": 0, "memory": 0, "steps": 0}
        allowed = self.limits.bytes if packed is None else self.limits.unpacked(packed)
        self._data_limit = allowed
        self._data_name = "bytes" if allowed == self.limits.bytes else "ratio"

    def entry(self, path: bytes) -> None:
        """One more entry, at ``path``."""
        self.entries(1, len(path))
        self.depth(path.count(b"/") + 1)

    def entries(self, number: int, path_bytes: int) -> None:
        """``number`` more entries whose paths have ``path_bytes`` bytes together."""
        self._spend("entries", number, self.limits.entries)
        self._spend("path_bytes", path_bytes, self.limits.path_bytes)

    def data(self, size: int) -> None:
        """``size`` more bytes of content, holes included."""
        self._spent["bytes"] += size
        if self._spent["bytes"] > self._data_limit:
            raise self.exceeded(self._data_name, self._data_limit)

    def memory(self, size: int) -> None:
        """``size`` more bytes of metadata that stay in memory."""
        self._spend("memory", size, self.limits.memory)

    def steps(self, number: int = 1) -> None:
        """``number`` more steps of work."""
        self._spend("steps", number, self.limits.steps)

    def depth(self, level: int, *, most: int | None = None) -> None:
        """Something lies ``level`` levels deep; ``most`` is what the reader itself can do."""
        if level > self.limits.depth:
            raise self.exceeded("depth", self.limits.depth)
        if most is not None and level > most:
            raise LimitExceeded(f"{self.what}: more than {most} levels of nesting")

    def spent(self, limit: str) -> int:
        """How much of a limit was spent so far."""
        return self._spent[limit]

    def exceeded(self, limit: str, allowed: int) -> LimitExceeded:
        """The error for a limit of this name."""
        amount = human_size(allowed) if limit in _SIZES else f"{allowed:,}"
        setting = getattr(self.limits, limit) * 10
        return LimitExceeded(
            f"{self.what}: more than {amount} {_NOUNS[limit]}",
            where={"limit": limit},
            hint=f"if you trust it, raise the limit: --limit {limit}={setting}",
        )

    def _spend(self, limit: str, number: int, allowed: int) -> None:
        spent = self._spent[limit] = self._spent[limit] + number
        if spent > allowed:
            raise self.exceeded(limit, allowed)


@contextlib.contextmanager
def limits_set(settings: Iterable[str]) -> Iterator[None]:
    """Set limits, each ``NAME=NUMBER``, for all readers of this process and its children.

    Raises ``UsageError``.
    """
    changed: dict[str, str] = {}
    for setting in settings:
        name, _, number = setting.partition("=")
        if name not in Limits.__struct_fields__:
            raise UsageError(
                f"unknown limit {name!r}", hint=f"known: {', '.join(Limits.__struct_fields__)}"
            )
        try:
            _number(f"--limit {name}", number)
        except UsageError as error:
            error.hint = f"--limit {name}=NUMBER, of at least 1; sizes also like 5GiB"
            raise
        changed[VARIABLE + name.upper()] = number
    Limits.of({**os.environ, **changed})
    before = {variable: os.environ.get(variable) for variable in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for variable, value in before.items():
            if value is None:
                del os.environ[variable]
            else:
                os.environ[variable] = value


def _number(variable: str, text: str) -> int:
    try:
        number = parse_size(text.replace("_", ""))
    except UsageError:
        number = 0
    if number < 1:
        raise UsageError(
            f"invalid limit {text!r} in {variable}",
            hint="write a number of at least 1; sizes also like 5GiB",
        )
    return number
