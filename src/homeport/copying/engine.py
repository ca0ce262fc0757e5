"""The COPY engine: one source word after the other into a destination, by a rule set.

Knows homes only by their handles (``homeport.copying.filesystem``) and follows links only
inside their roots (``homeport.copying.resolve``). Trees are walked without recursion and
with a bounded number of open handles. Archives are ``homeport.copying.unpack``'s, loaded
when there is one.
"""

import errno

from homeport.copying.errors import CopyError, shown
from homeport.copying.filesystem import Bytes, Metadata
from homeport.copying.resolve import Place, clean, make_directories, message, reopen, resolve
from homeport.copying.rules import CURRENT

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from typing import Protocol

    from homeport.copying.filesystem import Info
    from homeport.copying.protocol import Content, Directory, File, Home
    from homeport.copying.rules import Rules
    from homeport.copying.selection import Selection
    from homeport.copying.trees import Frame

    class Unpacker(Protocol):
        """``homeport.copying.unpack.Archives``, which is loaded only if it may be needed."""

        def take(self, copier: "Copier", source: Place, destination: "Destination") -> bool:
            """Unpack the file if it is an archive; else ``False``, and nothing was done."""


class Options:
    """How to copy.

    rules:      the rule set
    owner:      uid and gid for all that is made; ``None`` keeps the source's
    mode:       from a mode and whether it is a directory's to the new mode (``modes.parse``)
    parent_mode: of directories that are made on the way to the destination
    time:       one mtime in nanoseconds for all that is made; ``None`` keeps the source's
    selection:  which paths below a source are copied (``--exclude``, ``--parents``)
    replace:    whatever is in the way of a node gives way to it (``--link``)
    unpacker:   recognises and unpacks archives (``--unpack``); ``None`` copies them
    max_size:   bytes of content that may be written in all
    report:     told each path that was made, relative to the target's root, and its kind
    """

    __slots__ = (
        "max_size",
        "mode",
        "owner",
        "parent_mode",
        "replace",
        "report",
        "rules",
        "selection",
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
        selection: "Selection | None" = None,
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
        self.selection = selection
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
    """Copies into one home. Hard links are kept within one source (or wildcard, if old)."""

    def __init__(self, target: "Home", options: Options) -> None:
        self.target = target
        self.options = options
        self.written = 0
        self._layer: set[bytes] = set()  # paths that were made, if it is a layer of its own
        self._report = options.report
        self.telling = options.replace or options.report is not None
        self.base: list[bytes] = []  # of the walk that goes on: real names of its target
        self.stack: list[Frame] = []
        self._links: dict[Hashable, tuple[list[bytes], bytes, Hashable]] = {}
        owner = options.owner or (None, None)
        self.parent = Metadata(options.parent_mode, owner[0], owner[1], options.time)

    def begin_word(self, again: bool = False) -> None:
        """Forget the hard links of the last source, or if ``again`` of the last match."""
        if not (again and self.options.rules.links_across_matches):
            self._links.clear()

    # -- one source

    def copy(
        self,
        home: "Home",
        names: "list[bytes]",
        destination: Destination,
        matched: "list[bytes] | None" = None,
        made: bool = False,
        slash: bool = False,
    ) -> None:
        """Copy one path of ``home``, links in it followed, as the destination rules say.

        matched: the part of the path that a wildcard matched
        made:    the destination directory was made for it (old rules)
        slash:   it must be a directory
        """
        source = resolve(home, names)
        try:
            if self._is_excluded(source, names, matched):
                return
            if slash and source.info is not None:
                raise CopyError("not a directory", {"source": shown(b"/".join(names))})
            if not source.rest:
                from homeport.copying.trees import TreeCopy

                TreeCopy(self).copy(source, names, destination, matched is not None, made)
            elif source.info is None:
                raise CopyError("no such file or directory", {"source": shown(b"/".join(names))})
            else:
                self._copy_other(source, names, destination)
        except OSError as error:
            raise CopyError(message(error), {"source": shown(b"/".join(names))}) from error
        except CopyError as error:
            raise error.at(source=shown(b"/".join(names))) from error.__cause__
        finally:
            source.close()

    def _is_excluded(
        self, source: Place, names: "list[bytes]", matched: "list[bytes] | None"
    ) -> bool:
        """Whether a source itself is: a file by its name, a match by what was matched."""
        selection = self.options.selection
        if selection is None or (matched is None and not source.rest):
            return False
        return selection.excludes_source(b"/".join(matched or names[-1:]))

    def put(self, name: bytes, content: "Content", metadata: Metadata, to: Destination) -> None:
        """A file that has no source directory: a heredoc, a remote file."""
        place, name = self.place_for_file(to, name)
        try:
            self._create_file(place.directory, name, content, metadata, place.names)
        finally:
            place.close()

    def make_directory(self, destination: Destination) -> Place:
        """The destination as an open directory, made with its parents if it is missing."""
        place = self.find_destination(destination.names)
        try:
            if place.info is not None:
                raise CopyError(
                    "cannot copy a directory over what is none",
                    {"destination": shown(place.path)},
                )
            self.make_parents(place, len(place.rest))
        except BaseException:
            place.close()
            raise
        return place

    def place_for_file(self, destination: Destination, name: bytes) -> "tuple[Place, bytes]":
        """Where a file goes: into a directory by its own name, else to the destination's."""
        names = destination.names
        if names and not destination.is_directory and self.gives_way(names[:-1], names[-1]):
            # In a layer of its own nothing is there yet: what is below, even a directory,
            # is replaced by the file.
            place = self.find_destination(names[:-1])
            try:
                self.make_parents(place, len(place.rest))
            except BaseException:
                place.close()
                raise
            return place, names[-1]
        place = self.find_destination(names)
        try:
            if not place.rest:
                return place, name
            if not destination.is_directory:
                self.make_parents(place, len(place.rest) - 1)
                return place, place.rest[0]
            if place.info is not None and self.gives_way(place.names, place.rest[0]):
                place.directory.remove(place.rest[0])
                place.info = None
            if place.info is not None:
                raise CopyError("not a directory", {"destination": shown(place.path)})
            self.make_parents(place, len(place.rest))
        except BaseException:
            place.close()
            raise
        return place, name

    def find_destination(self, names: "list[bytes]") -> Place:
        if self.options.replace:
            from homeport.copying.trees import as_a_layer

            return as_a_layer(self.target, names, self.parent)
        return resolve(self.target, names)

    def make_parents(self, place: Place, count: int) -> None:
        path = place.path
        try:
            for _ in range(count):
                make_directories(self.target, place, self.parent, 1)
                self.tell(place.names[:-1], place.names[-1], "directory")
        except OSError as error:
            raise CopyError(message(error), {"destination": shown(path)}) from error

    def _copy_other(self, source: Place, names: "list[bytes]", destination: Destination) -> None:
        unpacker = self.options.unpacker
        if unpacker is not None and unpacker.take(self, source, destination):
            return
        place, name = self.place_for_file(destination, names[-1] if names else source.rest[-1])
        try:
            self.node(source.directory, source.rest[0], "", place.directory, name, place.names)
        finally:
            place.close()

    # -- nodes

    def node(
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
                    raise CopyError(message(error), {"name": shown(name)}) from error
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
        self.spend(info.size)
        metadata = self.metadata_for(info, file.xattrs(), False)
        self._create_file(target, name, file, metadata, names, info)
        if linked and (made := target.stat(name)) is not None:
            self._links[info.identity] = (self.where(names), name, made.identity)

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
            raise CopyError(message(error), {"name": shown(name)}) from error
        if source is None:
            self.spend(size)
        if self.telling:
            self.tell(names, name, "file")

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
            # Nobody listens to the copy of a socket: an empty file, as BuildKit makes.
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
                    f"cannot make a {kind}: {message(error)}", {"name": shown(as_name)}
                ) from error
        if self.telling:
            self.tell(names, as_name, kind)

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
        if info.kind == "directory" and not self.gives_way(names, name):
            raise CopyError("cannot replace a directory by a file", {"name": shown(name)})
        if source is not None and info.identity == source.identity and info.links == 1:
            raise CopyError("source and destination are the same file", {"name": shown(name)})
        target.remove(name)
        if self.telling:
            self.tell(names, name, "replaced")

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
        here = self.where(names)
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
        if self.telling:
            self.tell(names, name, "hardlink")
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

    def spend(self, size: int) -> None:
        self.written += size
        limit = self.options.max_size
        if limit is not None and self.written > limit:
            raise CopyError(f"more than {limit} bytes would be written", {"option": "--max-size"})

    # -- places for messages and links

    def where(self, names: "list[bytes] | None") -> "list[bytes]":
        """Real names of the target directory that is being written to."""
        if names is not None:
            return names
        return self.base + [frame.name for frame in self.stack[1:]]

    def gives_way(self, names: "list[bytes] | None", name: bytes) -> bool:
        """Whether a node of the wrong kind is replaced: in a layer of its own, what was below.

        What the same copy made before is in that layer too, and no layer has a name twice.
        """
        return self.options.replace and b"/".join([*self.where(names), name]) not in self._layer

    def is_new_in_layer(self, names: "list[bytes] | None", name: bytes) -> bool:
        """Whether a directory that exists comes into a layer of its own only now."""
        if not self.gives_way(names, name):
            return False
        self._layer.add(b"/".join([*self.where(names), name]))
        return True

    def tell(self, names: "list[bytes] | None", name: bytes, kind: str) -> None:
        path = b"/".join([*self.where(names), name])
        if self.options.replace and kind != "replaced":
            self._layer.add(path)
        if self._report is not None:
            self._report(path, kind)
