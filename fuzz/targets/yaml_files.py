"""YAML of our own formats (recipes, lockfiles, plans), and of other people's files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from homeport.audit.plan.planfile import read_plan
from homeport.audit.reading.context import Context
from homeport.audit.scan.scanning import read_as
from homeport.audit.source import Source
from homeport.errors import HomeportError
from homeport.recipe.boundary import Boundaries, Boundary
from homeport.recipe.extends import recipe_text
from homeport.recipe.interpret import interpret_recipe
from homeport.recipe.lock.reading import parse_lockfile
from homeport.recipe.schema.fields import read_recipe_text
from homeport.recipe.slices.reading import read_slice_file
from homeport.yamlfile.parse import parse_yaml

EXPECTED = (HomeportError,)
MAX_LENGTH = 8 << 10
_KINDS = ("compose", "kubernetes", "gitlab", "github", "helm", "ansible")


def fuzz_one(data: bytes) -> None:
    """Read strictly as ours, then leniently as several tools' files."""
    for read in (
        partial(parse_yaml, data, "a.yaml"), partial(_recipe, data), partial(parse_lockfile, data),
        partial(read_slice_file, data, Path("a.yaml")), partial(read_plan, data, "plan.yaml"),
    ):  # fmt: skip
        try:
            read()
        except EXPECTED:
            continue
    for kind in _KINDS:
        read_as(Source(f"{kind}.yaml", data), Context(Path("/nonexistent")), kind)


def _recipe(data: bytes) -> None:
    path = Path("/nonexistent/homeport.yaml")
    part, reader = read_recipe_text(data, str(path))
    if part is not None:
        interpret_recipe(
            recipe_text(part, path), list(reader.faults), (), Boundaries(common=Boundary())
        )


def seeds() -> list[bytes]:
    """A recipe, and a file for each of the tools."""
    return [
        b"homeport: 1\nname: tools\nplatforms: [linux/amd64]\npackages:\n  - busybox-static\n"
        b"files:\n  - from: ./motd\n    to: /etc/motd\nconfig:\n  entrypoint: [/bin/busybox]\n",
        b"services:\n  a: &a\n    image: 'x:${T:-1}'\n    build: {context: ., args: {A: b}}\n"
        b"  b:\n    <<: *a\n    image: !x y\n",
        b"apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - {image: a, name: b}\n---\n...\n",
        b"image: {name: a, entrypoint: ['']}\ninclude: [x]\njob:\n  script:\n  - |\n    docker x"
        b"\n  services: [b]\n",
        b"on: push\njobs:\n  a:\n    container: x\n    steps:\n    - uses: docker://a:b\n"
        b"    - run: >-\n        docker pull c\n",
        b'image:\n  repository: a\n  tag: "1"\n- docker_container: {image: b}\n',
    ]
