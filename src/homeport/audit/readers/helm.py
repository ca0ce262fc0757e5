"""Helm: values files, and the images that a chart's metadata names.

An image in values is a string, or a map of parts that a template puts together; templates
are read by ``charttemplate``.
"""

from __future__ import annotations

import posixpath
import re

import msgspec

from homeport.audit.formats.yaml import (
    Node,
    compose,
    documents,
    entries,
    get,
    is_map,
    items,
    text_of,
    walk,
    written,
)
from homeport.audit.model import Field
from homeport.audit.reading.collector import Collector
from homeport.audit.reading.context import Context
from homeport.audit.source import Source, Written

#: How charts make a tag of a version that is written without v.
_WITH_V = re.compile(r'printf "v%s" \$?\.Chart\.AppVersion|v\{\{-? ?\.Chart\.AppVersion')
_IMAGE_KEY = re.compile(r"(?:^|[.\]])[A-Za-z0-9_-]*image$", re.IGNORECASE)


def read(source: Source, found: Collector, context: Context) -> None:
    """Report the images of a values file."""
    chart = context.neighbour(source, posixpath.join("Chart.yaml"))
    version = ""
    if chart is not None:
        for document in documents(chart, Collector(chart, "helm")):
            version = text_of(get(document, "appVersion")) or version
    helpers = context.neighbour(source, posixpath.join("templates", "_helpers.tpl"))
    if version and helpers is not None and _WITH_V.search(helpers.text):
        version = f"v{version}"
    for document in documents(source, found):
        read_values(source, found, document, "", app_version=version)


def read_chart(source: Source, found: Collector, context: Context) -> None:
    """Report images that ``Chart.yaml`` declares for artifact hubs, and charts of registries."""
    for document in documents(source, found):
        for number, item in enumerate(items(get(document, "dependencies"))):
            _dependency(source, found, item, f"dependencies[{number}]")
        listed = get(document, "annotations", "artifacthub.io/images")
        if listed is None or not text_of(listed):
            continue
        text = written(source, listed)
        inner = source.inner(text.text)
        for listing in compose(inner.whole(), Collector(inner, "helm")):
            for number, item in enumerate(items(listing)):
                node = get(item, "image")
                if node is not None and text_of(node):
                    value = _inside(written(inner, node), text)
                    key = f"annotations.artifacthub.io/images[{number}].image"
                    found.image(
                        value, key, confidence="medium", note="declared, not used by itself"
                    )


def _dependency(source: Source, found: Collector, item: Node, key: str) -> None:
    """A chart that is an OCI artifact: ``oci://HOST/PATH`` and its name below that."""
    node, name = get(item, "repository"), text_of(get(item, "name"))
    if node is None or not name or not (text_of(node) or "").startswith("oci://"):
        return
    value = written(source, node).after("oci://")
    version = text_of(get(item, "version")) or ""
    tag = f":{version.replace('+', '_')}" if version and version[0].isdigit() else ""
    if not tag:
        version = version.lstrip("v") if version[:2].strip("v").isdigit() else ""
        tag = f":v{version}" if version else ""
    found.image(
        value, f"{key}.repository", confidence="medium", note="a chart, an OCI artifact",
        value=f"{value.text.rstrip('/')}/{name}{tag}",
    )  # fmt: skip


