"""``--chown``: names and numbers, looked up in the passwd and group of the target.

Unlike the tools it replaces, an unknown name or a broken line is an error that says which
file was read, never silently root.
"""

from homeport.copying.errors import CopyError, os_error_text, shown
from homeport.copying.resolve import components, resolve

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from homeport.copying.filesystem import Filesystem

PASSWD = b"etc/passwd"
GROUP = b"etc/group"
MAX_FILE = 10 << 20


def number(text: bytes) -> "int | None":
    """The id if the text is one (``root`` is 0); ``None`` for a name."""
    if text == b"root":
        return 0
    if not text.isdigit() or len(text) > 20:
        return None
    value = int(text)
    if value > 0xFFFFFFFE:
        raise CopyError(f"id {shown(text)} is out of range", {"option": "--chown"})
    return value


def owner(
    spec: bytes, filesystem: "Filesystem | None", more_fields: bool = False, why_none: str = ""
) -> "tuple[int, int]":
    """The uid and gid that ``USER[:GROUP]`` means for files of ``filesystem``.

    USER alone: its primary group if it is a name, the same number if it is one. ``USER:``
    has the primary group of that user, ``:GROUP`` the user 0.

    more_fields: what follows a second colon is ignored, as the old helper does
    """
    user, colon, group = spec.partition(b":")
    if more_fields:
        group = group.partition(b":")[0]
    uid = number(user) if user else 0
    if not colon:
        if uid is not None:
            return uid, uid
        return _user(user, _lines(filesystem, PASSWD, why_none))
    if group:
        gid = number(group)
        if gid is None:
            gid = _group(group, _lines(filesystem, GROUP, why_none))
        if uid is None:
            uid, _ = _user(user, _lines(filesystem, PASSWD, why_none))
        return uid, gid
    if uid is None:
        return _user(user, _lines(filesystem, PASSWD, why_none))
    return uid, _primary_group(uid, filesystem) if user else 0


def _user(name: bytes, lines: "list[bytes]") -> "tuple[int, int]":
    for index, line in enumerate(lines):
        fields = line.strip().split(b":")
        if fields[0] == name:
            if len(fields) < 4:
                raise _broken(PASSWD, index)
            return _id(fields[2], PASSWD, index), _id(fields[3], PASSWD, index)
    raise CopyError(
        f"unknown user {shown(name)}", {"file": "/etc/passwd"}, "use a number, or add the user"
    )


def _group(name: bytes, lines: "list[bytes]") -> int:
    for index, line in enumerate(lines):
        text = line.strip()
        if text.startswith(b"#"):
            continue
        fields = text.split(b":")
        if fields[0] == name:
            if len(fields) < 3:
                raise _broken(GROUP, index)
            return _id(fields[2], GROUP, index)
    raise CopyError(
        f"unknown group {shown(name)}", {"file": "/etc/group"}, "use a number, or add the group"
    )


def _primary_group(uid: int, filesystem: "Filesystem | None") -> int:
    """Of the user with that number; 0 if there is none, or no passwd at all."""
    try:
        lines = _lines(filesystem, PASSWD, "")
    except CopyError:
        return 0
    for index, line in enumerate(lines):
        fields = line.strip().split(b":")
        if len(fields) >= 4 and fields[2] == b"%d" % uid:
            return _id(fields[3], PASSWD, index)
    return 0


def _id(text: bytes, file: bytes, index: int) -> int:
    if not text.isdigit() or len(text) > 10 or int(text) > 0xFFFFFFFE:
        raise _broken(file, index)
    return int(text)


def _broken(file: bytes, index: int) -> CopyError:
    return CopyError("malformed line", {"file": "/" + file.decode(), "line": index + 1})


def _lines(filesystem: "Filesystem | None", path: bytes, why_none: str) -> "list[bytes]":
    """The lines of a small regular file, links resolved inside the root."""
    where: dict[str, str | int] = {"file": "/" + path.decode()}
    if filesystem is None:
        raise CopyError(why_none or "no accounts to look up a name in", where)
    resolved = resolve(filesystem, components(path))
    try:
        if not resolved.rest or resolved.info is None:
            raise CopyError("missing file, needed to look up a name", where, "use numeric ids")
        file = resolved.directory.open_file(resolved.rest[0])
        try:
            data = b""
            while piece := file.read(MAX_FILE + 1 - len(data)):
                data += piece
        finally:
            file.close()
    except OSError as error:
        raise CopyError(os_error_text(error), where) from error
    finally:
        resolved.close()
    if len(data) > MAX_FILE:
        raise CopyError(f"larger than {MAX_FILE} bytes", where)
    return data.split(b"\n")
