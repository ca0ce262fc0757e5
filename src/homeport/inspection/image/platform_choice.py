"""How the other images of an index differ from the one that is inspected."""

from __future__ import annotations

from typing import Any

import msgspec

from homeport.errors import HomeportError
from homeport.images.image import Image, Index
from homeport.images.platforms import candidates, select
from homeport.inspection.model import PlatformRow


def platform_rows(value: Image | Index, shown: Image) -> tuple[PlatformRow, ...]:
    """All images of an index; ``differs`` has the error of those that cannot be opened."""
    if isinstance(value, Image):
        return (_row(value, value),)
    rows = []
    for child, platform in candidates(value):
        try:
            image = child.open()
            if isinstance(image, Index):  # an index may list another one under a platform
                image = select(image, [platform])
            assert isinstance(image, Image)
            rows.append(_row(msgspec.structs.replace(image, platform=platform), shown))
        except HomeportError as error:
            rows.append(
                PlatformRow(
                    platform=str(platform),
                    digest=child.descriptor.digest,
                    size=0,
                    layers=0,
                    differs=(error.what,),
                )
            )
    return tuple(rows)


def config_differences(one: dict[str, Any], other: dict[str, Any]) -> tuple[str, ...]:
    """How two configs differ: ``Env: PATH=… → PATH=…``."""
    found = []
    for key in sorted({*one, *other}):
        a, b = one.get(key), other.get(key)
        if a != b:
            found.append(f"{key}: {_short(a)} → {_short(b)}")
    return tuple(found)


def _row(image: Image, shown: Image) -> PlatformRow:
    layers = image.document.parsed.layers
    return PlatformRow(
        platform=str(image.platform) if image.platform else "",
        digest=str(image.digest),
        size=sum(layer.size for layer in layers),
        layers=len(layers),
        shown=image.digest == shown.digest,
        differs=(
            *config_differences(_config(shown), _config(image)),
            *_layer_differences(shown, image),
        )
        if image.digest != shown.digest
        else (),
    )


def _layer_differences(one: Image, other: Image) -> tuple[str, ...]:
    """How images of one platform differ: ``layers: …tar+gzip → …tar+zstd``."""
    if one.platform != other.platform:
        return ()
    types = [
        list(dict.fromkeys(layer.media_type for layer in image.document.parsed.layers))
        for image in (one, other)
    ]
    if types[0] != types[1]:
        return (f"layers: {', '.join(types[0])} → {', '.join(types[1])}",)
    return ()


def _config(image: Image) -> dict[str, Any]:
    readable = image.readable_config()
    if readable is None:
        return {}
    found: dict[str, Any] = msgspec.to_builtins(readable[0].parsed.config)
    return found


def _short(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 200 else text[:197] + "..."
