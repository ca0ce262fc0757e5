"""The sources and the destination of a whole COPY or ADD.

Finds what each source means (wildcards, directories, archives, contents without a path) and
has ``homeport.copying.engine`` or ``homeport.copying.tree_copy`` copy it. Modules for
wildcards and directories are imported when a source needs them: a plain copy inside the
image loads neither.
"""

from homeport.copying.engine import Copier, Destination
from homeport.copying.errors import CopyError, os_error_text, shown
from homeport.copying.metadata import NO_METADATA
from homeport.copying.resolve import ResolvedPath, clean, resolve

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from homeport.copying.filesystem import Content, Filesystem
    from homeport.copying.metadata import Metadata


class CopySource:
    """A path in a filesystem, which may contain wildcards, or a content with a name.

    literal: wildcards in the path stand for themselves
    """

    __slots__ = ("content", "filesystem", "literal", "metadata", "path")

    def __init__(
        self,
        filesystem: "Filesystem | None",
        path: bytes,
        literal: bool = False,
        content: "Content | None" = None,
        metadata: "Metadata" = NO_METADATA,
    ) -> None:
        self.filesystem = filesystem
        self.path = path
        self.literal = literal
        self.content = content
        self.metadata = metadata


def copy_sources(copier: Copier, sources: "list[CopySource]", destination: bytes) -> None:
    """Copy each source in order. The destination is relative to the target's root."""
    rules = copier.options.rules
    to = Destination(destination)
    made = False
    if rules.directory_makes_directory and (len(sources) > 1 or any(map(_is_directory, sources))):
        to.is_directory = made = True
        copier.make_directory(to).close()
    for source in sources:
        copier.forget_links()
        if source.content is not None:
            copier.copy_content(source.path, source.content, source.metadata, to)
        elif source.filesystem is not None:
            _copy_path(copier, source.filesystem, source, to, made)


def copy_one(
    copier: Copier,
    filesystem: "Filesystem",
    names: "list[bytes]",
    destination: Destination,
    matched: "list[bytes] | None" = None,
    made: bool = False,
    slash: bool = False,
) -> None:
    """Copy one path of ``filesystem``, links in it followed, as the destination rules say.

    matched: the part of the path that a wildcard matched
    made:    the destination directory was made for it (old rules)
    slash:   it must be a directory
    """
    source = resolve(filesystem, names)
    try:
        if _is_excluded(copier, source, names, matched):
            return
        if slash and source.info is not None:
            raise CopyError("not a directory", {"source": shown(b"/".join(names))})
        if not source.rest:
            from homeport.copying.tree_copy import TreeCopy

            TreeCopy(copier).copy(source, names, destination, matched is not None, made)
        elif source.info is None:
            raise CopyError("no such file or directory", {"source": shown(b"/".join(names))})
        else:
            _copy_non_directory(copier, source, names, destination)
    except OSError as error:
        raise CopyError(os_error_text(error), {"source": shown(b"/".join(names))}) from error
    except CopyError as error:
        raise error.at(source=shown(b"/".join(names))) from error.__cause__
    finally:
        source.close()


def _is_excluded(
    copier: Copier, source: ResolvedPath, names: "list[bytes]", matched: "list[bytes] | None"
) -> bool:
    """Whether a source itself is: a file by its name, a match by what was matched."""
    path_filter = copier.options.path_filter
    if path_filter is None or (matched is None and not source.rest):
        return False
    return path_filter.excludes_source(b"/".join(matched or names[-1:]))


def _copy_non_directory(
    copier: Copier, source: ResolvedPath, names: "list[bytes]", destination: Destination
) -> None:
    unpacker = copier.options.unpacker
    if unpacker is not None and unpacker.unpack_if_archive(copier, source, destination):
        return
    name = names[-1] if names else source.rest[-1]
    target, name = copier.resolve_file_target(destination, name)
    try:
        copier.copy_node(source.directory, source.rest[0], "", target.directory, name, target.names)
    finally:
        target.close()


def _copy_path(
    copier: Copier, filesystem: "Filesystem", source: CopySource, to: Destination, made: bool
) -> None:
    path = source.path
    names = clean(path)
    if not source.literal and any(sign in path for sign in (b"*", b"?", b"[", b"\\")):
        from homeport.copying.patterns import split, unescaped

        if split(names)[1]:
            if not _exists_for_old_rules(copier, source):
                _copy_matches(copier, filesystem, names, to, made)
                return
        elif b"\\" in path and not _exists(filesystem, names):
            # Go's tools find nothing then; a quoted star that means itself is kinder.
            names = [unescaped(name) for name in names]
    slash = copier.options.rules.directory_makes_directory and path.endswith(b"/")
    copy_one(copier, filesystem, names, to, None, made, slash)


def _exists(filesystem: "Filesystem", names: "list[bytes]") -> bool:
    resolved = resolve(filesystem, names)
    resolved.close()
    return not resolved.rest or resolved.info is not None


def _exists_for_old_rules(copier: Copier, source: CopySource) -> bool:
    """The old tool takes a directory by its name before it looks for wildcards in that."""
    return copier.options.rules.directory_makes_directory and _is_directory(source)


def _copy_matches(
    copier: Copier, filesystem: "Filesystem", names: "list[bytes]", to: Destination, made: bool
) -> None:
    from homeport.copying.patterns import split
    from homeport.copying.wildcards import expand

    rules = copier.options.rules
    found = expand(filesystem, names, rules.bad_pattern_is_error)
    if not found and rules.no_match_is_error:
        raise CopyError("no matches found", {"source": shown(b"/".join(names))})
    literal = len(split(names)[0])
    for match in found:
        copier.forget_links(next_match=True)
        copy_one(copier, filesystem, match, to, match[literal:], made)


def _is_directory(source: CopySource) -> bool:
    """Whether the path as it stands is a directory; a link to one is not."""
    if source.filesystem is None:
        return False
    try:
        resolved = resolve(source.filesystem, clean(source.path), follow_last=False)
    except CopyError:
        return False
    resolved.close()
    return not resolved.rest
