"""``homeport build --push`` as a user runs it, from a small archive behind HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner, Result

from builders.archive import serve
from builders.building import BuildWorld
from builders.deb import deb, file
from homeport.cli.main import homeport

RECIPE = """
packages: [tool]
steps: {os_release: false}
config: {entrypoint: [/usr/bin/tool]}
"""


@dataclass(frozen=True, slots=True)
class PushingBuild:
    """A locked recipe and the archive that it is built from."""

    recipe: Path
    mirror: str
    folder: Path

    def run(self, *options: str) -> Result:
        arguments = [
            "build", str(self.recipe), "--mirror", f"test={self.mirror}",
            "--cache-dir", str(self.folder / "cache"), *options,
        ]  # fmt: skip
        return CliRunner().invoke(homeport, arguments, obj=tuple(arguments))


@contextmanager
def pushing_build(folder: Path) -> Iterator[PushingBuild]:
    package = deb("tool", files={"usr/bin/tool": file(b"tool\n", mode=0o755)})
    world = BuildWorld(folder, [package])
    world.ensure_lock(world.recipe(RECIPE))
    with serve(world.archive.root) as server:
        yield PushingBuild(world.home, server.url, folder)
