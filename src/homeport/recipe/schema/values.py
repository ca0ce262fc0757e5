"""The types of single values in recipe and slice files: names, paths, modes, platforms.

Each is a ``Text`` with its pattern and what the text means. ``schema.fields`` and
``slices.reading`` declare whole files with them.
"""

from __future__ import annotations

import posixpath
from typing import Any
from urllib.parse import urlsplit

from homeport.content.digest import Digest
from homeport.debian.deb.path_globs import check_glob
from homeport.debian.index.variants import VARIANTS
from homeport.debian.version import parse_version
from homeport.errors import UsageError
from homeport.oci.platform import Platform, parse_platform
from homeport.recipe.platforms import debian_architecture
from homeport.yamlfile.scalars import Text
from homeport.yamlfile.shapes import ListOf

PACKAGE_PATTERN = r"[a-z0-9][a-z0-9+.-]+"
SLICE_PATTERN = r"[a-z0-9][a-z0-9.-]*"
_ACCOUNT = r"[a-z_][a-z0-9_-]{0,31}"


def _without_password(text: str) -> str:
    """A recipe is published, and with it what its image is made of (provenance)."""
    try:
        address = urlsplit(text)
    except ValueError as error:
        raise UsageError(f"invalid address: {error}") from error
    if address.password is not None or (address.scheme != "ssh" and address.username is not None):
        raise UsageError(
            "the address has a user name or password, which everybody sees who sees the recipe",
            hint="leave it out: git's credential helper has it; fetch such a file beforehand",
        )
    return text


def _web_url(text: str) -> str:
    if text.partition("?")[0].rpartition("/")[2] in (".", ".."):
        raise UsageError(f"invalid address {text!r}: it names no file")
    return _without_password(text)


PACKAGE = Text(what="a package name", pattern=PACKAGE_PATTERN, example="libc6")
SLICE = Text(what="a slice name", pattern=SLICE_PATTERN, example="libs")
RECIPE_NAME = Text(
    what="a recipe name", pattern=r"[a-z0-9]+(?:[._-][a-z0-9]+)*", example="dockerfile-copy"
)
ARCHIVE_NAME = Text(what="an archive name", pattern=r"[a-z0-9][a-z0-9.-]*", example="debian")
SUITE = Text(
    what="a suite",
    # "./" and "/" are flat archives at the root of the mirror, as apt writes them.
    pattern=r"(?:\./)?[A-Za-z0-9][A-Za-z0-9._+/-]*|\./|/",
    example="trixie-backports",
)
COMPONENT = Text(what="a component", pattern=r"[a-z0-9][a-z0-9./-]*", example="main")
VULNERABILITY = Text(
    what="a vulnerability", pattern=r"[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)+",
    example="CVE-2026-1234",
)  # fmt: skip
VEX_STATUS = Text(
    what="a status of OpenVEX", pattern="not_affected|affected|fixed|under_investigation",
    example="not_affected",
)  # fmt: skip
JUSTIFICATION = Text(
    what="a justification of OpenVEX",
    pattern="component_not_present|vulnerable_code_not_present"
    "|vulnerable_code_not_in_execute_path"
    "|vulnerable_code_cannot_be_controlled_by_adversary|inline_mitigations_already_exist",
    example="vulnerable_code_not_in_execute_path",
)
DATE = Text(what="a date", pattern=r"[0-9]{4}-[0-9]{2}-[0-9]{2}", example='"2026-11-28"')
SENTENCE = Text(what="one line of text", pattern=r"[^\r\n]+", example="why it is so")
LINE = Text(what="one line of text", pattern=r"[^\r\n]*", empty=True)
PART_NAME = Text(what="a part's name", pattern=r"[a-z0-9][a-z0-9_-]{0,63}", example="helper")

WEB_URL = Text(
    what="an address of a file",
    pattern=r"https?://[^\s#\x00-\x20\x7f-\x9f]+",
    convert=_web_url,
    example="https://host.example/x.tar.gz",
)
GIT_URL = Text(
    what="an address of a repository",
    pattern=r"(?:https?|git|ssh)://[^\s#\x00-\x20\x7f-\x9f]+",
    convert=_without_password,
    example="https://host.example/tool.git",
)
COMMIT = Text(
    what="the whole hash of a commit",
    pattern=r"[0-9a-f]{40}|[0-9a-f]{64}",
    example="1f0c6a… (40 digits)",
)
GIT_REF = Text(
    what="a branch or tag",
    pattern=r"[A-Za-z0-9_][A-Za-z0-9_./+-]*",
    example="v1.2.3, main or refs/heads/main",
)
ACCOUNT = Text(what="an account name", pattern=_ACCOUNT, example="app")
MODE = Text(
    what="four octal digits",
    pattern=r"[0-7]{4}",
    convert=lambda text: int(text, 8),
    example='"0644"',
)
OWNER = Text(
    what="an owner",
    pattern=rf"(?:{_ACCOUNT}|[0-9]{{1,10}})(?::(?:{_ACCOUNT}|[0-9]{{1,10}}))?",
    example="app:app or 1000:1000",
)
CONFIG_USER = Text(what="a user", pattern=OWNER.pattern, example="app, app:app or 1000:1000")
ENV_NAME = Text(what="a variable's name", pattern=r"[^=\s]+", example="PATH")
WORD = Text(what="a word of a command", empty=True)
STOP_SIGNAL = Text(
    what="a signal", pattern=r"SIG[A-Z0-9]+(?:[+-][0-9]+)?|[0-9]{1,2}", example="SIGTERM"
)


