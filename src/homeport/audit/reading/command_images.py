"""Which of a command's words are images: one function for each family of container tools.

A word that follows an option is taken for its value unless the option is known to be a switch.
Not for finding commands in text (``reading.commands``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from homeport.audit.reading.image_names import names_image
from homeport.audit.source import Written

#: Long options of ``run`` and ``create`` that take no value; all others take one.
_SWITCHES = frozenset({
    "--rm", "--detach", "--interactive", "--tty", "--privileged", "--init", "--read-only",
    "--no-healthcheck", "--publish-all", "--oom-kill-disable", "--sig-proxy", "--quiet", "--help",
    "--disable-content-trust", "--replace", "--rmi", "--tls-verify", "--no-hosts", "--http-proxy",
    "--all", "--all-tags", "--force", "--disable-cache", "--nohttps", "--no-https", "--plain-http",
    "--recursive", "--verbose", "--debug", "--all-platforms", "--local", "--net-host", "--no-trunc",
    "--with-registry-auth", "--no-resolve-image",
})  # fmt: skip
_SHORT_SWITCHES = re.compile(r"-[ditqPaFf]+$")
_ENGINES = ("docker", "podman", "nerdctl")
#: Programs that look into an image or fetch one, and their last subcommand when they do.
_LOOKS = {
    "trivy": ("image", "i"), "grype": ("grype",), "syft": ("syft", "scan", "packages"),
    "dive": ("dive",), "cosign": ("verify", "tree", "verify-attestation"), "crictl": ("pull",),
}  # fmt: skip
#: ``docker volume create`` and its like make other things than containers.
_MAKES_OTHER = re.compile(r" (?:volume|network|context|secret|config|pod|machine|manifest) ")
_LOCAL = ("dir:", "file:", "registry:", "sbom:", "oci-archive:", "docker-archive:", "./", "/")


def contexts_of(name: str, words: Sequence[Written]) -> tuple[str, tuple[str, ...]] | None:
    """What a build builds, and the names of images that other contexts replace in it."""
    if name.rpartition(" ")[2] not in ("build", "bud", "b"):
        return None
    names = [word.text.partition("=")[0] for word in options(words, ("--build-context",))]
    file = next((word.text for word in options(words, ("-f", "--file"))), "")
    folder = next((word.text for word in reversed(words) if not word.text.startswith("-")), ".")
    return file or f"{folder.rstrip('/')}/Dockerfile", tuple(names)


def images_of(tool: str, name: str, words: Sequence[Written]) -> Iterator[Written]:
    """The images that a command pulls. ``name``: tool and subcommands; ``words``: what follows."""
    if tool in _ENGINES or tool == "buildah":
        yield from _of_engine(name, words)
        return
    last = name.rpartition(" ")[2]
    match tool, last:
        case "crane", ("pull" | "copy" | "cp" | "export" | "digest" | "manifest" | "config"):
            yield from _positional(words)[:1]
        case "oras", ("pull" | "copy" | "cp"):
            yield from _positional(words)[:1]
        case (("skopeo" | "regctl" | "oras"), _):
            yield from _with_transport(words, last)
        case "kubectl", _ if last == "set" or any(word.text == "set" for word in words[:4]):
            yield from _set_image(words)
        case (("kubectl" | "oc" | "kind" | "k3d"), _):
            yield from options(words, ("--image",))
        case "ctr", _:
            yield from _ctr(words, name)
        case "helm", _:
            yield from _prefixed(words, ("oci://",))
        case (("singularity" | "apptainer"), _):
            yield from _prefixed(words, ("docker://", "oras://"))
        case _ if last in _LOOKS.get(tool, ()):
            first = _positional(words)[:1]
            yield from (word for word in first if not word.text.startswith(_LOCAL))


def _of_engine(name: str, words: Sequence[Written]) -> Iterator[Written]:
    match name.rpartition(" ")[2]:
        case "run" | "create" if "buildx" not in name and not _MAKES_OTHER.search(name):
            yield from _positional(words)[:1]
        case "pull" | "from":
            yield from _positional(words)[:1]
        case "service":
            yield from _service(words)
        case "build":
            yield from options(words, ("--build-context",), after="=docker-image://")
            for argument in options(words, ("--build-arg",)):
                name, equals, image = argument.text.partition("=")
                if equals and names_image(name) and (":" in image or "/" in image):
                    yield argument.part(len(name) + 1)


def tags_of(name: str, words: Sequence[Written]) -> Iterator[Written]:
    """Names that a build gives to what it makes."""
    if name.rpartition(" ")[2] in ("build", "bud", "tag", "commit"):
        yield from options(words, ("-t", "--tag"))
        if name.endswith((" tag", " commit")):
            yield from _positional(words)[1:2]


def options(words: Sequence[Written], names: tuple[str, ...], after: str = "") -> Iterator[Written]:
    """The values of options, from the text ``after`` on."""
    for number, word in enumerate(words):
        name, equals, _ = word.text.partition("=")
        if name not in names:
            continue
        if equals:
            value = word.part(len(name) + 1)
        elif number + 1 < len(words):
            value = words[number + 1]
        else:
            continue
        if after:
            at = value.text.find(after)
            if at < 0:
                continue
            value = value.part(at + len(after))
        yield value


def _service(words: Sequence[Written]) -> Iterator[Written]:
    if words and words[0].text == "create":
        yield from _positional(words[1:])[:1]
    elif words and words[0].text == "update":
        yield from options(words, ("--image",))


def _with_transport(words: Sequence[Written], last: str) -> Iterator[Written]:
    for word in words[:20]:
        if word.text.startswith("docker://"):
            yield word.after("docker://")
            if last in ("copy", "sync"):
                return


def chart_version(words: Sequence[Written]) -> str:
    """``:VERSION`` of a chart, ``""`` where its command names none."""
    version = next(options(words, ("--version",)), None)
    return f":{version.text}" if version else ""


def _set_image(words: Sequence[Written]) -> Iterator[Written]:
    """``kubectl set image deployment/web web=IMAGE``."""
    for word in words[:20]:
        container, equals, image = word.text.partition("=")
        if equals and not container.startswith("-") and ("/" in image or ":" in image):
            yield word.part(len(container) + 1)


def _ctr(words: Sequence[Written], name: str) -> Iterator[Written]:
    """``ctr -n NAMESPACE images pull IMAGE``, ``ctr run IMAGE``."""
    verbs = [n for n, word in enumerate(words) if word.text in ("pull", "run")]
    if name.endswith((" pull", " run")):
        yield from _positional(words)[:1]
    elif verbs:
        yield from _positional(words[verbs[0] + 1 :])[:1]


def _prefixed(words: Sequence[Written], prefixes: tuple[str, ...]) -> Iterator[Written]:
    """The first word that names an image or an OCI artifact by its scheme."""
    for word in words[:20]:
        for prefix in prefixes:
            if word.text.startswith(prefix):
                yield word.after(prefix)
                return


def _positional(words: Sequence[Written]) -> list[Written]:
    found: list[Written] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif not word.text.startswith("-"):
            found.append(word)
        elif "=" not in word.text and word.text not in _SWITCHES:
            skip = not _SHORT_SWITCHES.match(word.text)
    return found
