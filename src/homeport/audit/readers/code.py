"""Images named in build files of languages: Bazel, jib in Maven and Gradle, Nix."""

from __future__ import annotations

import re

from homeport.audit.readers import packages
from homeport.audit.reading.collector import Collector, field
from homeport.audit.reading.context import Context
from homeport.audit.source import Source, Written

_PULL = re.compile(r"\b(?:oci[._]pull|container_pull|oci_pull)\s{0,99}\((?P<body>[^()]{0,4000}+)\)")
_FIELD = re.compile(
    r"\b(?P<name>image|registry|repository|tag|digest)\s{0,99}=\s{0,99}"
    r"\"(?P<value>[^\"]{0,400}+)\""
)
_NIX = re.compile(r"pullImage\s{0,99}\{(?P<body>[^{}]{0,4000}+)\}")
_NIX_FIELD = re.compile(
    r"\b(?P<name>imageName|finalImageTag|imageDigest)\s{0,99}=\s{0,99}"
    r"\"(?P<value>[^\"]{0,400}+)\""
)
#: Forms of Maven and Gradle that name the image something is built on; each is bounded.
_JVM: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("jib from.image", "", re.compile(r"<from>[^<]{0,80}<image>\s{0,80}(?P<ref>[^<\s]{1,300})\s{"
                                      r"0,80}</image>")),
    ("jib from.image", "</platforms>", re.compile(
        r"</platforms>\s{0,200}<image>\s{0,80}(?P<ref>[^<\s]{1,300})\s{0,80}</image>")),
    ("jib from.image", "jib.from.image", re.compile(
        r"\bjib\.from\.image(?:>|[ \t]{0,9}=[ \t]{0,9}[\"']?)(?P<ref>[^<\"'\s]{1,300})")),
    ("jib from.image", "from.image", re.compile(
        r"(?<!jib\.)\bfrom\.image(?:[ \t]{0,9}=[ \t]{0,9}|\.set\(|[ \t]{1,9})[\"'](?P<ref>[^\"'"
        r"\s]{1,300})[\"']")),
    ("docker-maven-plugin from", "docker-maven-plugin", re.compile(
        r"<from>\s{0,80}(?P<ref>[^<\s]{1,300})\s{0,80}</from>")),
    ("spring-boot builder", "<builder>", re.compile(r"<builder>\s{0,80}(?P<ref>[^<\s]{1,300})\s{"
                                                    r"0,80}</builder>")),
    ("spring-boot runImage", "<runImage>", re.compile(r"<runImage>\s{0,80}(?P<ref>[^<\s]{1,300})"
                                                      r"\s{0,80}</runImage>")),
    ("bootBuildImage", "bootBuildImage", re.compile(
        r"\b(?:builder|runImage)(?:[ \t]{0,9}=[ \t]{0,9}|\.set\(|[ \t]{1,9})[\"'](?P<ref>[^\"'\s"
        r"]{1,300})[\"']")),
    ("native builder image", "builder-image>", re.compile(
        r"builder-image>\s{0,80}(?P<ref>[^<\s]{1,300})\s{0,80}</")),
)  # fmt: skip
#: Plug-ins whose default image a rule knows, and the keys that name another one.
_PLUGINS = (
    ("jib", re.compile(r"jib-(?:maven|gradle)-plugin|com\.google\.cloud\.tools\.jib\b")),
    ("spring-boot", re.compile(r"spring-boot-maven-plugin|org\.springframework\.boot\b[\"')]")),
)
_NAMED = {"jib": ("jib",), "spring-boot": ("spring-boot builder", "bootBuildImage")}
_JAVA = re.compile(
    r"(?:<(?:java\.version|maven\.compiler\.(?:release|target))>\s{0,40}"
    r"|JavaLanguageVersion\.of\(\s{0,40}|jvmToolchain\(\s{0,40})(?P<version>\d{1,3})"
)
_FROM_BLOCK = re.compile(r"\bfrom[ \t]{0,9}\{")
_BLOCK_IMAGE = re.compile(
    r"\bimage(?:[ \t]{0,9}=[ \t]{0,9}|\.set\(|[ \t]{1,9})[\"'](?P<ref>[^\"'\s]{1,300})[\"']"
)
#: Characters of a block that are looked through, and finds of one form in a file.
_LONGEST_BLOCK = 1_500
_BLOCK = 2_000  # steps to look for an image in one


