"""Methods of ``App`` about programs of other architectures."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.app.inspection import InspectionCommands

if TYPE_CHECKING:
    from homeport.binfmt.rootless import Registered
    from homeport.binfmt.status import EmulationStatus


class EmulationCommands(InspectionCommands):
    """What commands ask of the kernel's binfmt_misc."""

    def binfmt_status(self, directory: Path | None = None) -> EmulationStatus:
        """Which architectures' programs this machine runs.

        directory: a binfmt_misc elsewhere, of which nothing is run
        """
        # 15 ms that other commands save
        from homeport.binfmt.status import read_status
        from homeport.oci.platform import native_platform

        return read_status(native_platform().architecture, directory)

    def binfmt_install(
        self, image: str, *, architectures: Sequence[str] = (), process: int | None = None,
        command: Sequence[str] = (), credentials: bool = False,
    ) -> Registered:  # fmt: skip
        """Register the emulators of an image in a user namespace, without root.

        The arguments are those of ``homeport.binfmt.rootless.register``.
        """
        # 15 ms that other commands save
        from homeport.binfmt.rootless import FILES, register
        from homeport.oci.platform import native_platform

        with tempfile.TemporaryDirectory(prefix="homeport-binfmt-") as folder:
            self.extract(image, [FILES], Path(folder), platform=native_platform())
            return register(
                Path(folder), architectures=architectures, process=process, command=command,
                credentials=credentials,
            )  # fmt: skip
