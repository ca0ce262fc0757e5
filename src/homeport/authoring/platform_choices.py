"""The platforms that a new recipe or slice is for, unless others are named."""

from __future__ import annotations

#: What most registries and machines need.
PLATFORMS = ("linux/amd64", "linux/arm64")
#: Those of Debian's stable release for which there are container hosts.
ALL_PLATFORMS = (
    "linux/386", "linux/amd64", "linux/arm/v7", "linux/arm64", "linux/ppc64le", "linux/riscv64",
    "linux/s390x",
)  # fmt: skip