def read_bazel(source: Source, found: Collector, context: Context) -> None:
    """Bazel: ``oci.pull`` and its older relatives."""
    whole = source.whole()
    for call in _PULL.finditer(source.text):
        base = call.start("body")
        parts = {m.group("name"): m for m in _FIELD.finditer(call.group("body"))}
        main = parts.get("image") or parts.get("repository")
        if main is None:
            continue
        fields = {
            name: field(whole.part(base + m.start("value"), base + m.end("value")))
            for name, m in parts.items() if name != "image" and m.group("value")
        }  # fmt: skip
        text = main.group("value")
        if "image" in parts:
            fields.pop("registry", None)
            if ":" in text.rpartition("/")[2]:  # it names its tag itself
                fields.pop("tag", None)
            fields["repository"] = field(
                whole.part(base + main.start("value"), base + main.end("value"))
            )
        elif "registry" in fields:
            text = f"{fields['registry'].value}/{text}"
        for name, mark in (("tag", ":"), ("digest", "@")):
            if name in fields:
                text += mark + fields[name].value
        start, end = main.span("value")
        found.image(whole.part(base + start, base + end), "oci.pull", value=text, fields=fields)


def read_nix(source: Source, found: Collector, context: Context) -> None:
    """Nix: ``dockerTools.pullImage``."""
    whole = source.whole()
    for call in _NIX.finditer(source.text):
        base = call.start("body")
        parts = {m.group("name"): m for m in _NIX_FIELD.finditer(call.group("body"))}
        name = parts.get("imageName")
        if name is None:
            continue
        text = name.group("value")
        if "finalImageTag" in parts:
            text += f":{parts['finalImageTag'].group('value')}"
        if "imageDigest" in parts:
            text += f"@{parts['imageDigest'].group('value')}"
        start, end = name.span("value")
        found.image(whole.part(base + start, base + end), "pullImage", value=text)


def read_jvm(source: Source, found: Collector, context: Context) -> None:
    """Maven and Gradle: jib's base image, and packages that rules know."""
    whole, text = source.whole(), source.text
    for key, evidence, pattern in _JVM:
        for match in found.each(pattern.finditer(text) if evidence in text else ()):
            _base(whole.part(*match.span("ref")), found, key)
    for match in found.each(_FROM_BLOCK.finditer(text) if "jib" in text else (), _BLOCK):
        block = _block(text, match.end())
        image = _BLOCK_IMAGE.search(text, match.end(), block)
        if image is not None:
            _base(whole.part(*image.span("ref")), found, "jib from.image")
    _causes(source, found)
    packages.read(source, found, context)


def _causes(source: Source, found: Collector) -> None:
    """Plug-ins that choose an image of their own where the file names none."""
    named = {use.key for use in found.uses}
    for name, pattern in _PLUGINS:
        match = pattern.search(source.text)
        if match is not None:
            java = _JAVA.search(source.text)
            base = "named" if any(key.startswith(_NAMED[name]) for key in named) else ""
            place = source.whole().part(*match.span())
            version = java.group("version") if java else ""
            found.cause("file", name, place, key=name, version=version, attributes={"base": base})


def _base(value: Written, found: Collector, key: str) -> None:
    for scheme in ("registry://", "docker://"):
        if value.text.startswith(scheme):
            value = value.after(scheme)
    if value.text.startswith(("tar://", "scratch")):
        return
    problem = "a property fills it in" if "$" in value.text else ""
    found.image(value, key, problem=problem)


def _block(text: str, start: int) -> int:
    """Where the block of braces ends that begins before ``start``."""
    depth = 1
    for brace in re.finditer(r"[{}]", text[start : start + _LONGEST_BLOCK]):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return start + brace.start()
    return min(len(text), start + _LONGEST_BLOCK)
