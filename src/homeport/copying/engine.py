"""The COPY engine: files, links and special files into a destination, by a rule set.

Knows filesystems only by their handles (``homeport.copying.filesystem``) and follows links
only inside their roots (``homeport.copying.resolve``). Not for directories
(``homeport.copying.tree_copy``) nor archives (``homeport.copying.unpack``), which call this.
"""

import errno

from homeport.copying.errors import CopyError, os_error_text, shown
from homeport.copying.metadata import Bytes, Metadata
from homeport.copying.resolve import ResolvedPath, clean, make_directories, reopen, resolve
from homeport.copying.rules import CURRENT

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from typing import Protocol

    from homeport.copying.filesystem import Content, Directory, File, Filesystem
    from homeport.copying.metadata import Info
    from homeport.copying.path_filter import PathFilter
    from homeport.copying.rules import Rules

    class Named(Protocol):
        """A directory of a walk (``homeport.copying.tree_copy.Frame``)."""

        name: bytes

    class Unpacker(Protocol):
        """``homeport.copying.unpack.Archives``, which is loaded only if it may be needed."""

        def unpack_if_archive(
            self, copier: "Copier", source: ResolvedPath, destination: "Destination"
        ) -> bool:
            """Unpack the file if it is an archive; else ``False``, and nothing was done."""


class Options:
    """How to copy.

    rules:      the rule set
    owner:      uid and gid for all that is made; ``None`` keeps the source's
    mode:       from a mode and whether it is a directory's to the new mode (``modes.parse``)
    parent_mode: of directories that are made on the way to the destination
    time:       one mtime in nanoseconds for all that is made; ``None`` keeps the source's
    path_filter:  which paths below a source are copied (``--exclude``, ``--parents``)
    replace:    a node replaces whatever has its name (``--link``)
    unpacker:   recognises and unpacks archives (``--unpack``); ``None`` copies them
    max_size:   bytes of content that may be written in all
    report:     called with each path that was made, relative to the target's root, and its kind
    """

    __slots__ = (
        "max_size",
        "mode",
        "owner",
        "parent_mode",
        "path_filter",
        "replace",
        "report",
        "rules",
        "time",
        "unpacker",
    )

    def __init__(
        self,
        rules: "Rules" = CURRENT,
        owner: "tuple[int, int] | None" = None,
        mode: "Callable[[int, bool], int] | None" = None,
        parent_mode: int = 0o755,
        time: "int | None" = None,
        path_filter: "PathFilter | None" = None,
        replace: bool = False,
        unpacker: "Unpacker | None" = None,
        max_size: "int | None" = None,
        report: "Callable[[bytes, str], None] | None" = None,
    ) -> None:
        self.rules = rules
        self.owner = owner
        self.mode = mode
        self.parent_mode = parent_mode
        self.time = time
        self.path_filter = path_filter
        self.replace = replace
        self.unpacker = unpacker
        self.max_size = max_size
        self.report = report


class Destination:
    """A destination as it was written: its names, and whether it was written as a directory."""

    __slots__ = ("is_directory", "names")

    def __init__(self, path: bytes) -> None:
        self.names = clean(path)
        self.is_directory = path.endswith((b"/", b"/.")) or path in (b"", b".")


