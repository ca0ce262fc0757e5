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
from homeport.audit.reading.keyed_files import KEYED_FILES
from homeport.audit.reading.programs import Programs
from homeport.audit.source import Source

Reader = Callable[[Source, Collector, Context], None]


class Kind(msgspec.Struct, frozen=True):
    """A kind of file.

    path:     regular expression over the path as shown (``/`` before the first part)
    words:    the bytes hold one of these, in any case; without words every file is read.
              ``_COMMANDS`` stands for every program whose commands are read, and a blank
    reader:   ``module:function`` below ``homeport.audit.readers``
    pattern:  regular expression over the bytes, for files that have a word; bounded, because
              they come from strangers
    template: files of it that hold tags of a template language are read without those
    beside:   read in addition to the first row that fits
    hint:     text that every such path holds, in lower case: quicker than the expression
    """

    name: str
    path: str
    words: tuple[bytes, ...]
    reader: str
    pattern: bytes = b""
    template: bool = True
    beside: bool = False
    hint: str = ""

    @property
    def by_name(self) -> bool:
        """Whether the name says anything: some kinds may be in any file."""
        return not self.beside or "/" in self.path


class Gate:
    """Whether the bytes of a file may name an image, by kind. Words first: they are cheap."""

    def __init__(self, kind: Kind, programs: Programs) -> None:
        words = [word for word in kind.words if word != _COMMANDS]
        if _COMMANDS in kind.words:
            blanks = (" ", "\t")
            words += [f"{program}{blank}".encode() for program in programs for blank in blanks]
        self._words = tuple(word.lower() for word in words)
        self._pattern = re.compile(kind.pattern) if kind.pattern else None

    def admits(self, data: bytes, lowered: bytes) -> bool:
        """``lowered``: the same in lower case."""
        if self._words and not any(word in lowered for word in self._words):
            return False
        return self._pattern is None or self._pattern.search(data) is not None


#: In ``Kind.words``: every program.
_COMMANDS = b"{programs}"
_IMAGE = (b"image", b"docker", b"container")
#: Packages that pull images by a rule.
_PACKAGES = (
    b"testcontainers", b"aws-lambda-python", b"aspire.hosting", b"sigs.k8s.io/kind", b"dagger.io",
)  # fmt: skip
_MODULES = (
    b"docker_container:", b"docker_image:", b"docker_swarm_service:", b"podman_container:",
    b"podman_image:", b"k8s:",
)  # fmt: skip
#: A task's module: at the start of a line, perhaps with its collection.
_MODULE = (
    rb"(?m)^[ \t]{0,200}+(?:-[ \t]{1,99}+)?(?:\w{1,60}+\.){0,4}"
    rb"(?:(?:docker|podman)_(?:container|image|swarm_service)|k8s):"
)

#: Source code, which has few kinds.
_CODE = r"\.(?:go|java|kts?|scala|py|[cm]?[jt]sx?|rs|cs)$(?<!\.gradle\.kts)"

