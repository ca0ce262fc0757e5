"""Tags and the refs of certificates: whether an image was built from the version its tag names.

The rules of buildx's default policy, read strictly: a version tag must fit the ref in the
certificate (``1.21`` fits ``1.21.3``, ``1`` every ``1.x.y``), and an ending such as ``-labs`` must
be on both or on none. A floating tag fits any ref.
"""

from __future__ import annotations

import re

from homeport.attest.policy.model import PolicyRule

Version = tuple[int, ...]
_VERSION = re.compile(r"v?(\d{1,9}(?:\.\d{1,9}){0,3})")


def version_of(text: str) -> Version | None:
    """``1.21`` or ``v1.21`` as numbers; ``None`` if it is not a version."""
    match = _VERSION.fullmatch(text)
    return tuple(int(part) for part in match[1].split(".")) if match else None


def is_before(tag: str, rule: PolicyRule) -> bool:
    """Whether a tag names a version from before images were signed."""
    version, since = version_of(_split(tag, rule)[0]), version_of(rule.since)
    if version is None or since is None:
        return False
    return version < since[: len(version)]


def ref_mismatch(tag: str, ref: str, rule: PolicyRule) -> str:
    """Why ``ref`` is not that of the tag's version, or ``""``."""
    if not rule.ref or not tag or _is_floating(tag, rule):
        return ""
    text, variant = _split(tag, rule)
    wanted = version_of(text)
    if wanted is None:
        return ""
    for template in rule.ref:
        prefix, _, suffix = template.partition("{version}")
        if not ref.startswith(prefix) or not ref.endswith(suffix):
            continue
        named = ref[len(prefix) : len(ref) - len(suffix)]
        found_text, found_variant = _ending(named, rule.variants)
        found = version_of(found_text)
        if found is not None and found[: len(wanted)] == wanted and found_variant == variant:
            return ""
    return f"the tag {tag} is not of the version that was built, {ref or 'which is not named'}"


def _is_floating(tag: str, rule: PolicyRule) -> bool:
    text, _ = _ending(tag, rule.strip)
    return any(
        one == pattern or (pattern.endswith("*") and one.startswith(pattern[:-1]))
        for pattern in rule.floating
        for one in (tag, text)
    )


def _split(tag: str, rule: PolicyRule) -> tuple[str, str]:
    """Version and variant of a tag."""
    text, _ = _ending(tag, rule.strip)
    return _ending(text, rule.variants)


def _ending(text: str, endings: tuple[str, ...]) -> tuple[str, str]:
    for ending in endings:
        if text.endswith(ending):
            return text.removesuffix(ending), ending
    return text, ""