def _port(text: str) -> str:
    number, _, protocol = text.partition("/")
    if not 0 < int(number) < 65536:
        raise UsageError(f"invalid port {number}: use 1 to 65535")
    return f"{int(number)}/{protocol or 'tcp'}"


PORT = Text(
    what="a port", pattern=r"[0-9]{1,5}(?:/(?:tcp|udp|sctp))?", convert=_port, example="53/udp"
)


def _image_path(text: str) -> str:
    if not text.startswith("/"):
        raise UsageError(f"invalid path {text!r}: it is not absolute", hint="start it with /")
    if ".." in text.split("/"):
        raise UsageError(f"invalid path {text!r}: it contains ..", hint="write the path without ..")
    clean = posixpath.normpath(text).replace("//", "/")
    return clean + "/" if text.endswith("/") and clean != "/" else clean


PATH = Text(what="an absolute path in the image", convert=_image_path, example="/usr/bin/x")
GLOB = Text(
    what="an absolute path or glob in the package",
    convert=check_glob,
    example="/usr/lib/*/libz.so.*",
)


def _platform(text: str) -> Platform:
    platform = parse_platform(text)
    debian_architecture(platform)
    return platform


PLATFORM = Text(what="a platform", convert=_platform, example="linux/arm64")
PLATFORMS = ListOf(item=PLATFORM, what="a list of platforms", example="[linux/amd64, linux/arm64]")
ARCHITECTURE = Text(what="a Debian architecture", pattern=r"[a-z0-9]+", example="armhf")


def _version(text: str) -> str:
    parse_version(text)
    return text


def _version_pattern(text: str) -> str:
    if text.endswith("*") and "*" not in text[:-1]:
        return text
    return _version(text)


VERSION = Text(what="a version", convert=_version, example="1:2.41-12+deb13u3")
VERSION_PATTERN = Text(what="a version or a pattern", convert=_version_pattern, example="2.41-*")


def _package_entry(text: str) -> dict[str, Any]:
    """``NAME``, ``NAME_SLICE``, ``NAME=VERSION`` or ``NAME/SUITE`` as fields."""
    name, found, architecture = text.partition(":")
    if found and "=" not in name:
        raise UsageError(
            f"{text} names an architecture, but an image has packages of one architecture only",
            hint=f"write {name}; packages of {architecture} are for an image of its own platform",
        )
    name, found, version = text.partition("=")
    if found:
        return {"name": name, "version": _version(version)}
    name, found, suite = text.partition("/")
    if found:
        return {"name": name, "suite": suite}
    name, _, slice = text.partition("_")
    return {"name": name, "slices": (slice,)} if slice else {"name": name}


#: ``:ARCHITECTURE`` is read to say why it is an error.
PACKAGE_ENTRY = Text(
    what="a package",
    pattern=rf"{PACKAGE_PATTERN}(?::[a-z0-9-]+|_{SLICE_PATTERN}|=[^\s=]+|/[A-Za-z0-9][A-Za-z0-9._+/-]*)?",
    convert=_package_entry,
    example="libc6, libc6_libs, libc6=2.41-12 or libc6/trixie-backports",
)


VARIANT = Text(
    what="a variant: " + ", ".join(VARIANTS), pattern="|".join(VARIANTS), example="minbase"
)
ESSENTIAL = Text(
    what="none, needed, minimal or true", pattern="none|needed|minimal|true", example="minimal"
)
LOCALE = Text(
    what="a locale",
    pattern=r"(?!C(?:\.|$)|POSIX$)[A-Za-z]+(?:_[A-Z0-9]+)?(?:\.[A-Za-z0-9-]+)?(?:@[a-z]+)?",
    example="de_DE.UTF-8 (C.UTF-8 is in libc-bin)",
)
#: Word of ``exclude`` → globs. Copyright files stay in any case.
EXCLUSIONS = {
    "doc": (
        "/usr/share/doc/**", "/usr/share/doc-base/**", "/usr/share/gtk-doc/**",
        "/usr/share/bug/**", "/usr/share/linda/**", "/usr/share/lintian/**",
    ),
    "man": ("/usr/share/man/**",),
    "info": ("/usr/share/info/**",),
    "locale": ("/usr/share/locale/**",),
}  # fmt: skip


def _exclusion(text: str) -> tuple[str, ...]:
    return EXCLUSIONS.get(text) or (check_glob(text),)


EXCLUDE = Text(
    what=f"{', '.join(EXCLUSIONS)} or a glob",
    pattern=f"(?:{'|'.join(EXCLUSIONS)}|/.*)",
    convert=_exclusion,
    example="doc or /usr/share/perl5/**",
)
LAYERS = Text(what="one, auto or split", pattern="one|auto", example="auto or {split: [[libc6]]}")
PACKAGE_GLOB = Text(
    what="a package name, with * for any characters",
    pattern=r"[a-z0-9*][a-z0-9+.*-]*",
    example="python3*",
)


def _image_reference(text: str) -> tuple[str, Digest]:
    name, at, digest = text.rpartition("@")
    if not at or not name:
        raise UsageError(
            f"no digest in {text!r}", hint="write it like registry.example/tool@sha256:…"
        )
    return text, Digest.parse(digest)


SHA256 = Text(
    what="a SHA-256 in hex",
    pattern=r"[0-9a-f]{64}",
    convert=lambda text: Digest.parse(f"sha256:{text}"),
)
IMAGE = Text(
    what="an image with its digest",
    convert=_image_reference,
    example="registry.example/tool@sha256:…",
)
