"""Images in source code: arguments of calls that libraries document as images.

A weak find: the text is a literal in a call of Testcontainers, Dagger, BuildKit's LLB or a
Docker library, and the file holds that library's name (the evidence). Code is not parsed and
nothing is evaluated.
"""

from __future__ import annotations

import re

import msgspec

from homeport.audit.reading.collector import Collector
from homeport.audit.reading.context import Context
from homeport.audit.source import Source

_REF = r"[\"'`](?P<ref>[\w.:/@-]{2,300})[\"'`]"


class _Call(msgspec.Struct, frozen=True):
    """A form of a call. ``evidence``: what the file must hold; ``files``: ends of names."""

    library: str
    files: tuple[str, ...]
    evidence: str
    pattern: re.Pattern[str]


_JVM = (".java", ".kt", ".kts", ".scala", ".groovy")
_NODE = (".ts", ".js", ".tsx", ".jsx", ".mts", ".cts", ".mjs", ".cjs")


def _call(library: str, files: tuple[str, ...], evidence: str, pattern: str) -> _Call:
    return _Call(library, files, evidence, re.compile(pattern))


_CALLS: tuple[_Call, ...] = (
    _call("Testcontainers", _JVM, "testcontainers",
          r"\b(?:[A-Z]\w{0,60}Container(?:<[^<>\n]{0,80}>|<>)?|DockerImageName\.parse|withImage"
          rf"|RemoteDockerImage)\(\s{{0,80}}{_REF}"),
    _call("Testcontainers", (".go",), "testcontainers", rf"\bImage:\s{{0,20}}{_REF}"),
    _call("Testcontainers", (".go",), "testcontainers",
          rf"\b\w{{1,40}}\.(?:Run|RunContainer|WithImage)\((?:\s{{0,40}}\w{{1,20}}(?:\.\w{{1,30"
          rf"}}\(\))?,\s{{0,40}})?{_REF}"),
    _call("Testcontainers", (".py",), "testcontainers",
          rf"\b[A-Z]\w{{0,60}}Container\(\s{{0,80}}(?:image\s{{0,5}}=\s{{0,5}})?{_REF}"),
    _call("Testcontainers", _NODE, "testcontainers",
          rf"\bnew\s{{1,5}}[A-Z]\w{{0,60}}Container\(\s{{0,80}}{_REF}"),
    _call("Testcontainers", (".cs",), "Testcontainers",
          rf"\.WithImage\(\s{{0,80}}{_REF}|\bnew\s{{1,5}}[A-Z]\w{{0,60}}Builder\(\s{{0,80}}[\"']"
          rf"(?P<ref2>[\w.:/@-]{{2,300}})[\"']"),
    _call("Testcontainers", (".rs",), "testcontainers",
          rf"\bGenericImage::new\(\s{{0,80}}{_REF}\s{{0,20}},\s{{0,80}}\"(?P<tag>[\w.-]{{1,128}}"
          rf")\""),
    _call("dockertest", (".go",), "ory/dockertest",
          rf"\.Run\(\s{{0,80}}{_REF}\s{{0,20}},\s{{0,80}}\"(?P<tag>[\w.-]{{1,128}})\""),
    _call("dockertest", (".go",), "ory/dockertest",
          rf"\bRepository:\s{{0,20}}{_REF}\s{{0,5}},\s{{0,80}}Tag:\s{{0,20}}\"(?P<tag>[\w.-]{{1,"
          rf"128}})\""),
    _call("Dagger", (".go",), "agger", rf"\.From\(\s{{0,80}}{_REF}"),
    _call("Dagger", (".py",), "dagger", rf"\.from_\(\s{{0,80}}{_REF}"),
    _call("Dagger", _NODE, "dagger", rf"\)\s{{0,80}}\.from\(\s{{0,80}}{_REF}"),
    _call("Dagger", (".java",), "dagger", rf"\)\s{{0,80}}\.from\(\s{{0,80}}{_REF}"),
    _call("BuildKit LLB", (".go",), "client/llb", rf"\bllb\.Image\(\s{{0,80}}{_REF}"),
    _call("Docker SDK", (".go",), "docker/docker", rf"\.ImagePull\(\s{{0,40}}\w{{1,20}}(?:\.\w{{"
                                                   rf"1,30}}\(\))?,\s{{0,40}}{_REF}"),
    _call("Docker SDK", (".go",), "docker/docker", rf"\bcontainer\.Config\{{\s{{0,80}}Image:\s{{"
                                                   rf"0,20}}{_REF}"),
    _call("Docker SDK", (".py",), "docker",
          rf"\.(?:containers\.(?:run|create)|images\.pull)\(\s{{0,80}}(?:image\s{{0,5}}=\s{{0,5"
          rf"}}|repository\s{{0,5}}=\s{{0,5}})?{_REF}"),
    _call("Airflow", (".py",), "airflow",
          rf"\b(?:DockerOperator|KubernetesPodOperator)\([^()]{{0,800}}\bimage\s{{0,5}}=\s{{0,5"
          rf"}}{_REF}"),
    _call("AWS CDK", (*_NODE, ".py", ".java", ".go", ".cs"), "aws",
          rf"\b(?:fromRegistry|from_registry|FromRegistry|ContainerImage_FromRegistry|DockerImag"
          rf"e_FromRegistry)\(\s{{0,80}}(?:jsii\.String\()?{_REF}"),
    _call("Pulumi", (*_NODE, ".py", ".go"), "pulumi",
          rf"\bRemoteImage\(\s{{0,20}}[\"'][^\"'\n]{{0,80}}[\"'],\s{{0,20}}\{{?\s{{0,40}}name\s"
          rf"{{0,5}}[:=]\s{{0,5}}{_REF}"),
    _call("Pulumi", _NODE, "@pulumi/", rf"\bimage:\s{{0,20}}{_REF}"),
    _call("cdk8s", _NODE, "cdk8s", rf"\bimage:\s{{0,20}}{_REF}"),
    _call("Kubernetes API", (".go",), "k8s.io/api/core", rf"\bImage:\s{{0,20}}{_REF}"),
)  # fmt: skip
#: Finds in one file.


def read(source: Source, found: Collector, context: Context) -> None:
    """Report every literal in a call that takes an image."""
    text = source.text
    whole = source.whole()
    for call in _CALLS:
        if not source.name.endswith(call.files) or call.evidence not in text:
            continue
        for match in found.each(call.pattern.finditer(text)):
            groups = match.groupdict()
            name = "ref" if groups["ref"] else "ref2"
            if _is_comment(text, match.start()):
                continue
            value = whole.part(*match.span(name))
            tag = groups.get("tag")
            found.image(
                value, call.library, confidence="low", note=f"an argument in a call of "
                                                            f"{call.library}",
                value=f"{value.text}:{tag}" if tag else None,
            )  # fmt: skip


def _is_comment(text: str, at: int) -> bool:
    start = text.rfind("\n", max(0, at - 400), at) + 1
    return text[start:at].lstrip().startswith(("//", "#", "*", "/*"))
