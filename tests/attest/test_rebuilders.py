"""A publisher builds and signs; strangers build again, sign that, and are counted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from builders.published import IMAGE, ask, published, run
from builders.small_registry import SmallRegistry
from homeport.cli.main import homeport


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallRegistry]:
    with published(tmp_path, monkeypatch) as registry:
        yield registry


def rebuild(registry: SmallRegistry, key: str) -> Any:
    return ask(registry, "verify", IMAGE, "--rebuild", "--trust-kit", "--sign",
               "--sign-key", f"{key}.key")  # fmt: skip


def builders(registry: SmallRegistry, wanted: int = 1) -> Any:
    return ask(
        registry, "verify", IMAGE, "--policy", "policy.yaml", "--min-rebuilders", str(wanted)
    )["builders"]


def test_a_build_is_signed_where_it_is_pushed_to(home: SmallRegistry) -> None:
    assert ask(home, "verify", IMAGE, "--key", "us.pub", "--every-platform")["verified"]


def test_signing_needs_a_place_and_a_key_before_anything_is_built(home: SmallRegistry) -> None:
    result = run(home, "build", ".", "-o", "docker-archive:x.tar", "--sign")
    assert "none of the outputs can keep a signature" in str(result.exception)
    result = run(home, "build", ".", "--push", "HOST/other:1", "--sign", "--sign-key", "none.key")
    assert "none.key" in str(result.exception)
    assert ("other", "1") not in home.tags


def test_rebuilders_sign_once_and_are_counted_by_who_they_are(home: SmallRegistry) -> None:
    assert builders(home) == 1
    first = rebuild(home, "a")
    assert (first["verdict"], first["packages_verified"], first["signed"]) == (
        "reproduced", True, True,
    )  # fmt: skip
    assert builders(home, 2) == 2
    before = dict(home.manifests)
    assert rebuild(home, "a")["signed"]
    assert home.manifests == before
    for key in ("a2", "stranger", "us"):  # a second key of a; nobody; the publisher once more
        rebuild(home, key)
        assert builders(home) == 2, key
    rebuild(home, "b")
    assert builders(home, 3) == 3
    result = run(home, "verify", IMAGE, "--policy", "policy.yaml", "--min-rebuilders", "4")
    assert getattr(result.exception, "exit_code", None) == 3
    assert "built by 3 of 4 required, the publisher among them (a, b, also-us)" in str(
        result.exception
    )


def test_a_rebuilder_of_one_platform_alone_does_not_count(home: SmallRegistry) -> None:
    before = set(home.manifests)
    rebuild(home, "a")
    new = [where for where in home.manifests if where not in before]
    of_one = {(json.loads(home.manifests[one].raw).get("subject") or {}).get("digest")
              for one in new}  # fmt: skip
    lost = next(one for one in of_one if one)
    for where in new:
        if (json.loads(home.manifests[where].raw).get("subject") or {}).get("digest") == lost:
            del home.manifests[where]
    home.tags.pop(("tool", lost.replace(":", "-") + ".att"))
    assert builders(home) == 1


def test_another_definition_does_not_count(home: SmallRegistry) -> None:
    platform = json.loads(home.manifests["tool", home.tags["tool", "1"]].raw)["manifests"]
    Path("other.json").write_text(json.dumps(
        {"buildDefinition": {"buildType": "https://x.example", "externalParameters": {},
                             "resolvedDependencies": []},
         "runDetails": {"builder": {"id": "https://x.example"}}}))  # fmt: skip
    for one in platform:
        if one["platform"]["os"] != "unknown":
            ask(home, "attest", f"HOST/tool@{one['digest']}", "--type", "slsa",
                "--predicate", "other.json", "--key", "a.key")  # fmt: skip
    assert builders(home) == 1


def test_a_rule_may_require_rebuilders_itself(home: SmallRegistry) -> None:
    text = Path("policy.yaml").read_text()
    Path("policy.yaml").write_text(text.replace("also-us]", "also-us], min_rebuilders: 2"))
    result = run(home, "import", IMAGE, "HOST/copy:1", "--policy", "policy.yaml")
    assert "built by 1 of 2 required" in str(result.exception)
    assert ("copy", "1") not in home.tags
    rebuild(home, "b")
    assert run(home, "import", IMAGE, "HOST/copy:1", "--policy", "policy.yaml").exception is None


def test_packages_without_proof_are_not_signed_for(home: SmallRegistry, tmp_path: Path) -> None:
    for path in Path().glob("*.proof"):
        path.unlink()
    ask(home, "build", ".", "--push", "HOST/tool:2", "--annotation", "a=b")
    shutil.rmtree(tmp_path / "mirror" / "dists")  # else what was signed is asked for again
    result = run(home, "verify", "HOST/tool:2", "--rebuild", "--trust-kit", "--sign",
                 "--sign-key", "a.key")  # fmt: skip
    assert "is reproduced, but not signed: its packages are not verified" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--sign",), "require --rebuild"),
        (("--sign-key", "a.key"), "--sign-key requires --sign"),
        (("--key", "us.pub", "--min-rebuilders", "2"), "requires a policy"),
    ],
)
def test_options_that_need_others_say_so(arguments: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(homeport, ["verify", "registry.example/tool:1", *arguments])
    assert said in str(result.exception)
