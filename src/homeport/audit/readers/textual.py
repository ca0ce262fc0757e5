"""Languages with few forms of naming an image: Bicep, Nextflow, Snakemake, WDL, properties.

Each form is an expression over the text with the group ``ref``; every repetition in one is
bounded. A value with an interpolation is listed as not resolved.
"""

from __future__ import annotations

import re

from homeport.audit.reading.collector import Collector
from homeport.audit.reading.context import Context
from homeport.audit.source import Source, Written

_FORMS: dict[str, tuple[re.Pattern[str], ...]] = {
    "bicep": (
        re.compile(r"\b(?:image|containerImage|dockerImage\w{0,40}|imageName)[ \t]{0,20}:[ \t]{0"
                   r",20}'(?P<r"
                   r"ef>[^'\n]{1,300})'"),
        re.compile(r"\bparam[ \t]{1,20}\w{0,60}[iI]mage\w{0,60}[ \t]{1,20}string[ \t]{0,20}=[ \t"
                   r"]{0,20}'(?P<ref>[^'"
                   r"\n]{1,300})'"),
        re.compile(r"'DOCKER\|(?P<ref>[^'\n]{1,300})'"),
    ),
    "nextflow": (
        re.compile(r"\bcontainer[ \t]{0,20}=?[ \t]{0,20}[\"'](?:docker://)?(?P<ref>[^\"'$\s]{1,3"
                   r"00})[\"']"),
        re.compile(r"\bcontainer[ \t]{1,20}\"\$\{[^{}]{0,600}:\s{0,40}'(?P<ref>[^'\s]{1,300})'\s"
                   r"{0,40"
                   r"}\}\""),
    ),
    "snakemake": (
        re.compile(r"\b(?:container|singularity|containerized)[ \t]{0,20}:\s{0,40}[\"']docker://"
                   r"(?P<r"
                   r"ef>[^\"'\s]{1,300})[\"']"),
    ),
    "wdl": (
        re.compile(r"\b(?:docker|container)[ \t]{0,20}:[ \t]{0,20}\"(?P<ref>[^\"\s]{1,300})\""),
        re.compile(r"\bString\??[ \t]{1,20}\w{0,60}(?:docker|image|container)\w{0,60}[ \t]{0,20}"
                   r"=[ \t]{0,20}\"("
                   r"?P<ref>[^\"\s]{1,300})\""),
    ),
    "properties": (
        re.compile(r"^[ \t]{0,20}[%\w.\"-]{0,120}(?:\.image-name|builder-image|base-(?:jvm|nativ"
                   r"e)-image"
                   r"|container\.image|jib\.from\.image)[ \t]{0,20}[=:][ \t]{0,20}(?P<ref>\S{1,3"
                   r"00})",
                   re.MULTILINE),
    ),
}  # fmt: skip
_REGISTRY = re.compile(
    r"\bdocker(?:\.registry|[ \t]{0,20}\{[^{}]{0,400}\bregistry)[ \t]{0,20}=[ \t]{0,20}[\"'](?P<"
    r"host>[\w.:/-]{1"
    r",200})[\"']"
)
_KEY = re.compile(r"[\w.%-]+")
_INTERPOLATION = re.compile(r"\$\{|~\{")


def read(source: Source, found: Collector, context: Context) -> None:
    """Report every image that one of the kind's forms names."""
    whole = source.whole()
    registry = _registry(source, context) if found.kind == "nextflow" else ""
    for pattern in _FORMS[found.kind]:
        for match in found.each(pattern.finditer(source.text)):
            before = source.text[match.start() : match.start("ref")].strip()
            name = _KEY.match(before)
            _image(whole.part(*match.span("ref")), found, registry, name.group() if name else "")


def _image(value: Written, found: Collector, registry: str, name: str) -> None:
    key = name or found.kind
    problem = "an interpolation fills it in" if _INTERPOLATION.search(value.text) else ""
    if "://" in value.text:
        return
    if not (":" in value.text or "/" in value.text) and found.kind != "properties":
        return
    first = value.text.partition("/")[0]
    if registry and "." not in first and ":" not in first:
        note = f"docker.registry of the pipeline is {registry}"
        found.image(value, key, value=f"{registry}/{value.text}", confidence="medium", note=note,
                    problem=problem)  # fmt: skip
    else:
        found.image(value, key, confidence="medium", problem=problem)


def _registry(source: Source, context: Context) -> str:
    """What ``nextflow.config`` above a module puts before names without a host."""
    folder = source.path
    for _ in range(12):
        folder, slash, _ = folder.rpartition("/")
        path = f"{folder}/nextflow.config" if slash else "nextflow.config"
        config = context.neighbour(Source("", b""), path)
        if config is not None and (match := _REGISTRY.search(config.text)):
            return match.group("host").rstrip("/")
        if not slash:
            break
    return ""
