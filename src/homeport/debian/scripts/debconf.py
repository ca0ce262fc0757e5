"""Answers of debconf: the defaults of a package's templates, as ``noninteractive`` takes them.

Format: debconf-devel(7). The ``config`` script runs before the others and may set answers.
"""

from __future__ import annotations

_MOST_LINES = 100_000


def default_answers(templates: str) -> dict[str, str | None]:
    """Question → its default; without one, the empty text."""
    answers: dict[str, str | None] = {}
    name = ""
    for line in templates.splitlines()[:_MOST_LINES]:
        field, colon, value = line.partition(":")
        if not colon or line.startswith((" ", "\t")):
            continue
        if field == "Template":
            name = value.strip()
            answers[name] = ""
        elif field == "Default" and name:
            answers[name] = value.strip()
    return answers
