"""The kinds of helper images, and which one an image is by its configuration."""

from __future__ import annotations

from homeport.buildkit.helper import (
    binfmt_proof,
    copy_proof,
    dockerfile_proof,
    recipe_proof,
    scanner_proof,
)
from homeport.buildkit.helper.trial import Kind, KindName
from homeport.oci.documents import RunConfig

#: BuildKit's labels of frontends begin so.
_FRONTEND = "moby.buildkit.frontend."

KINDS: dict[KindName, Kind] = {
    each.KIND.name: each.KIND
    for each in (copy_proof, binfmt_proof, scanner_proof, dockerfile_proof, recipe_proof)
}


def kind_of(config: RunConfig) -> Kind:
    """By labels of a frontend, or the name of the program; COPY's helper otherwise."""
    program = "".join((config.entrypoint or config.cmd or ())[:1]).rpartition("/")[2]
    if program == "homeport":
        return KINDS["recipe-frontend"]
    if any(label.startswith(_FRONTEND) for label in config.labels or ()) or "frontend" in program:
        return KINDS["dockerfile"]
    if "binfmt" in program:
        return KINDS["binfmt"]
    if "scanner" in program or "syft" in program:
        return KINDS["sbom-scanner"]
    return KINDS["copy"]
