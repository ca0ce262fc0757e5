"""The project file's defaults of a command's options, in the form that click takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from homeport.errors import Faults
from homeport.project import BadProject, Project, read_project

_KEY = "homeport.project"
_IGNORED = "homeport.project.ignored"


def use_project(context: click.Context, name: str, command: click.Command, named: str) -> None:
    """Read the project file and give ``command`` its defaults; options and variables win."""
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        return
    try:
        project = read_project(named, here)
    except (BadProject, Faults) as error:
        # An audit looks into a tree that may be a stranger's: without the file it reports more.
        if named or name != "audit":
            raise
        fault = error.faults[0] if isinstance(error, Faults) else error
        context.meta[_IGNORED] = f"{fault.where['file']} is ignored: {fault.what}"
        return
    if project is None:
        return
    context.meta[_KEY] = project
    defaults = _by_parameter(command, project.defaults.get(name, {}))
    if defaults:
        context.default_map = {name: defaults}


def project_of(context: click.Context) -> Project | None:
    """The project file that counts for this run."""
    found = context.find_root().meta.get(_KEY)
    return found if isinstance(found, Project) else None


def ignored_project(context: click.Context) -> str:
    """Which project file is not used although it was found, and why; empty if none."""
    found = context.find_root().meta.get(_IGNORED, "")
    return found if isinstance(found, str) else ""


def counting(context: click.Context, project: Project) -> list[str]:
    """The settings of the project file that count: neither option nor variable replaces them."""
    command = context.command.name or ""
    by_name = {parameter.name: _long(parameter) for parameter in context.command.params}
    return [
        f"{command}.{by_name[name]}"
        for name in context.default_map or {}
        if context.get_parameter_source(name) is click.core.ParameterSource.DEFAULT_MAP
    ]


def _by_parameter(command: click.Command, options: Any) -> dict[str, Any]:
    found = {}
    for parameter in command.params:
        value = options.get(_long(parameter))
        if value is not None and parameter.name:
            several = getattr(parameter, "multiple", False) and not isinstance(value, list)
            found[parameter.name] = [value] if several else value
    return found


def _long(parameter: click.Parameter) -> str:
    """The name after ``--``; empty for arguments."""
    if not isinstance(parameter, click.Option):
        return ""
    return next((name[2:] for name in parameter.opts if name.startswith("--")), "")
