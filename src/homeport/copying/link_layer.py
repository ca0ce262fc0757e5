"""``--link``: the destination of a copy that becomes a layer of its own.

Such a layer contains the directories on the way to the destination, so it can follow no
link there: what is below the layer is not known when it is made.
"""

from homeport.copying.metadata import Metadata
from homeport.copying.resolve import ResolvedPath

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from homeport.copying.filesystem import Filesystem


def make_real_parents(
    filesystem: "Filesystem", names: "list[bytes]", parent: Metadata
) -> ResolvedPath:
    """Walk to a destination, replacing links on the way by real directories.

    Directories that exist get the metadata that new ones get.
    """
    own = Metadata(parent.mode, parent.uid or 0, parent.gid or 0)
    here = filesystem.root()
    resolved = ResolvedPath([], here, names[:], None)
    try:
        while resolved.rest:
            info = resolved.directory.stat(resolved.rest[0])
            if info is None:
                break
            if info.kind != "directory":
                if len(resolved.rest) == 1:
                    resolved.info = info
                    break
                resolved.directory.remove(resolved.rest[0])
                break
            below = resolved.directory.open_directory(resolved.rest[0])
            resolved.directory.close()
            resolved.directory = below
            below.set(own)
            resolved.names.append(resolved.rest.pop(0))
    except BaseException:
        resolved.close()
        raise
    return resolved
