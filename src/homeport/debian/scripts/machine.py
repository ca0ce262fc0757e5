"""What a maintainer script has done so far, and what it may ask: never the machine we run on."""

from __future__ import annotations

import posixpath
from collections.abc import Callable

import msgspec

from homeport.budget import Budget
from homeport.debian.scripts.effects import (
    AddGroup,
    AddMember,
    AddUser,
    CopyTree,
    Divert,
    Effect,
    EndDiversion,
    MakeDirectory,
    MakeFile,
    MakeLink,
)

#: Status of a command (``None``: not known), and whether it is understood.
Answer = tuple[bool | None, bool]
DONE: Answer = (True, True)
UNSURE: Answer = (None, True)
FOREIGN: Answer = (None, False)


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """The image's files, as a script may ask about them.

    type_of: ``file``, ``directory``, ``symlink`` or ``None``
    target_of: what a link holds
    text_of: the text of a file, links followed
    names_in: names of files and links in a folder, in byte order
    """

    type_of: Callable[[str], str | None]
    target_of: Callable[[str], str | None]
    text_of: Callable[[str], str | None]
    names_in: Callable[[str], list[str]]


class Machine:
    """What a script has done so far, and what it may ask."""

    def __init__(
        self,
        *,
        package: str,
        architecture: str,
        files: Files,
        account: Callable[[str, str], bool],
        answers: dict[str, str | None],
        budget: Budget,
        declared: frozenset[str] = frozenset(),
    ) -> None:
        self.budget = budget
        #: Accounts of the package's own sysusers.d, which are not there before it is read.
        self.declared = declared
        self.package = package
        self.architecture = architecture
        self.answers = answers
        self.files = files
        self.umask = 0o022
        self.folder = "/"
        self.temporary = 0
        self.effects: list[Effect] = []
        self._account = account

    def _search(self) -> None:
        """Pay for a look through what the script has done."""
        self.budget.steps(1 + len(self.effects) // 4)

    def names_in(self, folder: str) -> list[str]:
        """Names of the image's files and links in a folder."""
        self.budget.steps(10_000)  # it goes through all paths of the image
        return self.files.names_in(folder)

    def path(self, text: str) -> str:
        """The absolute path that ``text`` means in the script's working directory."""
        return posixpath.normpath(posixpath.join(self.folder, text))

    def type_of(self, path: str) -> str | None:
        """``file``, ``directory``, ``symlink`` or ``None``, with what the script made."""
        path = self.path(path)
        self._search()
        for effect in self.effects:
            if isinstance(effect, MakeDirectory | CopyTree) and effect.path == path:
                return "directory"
            if isinstance(effect, MakeFile) and effect.path == path:
                return "file"
            if isinstance(effect, MakeLink) and effect.path == path:
                return "symlink"
        return self.files.type_of(path)

    def target_of(self, path: str) -> str | None:
        """What a link of the image or of the script's own making holds."""
        path = self.path(path)
        self._search()
        made = [e.target for e in self.effects if isinstance(e, MakeLink) and e.path == path]
        return made[-1] if made else self.files.target_of(path)

    def test_file(self, operator: str, path: str) -> bool | None:
        if not path:
            return False
        path = self.path(path)
        if path.startswith(("/proc/", "/dev/", "/sys/", "/run/", "/tmp/")):  # noqa: S108
            return False
        found = self.type_of(path)
        if operator in ("-L", "-h"):
            return found == "symlink"
        if operator == "-d":
            return found == "directory"
        if operator == "-f":
            return found == "file"
        return found is not None

    def has_account(self, kind: str, name: str) -> bool:
        self._search()
        made = (AddUser,) if kind == "passwd" else (AddUser, AddGroup)
        if any(isinstance(e, made) and getattr(e, "name", "") == name for e in self.effects):
            return True
        return name not in self.declared and self._account(kind, name)

    def program(self, name: str) -> str | None:
        """Where the image has a program."""
        if name.startswith("/"):
            return name if self.type_of(name) else None
        places = ("/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/")
        return next((place + name for place in places if self.type_of(place + name)), None)

    def write(self, path: str, text: str) -> None:
        if self.rewrite(path, text):
            return
        self.effects.append(
            MakeFile(
                package=self.package, path=self.path(path), text=text,
                mode=self.new_mode(0o666),
            )
        )  # fmt: skip

    def new_mode(self, mode: int) -> int | None:
        """Mode of something new; ``None``: the usual one."""
        return None if self.umask == 0o022 else mode & ~self.umask

    def made(self, path: str) -> MakeFile | None:
        """The file that the script has made at ``path``."""
        path = self.path(path)
        self._search()
        found = (e for e in self.effects if isinstance(e, MakeFile) and e.path == path)
        return next(found, None)

    def text_of(self, path: str) -> str | None:
        """The text of a file of the image or of the script's own making."""
        made = self.made(path)
        if made is not None and not made.source:
            return made.text
        return self.files.text_of(made.source if made is not None else self.path(path))

    def rewrite(self, path: str, text: str) -> bool:
        """Give a file that the script has made another text; whether it has made it."""
        made = self.made(path)
        if made is None:
            return False
        at = self.effects.index(made)
        self.effects[at] = msgspec.structs.replace(made, text=text, source="")
        return True

    def remove(self, path: str) -> None:
        """Take back what the script has made at ``path``."""
        path = self.path(path)
        self.effects[:] = [
            each for each in self.effects
            if not (isinstance(each, MakeFile | MakeLink) and each.path == path)
        ]  # fmt: skip

    def diversion(self, path: str) -> Divert | None:
        """The diversion of ``path`` that the script has made and not removed."""
        self._search()
        found = None
        for effect in self.effects:
            if isinstance(effect, Divert | EndDiversion) and effect.path == path:
                found = effect if isinstance(effect, Divert) else None
        return found

    def groups_of(self, user: str) -> str | None:
        """Names of the groups of an account that the script has made."""
        self._search()
        made = [e for e in self.effects if isinstance(e, AddUser) and e.name == user]
        if not made:
            return None
        more = [e.group for e in self.effects if isinstance(e, AddMember) and e.user == user]
        return " ".join([made[0].group or user, *more]) + "\n"
