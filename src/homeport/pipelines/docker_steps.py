"""What a step of a pipeline does for images: sets up a builder, builds, pushes, logs in.

A reading of words as far as they tell; nothing is run. What is not recognised stays unrecognised.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from homeport.pipelines.foreign import Step

Does = Literal["setup", "build", "push", "login", "tags", "checkout", "other"]

_SETUP = re.compile(
    r"multiarch/qemu-user-static|/binfmt\b|qemu-user-static|binfmt-support"
    r"|\bdocker\s+(?:run|create)\b.*--privileged|--privileged.*\b(?:buildkit|dind)\b"
    r"|\bdocker\s+buildx\s+(?:create|use|inspect|install|ls|version|rm)\b"
    r"|get\.docker\.com|cli-plugins|docker/buildx/releases|BUILDKIT_HOST|DOCKER_CLI_EXPERIMENTAL"
    r"|\bdocker\s+(?:cp|version|info|pull|exec|start|stop|rm|network|volume|context)\b"
    r"|docker-ce|daemon\.json|\b(?:service|systemctl)\s+\S*\s*docker\b|moby/buildkit"
)
_LOGIN = re.compile(r"\b(?:docker|podman|buildah|crane|skopeo|regctl|helm registry)\s+.*\blogin\b")
_BUILD = re.compile(
    r"\b(?:docker|podman|nerdctl)\s+(?:image\s+)?build\b|\bdocker\s+(?:buildx\s+)?(?:build|bake)\b"
    r"|\bbuildctl\s+(?:\S+\s+)*build\b|\bbuildah\s+(?:bud|build)\b|/kaniko/executor|\bimg\s+build\b"
    r"|\bdocker[- ]compose\s+(?:\S+\s+)*build\b"
)
_PUSH = re.compile(
    r"\b(?:docker|podman|buildah|crane|img)\s+(?:image\s+)?push\b|\bdocker[- ]compose\s+push\b"
    r"|\bdocker\s+(?:manifest|buildx\s+imagetools|tag)\b|\bskopeo\s+copy\b"
    r"|\s--push\b|push=true|--destination\b"
)
_PUSHED = re.compile(r"\bpush\s+(?:-\S+\s+)*([^\s&|;]+)")
_ACTIONS: Mapping[str, Does] = {
    "docker/setup-qemu-action": "setup", "docker/setup-buildx-action": "setup",
    "docker/setup-docker-action": "setup", "docker/login-action": "login",
    "docker/metadata-action": "tags", "docker/build-push-action": "build",
    "docker/bake-action": "build", "actions/checkout": "checkout",
    "redhat-actions/buildah-build": "build", "redhat-actions/push-to-registry": "push",
    "aws-actions/amazon-ecr-login": "login", "redhat-actions/podman-login": "login",
}  # fmt: skip
_SECRET = re.compile(
    r"\$\{\{\s*secrets\.([A-Za-z_]\w*)|\$\{?([A-Z_]*(?:PASS|PASSWORD|TOKEN|SECRET|_KEY)[A-Z_]*)\b"
)
_EXPRESSION = re.compile(r"\$\{\{\s*env\.(\w+)\s*\}\}")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)\}?")


class ImageBuild(msgspec.Struct, frozen=True, kw_only=True):
    """A build of an image, as far as its words say. file: a script that it is in"""

    line: int
    platforms: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    dockerfile: str = ""
    context: str = ""
    target: str = ""
    args: dict[str, str] = {}
    pushes: bool = False
    file: str = ""


def what_it_does(step: Step) -> Does:
    """The first of these that fits; a build that also pushes is a build."""
    if step.uses:
        return _ACTIONS.get(step.uses, "other")
    text = step.text
    if _BUILD.search(text):
        return "build"
    if _LOGIN.search(text):
        return "login"
    if _PUSH.search(text):
        return "push"
    return "setup" if _SETUP.search(text) else "other"


def secrets_in(text: str) -> Iterator[str]:
    """Names of secrets that a text uses, by their form or name."""
    for found in _SECRET.finditer(text):
        yield found.group(1) or found.group(2)


def variables_in(step: Step) -> Iterator[str]:
    """Every variable or secret that a step names: of a login, all are credentials."""
    for text in (step.text, *step.inputs.values()):
        yield from re.findall(r"\$\{\{\s*secrets\.(\w+)", text)
        yield from (found[1] for found in _VARIABLE.finditer(text))


def build_of(step: Step, variables: Mapping[str, str]) -> ImageBuild:
    """What a build step says, with variables of the file put in."""
    if step.uses:
        return _action(step, variables)
    text = _VARIABLE.sub(lambda found: variables.get(found[1], found[0]), step.text)
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    options = dict[str, list[str]]()
    rest: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word in ("&&", ";", "||", "|") and rest[-1:]:
            rest.append(word)
            continue
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if not equals and at < len(words) and name in _VALUED:
            value = words[at]
            at += 1
        options.setdefault(name, []).append(value)
    opts = {}
    for pair in (*options.get("frontend-opt", []), *options.get("opt", []),
                 *options.get("exporter-opt", [])):  # fmt: skip
        key, _, value = pair.partition("=")
        opts[key] = value
    output = ",".join(options.get("output", []) + options.get("o", []))
    named = re.findall(r"name=([^,]+)", output)
    if "name" in opts:  # --exporter-opt name=X,push=true in one word
        named.append(opts["name"].partition(",")[0])
    local = dict(pair.partition("=")[::2] for pair in options.get("local", []))
    args = [pair.partition("=") for pair in options.get("build-arg", [])]
    platforms = ",".join([*options.get("platform", []), opts.get("platform", "")])
    context = local.get("context", "") or _context(rest) or _first(options, "context")
    return ImageBuild(
        line=step.line,
        platforms=tuple(p for p in platforms.split(",") if p),
        tags=tuple(options.get("t", []) + options.get("tag", []) + named
                   + options.get("destination", [])),
        dockerfile=_first(options, "f", "file", "dockerfile") or opts.get("filename", ""),
        context=context.removeprefix("dir://"),
        target=_first(options, "target") or opts.get("target", ""),
        args={name: value for name, _, value in args}
        | {k[10:]: v for k, v in opts.items() if k.startswith("build-arg:")},
        pushes=bool(_PUSH.search(text)),
    )  # fmt: skip


_VALUED = frozenset((
    "platform", "t", "tag", "f", "file", "dockerfile", "target", "build-arg", "frontend-opt", "opt",
    "exporter-opt", "output", "o", "local", "context", "destination", "frontend", "exporter",
    "addr", "progress", "cache-from", "cache-to", "builder", "label", "secret", "ssh", "network",
    "import-cache", "export-cache",
))  # fmt: skip


def _first(options: Mapping[str, list[str]], *names: str) -> str:
    return next((options[name][0] for name in names if options.get(name)), "")


def _context(rest: list[str]) -> str:
    """The word after ``build`` that is no other command."""
    for at, word in enumerate(rest):
        if word in ("build", "bud") and at + 1 < len(rest) and rest[at + 1] not in ("&&", ";"):
            return rest[at + 1]
    return ""


def pushed_names(step: Step, variables: Mapping[str, str]) -> list[str]:
    """The images that a step pushes by name."""
    text = _VARIABLE.sub(lambda found: variables.get(found[1], found[0]), step.text)
    return [name.strip("\"';") for name in _PUSHED.findall(text)]


def plain(text: str, variables: Mapping[str, str]) -> str:
    """A text of a workflow with the variables of the file put in."""
    return _EXPRESSION.sub(lambda found: variables.get(found[1], found[0]), text)


def _action(step: Step, variables: Mapping[str, str]) -> ImageBuild:
    def lines(name: str) -> tuple[str, ...]:
        text = plain(step.inputs.get(name, ""), variables)
        return tuple(w.strip() for w in re.split(r"[\n,]", text) if w.strip())

    args = [line.partition("=") for line in step.inputs.get("build-args", "").splitlines()]
    return ImageBuild(
        line=step.line,
        platforms=lines("platforms"),
        tags=lines("tags"),
        dockerfile=step.inputs.get("file", ""),
        context=step.inputs.get("context", "."),
        target=step.inputs.get("target", ""),
        args={name.strip(): value.strip() for name, _, value in args if name.strip()},
        pushes=step.inputs.get("push", "false") not in ("false", ""),
    )