def read_values(
    source: Source,
    found: Collector,
    node: Node | None,
    key: str,
    *,
    app_version: str = "",
    inside: Written | None = None,
    elsewhere: bool = False,
) -> None:
    """Report every image in a map of values.

    inside:    the string that holds them
    elsewhere: what reads the values is not here, and gives the tags that they leave to it
    """
    if node is None:
        return
    mode = get(node, "containerMode", "type")
    if mode is not None and text_of(mode) == "dind" and get(node, "githubConfigUrl") is not None:
        # GitHub's runner scale sets: the chart itself names the image.
        found.cause("setting", "arc-dind", written(source, mode), key="containerMode.type")
    registry = _registry(source, node, inside)
    for path, value, owner in walk(node):
        if not _IMAGE_KEY.search(path):
            continue
        where = f"{key}.{path}" if key else path
        if is_map(value):
            # Some charts keep several images below one such key.
            inner = [] if get(value, "repository") else list(entries(value))
            below = [(f"{where}.{name}", node) for name, node in inner if get(node, "repository")]
            for at, part in [(where, value), *below]:
                read_map(
                    source, found, part, at,
                    app_version=app_version, inside=inside, registry=registry,
                    elsewhere=elsewhere,
                )  # fmt: skip
        elif text := text_of(value):
            literal = _inside(written(source, value), inside)
            parts: dict[str, Field] = {}
            if path.rpartition(".")[2] == "image" and ":" not in text.rpartition("/")[2]:
                parts = _beside(source, owner, where, inside)
            if parts:
                _parts(found, where, literal, {**parts, "repository": _part(literal, where)})
            elif ":" in text or "/" in text:
                found.image(literal, where, confidence="medium")
    _split(source, found, node, key, inside)


#: ``imageRepository``, ``webImageName``: the first of several keys that make one image.
_REPOSITORY_KEY = re.compile(r"(.{0,100}[iI]mage_?)(?:Repository|repository|Repo|repo|Name|name)$")


def _beside(source: Source, owner: Node, where: str, inside: Written | None) -> dict[str, Field]:
    """The other parts of an image whose name is under ``image``: its siblings."""
    parts: dict[str, Field] = {}
    for name, keys in (
        ("registry", ("registry", "imageRegistry", "repository")),
        ("tag", ("tag", "imageTag", "version")), ("digest", ("digest",)),
    ):  # fmt: skip
        for candidate in keys:
            value = get(owner, candidate)
            text = text_of(value)
            if value is not None and text and "{{" not in text and "://" not in text:
                path = f"{where.rpartition('.')[0]}.{candidate}".lstrip(".")
                parts[name] = _part(_value(source, value, inside), path)
                break
    return parts


def _split(source: Source, found: Collector, node: Node, key: str, inside: Written | None) -> None:
    """Images of keys with one stem, and maps of repository and tag under other names."""
    for path, value, owner in walk(node):
        name = path.rpartition(".")[2]
        where = f"{key}.{path}" if key else path
        match = _REPOSITORY_KEY.fullmatch(name)
        text = text_of(value)
        if match and text and "://" not in text and "{{" not in text:
            literal = _inside(written(source, value), inside)
            parts = _with_stem(source, owner, match.group(1), where, inside)
            if parts or "/" in text:
                _parts(found, where, literal, {**parts, "repository": _part(literal, where)})
        elif is_map(value) and not _IMAGE_KEY.search(path):
            repository = text_of(get(value, "repository")) or ""
            tag = get(value, "tag") or get(value, "digest")
            if "/" in repository and "://" not in repository and text_of(tag):
                read_map(source, found, value, where, inside=inside)


def _with_stem(
    source: Source, owner: Node, stem: str, where: str, inside: Written | None
) -> dict[str, Field]:
    parts: dict[str, Field] = {}
    for part in ("registry", "tag", "version", "digest"):
        for name in (f"{stem}{part}", f"{stem}{part.capitalize()}"):
            value = get(owner, name)
            if value is not None and text_of(value):
                path = f"{where.rpartition('.')[0]}.{name}".lstrip(".")
                parts.setdefault("tag" if part == "version" else part,
                                 _part(_value(source, value, inside), path))  # fmt: skip
    return parts


def read_parameters(source: Source, found: Collector, listing: Node | None, key: str) -> None:
    """``[{name: image.tag, value: "1"}]`` of Argo CD, helmfile and others: parts of images."""
    groups: dict[str, dict[str, Field]] = {}
    for number, item in enumerate(items(listing)):
        name, value = text_of(get(item, "name")) or "", get(item, "value")
        stem, _, last = name.rpartition(".")
        if value is None or not text_of(value):
            continue
        part = _part(written(source, value), f"{key}[{number}].value")
        if last in ("registry", "repository", "tag", "digest", "version"):
            groups.setdefault(stem, {})["tag" if last == "version" else last] = part
        elif _IMAGE_KEY.search(name) and (":" in part.value or "/" in part.value):
            found.image(written(source, value), f"{key}[{number}].value", confidence="medium")
    for parts in groups.values():
        if "repository" in parts:
            place = parts["repository"].place
            node = next(
                value for item in items(listing)
                if (value := get(item, "value")) is not None
                and written(source, value).place == place
            )  # fmt: skip
            _parts(found, parts["repository"].key, written(source, node), parts)


