"""Which files are read, and how: the gate that keeps an audit quick.

A file is looked at when its name may belong to a kind, and parsed when its bytes hold
what that kind needs to name an image. Adding a kind is adding a row.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from functools import cache, lru_cache

import msgspec

from homeport.audit.reading.collector import Collector
from homeport.audit.reading.context import Context
from homeport.audit.reading.embedded import TEMPLATE_SUFFIX
from homeport.audit.reading.programs import Programs, program_bytes
from homeport.audit.source import Source

Reader = Callable[[Source, Collector, Context], None]


class Kind(msgspec.Struct, frozen=True):
    """A kind of file.

    path:    regular expression over the path as shown (``/`` before the first part)
    needs:   regular expression over the bytes, or ``b""``; ``_COMMANDS`` in it stands for any
             program whose commands are read
    reader:  ``module:function`` below ``homeport.audit.readers``
    template: files of it that hold tags of a template language are read without those
    beside:  read in addition to the first row that fits
    """

    name: str
    path: str
    needs: bytes
    reader: str
    template: bool = True
    beside: bool = False


#: In ``Kind.needs``: one of the programs.
_COMMANDS = b"{programs}"
_IMAGE = rb"(?i)image|docker|container"
#: Packages that pull images by a rule.
_PACKAGES = rb"testcontainers|aws-lambda-python"
_YAML = r"\.ya?ml$"

#: In order: the first row whose name and bytes fit reads the file.
KINDS: tuple[Kind, ...] = (
    Kind("dockerfile", r"(?i)(?:^|[/._-])(?:docker|container)file(?:[._-][^/]*)?"
         r"(?<!\.go)(?<!\.py)(?<!\.js)(?<!\.ts)(?<!\.md)(?<!\.rs)(?<!\.rb)(?<!\.java)(?<!\.html)"
         r"(?<!\.yml)(?<!\.yaml)(?<!\.json)(?<!\.toml)(?<!ignore)(?<!\.txt)(?<!\.sh)(?<!\.rst)(?<!\.lock)$",
         rb"(?i)from|syntax", "dockerfile:read", template=False),
    Kind("compose", r"(?i)/(?:[^/]*[._-])?(?:docker-)?compose[^/]*\.ya?ml$",
         rb"image|build|docker", "compose:read"),
    Kind("gitlab", r"(?i)/(?:[^/]*\.)?gitlab-ci[^/]*\.ya?ml$|/\.gitlab/.*\.ya?ml$"
         r"|/templates/[^/]+/template\.ya?ml$",
         rb"image|services|docker|script|include", "gitlab:read"),
    Kind("github", r"/\.(?:github|gitea|forgejo)/(?:workflows|actions)/.*\.ya?ml$|/action\.ya?ml$",
         rb"jobs:|runs:|docker", "github:read", template=False),
    Kind("kubernetes", r"/kustomization(?:\.ya?ml)?$", rb"images|helmCharts", "kubernetes:read"),
    Kind("helm", r"/Chart\.ya?ml$", rb"images", "helm:read_chart"),
    Kind("helm", r"/templates/.*\.(?:ya?ml|tpl)$", rb"\{\{", "charttemplate:read", template=False),
    Kind("helm", r"(?i)/(?:[^/]*[._-])?values[^/]*\.ya?ml$", rb"(?i)image|repository", "helm:read"),
    Kind("bake", r"(?i)/[^/]*bake[^/]*\.(?:hcl|json)$", rb"target", "bake:read"),
    Kind("circleci", r"/\.circleci/.*\.ya?ml$", rb"image|run", "circleci:read"),
    Kind("drone", r"/\.drone[^/]*\.ya?ml$|/\.(?:woodpecker|crow)(?:/[^/]*)?\.ya?ml$"
         r"|/\.vela\.ya?ml$",
         rb"image|steps|pipeline", "pipelines:read_drone"),
    Kind("azure", r"/[^/]*azure-pipelines[^/]*\.ya?ml$|/\.azure[^/]*/.*\.ya?ml$",
         rb"container|image|docker|" + _COMMANDS, "pipelines:read_azure"),
    Kind("bitbucket", r"/bitbucket-pipelines\.ya?ml$", b"", "pipelines:read_bitbucket"),
    Kind("cloudbuild", r"/[^/]*cloudbuild[^/]*\.(?:ya?ml|json)$", rb"steps",
         "pipelines:read_cloudbuild"),
    Kind("buildkite", r"/\.buildkite/.*\.ya?ml$", rb"image|docker|" + _COMMANDS,
         "pipelines:read_buildkite"),
    Kind("travis", r"/\.travis\.ya?ml$", rb"docker|podman|" + _COMMANDS, "pipelines:read_travis"),
    Kind("skaffold", r"/[^/]*skaffold[^/]*\.ya?ml$", rb"build", "builders:read_skaffold"),
    Kind("werf", r"/werf[^/]*\.ya?ml$", rb"from", "builders:read_werf"),
    Kind("ko", r"/\.ko\.ya?ml$", b"", "builders:read_ko"),
    Kind("blubber", r"/[^/]*blubber[^/]*\.ya?ml$", rb"variants|base", "builders:read_blubber"),
    Kind("blubber", r"\.ya?ml$",
         rb"\A(?:\xef\xbb\xbf)?(?:#[^\n]{0,200}\n){0,3}#\s{0,9}syntax\s{0,9}=[^\n]{0,200}blubber",
         "builders:read_blubber"),
    Kind("devcontainer", r"/(?:\.devcontainer/(?:.*/)?devcontainer|\.devcontainer)\.json$",
         rb"image|features|build|docker", "devcontainer:read"),
    Kind("settings", r"/daemon\.json$", rb"registry-mirrors", "settings:read_daemon"),
    Kind("ansible", r"\.ya?ml$",
         rb"(?m)^\s*-?\s*[\w.]*(?:(?:docker|podman)_(?:container|image|swarm_service)|\bk8s)\s*:",
         "ansible:read"),
    Kind("kubernetes", r"\.(?:ya?ml|json)$", rb"apiVersion[\"']?\s*:", "kubernetes:read"),
    Kind("packer", r"\.json$", rb"\"builders\"(?s:.*)docker", "hashicorp:read_packer_json"),
    Kind("packages", r"/package\.json$", _PACKAGES, "packages:read"),
    Kind("concourse", r"\.ya?ml$", rb"image_resource|registry-image", "pipelines:read_concourse"),
    Kind("docker-pkg", r"\.ya?ml$", rb"(?m)^base_images\s*:", "builders:read_docker_pkg"),
    Kind("compose", r"/[^/]*(?:stack|docker|swarm)[^/]*\.ya?ml$", rb"(?m)^services\s*:",
         "compose:read"),
    Kind("gitlab", r"/(?:\.?ci|\.?gitlab|gitlab-ci|pipelines?)/.*\.ya?ml$",
         rb"(?m)^\s*(?:image|services|script|stage)\s*:", "gitlab:read"),
    Kind("terraform", r"\.(?:tf|tofu)(?:\.json)?$", _IMAGE, "hashicorp:read"),
    Kind("nomad", r"\.nomad(?:\.hcl)?$", _IMAGE, "hashicorp:read"),
    Kind("packer", r"\.pkr\.hcl$", _IMAGE, "hashicorp:read"),
    Kind("nomad", r"\.hcl$", rb"(?m)^\s*job\s+\"", "hashicorp:read"),
    Kind("jenkins", r"(?i)/[^/]*jenkinsfile[^/]*$|\.jenkins$|\.groovy$",
         rb"docker|image|kubernetes|podman|" + _COMMANDS, "jenkins:read"),
    Kind("earthfile", r"/Earthfile$", b"", "builders:read_earthfile"),
    Kind("quadlet", r"\.(?:container|image|volume|build)$", rb"Image(?:Tag)?\s*=|File\s*=",
         "quadlet:read"),
    Kind("buildpacks", r"/project\.toml$", rb"builder", "builders:read_project"),
    Kind("packages", r"/(?:pyproject|Cargo|libs\.versions)\.toml$", _PACKAGES,
         "packages:read"),
    Kind("settings", r"\.toml$|/(?:registries|containers|crio)\.conf$"
         r"|/(?:registries|crio)\.conf\.d/.*\.conf$",
         rb"mirror|sandbox|pause_image|infra_image|\[\[runners|allowedRepositories|\[aliases\]"
         rb"|unqualified-search|\[host", "settings:read_toml"),
    Kind("bazel", r"/(?:MODULE|WORKSPACE)(?:\.bazel)?$|\.(?:bzl|bazel)$", rb"pull",
         "code:read_bazel"),
    Kind("nix", r"\.nix$", rb"pullImage", "code:read_nix"),
    Kind("jvm", r"/pom\.xml$|\.gradle(?:\.kts)?$", rb"testcontainers|jib|<from>", "code:read_jvm"),
    Kind("packages", r"/(?:requirements[^/]*\.txt|go\.mod|setup\.cfg)$", _PACKAGES,
         "packages:read"),
    Kind("script", r"(?i)\.(?:sh|bash|mk|envrc)$|/(?:[^/]*makefile|justfile|taskfile[^/]*|tiltfile"
         r"|vagrantfile)$",
         _COMMANDS,
         "scripts:read", template=False),
    Kind("syntax", r"(?<!file)$",
         rb"\A(?:\xef\xbb\xbf)?(?:#[^\n]{0,200}\n){0,3}(?:#|//)\s{0,9}syntax\s{0,9}=",
         "syntax:read", template=False, beside=True),
)  # fmt: skip

#: Names that no kind can have are dropped by one look.
_CANDIDATE = re.compile(
    r"(?i)(?:docker|container|make|jenkins|earth|vagrant|tilt|just|task)file|kustomization"
    r"|\.(?:ya?ml|jsonc?|hcl|tf|tofu|nomad|toml|conf|containers?|image|volume|kube|build|groovy"
    r"|bzl|bazel|nix|xml|gradle|kts|sh|bash|mk|txt|mod|cfg|jenkins|tpl)$|^(?:MODULE|WORKSPACE)$"
)


@lru_cache(maxsize=16)
def _compiled(
    programs: Programs,
) -> tuple[tuple[Kind, re.Pattern[str], re.Pattern[bytes] | None], ...]:
    return tuple(
        (
            kind,
            re.compile(kind.path),
            re.compile(kind.needs.replace(_COMMANDS, program_bytes(programs)))
            if kind.needs
            else None,
        )
        for kind in KINDS
    )


def may_be_read(name: str) -> bool:
    """Whether a file of this name belongs to any kind at all."""
    return _CANDIDATE.search(TEMPLATE_SUFFIX.sub("", name)) is not None


def kinds_of(path: str, programs: Programs) -> list[tuple[Kind, re.Pattern[bytes] | None]]:
    """The kinds that a path may have; a template has those of what it is a template of."""
    rooted = TEMPLATE_SUFFIX.sub("", "/" + path)
    return [(kind, needs) for kind, pattern, needs in _compiled(programs) if pattern.search(rooted)]


@cache
def reader_of(kind: Kind) -> Reader:
    """The function that reads a kind."""
    module, _, name = kind.reader.partition(":")
    reader: Reader = getattr(importlib.import_module(f"homeport.audit.readers.{module}"), name)
    return reader
