"""CI jobs as their systems run them: GitHub's composite actions, GitLab's components.

    runner = composite(ROOT / "action.yml", {"paths": "."}, cwd=checkout, environment=environment)
    script = component_script("audit", {"image": "x"})

Of an action: inputs and their defaults, ``${{ inputs.X }}`` in ``env``, ``if: inputs.X == 'Y'``,
the variables and files of a runner. Anything else in an action is an error of this runner.
"""

from __future__ import annotations

import re
import site
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import homeport

ROOT = Path(__file__).parent.parent.parent
_INPUT = re.compile(r"\$\{\{ inputs\.([\w-]+) \}\}")
_IF = re.compile(r"inputs\.([\w-]+) == '([^']*)'")

#: ``python3 -m venv``, with the packages of this environment, and a pip that only notes its calls.
_PYTHON = """#!/bin/sh
set -e
"{python}" "$@" --without-pip
for folder; do :; done
cd "$folder"/lib/python*/site-packages
printf '%s\\n' {paths} > installed.pth
mkdir pip
: > pip/__init__.py
printf 'import sys; open("{log}", "a").write(" ".join(sys.argv[1:]) + "\\\\n")\\n' > pip/__main__.py
"""


def write_python(folder: Path, log: Path) -> None:
    """A ``python3`` in ``folder`` that installs nothing from a network and notes what it would."""
    paths = [*site.getsitepackages(), str(Path(homeport.__file__).parent.parent)]
    quoted = " ".join(f"'{path}'" for path in paths)
    program = folder / "python3"
    program.write_text(_PYTHON.format(python=sys.executable, paths=quoted, log=log))
    program.chmod(0o755)


@dataclass(frozen=True)
class Ended:
    """How an action ended. outputs: of its steps"""

    code: int
    text: str
    outputs: dict[str, str]


def composite(
    action: Path, given: Mapping[str, str], *, cwd: Path, temp: Path,
    environment: Mapping[str, str],
) -> Ended:  # fmt: skip
    """Run an action's steps up to the first that fails."""
    document = yaml.safe_load(action.read_text())
    specified = document["inputs"]
    assert given.keys() <= specified.keys(), "an input that the action does not have"
    inputs = {name: given.get(name, each.get("default", "")) for name, each in specified.items()}
    output = temp / "output"
    output.touch()
    runner = {
        **environment, "GITHUB_ACTION_PATH": str(action.parent), "RUNNER_TEMP": str(temp),
        "GITHUB_OUTPUT": str(output),
    }  # fmt: skip
    code, text = 0, ""
    for step in document["runs"]["steps"]:
        if not _runs(step, inputs):
            continue
        more = {
            name: _INPUT.sub(lambda found: inputs[found[1]], value)
            for name, value in step.get("env", {}).items()
        }
        assert "${{" not in step["run"] + "".join(more.values())
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=cwd, env={**runner, **more}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        code, text = done.returncode, text + done.stdout + done.stderr
        if code:
            break
    pairs = [line.partition("=") for line in output.read_text().splitlines()]
    return Ended(code, text, {name: value for name, _, value in pairs})


def _runs(step: Mapping[str, Any], inputs: Mapping[str, str]) -> bool:
    condition = step.get("if")
    if condition is None:
        return True
    found = _IF.fullmatch(condition)
    assert found, f"this runner does not know the condition {condition}"
    return inputs[found[1]] == found[2]


def component_script(name: str, given: Mapping[str, str]) -> str:
    """The script of the only job of a component of ``templates``, inputs put in as GitLab does."""
    header, body = (ROOT / "templates" / name / "template.yml").read_text().split("\n---\n")
    for key, spec in yaml.safe_load(header)["spec"]["inputs"].items():
        value = given.get(key, spec.get("default", ""))
        body = body.replace(f"$[[ inputs.{key} ]]", str(value))
    (job,) = yaml.safe_load(body).values()
    return "\n".join(job["script"])
