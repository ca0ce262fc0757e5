"""Bake files against ``buildx bake --print``: the same images from the same files.

buildx is no package of Debian's; where it is not on PATH it is compiled from its Go module,
which takes minutes, so this runs with .ci/run --full.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from builders.audit import lay_out
from homeport.audit.scan.scanning import scan

pytestmark = [pytest.mark.peer("go"), pytest.mark.full]

MODULE = "github.com/docker/buildx/cmd/buildx@v0.38.2"


@pytest.fixture(scope="module")
def buildx(tmp_path_factory: pytest.TempPathFactory) -> str:
    found = shutil.which("buildx")
    if found is not None:
        return found
    folder = tmp_path_factory.mktemp("buildx")
    environment = {**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"}
    environment.setdefault("HOME", str(folder))
    subprocess.run(["go", "install", MODULE], env=environment, check=True)
    return str(folder / "buildx")


def theirs(buildx: str, root: Path, name: str) -> set[str]:
    done = subprocess.run(
        [buildx, "bake", "--print", "-f", name, "--progress", "quiet", "all"], cwd=root,
        check=True, capture_output=True, text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(root), "BUILDX_CONFIG": str(root)},
    )  # fmt: skip
    found = set()
    for target in json.loads(done.stdout)["target"].values():
        for value in target.get("contexts", {}).values():
            if value.startswith("docker-image://"):
                found.add(value.removeprefix("docker-image://"))
        for entry in target.get("attest", []):
            if entry.get("generator"):
                found.add(entry["generator"])
        inline = target.get("dockerfile-inline", "")
        found.update(re.findall(r"^FROM (\S+)", inline, re.MULTILINE))
    return found


def ours(root: Path, name: str) -> set[str]:
    return {use.value for use in scan([name], root=root).uses if use.confidence == "high"}


def a_file(pick: random.Random) -> str:
    """A bake file of variables, inheritance, matrices, attestations and inline Dockerfiles."""
    lines = [f'variable "V{n}" {{ default = "{pick.choice(["1.2", "x", "3-slim"])}" }}'
             for n in range(3)]  # fmt: skip
    names = []
    for number in range(pick.randint(1, 5)):
        name = f"t{number}"
        body = []
        if names and pick.random() < 0.5:
            body.append(f'  inherits = ["{pick.choice(names)}"]')
        values = []
        matrix = pick.random() < 0.4
        if matrix:
            body.append('  matrix = { m = ["a1", "b2"] }\n  name = "' + name + '-${m}"')
        else:
            names.append(name)
        for key in pick.sample(["one", "two", "three"], pick.randint(0, 2)):
            parts = ["img", "${V0}", "reg.example/${V1}", "${m}" if matrix else "y"]
            text = f"docker-image://{pick.choice(parts)}:${{V{pick.randint(0, 2)}}}"
            values.append(f'    {key}{number} {pick.choice(["=", ":"])} "{text}"')
        separator = pick.choice(["\n", ",\n"])
        body.append("  contexts = {\n" + separator.join(values) + "\n  } # contexts")
        if pick.random() < 0.4:
            body.append(f'  attest = ["type=sbom,generator=gen/x:{number}", "type=provenance"]')
        if pick.random() < 0.4:
            body.append(f"  dockerfile-inline = <<EOT\nFROM in:{number}\nEOT")
        lines.append(f'target "{name}" {{\n' + "\n".join(body) + "\n}")
    every = ", ".join(f'"t{number}"' for number in range(len(lines) - 3))
    return "\n".join([*lines, f'group "all" {{ targets = [{every}] }}']) + "\n"


def test_random_files_name_the_same_images(buildx: str, tmp_path: Path) -> None:
    pick = random.Random(5)
    for number in range(60):
        name = f"docker-bake-{number}.hcl"
        text = a_file(pick)
        lay_out({name: text}, tmp_path)
        assert ours(tmp_path, name) == theirs(buildx, tmp_path, name), text
