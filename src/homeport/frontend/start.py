"""The program of the image as a frontend: greets the engine, then loads what builds.

The engine's HTTP/2 server waits 10 s for a client's preface, and 2 s more for its first settings
(golang.org/x/net/http2: prefaceTimeout, firstSettingsTimeout); then the build fails with
"frontend grpc server closed unexpectedly". On a busy machine it takes longer to load hundreds of
modules, of which Debian's packages have no byte code. So only the standard library comes before.
"""

from __future__ import annotations

from collections.abc import Sequence

from homeport.frontend.greeting import greet


def main(arguments: Sequence[str]) -> int:
    """``frontend-assemble …`` is a step of a build; without arguments an engine talks to us."""
    if not arguments:
        greet()
    # 250 ms, and seconds on a busy machine, after which the engine would have given up
    from homeport.frontend.run import main as run

    return run(arguments)
