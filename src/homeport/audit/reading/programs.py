"""Which programs' commands are read in shell text: those read here, and those that rules name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

#: Programs whose arguments name images (``reading.commands``).
CONTAINER_PROGRAMS = (
    "docker", "podman", "nerdctl", "buildah", "crane", "skopeo", "regctl", "oras", "buildctl",
    "kind", "k3d", "kubectl", "docker-compose", "docker-buildx", "crictl", "ctr", "oc", "helm",
    "trivy", "grype", "syft", "dive", "cosign", "singularity", "apptainer",
)  # fmt: skip

#: A word that can name a program in a rule file.
PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

Programs = tuple[str, ...]


def with_programs(named: Iterable[str]) -> Programs:
    """The programs read here and ``named``, each once; the longest of one beginning comes first."""
    return tuple(sorted({*CONTAINER_PROGRAMS, *named}, key=lambda word: (-len(word), word)))


#: Without any that rules name.
ALWAYS: Programs = with_programs(())


@lru_cache(maxsize=16)
def command_pattern(programs: Programs) -> re.Pattern[str]:
    """Finds where one of ``programs`` is run with arguments; the group ``tool`` is its name."""
    return re.compile(
        r"(?:^|[\s;&|(`\"'{!:@=-])(?:sudo[ \t]{1,9}+(?:-[\w=-]{1,40}[ \t]{1,9}+){0,5})?"
        rf"(?:\./|/usr/(?:local/)?bin/)?(?P<tool>{_any_of(programs)})(?=[ \t]{{1,99}}+[a-z+:./-])",
        re.MULTILINE,
    )


def _any_of(programs: Programs) -> str:
    return "|".join(re.escape(word) for word in programs)
