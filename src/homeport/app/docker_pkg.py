"""The method of ``App`` that opens a docker-pkg tree, which builds, pushes and signs."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.app.attestations import AttestationCommands
from homeport.app.engines import EngineCommands
from homeport.app.images import ImageCommands
from homeport.app.recipes import RecipeCommands
from homeport.app.registries import RegistryCommands
from homeport.home import home_directory

if TYPE_CHECKING:
    from homeport.dockerpkg.project import Project
    from homeport.registry.access import RegistryAccess
    from homeport.registry.registries import Registries


class DockerPkgCommands(
    AttestationCommands, EngineCommands, ImageCommands, RecipeCommands, RegistryCommands
):
    """What ``homeport docker-pkg`` does with a tree of templates."""

    def docker_pkg(
        self, directory: Path, configuration: Path, *, suffix: str = "",
        access: RegistryAccess | None = None, key: str = "",
    ) -> Project:  # fmt: skip
        """A tree of docker-pkg: to list, build, check, update and convert.

        suffix: of every tag, for nightly builds and snapshots
        access: for the tree's registry; by default the login of its configuration, if it has one
        key:    signs what is pushed
        """
        # 150 ms that other commands save
        from homeport.attest.operations.signing import SignOptions
        from homeport.dockerpkg.building import TreeAccess
        from homeport.dockerpkg.configuration import read_configuration, user_file
        from homeport.dockerpkg.project import Project
        from homeport.dockerpkg.remote import access_of, remote_lookup
        from homeport.dockerpkg.verification import load_for_test

        found = read_configuration(configuration, user_file(os.environ, home_directory()))
        access = access_of(found, access)

        def registries() -> Registries:
            return self.registries(found.text("registry"), access)

        def prove(reference: str) -> None:
            if key:
                self.sign(reference, SignOptions(key=key), access=access)

        return Project(
            directory, found, configuration, suffix=suffix, cancel=self.runtime.cancel,
            lookup=remote_lookup(registries, self.runtime),
            access=TreeAccess(
                solve=self.solve,
                build_recipe=self.build,
                open_image=self.open_image,
                push=partial(self.push, access=access),
                retag=partial(self.retag, access=access),
                load=partial(load_for_test, open_image=self.open_image, runtime=self.runtime),
                prove=prove,
                environment=os.environ,
                progress=self.runtime.progress,
            ),
        )  # fmt: skip
