"""The method of ``App`` that looks at what Homeport depends on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from homeport.app.authoring import AuthoringCommands
from homeport.app.registries import RegistryCommands
from homeport.home import home_directory

if TYPE_CHECKING:
    from homeport.doctor.finding import Finding


class HealthCommands(AuthoringCommands, RegistryCommands):
    """What commands find out about the machine and the network."""

    def doctor(
        self, registries: Sequence[str] = (), *, recipe: str = "", mirrors: Sequence[str] = ()
    ) -> tuple[Finding, ...]:
        """Look at configuration, cache, mirrors, clock, registries and engines.

        registries: absent: those with a login in the files of docker and podman
        recipe:     its archives are asked; empty: ./homeport.yaml's, else Debian's
        """
        # 150 ms that other commands save
        from homeport.doctor.examination import Surroundings, examine

        credentials = self._credentials({})
        around = Surroundings(
            environment=os.environ,
            home=home_directory(),
            configuration=self.settings.file,
            cache_bound=self.settings.cache_bound,
            offline=self.settings.offline,
            recipe=self._asked_recipe(recipe, None),
            registries=registries or credentials.registries(),
            archives=self._archives_of(mirrors),
            client=lambda: self.client,
            ping=self.ping,
            now=lambda: datetime.now(UTC),
        )
        return examine(around, self.runtime)