class Copier:
    """Copies into one filesystem. Hard links are kept within one source (or wildcard, if old)."""

    def __init__(self, target: "Filesystem", options: Options) -> None:
        self.target = target
        self.options = options
        self.written = 0
        self._layer: set[bytes] = set()  # paths that were made, if it is a layer of its own
        self._report = options.report
        self.reporting = options.replace or options.report is not None
        self.base: list[bytes] = []  # of the walk that goes on: real names of its target
        self.stack: Sequence[Named] = ()  # directories of that walk, from its top down
        self._links: dict[Hashable, tuple[list[bytes], bytes, Hashable]] = {}
        owner = options.owner or (None, None)
        self.parent = Metadata(options.parent_mode, owner[0], owner[1], options.time)

    def forget_links(self, next_match: bool = False) -> None:
        """Forget the hard links of the last source, or of the last match of one wildcard."""
        if not (next_match and self.options.rules.links_across_matches):
            self._links.clear()

    # -- destinations

    def copy_content(
        self, name: bytes, content: "Content", metadata: Metadata, to: Destination
    ) -> None:
        """A file that has no source directory: a heredoc, a remote file."""
        resolved, name = self.resolve_file_target(to, name)
        try:
            self._create_file(resolved.directory, name, content, metadata, resolved.names)
        finally:
            resolved.close()

    def make_directory(self, destination: Destination) -> ResolvedPath:
        """The destination as an open directory, made with its parents if it is missing."""
        resolved = self.find_destination(destination.names)
        try:
            if resolved.info is not None:
                raise CopyError(
                    "cannot overwrite a non-directory with a directory",
                    {"destination": shown(resolved.path)},
                )
            self.make_parents(resolved, len(resolved.rest))
        except BaseException:
            resolved.close()
            raise
        return resolved

    def resolve_file_target(
        self, destination: Destination, name: bytes
    ) -> "tuple[ResolvedPath, bytes]":
        """Where a file goes: into a directory by its own name, else to the destination's."""
        names = destination.names
        if names and not destination.is_directory and self.may_replace(names[:-1], names[-1]):
            # In a layer of its own nothing is there yet: what is below, even a directory,
            # is replaced by the file.
            resolved = self.find_destination(names[:-1])
            try:
                self.make_parents(resolved, len(resolved.rest))
            except BaseException:
                resolved.close()
                raise
            return resolved, names[-1]
        resolved = self.find_destination(names)
        try:
            if not resolved.rest:
                return resolved, name
            if not destination.is_directory:
                self.make_parents(resolved, len(resolved.rest) - 1)
                return resolved, resolved.rest[0]
            if resolved.info is not None and self.may_replace(resolved.names, resolved.rest[0]):
                resolved.directory.remove(resolved.rest[0])
                resolved.info = None
            if resolved.info is not None:
                raise CopyError("not a directory", {"destination": shown(resolved.path)})
            self.make_parents(resolved, len(resolved.rest))
        except BaseException:
            resolved.close()
            raise
        return resolved, name

    def find_destination(self, names: "list[bytes]") -> ResolvedPath:
        if self.options.replace:
            from homeport.copying.link_layer import make_real_parents

            return make_real_parents(self.target, names, self.parent)
        return resolve(self.target, names)

    def make_parents(self, resolved: ResolvedPath, count: int) -> None:
        path = resolved.path
        try:
            for _ in range(count):
                make_directories(self.target, resolved, self.parent, 1)
                self.report_made(resolved.names[:-1], resolved.names[-1], "directory")
        except OSError as error:
            raise CopyError(os_error_text(error), {"destination": shown(path)}) from error

    # -- nodes

    def copy_node(
        self,
        source: "Directory",
        name: bytes,
        kind: str,
        target: "Directory",
        as_name: bytes,
        names: "list[bytes] | None",
    ) -> None:
        """Copy what is neither directory nor link to be followed."""
        if kind == "file" or not kind:
            try:
                file = source.open_file(name)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ELOOP, errno.ENXIO, errno.EISDIR):
                    raise CopyError(os_error_text(error), {"name": shown(name)}) from error
            else:
                try:
                    self._file(file, target, as_name, names)
                finally:
                    file.close()
                return
        info = source.stat(name)
        if info is None:
            raise CopyError("no such file or directory", {"name": shown(name)})
        self._special(source, name, info, target, as_name, names)

    def _file(
        self, file: "File", target: "Directory", name: bytes, names: "list[bytes] | None"
    ) -> None:
        info = file.info()
        linked = info.links > 1
        if linked and self._link(info, target, name, names):
            return
        self.count_written(info.size)
        metadata = self.metadata_for(info, file.xattrs(), False)
        self._create_file(target, name, file, metadata, names, info)
        if linked and (made := target.stat(name)) is not None:
            self._links[info.identity] = (self.target_names(names), name, made.identity)

    def _create_file(
        self,
        target: "Directory",
        name: bytes,
        content: "Content",
        metadata: Metadata,
        names: "list[bytes] | None",
        source: "Info | None" = None,
    ) -> None:
        try:
            size = target.create_file(name, content, metadata)
        except FileExistsError:
            self._clear(target, name, source, names)
            size = target.create_file(name, content, metadata)
        except OSError as error:
            raise CopyError(os_error_text(error), {"name": shown(name)}) from error
        if source is None:
            self.count_written(size)
        if self.reporting:
            self.report_made(names, name, "file")

    def _special(
        self,
        source: "Directory",
        name: bytes,
        info: "Info",
        target: "Directory",
        as_name: bytes,
        names: "list[bytes] | None",
    ) -> None:
        metadata = self.metadata_for(info, {}, False)
        kind = info.kind
        if kind == "directory":
            raise CopyError("became a directory while it was copied", {"name": shown(name)})
        if kind in ("socket", "file"):
            # A copied socket has no listener: BuildKit makes an empty file of it, and so does this.
            self._create_file(target, as_name, Bytes(b""), metadata, names)
            return
        text = source.readlink(name) if kind == "symlink" else b""
        for attempt in (1, 2):
            try:
                if kind == "symlink":
                    target.create_symlink(as_name, text, metadata)
                else:
                    target.create_special(as_name, kind, info.device, metadata)
                break
            except FileExistsError:
                if attempt == 2:
                    raise
                self._clear(target, as_name, None, names)
            except OSError as error:
                raise CopyError(
                    f"cannot make a {kind}: {os_error_text(error)}", {"name": shown(as_name)}
                ) from error
        if self.reporting:
            self.report_made(names, as_name, kind)

    def _clear(
        self,
        target: "Directory",
        name: bytes,
        source: "Info | None",
        names: "list[bytes] | None",
    ) -> None:
        """Remove what is in the way of a file; a directory is not, unless asked for."""
        info = target.stat(name)
        if info is None:
            return
        if info.kind == "directory" and not self.may_replace(names, name):
            raise CopyError("cannot overwrite a directory with a file", {"name": shown(name)})
        if source is not None and info.identity == source.identity and info.links == 1:
            raise CopyError("source and destination are the same file", {"name": shown(name)})
        target.remove(name)
        if self.reporting:
            self.report_made(names, name, "replaced")

    def _link(
        self, info: "Info", target: "Directory", name: bytes, names: "list[bytes] | None"
    ) -> bool:
        """Another name of a file that was copied before: link to that copy.

        False if that cannot be: the copy is gone, is this very name, or is another by now.
        """
        known = self._links.get(info.identity)
        if known is None:
            return False
        first_names, first, identity = known
        here = self.target_names(names)
        if (first_names, first) == (here, name):
            return False
        if target.stat(name) is not None:
            self._clear(target, name, info, names)
        try:
            if first_names == here:
                target.create_hardlink(name, target, first)
            else:
                with_first = reopen(self.target, first_names)
                try:
                    target.create_hardlink(name, with_first, first)
                finally:
                    with_first.close()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise
            return False
        made = target.stat(name)
        if made is None or made.identity != identity:
            target.remove(name)
            return False
        if self.reporting:
            self.report_made(names, name, "hardlink")
        return True

    def metadata_for(self, info: "Info", xattrs: "dict[bytes, bytes]", directory: bool) -> Metadata:
        options = self.options
        mode, uid, gid = info.mode, info.uid, info.gid
        mtime, atime = info.mtime, info.atime
        if options.mode is not None and info.kind != "symlink":
            mode = options.mode(mode, directory)
        if options.owner is not None:
            uid, gid = options.owner
        if options.time is not None:
            mtime = atime = options.time
        return Metadata(mode, uid, gid, mtime, atime, xattrs)

    def count_written(self, size: int) -> None:
        self.written += size
        limit = self.options.max_size
        if limit is not None and self.written > limit:
            raise CopyError(f"more than {limit} bytes would be written", {"option": "--max-size"})

    # -- places for messages and links

    def target_names(self, names: "list[bytes] | None") -> "list[bytes]":
        """Real names of the target directory that is being written to."""
        if names is not None:
            return names
        return self.base + [frame.name for frame in self.stack[1:]]

    def may_replace(self, names: "list[bytes] | None", name: bytes) -> bool:
        """Whether a node of the wrong kind is replaced: in a layer of its own, what was below.

        What the same copy made before is in that layer too, and no layer has a name twice.
        """
        return (
            self.options.replace and b"/".join([*self.target_names(names), name]) not in self._layer
        )

    def is_new_in_layer(self, names: "list[bytes] | None", name: bytes) -> bool:
        """Whether a directory that exists comes into a layer of its own only now."""
        if not self.may_replace(names, name):
            return False
        self._layer.add(b"/".join([*self.target_names(names), name]))
        return True

    def report_made(self, names: "list[bytes] | None", name: bytes, kind: str) -> None:
        path = b"/".join([*self.target_names(names), name])
        if self.options.replace and kind != "replaced":
            self._layer.add(path)
        if self._report is not None:
            self._report(path, kind)
