"""Which files are read, and how: the gate that keeps an audit quick.

A file is looked at when its name may belong to a kind, and parsed when its bytes hold
what that kind needs to name an image. Adding a kind is adding a row.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from homeport.audit.collecting import Collector
from homeport.audit.context import Context
from homeport.audit.source import Source

Reader = Callable[[Source, Collector, Context], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file.

    path:    regular expression over the path as shown (``/`` before the first part)
    needs:   regular expression over the bytes, or ``b""``
    reader:  ``module:function`` below ``homeport.audit.readers``
    """

    name: str
    path: str
    needs: bytes
    reader: str


_IMAGE = rb"(?i)image|docker|container"
_YAML = r"\.ya?ml$"

#: In order: the first row whose name and bytes fit reads the file.
KINDS: tuple[Kind, ...] = (
    Kind("dockerfile", r"(?i)(?:^|[/._-])(?:docker|container)file(?:[._-][^/]*)?"
         r"(?<!\.go)(?<!\.py)(?<!\.js)(?<!\.ts)(?<!\.md)(?<!\.rs)(?<!\.rb)(?<!\.java)(?<!\.html)"
         r"(?<!\.yml)(?<!\.yaml)(?<!\.json)(?<!\.toml)(?<!ignore)(?<!\.txt)(?<!\.sh)(?<!\.rst)(?<!\.lock)$",
         rb"(?i)from|syntax", "dockerfile:read"),
    Kind("compose", r"(?i)/(?:[^/]*[._-])?(?:docker-)?compose[^/]*\.ya?ml$",
         rb"image|build|docker", "compose:read"),
    Kind("gitlab", r"(?i)/(?:[^/]*\.)?gitlab-ci[^/]*\.ya?ml$|/\.gitlab/.*\.ya?ml$"
         r"|/templates/[^/]+/template\.ya?ml$",
         rb"image|services|docker|script|include", "gitlab:read"),
    Kind("github", r"/\.(?:github|gitea|forgejo)/(?:workflows|actions)/.*\.ya?ml$|/action\.ya?ml$",
         rb"jobs:|runs:|docker", "github:read"),
    Kind("kubernetes", r"/kustomization(?:\.ya?ml)?$", rb"images|helmCharts", "kubernetes:read"),
    Kind("helm", r"/Chart\.ya?ml$", rb"images", "helm:read_chart"),
    Kind("helm", r"/templates/.*\.(?:ya?ml|tpl)$", rb"\{\{", "helm:read_template"),
    Kind("helm", r"(?i)/(?:[^/]*[._-])?values[^/]*\.ya?ml$", rb"(?i)image|repository", "helm:read"),
    Kind("kubernetes", r"\.(?:ya?ml|json)$", rb"apiVersion[\"']?\s*:", "kubernetes:read"),
)  # fmt: skip

#: Names that no kind can have are dropped by one look.
_CANDIDATE = re.compile(
    r"(?i)(?:docker|container|make|jenkins|earth|vagrant|tilt|just|task)file|kustomization"
    r"|\.(?:ya?ml|jsonc?|hcl|tf|tofu|nomad|toml|conf|containers?|image|volume|kube|build|groovy"
    r"|bzl|bazel|nix|xml|gradle|kts|sh|bash|mk|txt|mod|properties|template|j2|tpl|env)$"
    r"|^(?:MODULE|WORKSPACE)$|(?:^|/)(?:config|Tiltfile)$"
)


@cache
def _compiled() -> tuple[tuple[Kind, re.Pattern[str], re.Pattern[bytes] | None], ...]:
    return tuple(
        (kind, re.compile(kind.path), re.compile(kind.needs) if kind.needs else None)
        for kind in KINDS
    )


def may_be_read(name: str) -> bool:
    """Whether a file of this name belongs to any kind at all."""
    return _CANDIDATE.search(name) is not None


def kinds_of(path: str) -> list[tuple[Kind, re.Pattern[bytes] | None]]:
    """The kinds that a path may have."""
    rooted = "/" + path
    return [(kind, needs) for kind, pattern, needs in _compiled() if pattern.search(rooted)]


@cache
def reader_of(kind: Kind) -> Reader:
    """The function that reads a kind."""
    module, _, name = kind.reader.partition(":")
    reader: Reader = getattr(importlib.import_module(f"homeport.audit.readers.{module}"), name)
    return reader
