"""Compose files against ``docker-compose config``: the same images for the same files."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest
import yaml

from builders.audit import lay_out
from homeport.audit.scan.scanning import scan

pytestmark = pytest.mark.peer("docker-compose")

ENV = "TAG=1.27\nNAME=redis\nEMPTY=\nQUOTED='a:1'\n"
# Nested defaults are Compose 2's; the corpus has them.
EXPRESSIONS = [
    "nginx:1", "nginx:${TAG}", "nginx:$TAG", "${NAME}:7", "${NAME}:${TAG}-alpine", "${X:-mysql:8}",
    "${EMPTY:-mysql:9}", "mysql:8${EMPTY-x}",
    "registry.example:5000/a/$NAME",
    "${QUOTED}", "a:${TAG:?must be}", "a/b@sha256:" + "a" * 64,
]  # fmt: skip


def theirs(root: Path) -> dict[str, str]:
    done = subprocess.run(
        ["docker-compose", "-f", "compose.yaml", "config"], cwd=root, check=True,
        capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "HOME": str(root)},
    )  # fmt: skip
    services = yaml.safe_load(done.stdout)["services"]
    return {name: service["image"] for name, service in services.items()}


def ours(root: Path) -> dict[str, str]:
    uses = scan(["compose.yaml"], root=root).uses
    return {use.key.split(".")[1]: use.value for use in uses}


def test_variables_and_defaults_have_the_same_values(tmp_path: Path) -> None:
    pick = random.Random(4)
    services = {f"s{n}": {"image": e} for n, e in enumerate(EXPRESSIONS)}
    for number in range(20):
        image = f"x:{''.join(pick.choices(['1', '${TAG}', '${Z:-2}', '$NAME', '-', 'a'], k=4))}9"
        services[f"r{number}"] = {"image": image}
    lay_out({"compose.yaml": yaml.safe_dump({"services": services}), ".env": ENV}, tmp_path)
    assert ours(tmp_path) == theirs(tmp_path)


def test_anchors_and_merges_have_the_same_images(tmp_path: Path) -> None:
    text = """
x-base: &base {image: "ruby:3.3", restart: always}
services:
  a: {<<: *base, image: "ruby:3.4"}
  b: {<<: [*base], user: x}
  c:
    image: &img "python:3.13"
  d:
    image: *img
"""
    lay_out({"compose.yaml": text}, tmp_path)
    mine = set(ours(tmp_path).values())
    assert mine == set(theirs(tmp_path).values())
