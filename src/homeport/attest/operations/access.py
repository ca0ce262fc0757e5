"""What the operations need of the application."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from homeport.attest.attached.select import RegistryMaker
from homeport.net.client import Client
from homeport.runtime import Runtime


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What operations need from ``homeport.app``."""

    registry: RegistryMaker
    runtime: Runtime
    environment: Mapping[str, str]
    client: Callable[[], Client]
