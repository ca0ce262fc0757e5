"""Questions that a client asks in place of a build: ``docker buildx build --check`` and the like.

The answers are those of BuildKit's frontend/subrequests: a document and a text, both in the
metadata of an empty result.
"""

from __future__ import annotations

import msgspec

from homeport.errors import UsageError
from homeport.frontend.bridge import Result
from homeport.recipe.model import Recipe

_DESCRIBE = "frontend.subrequests.describe"
_LINT = "frontend.lint"
_VERSIONS = {_DESCRIBE: "1.0.0", _LINT: "1.0.0"}
_TEXTS = {
    _DESCRIBE: "List the supported subrequests",
    _LINT: "Check the recipe and compare it with its lockfile",
}


def answer(request: str, recipe: Recipe) -> Result:
    """The answer about a recipe without faults. Raises ``UsageError`` for an unknown request."""
    if request == _LINT:
        document = b'{"warnings":[],"sources":[]}'
        text = f"{recipe.path}: valid, and its lockfile agrees\n"
    elif request == _DESCRIBE:
        document = msgspec.json.encode(
            [
                {"name": name, "version": version, "type": "rpc", "description": _TEXTS[name]}
                for name, version in _VERSIONS.items()
            ]
        )
        text = "".join(f"{name}: {description}\n" for name, description in _TEXTS.items())
    else:
        known = ", ".join(_VERSIONS)
        raise UsageError(f"unsupported request {request!r}", hint=f"supported are {known}")
    return Result(
        metadata={
            "result.json": document,
            "result.txt": text.encode(),
            "version": _VERSIONS[request].encode(),
            "result.statuscode": b"0",
        }
    )
