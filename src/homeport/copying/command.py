"""A COPY or ADD with its flags, as written in a Dockerfile or on a command line.

Turns the values of ``--chown``, ``--chmod``, ``--parents``, ``--exclude``, ``--link`` and
``--unpack`` into what the engine does. The helper image's ``copy`` has fewer
flags and does without this module.
"""

from homeport.copying.accounts import owner
from homeport.copying.engine import Copier, Destination, Options
from homeport.copying.errors import CopyError, shown
from homeport.copying.ignore import Excluded, Ignore, Included
from homeport.copying.modes import numeric, parse
from homeport.copying.patterns import has_wildcard, split
from homeport.copying.resolve import clean, resolve
from homeport.copying.rules import CURRENT
from homeport.copying.sources import CopySource, copy_one, copy_sources

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from collections.abc import Callable

    from homeport.copying.filesystem import Filesystem
    from homeport.copying.rules import Rules
    from homeport.copying.unpack import Opener


class Flags:
    """The flags of one COPY or ADD.

    unpack:  what can be decompressed, if archives are to be unpacked; else ``None``
    exclude: patterns of ``--exclude``
    time:    one mtime in nanoseconds for all that is made; ``None`` keeps the source's
    """

    __slots__ = (
        "chmod",
        "chown",
        "exclude",
        "link",
        "max_size",
        "parents",
        "report",
        "rules",
        "time",
        "unpack",
    )

    def __init__(
        self,
        chown: bytes = b"",
        chmod: str = "",
        parents: bool = False,
        exclude: "tuple[bytes, ...]" = (),
        link: bool = False,
        unpack: "dict[str, Opener] | None" = None,
        rules: "Rules" = CURRENT,
        time: "int | None" = None,
        max_size: "int | None" = None,
        report: "Callable[[bytes, str], None] | None" = None,
    ) -> None:
        self.chown = chown
        self.chmod = chmod
        self.parents = parents
        self.exclude = exclude
        self.link = link
        self.unpack = unpack
        self.rules = rules
        self.time = time
        self.max_size = max_size
        self.report = report


def copy(
    sources: "list[CopySource]", target: "Filesystem", destination: bytes, flags: Flags
) -> int:
    """Do it; the bytes of content that were written.

    ``destination`` is from the root of ``target``, whose passwd and group give the names of
    ``--chown`` their meaning. Raises ``CopyError``.
    """
    copier = Copier(target, options_of(flags, target))
    if flags.parents:
        exclude = _excluded(flags) if flags.exclude else None
        to = Destination(destination)
        for source in sources:
            copier.forget_links()
            _with_parents(copier, source, to, exclude)
    else:
        copy_sources(copier, sources, destination)
    return copier.written


def options_of(flags: Flags, target: "Filesystem") -> Options:
    options = Options(flags.rules, time=flags.time, max_size=flags.max_size, report=flags.report)
    if flags.chown:
        link = "names need the target's accounts, which a layer of its own does not have"
        filesystem = None if flags.link else target
        options.owner = owner(flags.chown, filesystem, flags.rules.directory_makes_directory, link)
    if flags.chmod:
        options.mode = parse(flags.chmod)
        mode = numeric(flags.chmod)
        options.parent_mode = options.parent_mode if mode is None else mode
    if flags.exclude and not flags.parents:
        options.path_filter = Excluded(_excluded(flags))
    if flags.unpack is not None:
        from homeport.copying.unpack import Archives

        options.unpacker = Archives(flags.unpack)
    # With --chmod BuildKit makes an ordinary copy of --link and says nothing.
    options.replace = flags.link and not flags.chmod
    return options


def _excluded(flags: Flags) -> Ignore:
    try:
        return Ignore(list(flags.exclude))
    except CopyError as error:
        raise error.at(option="--exclude") from error.__cause__


def _with_parents(
    copier: Copier, source: CopySource, to: Destination, exclude: "Ignore | None"
) -> None:
    """Copy what is below the pivot ``/./`` (or the root) together with its directories."""
    if source.filesystem is None:
        raise CopyError("--parents needs a path as its source")
    left, pivot, right = source.path.partition(b"/./")
    if not pivot:
        left, right = b"", source.path
    pattern = b"/".join(clean(right))
    tops = _tops(source.filesystem, clean(left))
    if not has_wildcard(source.path) and not any(
        _is_there(source.filesystem, t, pattern) for t in tops
    ):
        raise CopyError("no such file or directory", {"source": shown(source.path)})
    for top in tops:
        copier.forget_links(next_match=True)
        copier.options.path_filter = Included(pattern, exclude)
        copy_one(copier, source.filesystem, top, to)


def _tops(filesystem: "Filesystem", names: "list[bytes]") -> "list[list[bytes]]":
    if not split(names)[1]:
        return [names]
    from homeport.copying.wildcards import expand

    return expand(filesystem, names, True)


def _is_there(filesystem: "Filesystem", top: "list[bytes]", pattern: bytes) -> bool:
    """Links are followed before the pivot and not after it."""
    resolved = resolve(filesystem, top)
    try:
        if resolved.rest:
            return False
        directory = resolved.directory
        names = clean(pattern)
        for index, name in enumerate(names):
            info = directory.stat(name)
            if info is None:
                return False
            if index == len(names) - 1:
                return True
            if info.kind != "directory":
                return False
            below = directory.open_directory(name)
            directory.close()
            directory = resolved.directory = below
        return True
    finally:
        resolved.close()
