"""Policies for others in real evaluators: Rego by regorus, CEL by cel-python.

HOMEPORT_EVALUATORS names that Python (.ci/run makes it). Programs that take minutes to compile
judge, too, with --full: an ``opa`` (HOMEPORT_OPA), which buildx has inside, and the ``tester``
(HOMEPORT_POLICY_TESTER) of sigstore's policy-controller.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders.signed_images import workshop
from homeport.attest.keys.private_key import generate_key
from homeport.attest.policy.emit import emit
from homeport.attest.policy.emitted import Pin
from homeport.attest.policy.reading import read_policy
from homeport.content.digest import Digest
from homeport.oci.reference import parse_reference

EVALUATORS = ["regorus", "opa"] if os.environ.get("HOMEPORT_OPA") else ["regorus"]
VERIFIED, OTHER = (Digest.of(text) for text in (b"verified", b"other"))
POLICY = """
schema: homeport-policy/v1
identities: {us: {keys: [k.pub]}}
images:
  - {match: ["r.example/*"], identity: [us]}
  - {match: ["r.example/open/*"], unsigned: true}
  - {match: [r.example/open/closed], identity: [us]}
  - {match: [r.example/warned], identity: [us], enforce: warn}
  - {match: ["docker.io/library/*"], identity: [us]}
  - {match: [docker.io/team/tool], identity: [us]}
default: DEFAULT
"""
REGORUS = """
import json, regorus, sys
policy, inputs = json.load(sys.stdin)
engine = regorus.Engine()
engine.add_policy("policy.rego", policy)
for one in inputs:
    engine.set_input_json(json.dumps(one))
    print(json.dumps(json.loads(engine.eval_rule_as_json("data.docker.decision"))))
"""
CEL = """
import json, sys, celpy
expressions, names = json.load(sys.stdin)
environment = celpy.Environment(annotations={"ref": celpy.celtypes.StringType})
programs = [environment.program(environment.compile(one)) for one in expressions]
for name in names:
    value = {"ref": celpy.celtypes.StringType(name)}
    print(json.dumps([bool(program.evaluate(value)) for program in programs]))
