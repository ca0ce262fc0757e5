"""A graph of recipes as text, for Graphviz, for Mermaid, and as JSON (docs/formats/graph.md)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from homeport.freshness.recipe_graph import Edge, RecipeGraph
from homeport.printable import printable
from homeport.quantities import counted, human_size

_SHOWN = 10
_WORDS = {"extends": "extends", "files": "takes files of", "part": "builds a part from"}


def graph_document(graph: RecipeGraph) -> dict[str, Any]:
    """The JSON of ``homeport graph``."""
    return {"schema": "homeport-graph/v1", **msgspec.to_builtins(graph)}


def graph_text(graph: RecipeGraph) -> str:
    """One line a recipe in the order of updates, what each needs below it; then what is shared."""
    return "\n".join(map(printable, _lines(graph)))


def _lines(graph: RecipeGraph) -> Iterator[str]:
    needs: dict[str, list[Edge]] = {}
    for edge in graph.edges:
        needs.setdefault(edge.user, []).append(edge)
    names = {node.id: node.name for node in graph.nodes if node.kind != "recipe"}
    for node in graph.nodes:
        if node.kind != "recipe":
            continue
        packages = counted(node.packages, "package") if node.locked else "not locked"
        yield f"{node.order + 1}. {node.id}: {packages}"
        for edge in needs.get(node.id, ()):
            yield f"     {_WORDS[edge.kind]} {names.get(edge.used, edge.used)}"
    for circle in graph.circles:
        yield f"warning: these need each other in a circle: {', '.join(circle)}"
    for name, why in graph.failed:
        yield f"warning: {name}: {why}"
    yield ""
    yield from _shared(graph)


def _shared(graph: RecipeGraph) -> Iterator[str]:
    yield (
        f"packages: {human_size(graph.own_size)} for all recipes, {human_size(graph.total_size)} "
        f"if each had its own; {counted(len(graph.packages), 'package')} shared"
    )
    for package in graph.packages[:_SHOWN]:
        yield f"  {package.name} {package.version}: {counted(len(package.recipes), 'recipe')}"
    if len(graph.packages) > _SHOWN:
        yield f"  and {len(graph.packages) - _SHOWN} more"
    if not graph.layers_read:
        yield "layers: name the repository of the published images to compare them: --repository"
        return
    size = sum(layer.size for layer in graph.layers)
    yield (
        f"layers of {counted(graph.layers_read, 'published image')}: "
        f"{counted(len(graph.layers), 'layer')} shared, {human_size(size)}"
    )
    for layer in graph.layers[:_SHOWN]:
        yield f"  {layer.digest} {human_size(layer.size)}: {', '.join(layer.recipes)}"


def graph_dot(graph: RecipeGraph) -> str:
    """For ``dot``: arrows lead from what is used to what uses it, as updates flow."""
    lines = ["digraph recipes {", "  rankdir=LR;"]
    for node in graph.nodes:
        shape = "" if node.kind == "recipe" else ", shape=box"
        lines.append(f"  {_quoted(node.id)} [label={_quoted(node.name)}{shape}];")
    lines += [
        f"  {_quoted(edge.used)} -> {_quoted(edge.user)} [label={edge.kind}];"
        for edge in graph.edges
    ]
    return "\n".join([*lines, "}"])


def graph_mermaid(graph: RecipeGraph) -> str:
    """For Markdown of GitLab and GitHub; arrows as in ``graph_dot``."""
    number = {node.id: f"n{at}" for at, node in enumerate(graph.nodes)}
    lines = ["graph LR"]
    for node in graph.nodes:
        begin, end = ("(", ")") if node.kind == "recipe" else ("[", "]")
        lines.append(f'  {number[node.id]}{begin}"{_entities(node.name)}"{end}')
    lines += [f"  {number[edge.used]} -->|{edge.kind}| {number[edge.user]}" for edge in graph.edges]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return '"' + printable(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _entities(text: str) -> str:
    """Mermaid has no escape: it reads entities, and its own characters mean nothing in them."""
    plain = "".join(
        letter if letter.isalnum() or letter in " -_./:@" else f"#{ord(letter)};"
        for letter in printable(text)
    )
    return plain.replace("#38;", "#amp;")
