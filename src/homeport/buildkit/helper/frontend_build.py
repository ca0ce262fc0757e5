"""A build by a frontend, for kinds of helpers that are frontends: its files, or its refusal."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from homeport.buildkit.helper.spool import BoundedSpool
from homeport.buildkit.helper.trial import Trial
from homeport.buildkit.protocol.errors import BuildFailed, EngineTooOld
from homeport.buildkit.protocol.gateway import CONFIG
from homeport.buildkit.session.context_folder import Offer
from homeport.buildkit.solve import GATEWAY, Build, Export, solve
from homeport.layers.trees import read_tree
from homeport.tree.node import Source, Tree

#: Asks a frontend a question in place of a build.
_SUBREQUESTS = {"frontend.caps": "moby.buildkit.frontend.subrequests"}


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """``tree``: nothing if the build was refused (``error``), or was a question.

    log: what the step that failed said
    """

    tree: Tree | None
    error: str
    metadata: Mapping[str, bytes]
    log: str = ""

    @property
    def config(self) -> Any:
        """What a container is started by; the rest has dates of the build."""
        return json.loads(self.metadata.get(CONFIG, b"{}")).get("config")


def by_frontend(
    trial: Trial, frontend: str, attrs: Mapping[str, str], folders: Mapping[str, Offer],
    place: Path, *, request: str = "",
) -> Built:  # fmt: skip
    """Build, or ask ``request``, by the trial's image (``GATEWAY``) or the engine's own frontend.

    Raises ``EngineTooOld``.
    """
    attrs = dict(attrs)
    if request:
        attrs |= {"requestid": request, **_SUBREQUESTS}
    if frontend == GATEWAY:
        reference = trial.helper.reference
        attrs |= {"source": reference, "cmdline": reference}
    with tempfile.TemporaryFile(dir=place) as spool:
        build = Build(
            frontend=frontend, attrs=attrs, wants_metadata=True, folders=folders,
            exports=() if request else (Export(type="tar", to=BoundedSpool(spool)),),
        )  # fmt: skip
        cancel = trial.runtime.cancel
        try:
            solved = solve(trial.engine, build, cancel=cancel)
        except EngineTooOld:
            raise
        except BuildFailed as error:
            last_line = f" ({error.log[-1]})" if error.log else ""
            log = "\n".join(error.log)
            return Built(tree=None, error=error.what + last_line, metadata={}, log=log)
        if request:
            return Built(tree=None, error="", metadata=solved.metadata)
        spool.seek(0)
        tree = read_tree(spool, trial.runtime.store, Source(kind="step", name="result"), cancel)
    return Built(tree=tree, error="", metadata=solved.metadata)
