"""An address whose platforms can be opened one after the other. Not for comparing them
(``platform_choice``)."""

from __future__ import annotations

import msgspec

from homeport.images.image import Image, Index
from homeport.images.platforms import choose_image, platforms_of
from homeport.inspection.image.opened_image import OpenedImage, open_layers
from homeport.oci.platform import Platform
from homeport.runtime import Runtime


class ImagePlatforms(msgspec.Struct, frozen=True, kw_only=True):
    """What stands at an address, for as long as it is open."""

    address: str
    value: Image | Index
    runtime: Runtime

    @property
    def platforms(self) -> tuple[Platform, ...]:
        return tuple(dict.fromkeys(platforms_of(self.value)))

    def open(self, platform: Platform | None = None) -> OpenedImage:
        """The image for ``platform``: by default this machine's, else the first of the index."""
        return open_layers(choose_image(self.value, platform), self.runtime, self.address)