#: In order: the first row whose name and bytes fit reads the file.
KINDS: tuple[Kind, ...] = (
    Kind("dockerfile", r"(?i)(?:^|[/._-])(?:docker|container)file(?:[._-][^/]*)?"
         r"(?<!\.go)(?<!\.py)(?<!\.js)(?<!\.ts)(?<!\.md)(?<!\.rs)(?<!\.rb)(?<!\.java)(?<!\.html)"
         r"(?<!\.yml)(?<!\.yaml)(?<!\.json)(?<!\.toml)(?<!ignore)(?<!\.txt)(?<!\.sh)(?<!\.rst)(?"
         r"<!\.lock)(?<!\.proof)(?<!\.parts)$",
         (b"from", b"syntax"), "dockerfile:read", template=False),
    Kind("compose", r"(?i)/(?:[^/]*[._-])?(?:docker-)?compose[^/]*\.ya?ml$",
         (b"image", b"build", b"docker"), "compose:read"),
    Kind("gitlab", r"(?i)/(?:[^/]*\.)?gitlab-ci[^/]*\.ya?ml$|/\.gitlab/.*\.ya?ml$"
         r"|/templates/[^/]+/template\.ya?ml$",
         (b"image", b"services", b"docker", b"script", b"include"), "gitlab:read"),
    Kind("github", r"/\.(?:github|gitea|forgejo)/(?:workflows|actions)/.*\.ya?ml$|/action\.ya?ml$",
         (b"jobs:", b"runs:", b"docker"), "github:read", template=False),
    Kind("kubernetes", r"/kustomization(?:\.ya?ml)?$", (b"images", b"helmcharts"),
         "kubernetes:read"),
    Kind("helm", r"/Chart\.ya?ml$", (b"images", b"oci://"), "helm:read_chart"),
    Kind("nomad", r"\.nomad(?:\.tpl)?$", (b"[[",), "nomad_pack:read", template=False),
    Kind("helm", r"/templates/.*\.(?:ya?ml|tpl)$", (b"{{",), "charttemplate:read", template=False),
    Kind("helm", r"(?i)/(?:[^/]*[._-])?values[^/]*\.ya?ml$",
         (b"image", b"repository", b"containerMode"), "helm:read"),
    Kind("bake", r"(?i)/[^/]*bake[^/]*\.(?:hcl|json)$", (b"target",), "bake:read"),
    Kind("circleci", r"/\.circleci/.*\.ya?ml$", (b"image", b"run"), "circleci:read"),
    Kind("drone", r"/\.drone[^/]*\.ya?ml$|/\.(?:woodpecker|crow)(?:/[^/]*)?\.ya?ml$"
         r"|/\.vela\.ya?ml$",
         (b"image", b"steps", b"pipeline"), "pipelines:read_drone"),
    Kind("azure", r"/[^/]*azure-pipelines[^/]*\.ya?ml$|/\.azure[^/]*/.*\.ya?ml$",
         (b"container", b"image", b"docker", _COMMANDS), "pipelines:read_azure"),
    Kind("bitbucket", r"/bitbucket-pipelines\.ya?ml$", (), "pipelines:read_bitbucket"),
    Kind("cloudbuild", r"/[^/]*cloudbuild[^/]*\.(?:ya?ml|json)$", (b"steps",),
         "pipelines:read_cloudbuild"),
    Kind("buildkite", r"/\.buildkite/.*\.ya?ml$", (b"image", b"docker", _COMMANDS),
         "pipelines:read_buildkite"),
    Kind("travis", r"/\.travis\.ya?ml$", (b"docker", b"podman", _COMMANDS),
         "pipelines:read_travis"),
    Kind("skaffold", r"/[^/]*skaffold[^/]*\.ya?ml$", (b"build",), "builders:read_skaffold"),
    Kind("werf", r"/werf[^/]*\.ya?ml$", (b"from",), "builders:read_werf"),
    Kind("ko", r"/\.ko\.ya?ml$", (), "builders:read_ko"),
    Kind("blubber", r"/[^/]*blubber[^/]*\.ya?ml$", (b"variants", b"base"), "builders:read_blubber"),
    Kind("blubber", r"\.ya?ml$", (b"blubber",), "builders:read_blubber",
         rb"\A(?:\xef\xbb\xbf)?(?:#[^\n]{0,200}\n){0,3}#\s{0,9}syntax\s{0,9}=[^\n]{0,200}blubber"),
    Kind("devcontainer", r"/(?:\.devcontainer/(?:.*/)?devcontainer|\.devcontainer)\.json$",
         (b"image", b"features", b"build", b"docker"), "devcontainer:read"),
    Kind("settings", r"/daemon\.json$", (b"registry-mirrors",), "settings:read_daemon"),
    *(
        Kind(row.name, row.path, row.words, "keyed:read", row.pattern,
             hint=row.name if row.hint is None else row.hint)
        for row in KEYED_FILES
    ),
    Kind("ansible", r"/(?:defaults|vars)/.*\.ya?ml$|/(?:group_vars|host_vars)/(?:.*\.ya?ml|[^.]+)$",
         (b"image", b"registry", b"version", b"repo", b"container", b"tag"),
         "ansible_variables:read"),
    Kind("ansible", r"\.ya?ml$", _MODULES, "ansible:read", _MODULE),
    Kind("kubernetes", r"\.(?:ya?ml|json)$", (b"apiversion",), "kubernetes:read",
         rb"apiVersion[\"']?[ \t]{0,9}:"),
    Kind("packer", r"\.json$", (b'"builders"',), "hashicorp:read_packer_json", rb"docker"),
    Kind("packages", r"/package\.json$", _PACKAGES, "packages:read", beside=True),
    Kind("concourse", r"\.ya?ml$", (b"image_resource", b"registry-image"),
         "pipelines:read_concourse"),
    Kind("docker-pkg", r"\.ya?ml$", (b"base_images",), "builders:read_docker_pkg",
         rb"(?m)^base_images[ \t]{0,9}:"),
    Kind("compose", r"/[^/]*(?:stack|docker|swarm)[^/]*\.ya?ml$", (b"services",), "compose:read",
         rb"(?m)^services[ \t]{0,9}:"),
    Kind("gitlab", r"/(?:\.?ci|\.?gitlab|gitlab-ci|pipelines?)/.*\.ya?ml$",
         (b"image", b"services", b"script", b"stage"), "gitlab:read",
         rb"(?m)^[ \t]{0,99}+(?:image|services|script|stage)[ \t]{0,9}:"),
    Kind("terraform", r"\.(?:tf|tofu)(?:\.json)?$", _IMAGE, "hashicorp:read"),
    Kind("nomad", r"\.nomad(?:\.hcl)?$", _IMAGE, "hashicorp:read"),
    Kind("packer", r"\.pkr\.hcl$", _IMAGE, "hashicorp:read"),
    Kind("nomad", r"\.hcl$", (b"job",), "hashicorp:read", rb"(?m)^[ \t]{0,99}+job[ \t]{1,9}\""),
    Kind("jenkins", r"(?i)/[^/]*jenkinsfile[^/]*$|\.jenkins$|\.groovy$",
         (b"docker", b"image", b"kubernetes", b"podman", _COMMANDS), "jenkins:read"),
    Kind("earthfile", r"/Earthfile$", (), "builders:read_earthfile"),
    Kind("quadlet", r"\.(?:container|image|volume|build)$", (b"image", b"file"),
         "quadlet:read"),
    Kind("buildpacks", r"/project\.toml$", (b"builder",), "builders:read_project"),
    Kind("packages", r"/(?:pyproject|Cargo|libs\.versions)\.toml$", _PACKAGES,
         "packages:read"),
    Kind("settings", r"\.toml$|/(?:registries|containers|crio)\.conf$"
         r"|/(?:registries|crio)\.conf\.d/.*\.conf$",
         (b"mirror", b"sandbox", b"pause_image", b"infra_image", b"[[runners",
         b"allowedrepositories",
          b"[aliases]", b"unqualified-search", b"[host"), "settings:read_toml"),
    Kind("bazel", r"/(?:MODULE|WORKSPACE)(?:\.bazel)?$|\.(?:bzl|bazel)$", (b"pull",),
         "code:read_bazel"),
    Kind("nix", r"\.nix$", (b"pullimage",), "code:read_nix"),
    Kind("jvm", r"/pom\.xml$|\.gradle(?:\.kts)?$",
         (b"testcontainers", b"jib", b"<from>", b"buildimage", b"builder", b"spring-boot",
          b"springframework", b"quarkus"), "code:read_jvm",
         template=False),
    Kind("packages", r"\.(?:cs|fs|vb)proj$|/[^/]*\.props$", _PACKAGES, "packages:read",
         template=False),
    Kind("packages", r"/(?:requirements[^/]*\.txt|go\.mod|setup\.cfg)$", _PACKAGES,
         "packages:read"),
    Kind("script", r"(?i)\.(?:sh|bash|zsh|bats|ps1|mk|envrc)$|/(?:[^/]*makefile|justfile|taskfil"
                   r"e[^/]*|tiltfile"
         r"|vagrantfile)$",
         (_COMMANDS, b"image"), "scripts:read", template=False),
    Kind("script", r"/[^/.]+$", (b"sh",), "scripts:read", rb"\A#![^\n]{0,80}sh\b", template=False),
    Kind("code", _CODE,
         (b"testcontainers", b"dagger", b"docker", b"registry", b"pulumi", b"airflow", b"cdk8s",
          b"k8s.io/api", b"llb."),
         "library_calls:read", template=False),
    Kind("nextflow", r"\.nf$|/nextflow[^/]*\.config$|/conf/[^/]*\.config$|\.nf\.config$",
         (b"container",), "textual:read", template=False),
    Kind("bicep", r"\.bicep(?:param)?$", _IMAGE, "textual:read", template=False),
    Kind("snakemake", r"/Snakefile[^/]*$|\.smk$", (b"docker://",), "textual:read", template=False),
    Kind("wdl", r"\.wdl$", _IMAGE, "textual:read", template=False),
    Kind("properties", r"\.properties$", (b"image", b"jib"), "textual:read", template=False),
    Kind("systemd", r"\.(?:service|timer)$", (_COMMANDS,), "scripts:read", template=False),
    Kind("tfvars", r"\.(?:auto\.)?tfvars$", _IMAGE, "hashicorp:read_tfvars", template=False),
    Kind("renovate", r"", (b"datasource=docker",), "renovate:read", template=False, beside=True),
    Kind("syntax", r"(?<!file)$", (b"syntax",), "syntax:read",
         rb"\A(?:\xef\xbb\xbf)?(?:#[^\n]{0,200}\n){0,3}(?:#|//)\s{0,9}syntax\s{0,9}=",
         template=False, beside=True),
)  # fmt: skip