"""


def evaluate(script: str, *values: Any) -> list[Any]:
    python = os.environ.get("HOMEPORT_EVALUATORS", "")
    if not python and (os.environ.get("CI") == "true" or os.environ.get("HOMEPORT_PEERS") == "1"):
        pytest.fail("HOMEPORT_EVALUATORS names no Python with regorus and cel-python; see .ci/run")
    if not python:
        pytest.skip("HOMEPORT_EVALUATORS names no Python with regorus and cel-python")
    done = subprocess.run(
        [python, "-c", script], input=json.dumps(values), text=True, capture_output=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def made(folder: Path, target: str, default: str = "warn") -> str:
    (folder / "k.pub").write_bytes(generate_key().public.pem)
    path = folder / "policy.yaml"
    path.write_text(POLICY.replace("DEFAULT", default))
    pin = Pin(reference=parse_reference("r.example/a:1"), digest=VERIFIED)
    return next(iter(emit(target, read_policy(path, {}), [pin]).files.values()))


#: A repository and digest, and whether a build may use it: by default, and if all is refused.
IMAGES = [
    ("r.example/a", VERIFIED, True, True),
    ("r.example/a", OTHER, False, False),
    ("r.example/b", VERIFIED, False, False),
    ("r.example/open/x", OTHER, True, True),
    ("r.example/open/closed", OTHER, False, False),
    ("r.example/warned", OTHER, True, True),
    ("docker.io/library/debian", OTHER, False, False),
    ("docker.io/team/tool", OTHER, False, False),
    ("docker.io/team/other", OTHER, True, False),
    ("elsewhere.example/x", OTHER, True, False),
]


@pytest.mark.parametrize(("default", "column"), [("warn", 2), ("reject", 3)])
@pytest.mark.parametrize("evaluator", EVALUATORS)
def test_rego_decides_by_digest_and_by_the_narrowest_rule(
    tmp_path: Path, default: str, column: int, evaluator: str
) -> None:
    policy = made(tmp_path, "rego", default)
    inputs: list[Any] = [
        {"image": {"fullRepo": name, "checksum": str(digest)}} for name, digest, *_ in IMAGES
    ]
    inputs += [{"git": {"remote": "https://git.example/x"}}, {"local": {"name": "context"}}]
    if evaluator == "regorus":
        found = evaluate(REGORUS, policy, inputs)
    else:
        found = _by_opa(tmp_path, policy, inputs)
    assert [one["allow"] for one in found] == [image[column] for image in IMAGES] + [True, True]


def _by_opa(folder: Path, policy: str, inputs: list[Any]) -> list[Any]:
    opa = os.environ["HOMEPORT_OPA"]
    path = folder / "policy.rego"
    path.write_text(policy)
    subprocess.run([opa, "check", "--strict", path], check=True)
    found = []
    for one in inputs:
        asked = [opa, "eval", "-f", "raw", "-I", "-d", path, "data.docker.decision"]
        done = subprocess.run(asked, input=json.dumps(one), text=True, stdout=-1, check=True)
        found.append(json.loads(done.stdout))
    return found


@pytest.mark.full
@pytest.mark.parametrize(
    ("rule", "verdict"),
    [("identity: [us]", "accepted"), ("identity: [us, other], threshold: 2", "authority other")],
)
def test_sigstores_policy_controller_wants_the_signatures_that_the_policy_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str, verdict: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    with workshop(tmp_path) as shop:
        for name in ("k.pub", "second.pub"):
            (tmp_path / name).write_bytes(generate_key().public.pem)
        policy = (
            "schema: homeport-policy/v1\n"
            "identities: {us: {keys: [second.pub, cosign.pub]}, other: {keys: [k.pub]}}\n"
            f"images: [{{match: ['{shop.registry.host}/a/*'], {rule}}}]\n"
        )
        (tmp_path / "policy.yaml").write_text(policy)
        made = emit("clusterimagepolicy", read_policy(tmp_path / "policy.yaml", {}))
        (tmp_path / "cip.yaml").write_text(made.files["cluster-image-policies.yaml"])
        assert "no signatures found" in _by_tester(tmp_path / "cip.yaml", shop.address)
        shop.legacy(shop.payload())
        assert verdict in _by_tester(tmp_path / "cip.yaml", shop.address)


def _by_tester(policy: Path, image: str) -> str:
    program = os.environ.get("HOMEPORT_POLICY_TESTER", "")
    if not program:
        pytest.fail("HOMEPORT_POLICY_TESTER is not set; .ci/run --full compiles it")
    done = subprocess.run(
        [program, "-policy", policy, "-image", image], capture_output=True, text=True, check=False
    )
    return "accepted" if done.returncode == 0 else done.stdout


#: A name as a pod has it, and the first pattern of the rule that judges it.
NAMES = {
    "r.example/a": "r.example/*", "r.example/a:1": "r.example/*",
    f"r.example/a@{OTHER}": "r.example/*", "r.example/open/x:1": "",
    "r.example/open/closed": "r.example/open/closed",
    "r.example/open/closed:1": "r.example/open/closed",
    "r.example/warned": "r.example/warned", "r.example/warned-not": "r.example/*",
    "debian": "docker.io/library/*", "debian:13": "docker.io/library/*",
    "library/debian:13": "docker.io/library/*", "docker.io/debian": "docker.io/library/*",
    "docker.io/library/debian": "docker.io/library/*",
    "index.docker.io/library/debian:13": "docker.io/library/*",
    "team/tool": "docker.io/team/tool", "team/tool:1": "docker.io/team/tool",
    "docker.io/team/tool:1": "docker.io/team/tool", "team/toolbox": "", "docker.io/team/x": "",
    "elsewhere.example/team/tool": "",
}  # fmt: skip


def test_kyverno_finds_every_spelling_of_an_image_and_one_rule_for_it(tmp_path: Path) -> None:
    documents = list(yaml.safe_load_all(made(tmp_path, "kyverno")))
    patterns = [one["spec"]["validations"][0]["message"].split()[-1] for one in documents]
    expressions = [one["spec"]["matchImageReferences"][0]["expression"] for one in documents]
    found = evaluate(CEL, expressions, list(NAMES))
    judged = {
        name: [pattern for pattern, fits in zip(patterns, row, strict=True) if fits]
        for name, row in zip(NAMES, found, strict=True)
    }
    assert judged == {name: [pattern] if pattern else [] for name, pattern in NAMES.items()}
