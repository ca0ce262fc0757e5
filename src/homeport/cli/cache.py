"""``homeport cache``: what the cache holds, how large it may be, and whether it is sound."""

from __future__ import annotations

import click
import msgspec

from homeport.cli.options import Session, common
from homeport.cli.subcommand import CommandGroup
from homeport.errors import AnswerNo
from homeport.quantities import counted, human_size, parse_size


@click.group(cls=CommandGroup, name="cache")
def command() -> None:
    """Show, prune and verify the cache.

    Homeport can download or build everything in it again; removing it is always safe.
    """


@command.command(epilog="Example:  homeport cache info")
@common
def info(session: Session) -> None:
    """Show where the cache is and what it holds."""
    with session.app() as app:
        found = app.cache_info()
    usage = found.usage
    session.output.write(
        {
            "schema": "homeport-cache/v1",
            "directory": str(found.directory),
            "bound_bytes": found.bound,
            "total_bytes": usage.total_bytes,
            **msgspec.to_builtins(usage),
        },
        f"directory  {found.directory}\n"
        f"content    {counted(usage.blobs, 'file')}, {human_size(usage.blob_bytes)}\n"
        f"results    {counted(usage.answers, 'file')}, {human_size(usage.answer_bytes)}\n"
        f"unfinished {human_size(usage.partial_bytes)}\n"
        f"bound      {human_size(found.bound)}",
    )


@command.command(
    epilog="""\b
Examples:
  homeport cache prune
  homeport cache prune --bound 2GiB
"""
)
@click.option(
    "--bound", metavar="SIZE",
    help="Keep at most this size, such as 2GiB.  [default: the configured bound, 5GiB]",
)  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Remove everything not in use.")
@common
def prune(session: Session, bound: str | None, everything: bool) -> None:
    """Remove least recently used files until the cache fits its bound.

    Files that a running build may be using are kept.
    """
    limit = 0 if everything else parse_size(bound) if bound else None
    with session.app() as app:
        pruned = app.cache_prune(limit)
    session.output.write(
        {"schema": "homeport-cache-prune/v1", **msgspec.to_builtins(pruned)},
        f"removed {counted(pruned.removed, 'file')}, {human_size(pruned.removed_bytes)}; "
        f"{human_size(pruned.kept_bytes)} left",
    )


@command.command(epilog="Example:  homeport cache verify")
@common
def verify(session: Session) -> None:
    """Verify every file of the cache and remove damaged files.

    Exit code 3 if a file was damaged.
    """
    with session.app() as app:
        found = app.cache_verify()
    names = list(map(str, found.damaged))
    lines = [f"removed {name}" for name in names]
    if found.unverified_answers:
        results = counted(found.unverified_answers, "result")
        lines.append(f"removed {results} that this user's key does not verify")
    session.output.write(
        {
            "schema": "homeport-cache-verify/v1",
            "checked": found.checked,
            "damaged": names,
            "unverified_results": found.unverified_answers,
        },
        "\n".join([*lines, f"verified {counted(found.checked, 'file')}"]),
    )
    damaged = len(names) + found.unverified_answers
    if damaged:
        raise AnswerNo(
            "removed 1 damaged file; it will be rebuilt when needed"
            if damaged == 1
            else f"removed {damaged} damaged files; they will be rebuilt when needed"
        )