def read_map(
    source: Source,
    found: Collector,
    node: Node,
    key: str,
    *,
    app_version: str = "",
    inside: Written | None = None,
    registry: Field | None = None,
    elsewhere: bool = False,
) -> None:
    """Report an image that is written as registry, repository, tag and digest.

    ``registry``: the one of all images, where the map names none.
    """
    parts: dict[str, Field] = {}
    place: Written | None = None
    for name, keys in (
        ("registry", ("registry", "hub")), ("repository", ("repository", "repo", "name")),
        ("tag", ("tag", "version")), ("digest", ("digest", "sha")),
    ):  # fmt: skip
        for candidate in keys:
            value = get(node, candidate)
            if value is not None and text_of(value):
                part = _value(source, value, inside)
                parts[name] = _part(part, f"{key}.{candidate}")
                place = part if name == "repository" else place
                break
    if place is None:
        return
    if (
        registry is not None
        and "/" not in parts["repository"].value
        and not (parts["repository"].key.endswith("repository") or "registry" in parts)
    ):
        return  # only the chart's templates know what else stands between the two
    if registry is not None and ("registry" not in parts or registry.key.startswith("global.")):
        # Where it is set for all, changing it here would be changing it for all.
        parts["registry"] = msgspec.structs.replace(registry, exact=False)
    _parts(found, key, place, parts, app_version=app_version, elsewhere=elsewhere)


def printed(node: Node) -> str:
    """A scalar as a template prints it: numbers have lost what does not count."""
    text = text_of(node) or ""
    if node.tag.endswith(":float") and re.fullmatch(r"[0-9]+\.[0-9]+", text):
        return text.rstrip("0").rstrip(".")
    return text


def _registry(source: Source, node: Node, inside: Written | None) -> Field | None:
    """The registry that a chart sets for all its images."""
    for path in (("global", "imageRegistry"), ("imageRegistry",)):
        value = get(node, *path)
        if value is not None and text_of(value):
            return _part(_value(source, value, inside), ".".join(path))
    return None


def _parts(
    found: Collector, key: str, place: Written, parts: dict[str, Field], *, app_version: str = "",
    elsewhere: bool = False,
) -> None:  # fmt: skip
    expression = parts["repository"].value
    host = parts["registry"].value if "registry" in parts else ""
    if host and not expression.startswith(f"{host}/"):
        expression = f"{host}/{expression}"
    note = ""
    if "tag" in parts:
        expression += f":{parts['tag'].value}"
    elif app_version and "digest" not in parts and "@" not in expression:
        expression += f":{app_version}"
        note = "the tag is the chart's appVersion"
    untagged = not parts.keys() & {"tag", "digest"} and not app_version
    problem = ""
    if elsewhere and untagged and not re.search("[:@]", expression.rpartition("/")[2]):
        problem = "the chart or the operator gives the tag"
    if "digest" in parts:
        digest = parts["digest"].value
        expression += f"@{digest if ':' in digest else 'sha256:' + digest}"
    found.image(
        place, key, confidence="medium", value=expression, fields=parts, note=note, problem=problem
    )


def _part(value: Written, key: str) -> Field:
    return Field(
        value=value.text, place=value.place, quoting=value.quoting, exact=value.exact, key=key
    )  # fmt: skip


def _value(source: Source, node: Node, inside: Written | None) -> Written:
    value = _inside(written(source, node), inside)
    text = printed(node)
    return (
        value if text == text_of(node) else msgspec.structs.replace(value, text=text, exact=False)
    )


def _inside(value: Written, outer: Written | None) -> Written:
    """The same text at its place in the string that holds it."""
    if outer is None:
        return value
    if not value.exact:
        return outer.part(0, 0)
    return outer.part(value.start, value.end)