_IS_CODE = re.compile(_CODE)
_OF_CODE = ("code", "renovate")
#: Names that no kind can have are dropped by one look.
_CANDIDATE = re.compile(
    r"(?i)(?:docker|container|make|jenkins|earth|vagrant|tilt|just|task)file|kustomization"
    r"|\.(?:ya?ml|jsonc?|hcl|tf|tofu|nomad|toml|conf|containers?|image|volume|kube|build|groovy"
    r"|bzl|bazel|nix|xml|gradle|kts?|sh|bash|mk|txt|mod|cfg|jenkins|tpl|go|java|scala|py"
    r"|[cm]?[jt]sx?|rs|cs|service|timer|tfvars|nf|config|bicep|bicepparam|smk|wdl|cwl|properties"
    r"|zsh|bats|ps1|csproj|fsproj|vbproj|props)$|^[^.]{1,255}$"
)


@lru_cache(maxsize=16)
def _compiled(programs: Programs) -> tuple[tuple[Kind, re.Pattern[str], Gate], ...]:
    return tuple((kind, re.compile(kind.path), Gate(kind, programs)) for kind in KINDS)


def may_be_read(name: str) -> bool:
    """Whether a file of this name belongs to any kind at all."""
    return _CANDIDATE.search(TEMPLATE_SUFFIX.sub("", name)) is not None


def kinds_of(path: str, programs: Programs) -> list[tuple[Kind, Gate]]:
    """The kinds that a path may have; a template has those of what it is a template of."""
    full = f"/{path}"
    rooted = TEMPLATE_SUFFIX.sub("", full)
    if _IS_CODE.search(rooted):
        return list(_code(programs))
    lower = rooted.lower()
    return [
        (kind, gate) for kind, pattern, gate in _compiled(programs)
        if kind.hint in lower
        and (pattern.search(rooted) or (full != rooted and pattern.search(full)))
        and (kind.reader != "charttemplate:read" or pattern.search(full))
    ]  # fmt: skip


@lru_cache(maxsize=16)
def _code(programs: Programs) -> tuple[tuple[Kind, Gate], ...]:
    return tuple((kind, gate) for kind, _, gate in _compiled(programs) if kind.name in _OF_CODE)


@cache
def reader_of(kind: Kind) -> Reader:
    """The function that reads a kind."""
    module, _, name = kind.reader.partition(":")
    reader: Reader = getattr(importlib.import_module(f"homeport.audit.readers.{module}"), name)
    return reader
