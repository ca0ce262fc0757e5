"""What an image of a registry or layout tells of itself: digest, platforms, its inputs' label."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from homeport.dockerpkg.configuration import Configuration
from homeport.dockerpkg.inputs import INPUTS_LABEL
from homeport.dockerpkg.names import reference_of
from homeport.dockerpkg.planning import Lookup, Remote
from homeport.errors import UsageError
from homeport.images.address import RegistryAddress
from homeport.images.image import Image, ImageNotFound, Index
from homeport.images.platforms import candidates
from homeport.images.transports.registry import registry_transports
from homeport.oci.platform import Platform
from homeport.registry.access import RegistryAccess
from homeport.registry.login import Login
from homeport.registry.registries import Registries
from homeport.runtime import Runtime


def describe(value: Image | Index) -> Remote:
    """Attestations are left out; the label is that of the first image."""
    if isinstance(value, Image):
        platform = value.platform or value.platform_in_config()
        platforms: tuple[Platform, ...] = (platform,) if platform else ()
        first: Image | Index = value
    else:
        found = list(candidates(value))
        platforms = tuple(platform for _, platform in found)
        if not found:
            return Remote(digest=str(value.digest), inputs="", platforms=())
        first = found[0][0].open()
    config = first.config() if isinstance(first, Image) else None
    labels = config.parsed.config.labels if config else {}
    return Remote(
        digest=str(value.digest), inputs=labels.get(INPUTS_LABEL, ""), platforms=platforms
    )


def remote_lookup(open_registries: Callable[[], Registries], runtime: Runtime) -> Lookup:
    """Asks registries with their logins, by the media types of every image and index."""
    transport = registry_transports(open_registries)

    def lookup(text: str) -> Remote | None:
        reference = reference_of(text)
        if reference is None:
            raise UsageError(f"{text!r} is not the name of an image")
        try:
            with transport(RegistryAddress(reference=reference)).open(runtime) as value:
                return describe(value)
        except ImageNotFound:
            return None

    return lookup


def access_of(configuration: Configuration, given: RegistryAccess | None) -> RegistryAccess:
    """How the tree's registry is accessed: the command line's login, else the configuration's."""
    access = given or RegistryAccess()
    username, password = configuration.text("username"), configuration.text("password")
    if access.login or not (username and password):
        return access
    login = Login(username=username, password=password, source=str(configuration.files[-1]))
    return msgspec.structs.replace(access, login=login)
