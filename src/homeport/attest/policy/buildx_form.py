"""A policy in Rego for ``buildx build --policy``: images by the digests that were verified.

buildx verifies Docker's own chain itself; signatures with keys it never sees.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from homeport.attest.policy.emitted import Pin, SignedRule
from homeport.attest.policy.model import pattern_weight
from homeport.attest.policy.reading import LoadedPolicy

_HEAD = """\
# Images by digest, as homeport verified them; other sources are not judged.
# In the build's context: docker buildx build --policy filename=policy.rego,strict=true .
# Without strict, BuildKit below 0.27 judges nothing and buildx does not say so.
package docker

default allow := false

allow if not input.image
"""


def rego(
    loaded: LoadedPolicy, rules: Sequence[SignedRule], pins: Sequence[Pin], left_out: list[str]
) -> dict[str, str]:
    """Images that a rule refuses unless signed pass by digest alone; the narrowest rule counts."""
    text = _HEAD
    for pin in pins:
        text += (
            f"\nallow if {{\n\tinput.image.fullRepo == {_text(pin.reference.name)}\n"
            f"\tinput.image.checksum == {_text(str(pin.digest))}\n}}\n"
        )
    text += "\nallow if {\n\tinput.image\n\tnot governed(input.image.fullRepo)\n}\n\n"
    text += _governed(rules, refuses=loaded.policy.default == "reject")
    text += '\ndecision := {"allow": allow, "deny_msg": ["not an image that was verified"]}\n'
    if not pins:
        left_out.append("no image was named, so that the governed ones are all refused")
    return {"policy.rego": text}


def _governed(rules: Sequence[SignedRule], *, refuses: bool) -> str:
    patterns = [(pattern, one.rejects) for one in rules for pattern in one.rule.match]
    lines = []
    for pattern, rejects in sorted(patterns, key=lambda each: -pattern_weight(each[0])):
        test = f"repository == {_text(pattern)}"
        if pattern.endswith("*"):
            test = f"startswith(repository, {_text(pattern[:-1])})"
        lines.append(f":= {_bool(rejects)} if {test}")
    lines.append(f":= {_bool(refuses)}")
    return "governed(repository) " + "\n\nelse ".join(lines) + "\n"


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _text(value: str) -> str:
    """A string of Rego, which is JSON's."""
    return json.dumps(value)
