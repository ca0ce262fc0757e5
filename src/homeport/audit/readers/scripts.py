"""Shell scripts, Makefiles and the like: commands of container tools, and nothing else."""

from __future__ import annotations

from homeport.audit.reading.collector import Collector
from homeport.audit.reading.commands import read_commands
from homeport.audit.reading.context import Context
from homeport.audit.source import Source


def read(source: Source, found: Collector, context: Context) -> None:
    """Report images that commands name, as weak finds, and commands as causes."""
    read_commands(source.whole(), found, "")
