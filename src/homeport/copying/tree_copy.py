"""Directories: merged into a destination, node by node, without recursion.

A walk keeps a bounded number of handles open, whatever the depth, and reads directories as
it goes, whatever their length.
"""

from homeport.copying.engine import Copier, Destination
from homeport.copying.errors import CopyError, os_error_text, shown
from homeport.copying.metadata import NO_METADATA, Metadata
from homeport.copying.resolve import ResolvedPath, reopen

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from homeport.copying.filesystem import Directory
    from homeport.copying.path_filter import State

#: Directories of a deep tree that stay open on the way down, each as source and target.
KEPT_OPEN = 32


class TreeCopy:
    """One directory on its way into a destination."""

    __slots__ = ("copier",)

    def __init__(self, copier: Copier) -> None:
        self.copier = copier

    def copy(
        self,
        source: ResolvedPath,
        names: "list[bytes]",
        destination: Destination,
        matched: bool,
        made: bool,
    ) -> None:
        rules = self.copier.options.rules
        keep_name = matched and rules.keep_matched_directories
        resolved = self.copier.find_destination(destination.names)
        try:
            self._refuse_itself(source, resolved)
            if keep_name:
                self.copier.make_parents(resolved, len(resolved.rest))
                self._under_its_name(source, names[-1], resolved)
                return
            if resolved.info is not None:
                if not self.copier.may_replace(resolved.names, resolved.rest[0]):
                    raise CopyError(
                        "cannot overwrite a non-directory with a directory",
                        {"destination": shown(resolved.path)},
                    )
                resolved.directory.remove(resolved.rest[0])
                resolved.info = None
            if resolved.rest and rules.top_keeps_time and not made:
                # A link to a directory as a source: the old tool makes the target like it.
                self.copier.make_parents(resolved, len(resolved.rest) - 1)
                self._under_its_name(source, resolved.rest[0], resolved)
                return
            self.copier.make_parents(resolved, len(resolved.rest))
            finish = None
            if not rules.top_keeps_time:
                finish = self.copier.metadata_for(source.directory.info(), {}, True)
                finish = Metadata(mtime=finish.mtime, atime=finish.atime)
            self._tree(source.directory, resolved.directory, resolved.names, finish)
        finally:
            resolved.close()

    def _under_its_name(self, source: ResolvedPath, name: bytes, resolved: ResolvedPath) -> None:
        """The directory becomes (or joins) one called ``name`` in the place's directory."""
        info = source.directory.info()
        below, made = self._enter(resolved.directory, name, resolved.names)
        try:
            finish = (
                self.copier.metadata_for(info, source.directory.xattrs(), True) if made else None
            )
            self._tree(source.directory, below, [*resolved.names, name], finish)
        finally:
            below.close()

    def _refuse_itself(self, source: ResolvedPath, resolved: ResolvedPath) -> None:
        if source.directory.info().identity in resolved.directory.lineage():
            raise CopyError(
                "cannot copy a directory into itself", {"destination": shown(resolved.path)}
            )

    def _tree(
        self,
        source: "Directory",
        target: "Directory",
        names: "list[bytes]",
        finish: "Metadata | None",
    ) -> None:
        """Merge the contents of one directory into another, then set ``finish`` on that.

        The two handles stay the caller's.
        """
        path_filter = self.copier.options.path_filter
        state = path_filter.start() if path_filter is not None else None
        top = Frame(b"", source, target, finish, state, True)
        stack = [top]
        self.copier.base = names
        self.copier.stack = stack
        top_identity = target.info().identity
        frame = top
        try:
            while True:
                below = self._entries(stack, frame, top_identity)
                if below is not None:
                    stack.append(below)
                    if len(stack) > KEPT_OPEN + 1:
                        stack[-1 - KEPT_OPEN].park()
                    frame = below
                    continue
                if frame.target is not None and frame.finish is not None:
                    frame.target.set(frame.finish)
                stack.pop()
                if not stack:
                    return
                stack[-1].wake(frame, self._reopened)
                frame.close()
                frame = stack[-1]
        except OSError as error:
            path = b"/".join(f.name for f in stack[1:])
            raise CopyError(os_error_text(error), {"path": shown(path or b".")}) from error
        except CopyError as error:
            path = b"/".join(f.name for f in stack[1:])
            raise error.at(path=shown(path or b".")) from error.__cause__
        finally:
            for frame in stack[1:]:
                frame.close()

    def _entries(
        self, stack: "list[Frame]", frame: "Frame", top_identity: "Hashable"
    ) -> "Frame | None":
        """Copy what is in a directory until one to be entered comes; ``None`` at its end."""
        path_filter = self.copier.options.path_filter
        source, target, copy_node = frame.source, frame.target, self.copier.copy_node
        for name, kind in frame.entries:
            state: State | None = None
            if path_filter is not None:
                state, wanted, inside = path_filter.step(frame.state, name)
                if not wanted and not inside:
                    continue
            else:
                wanted = True
            if not kind:
                info = source.stat(name)
                if info is None:  # gone since the directory was read
                    continue
                known = info.kind
            else:
                known = kind
            if known == "directory":
                return self._open_below(stack, frame, name, state, wanted, top_identity)
            if not wanted:
                continue
            if target is None:
                target = self._materialise(stack)
            copy_node(source, name, known, target, name, None)
        return None

    def _open_below(
        self,
        stack: "list[Frame]",
        frame: "Frame",
        name: bytes,
        state: "State | None",
        wanted: bool,
        top_identity: "Hashable",
    ) -> "Frame":
        source = frame.source.open_directory(name)
        target = None
        try:
            info = source.info()
            if info.identity == top_identity:
                raise CopyError("cannot copy a directory into itself", {"name": shown(name)})
            xattrs = source.xattrs()
            finish = self.copier.metadata_for(info, xattrs, True)
            if wanted:
                above = frame.target if frame.target is not None else self._materialise(stack)
                target, _ = self._enter(above, name, None)
            return Frame(name, source, target, finish, state, wanted, info.mode)
        except BaseException:
            source.close()
            if target is not None:
                target.close()
            raise

    def _materialise(self, stack: "list[Frame]") -> "Directory":
        """Make the directories that were only walked through so far: one below is wanted.

        They come out like their sources, but a time they get by being written to.
        """
        first = next(i for i, frame in enumerate(stack) if frame.target is None)
        above = stack[first - 1].target
        names = self.copier.base + [frame.name for frame in stack[1:first]]
        if stack[first - 1].parked is not None:
            above = reopen(self.copier.target, names)
        for frame in stack[first:]:
            if above is None:  # the top is always there
                raise AssertionError("no target directory")
            frame.target, made = self._enter(above, frame.name, names)
            names = [*names, frame.name]
            finish = frame.finish
            if finish is not None and made:
                finish.mtime = finish.atime = None
            elif finish is not None:
                frame.finish = Metadata(frame.mode)  # not what --chmod says: as BuildKit
            above = frame.target
            if frame.parked is not None:
                frame.parked = (frame.parked[0], above.info().identity)
        if above is None:
            raise AssertionError("no target directory")
        return above

    def _enter(
        self, directory: "Directory", name: bytes, names: "list[bytes] | None"
    ) -> "tuple[Directory, bool]":
        """A directory for a directory: made, or the one that is there.

        With whether it is made, which in a layer of its own is also what only was below.
        """
        try:
            below = directory.create_directory(name, NO_METADATA)
        except FileExistsError:
            info = directory.stat(name)
            if info is not None and info.kind != "directory":
                if not self.copier.may_replace(names, name):
                    raise CopyError(
                        "cannot overwrite a non-directory with a directory", {"name": shown(name)}
                    ) from None
                directory.remove(name)
                return directory.create_directory(name, NO_METADATA), True
            return directory.open_directory(name), self.copier.is_new_in_layer(names, name)
        if self.copier.reporting:
            self.copier.report_made(names, name, "directory")
        return below, True

    def _reopened(self) -> "Directory":
        """The target of the last frame of the walk, whose handle was closed."""
        return reopen(self.copier.target, self.copier.target_names(None))


