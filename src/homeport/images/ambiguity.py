"""Images whose documents readers understand differently (``oci.go_json``).

A manifest with both ``layers`` and ``Layers`` is one image for docker and podman, and another for
readers that take keys as they are written: what was inspected or signed is not what runs. Such an
image is not built upon, pushed or verified. A copy sends its bytes, with a warning.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from homeport.errors import HomeportError
from homeport.images.image import Image, Index, walk
from homeport.images.lazy_blob import LazyBlob
from homeport.oci.documents import BadDocument
from homeport.printable import printable
from homeport.progress import Progress

#: The kind of anomaly that an inspection reports.
AMBIGUOUS = "ambiguous document"


class AmbiguousImage(HomeportError):
    """A document of the image means different things to different readers."""

    id = "ambiguous-document"


def ambiguities(
    value: Image | Index, has_config: Callable[[Image], bool] = lambda _image: True
) -> Iterator[tuple[str, list[str]]]:
    """Each document with ambiguous keys, as text, and the keys. Opens every manifest.

    has_config: whether the config of an image is looked at, too
    """
    for node in walk(value):
        if found := node.document.ambiguities():
            kind = "index" if isinstance(node, Index) else "manifest"
            yield f"{kind} {node.digest}", found
        if isinstance(node, Image) and has_config(node):
            with contextlib.suppress(BadDocument):  # reported when that config is needed
                config = node.config()
                if config is not None and (found := config.ambiguities()):
                    yield f"config {config.digest}", found


def require_unambiguous(value: Image | Index) -> Image | Index:
    """``value`` itself. Raises ``AmbiguousImage``."""
    for document, keys in ambiguities(value):
        raise AmbiguousImage(
            f"the {document} has keys that readers understand differently: {_shown(keys)}",
            where={"digest": document.rpartition(" ")[2]},
            hint="build the image again with another tool; pull and mirror copy it as it is",
        )
    return value


def warn_of_ambiguities(progress: Progress, value: Image | Index) -> Image | Index:
    """``value`` itself; ``progress`` is told of ambiguous documents. Fetches no config for it."""
    for document, keys in ambiguities(value, _config_is_here):
        progress.note(
            document,
            f"warning: the {document} has keys that readers understand differently "
            f"({_shown(keys)}): tools may see different images",
        )
    return value


def _config_is_here(image: Image) -> bool:
    return not any(isinstance(blob, LazyBlob) for blob in image.blobs.values())


def _shown(keys: list[str]) -> str:
    return printable("; ".join(keys))
