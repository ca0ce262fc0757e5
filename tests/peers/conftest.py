"""Peers: other programs that we are compared with.

``@pytest.mark.peer("skopeo")`` names what a test needs. Where it is missing the test is
skipped on a developer's machine; with CI=true or HOMEPORT_PEERS=1 it fails instead, so
that a comparison cannot silently stop happening.
"""

from __future__ import annotations

import os
import shutil

import pytest

from peers.engines import dockerd, podman, registry, skopeo, umoci  # noqa: F401  fixtures


@pytest.fixture(autouse=True)
def _peers_are_here(request: pytest.FixtureRequest) -> None:
    for mark in request.node.iter_markers("peer"):
        for program in mark.args:
            if shutil.which(program) is not None:
                continue
            if os.environ.get("CI") == "true" or os.environ.get("HOMEPORT_PEERS") == "1":
                pytest.fail(f"{program} is not installed; .ci/run installs all peers")
            pytest.skip(f"{program} is not installed")