class Frame:
    """One directory of a walk: both sides open, or parked while the walk is far below."""

    __slots__ = (
        "entries",
        "finish",
        "mode",
        "name",
        "parked",
        "source",
        "state",
        "target",
        "wanted",
    )

    def __init__(
        self,
        name: bytes,
        source: "Directory",
        target: "Directory | None",
        finish: "Metadata | None",
        state: "State | None",
        wanted: bool,
        mode: "int | None" = None,
    ) -> None:
        self.name = name
        self.mode = mode  # of the source
        self.source = source
        self.target = target
        self.finish = finish
        self.state = state
        self.wanted = wanted
        self.entries: Iterator[tuple[bytes, str]] = iter(source.entries())
        self.parked: tuple[Hashable, Hashable] | None = None

    def park(self) -> None:
        """Close both handles and remember what they were."""
        self.entries = iter(list(self.entries))
        target = self.target.info().identity if self.target is not None else None
        self.parked = (self.source.info().identity, target)
        self.close()

    def wake(self, below: "Frame", reopened: "Callable[[], Directory]") -> None:
        """Open both handles again, from a directory below, if they are what they were."""
        if self.parked is None:
            return
        source, target = self.parked
        self.source = below.source.open_parent(source)
        if target is not None and below.target is not None:
            self.target = below.target.open_parent(target)
        elif target is not None:
            self.target = reopened()
        self.parked = None

    def close(self) -> None:
        self.source.close()
        if self.target is not None:
            self.target.close()
