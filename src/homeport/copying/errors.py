"""The one error of the COPY engine: what happened, and where, as data.

Not a ``HomeportError``: the engine imports nothing of ours, so that it starts quickly
inside the helper image. Its callers outside map it at the edge.
"""


class CopyError(Exception):
    """Something of the outside world stopped a copy; never a programming mistake.

    what:  one phrase without a full stop
    where: place as data: ``path``, ``source``, ``member``, ``position``, ``file``, ``line``…
    hint:  what to do next, or empty
    """

    def __init__(
        self, what: str, where: "dict[str, str | int] | None" = None, hint: str = ""
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where: dict[str, str | int] = dict(where or {})
        self.hint = hint

    def at(self, **place: "str | int") -> "CopyError":
        """Add what is not known yet; the innermost place wins."""
        for key, value in place.items():
            self.where.setdefault(key, value)
        return self

    def __str__(self) -> str:
        place = ", ".join(f"{key} {value}" for key, value in self.where.items())
        return f"{self.what} ({place})" if place else self.what


def shown(name: bytes, limit: int = 300) -> str:
    """A name from outside for one line of a message: printable, and of bounded length."""
    cut = name if len(name) <= limit else name[: limit // 2] + b"..." + name[-limit // 2 :]
    text = cut.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def os_error_text(error: OSError) -> str:
    """The kernel's words for an error, in lower case, without the number."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]
