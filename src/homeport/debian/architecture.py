"""Names of Debian architectures, and the OCI platforms that they serve.

Plain strings on both sides: the typed mapping belongs to ``homeport.recipe``.
"""

from __future__ import annotations

#: OCI platform → Debian architecture, in the order in which Debian lists its ports.
ARCHITECTURE_OF = {
    "linux/amd64": "amd64",
    "linux/arm64": "arm64",
    "linux/arm/v7": "armhf",
    "linux/386": "i386",
    "linux/ppc64le": "ppc64el",
    "linux/s390x": "s390x",
    "linux/riscv64": "riscv64",
    # Outside the seven of the catalog, but Debian builds for them.
    "linux/arm/v5": "armel",
    "linux/loong64": "loong64",
    "linux/mips64le": "mips64el",
}

PLATFORM_OF = {architecture: platform for platform, architecture in ARCHITECTURE_OF.items()}

#: Packages of this architecture work on every machine.
ALL = "all"

#: Debian architecture → its multiarch tuple, the folder below /usr/lib.
TRIPLET_OF = {
    "amd64": "x86_64-linux-gnu",
    "arm64": "aarch64-linux-gnu",
    "armhf": "arm-linux-gnueabihf",
    "armel": "arm-linux-gnueabi",
    "i386": "i386-linux-gnu",
    "ppc64el": "powerpc64le-linux-gnu",
    "s390x": "s390x-linux-gnu",
    "riscv64": "riscv64-linux-gnu",
    "loong64": "loongarch64-linux-gnu",
    "mips64el": "mips64el-linux-gnuabi64",
}

#: Debian architecture → ABI and CPU of its tuple where these are not ``base`` and its own name.
_ABI_AND_CPU = {
    "armhf": ("eabihf", "arm"),
    "armel": ("eabi", "arm"),
    "mips64el": ("abi64", "mips64el"),
}


def matches_architecture(architecture: str, pattern: str) -> bool:
    """Whether ``pattern`` of a restriction list matches ``architecture`` (Debian Policy 11.1.1).

    ``any``, ``linux-any`` and ``any-arm`` are wildcards: parts of the tuple ABI, C library,
    system and CPU, counted from its end.
    """
    parts = pattern.split("-")
    if "any" not in parts:
        return pattern.removeprefix("linux-") == architecture
    abi, cpu = _ABI_AND_CPU.get(architecture, ("base", architecture))
    own = (abi, "gnu", "linux", cpu)
    wanted = ("any",) * (len(own) - len(parts)) + tuple(parts)
    return len(wanted) == len(own) and all(
        part in ("any", there) for part, there in zip(wanted, own, strict=True)
    )
