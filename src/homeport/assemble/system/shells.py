"""/etc/shells: what ``update-shells`` of debianutils makes of the shells that packages ship.

The template first, then each shell of /usr/share/debianutils/shells.d under the name that
the package gives and the one that it has when links of the root are followed. Read at
debianutils 5.23.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from homeport.assemble.system.paths import ImagePaths
from homeport.debian.scripts.effects import Effect, MakeFile

_PROGRAM = "/usr/sbin/update-shells"
_TEMPLATE = "/usr/share/debianutils/shells"
_FOLDER = "/usr/share/debianutils/shells.d"


def shells_effects(paths: ImagePaths) -> Iterator[Effect]:
    template = paths.text_of(_TEMPLATE)
    if template is None or paths.type_of(_PROGRAM) is None:
        return
    lines = template.splitlines()
    known = {line for line in lines if not line.startswith("#")}
    for text in (template, *(paths.text_of(f"{_FOLDER}/{n}") for n in paths.names_in(_FOLDER))):
        for line in (text or "").splitlines():
            shell = line.partition("#")[0].strip()
            for name in (shell, _real(paths, shell)) if shell else ():
                if name not in known:
                    known.add(name)
                    lines.append(name)
    yield MakeFile(
        package="debianutils", path="/etc/shells", text="".join(f"{line}\n" for line in lines)
    )


def _real(paths: ImagePaths, shell: str) -> str:
    """The shell in the real folder, its own name kept although it may be a link."""
    folder = paths.place(posixpath.dirname(shell) + "/.").decode("utf-8", "surrogateescape")
    return f"/{folder}/{posixpath.basename(shell)}"
