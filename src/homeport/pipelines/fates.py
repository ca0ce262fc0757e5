"""What becomes of a setting or step of another system's pipeline, and why: in the new jobs or not.

Not of steps that build, push or log in: those are ``pipelines.convert``'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from homeport.pipelines.foreign import Setting, Step

#: carried      the generated jobs or the recipe do it
#: replaced     Homeport does it in another way, or has no need of it
#: not-carried  left out
#: person       needs a decision or a secret
Fate = Literal["carried", "replaced", "not-carried", "person"]
SCRIPT = re.compile(r"(?:^|[\s;&|])((?:\.{0,2}/)?[\w.-]+(?:/[\w.-]+)*\.(?:sh|bash)|\./[\w./-]+)")
_WHEN: tuple[Fate, str] = (
    "person",
    "the new jobs run on schedules, merge requests and the default branch: compare when this ran",
)
_PROVIDER_SCRIPT: tuple[Fate, str] = ("replaced", "the publish job pushes")
_PROVIDER: tuple[Fate, str] = ("not-carried", "deploys something else than an image")
_MATRIX: tuple[Fate, str] = (
    "person",
    "a matrix: one recipe has all platforms, further variants are recipes of their own",
)
_OWN_IMAGE: tuple[Fate, str] = ("replaced", "the new jobs run in the image that you name")
_OWN_RIGHTS: tuple[Fate, str] = ("replaced", "the new jobs have their own, with least rights")
_ALLOWED: tuple[Fate, str] = ("not-carried", "set it on the new job if it is still wanted")
_TOOLS = re.compile(
    r"(?:make|just|task|npm run|yarn|gradle|\./gradlew|mvn|goreleaser|bazel|mage|earthly|ko|pack)\b"
)
#: A line that opens a block of the shell.
_BLOCK = re.compile(r"^(?:if|elif|for|while|until|case)\b.*(?:\b(?:then|do|in)|;)$")
#: A command or action → what becomes of it, and why.
_STEPS: tuple[tuple[re.Pattern[str], Fate, str], ...] = (
    (re.compile(r"^(?:skip|true)$"), "replaced", "does nothing"),
    (_BLOCK, "person", "a condition or loop around the steps below it"),
    (re.compile("cosign"), "person",
     "homeport pipelines --sign (or publish --key) signs what is published"),
)  # fmt: skip
#: Last word of a key → what becomes of it, and why.
_SETTINGS: Mapping[str, tuple[Fate, str]] = {
    **dict.fromkeys(("on", "true", "if", "rules", "only", "except", "branches"), _WHEN),
    **dict.fromkeys(("include", "strategy", "matrix", "parallel", "exclude"), _MATRIX),
    **dict.fromkeys(
        ("allow_failures", "fast_finish", "allow_failure", "continue-on-error"), _ALLOWED
    ),
    **dict.fromkeys(("permissions", "concurrency"), _OWN_RIGHTS),
    **dict.fromkeys(("image", "runs-on", "container", "dist"), _OWN_IMAGE),
    "name": ("replaced", "the new jobs have names of their own"),
    "cache": ("replaced", "the new jobs cache what Homeport downloads"),
    "language": ("replaced", "the jobs run in one image, whatever the language"),
    "os": ("not-carried", "the jobs run on Linux"),
    "sudo": ("replaced", "no job needs root"),
    "arch": ("replaced", "all platforms are built on one machine"),
    "notifications": ("not-carried", "set them in the forge's settings"),
    "addons": ("not-carried", "name packages in a recipe, or in the image of the jobs"),
    "stages": ("replaced", "the jobs of Homeport need no stages"),
    "stage": ("replaced", "the jobs of Homeport need no stages"),
}


def fate_of_setting(setting: Setting) -> tuple[Fate, str]:
    """By its key, and what it says."""
    key, text, last = setting.key, setting.text, setting.key.rpartition(".")[2]
    if last == "secure" or "secure:" in text:
        return "person", "encrypted for Travis: set the secret anew in the new system"
    if key == "services" and "docker" in text:
        return "replaced", "builds need no daemon and no privileges"
    if key == "deploy.provider":
        return _PROVIDER_SCRIPT if text == "script" else _PROVIDER
    if last in ("env", "global", "variables", "jobs") and setting.values:
        return "person", "variables: the jobs of Homeport need none of them"
    last = "on" if key.startswith("deploy.on") else last
    return _SETTINGS.get(last, ("not-carried", "has no counterpart in the new jobs"))


def fate_of_step(step: Step, scripts: Sequence[str]) -> tuple[Fate, str]:
    """Of a step that does nothing for images itself. scripts: those it runs that do"""
    for pattern, fate, why in _STEPS:
        if pattern.search(step.uses or step.text) and not scripts:
            return fate, why
    if step.uses:
        return "not-carried", "an action of GitHub: keep it in a job of your own if it is wanted"
    if scripts:
        return "person", f"runs {', '.join(scripts)}, which builds or pushes images: see its lines"
    if _TOOLS.match(step.text) or SCRIPT.search(step.text):
        return "person", "what it runs is not read: keep it in a job, or build its result in a part"
    return "not-carried", "nothing about images was recognised: keep it in a job of your own"
