"""What only several files together determine: build arguments, named contexts, internal images."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

import msgspec

from homeport.audit.model import Use
from homeport.audit.reading.collector import Collector
from homeport.audit.reading.context import BuildCall, Context
from homeport.audit.reading.variables import Outcome, feed
from homeport.audit.scan.templates import resolve_templates
from homeport.audit.source import Place
from homeport.dockerfile.lines import Dockerfile, parse_dockerfile
from homeport.dockerfile.stages import ImageUse, analyse
from homeport.oci.reference import Reference

#: Bytes of Dockerfiles that are read again for the arguments of builds.
MOST_REREAD = 32 << 20

_KINDS = {"from": "FROM", "copy-from": "COPY --from", "mount-from": "RUN --mount=from"}
_VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
#: Build arguments of one build that are tried one by one.
_MOST_ARGUMENTS = 50


def link(collectors: Mapping[str, Collector], context: Context) -> None:
    """Resolve what needs several files, in place."""
    read = 0
    for call in context.calls:
        target = collectors.get(call.dockerfile)
        if target is not None and call.args:
            read += len(target.source.data)
            if read > MOST_REREAD:
                target.fault("too many builds of this file with arguments; the rest is not read")
                break
            _arguments(call, target, collectors)
    by_file: dict[str, list[BuildCall]] = defaultdict(list)
    for call in context.calls:
        by_file[call.dockerfile].append(call)
    for path, calls in by_file.items():
        if path in collectors and all(call.contexts for call in calls):
            _contexts(calls, collectors[path])
    resolve_templates(collectors.values(), context)
    _charts(collectors)
    _own(collectors)


def _arguments(call: BuildCall, target: Collector, collectors: Mapping[str, Collector]) -> None:
    """Images that a Dockerfile gets from the arguments it is built with."""
    caller = next(iter(call.args.values())).source.path
    values = {name: written.text for name, written in call.args.items() if "$" not in written.text}
    if not values or caller not in collectors:
        return
    dockerfile = parse_dockerfile(target.source.text)
    plain = {u.span: u for u in analyse(dockerfile).images}
    for use in analyse(dockerfile, values).images:
        before = plain.get(use.span)
        if before is not None and use.value == before.value:
            continue
        names = [
            name for name in values if re.search(rf"\$\{{?{re.escape(name)}\b", use.expression)
        ]
        names = names or _through_defaults(dockerfile, values, use)
        if not names:
            continue
        if before is not None and before.missing and not use.missing:
            _given(target, use)
        written = call.args[names[0]]
        # Only an argument that is the whole reference may be replaced by another one.
        written = msgspec.structs.replace(
            written, exact=written.exact and written.text == use.value
        )
        feeds = tuple(feed(name, call.args[name]) for name in names)
        collectors[caller].image(
            written, f"{call.key}.{'with.build-' if call.kind == 'github' else ''}args.{names[0]}",
            outcome=Outcome(value=use.value or "", problem=use.problem, feeds=feeds),
            note=f"for {_KINDS.get(use.how, use.how)} in {call.dockerfile}, line {use.line}",
        )  # fmt: skip


def _through_defaults(
    dockerfile: Dockerfile, values: Mapping[str, str], use: ImageUse
) -> list[str]:
    """Arguments that reach an image through defaults of others: ``ARG BASE=$REGISTRY/x``."""
    for name, value in list(values.items())[:_MOST_ARGUMENTS]:
        alone = {u.span: u.value for u in analyse(dockerfile, {name: value}).images}
        if alone.get(use.span) == use.value:
            return [name]
    return []


def _given(target: Collector, use: ImageUse) -> None:
    """The Dockerfile's own FROM is not an unresolved image where its build gives the value."""
    start = target.source.byte(use.span.start)
    target.uses = [u for u in target.uses if u.place.start != start or u.reference is not None]


def _contexts(calls: list[BuildCall], collector: Collector) -> None:
    """Drop literals that every build of the file replaces by a context: they are not images."""
    shared = set.intersection(
        *({name.partition("::")[0].removesuffix(":latest") for name in c.contexts} for c in calls)
    )
    collector.uses = [
        use for use in collector.uses
        if use.reference is None or _familiar(use.reference) not in shared
    ]  # fmt: skip


def _familiar(reference: Reference) -> str:
    return reference.familiar.removesuffix(":latest")


def _charts(collectors: Mapping[str, Collector]) -> None:
    """Values of a chart that a template puts behind other text: the template is more complete."""
    charts = [collector for collector in collectors.values() if collector.kind == "helm"]
    made: dict[Place, set[str]] = {}
    for use in (use for collector in charts for use in collector.uses):
        if "/templates/" in f"/{use.place.file}":
            places = [feed.place for feed in use.feeds if feed.place]
            for place in (*places, *(field.place for field in use.fields.values())):
                made.setdefault(place, set()).add(use.value)
    for collector in charts if made else ():
        collector.uses = [use for use in collector.uses if not _is_part(use, made)]


def _is_part(use: Use, made: Mapping[Place, set[str]]) -> bool:
    """Whether templates use a value, and every time make another image of it."""
    if "/templates/" in f"/{use.place.file}":
        return False
    field = use.fields.get("repository")
    values = made.get(field.place if field else use.place, set())
    return bool(values) and use.value not in values


def _own(collectors: Mapping[str, Collector]) -> None:
    produced: dict[tuple[str, str], str] = {}
    for collector in collectors.values():
        for name, key in collector.produced.items():
            produced.setdefault(name, key)
    if not produced:
        return
    for collector in collectors.values():
        collector.uses = [_settled(use, produced) for use in collector.uses]


def _settled(use: Use, produced: Mapping[tuple[str, str], str]) -> Use:
    if use.reference is None or use.internal:
        return use
    name, tag = use.reference.name, use.reference.tag or "latest"
    key = produced.get((name, "")) or produced.get((name, tag))
    if key is None or use.reference.digest is not None:
        return use
    return msgspec.structs.replace(use, internal=f"built by {key}")
