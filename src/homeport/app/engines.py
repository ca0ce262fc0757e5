"""Methods of ``App`` that drive BuildKit: solve, LLB, the helper image, Blubber files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from homeport.app.resources import Resources

if TYPE_CHECKING:
    from homeport.blubber.check import Checked
    from homeport.buildkit.builds import SolveRequest
    from homeport.buildkit.helper.trial import KindName
    from homeport.buildkit.helper.verification import HelperVerified
    from homeport.buildkit.llb.ops import Definition
    from homeport.buildkit.scheduling import ListenerFor
    from homeport.buildkit.solve_request import SolveResult
    from homeport.buildkit.status import StatusListener
    from homeport.registry.access import RegistryAccess


class EngineCommands(Resources):
    """What commands ask of BuildKit engines."""

    def solve(
        self, request: SolveRequest, *, access: RegistryAccess | None = None,
        listener: StatusListener | None = None, listener_for: ListenerFor | None = None,
    ) -> SolveResult:  # fmt: skip
        """Build a Dockerfile or LLB on a BuildKit engine, and write its outputs.

        access:      for the first registry among the outputs
        listener:     is told of every step; ``listener_for``, if several engines build at once
        """
        # 120 ms that other commands save
        from homeport.buildkit.solve_request import SolveAccess, run_request

        destinations = partial(self.destinations, access=access)
        return run_request(
            request, os.environ, self.runtime,
            SolveAccess(
                engines=self.engines, session=self._engine_session, open_image=self.open_image,
                destinations=destinations,
            ),
            listener=listener, listener_for=listener_for,
        )  # fmt: skip

    def llb(self, source: str | BinaryIO) -> Definition:
        """The LLB definition in a file or a stream."""
        # 13 ms that other commands save
        from homeport.buildkit.llb.dump import read_llb

        return read_llb(source)

    def verify_helper(
        self, image: str, *, kind: KindName | None = None, cases: Sequence[str] = (),
        register: bool = False, engines: Sequence[str] = (),
    ) -> HelperVerified:  # fmt: skip
        """Test a helper image inside the first of these engines.

        kind:     what it is a helper for; by default what its configuration says
        cases:    run only those whose names contain one of these texts
        register: emulators may be registered with the engine's kernel, and removed again
        """
        # 200 ms that other commands save
        from homeport.buildkit.helper.verification import verify_helper

        engine = self.engines(engines)[0]
        return verify_helper(
            image, engine, self.open_image, self.runtime, kind=kind, cases=cases, register=register
        )

    def check_blubber(self, file: Path, policy: Path | None = None) -> Checked:
        """Check a Blubber configuration, and its expanded variants by a policy."""
        # 30 ms that other commands save
        from homeport.blubber.check import check

        return check(file, policy)
