"""The proof: real BuildKit copies with our image, and the result is that of its own copying."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from builders.documents import unspecified
from homeport.app import App, Settings, open_app
from homeport.buildkit.helper.copy_cases import REMOTE
from homeport.buildkit.helper.copy_proof import KIND
from homeport.buildkit.helper.trial import Helper, Row, Trial, prove
from homeport.buildkit.local_registry import local_registry
from homeport.buildkit.protocol.errors import EngineTooOld
from homeport.cli.verify_helper import command as verify_helper
from homeport.content.blob import BytesBlob
from homeport.content.digest import Digest
from homeport.images.image import Image, Index
from homeport.oci import documents, media_types
from peers import buildkit_engines
from peers.buildkit_engines import RunningEngine, running_in_chroot

pytestmark = [
    pytest.mark.peer("dockerd", "docker-registry"),
    pytest.mark.root,
    pytest.mark.network,
]

dockerd_20 = buildkit_engines.dockerd_20
loopback_registry = buildkit_engines.loopback_registry


@pytest.fixture(scope="module")
def app() -> Iterator[App]:
    with open_app(Settings.load(None)) as opened:
        yield opened


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our own image, built from Debian's packages for this machine."""
    place = tmp_path_factory.mktemp("image") / "copy.oci"
    homeport("build", "dockerfile-copy", "--platform", "native", "-o", f"oci:{place}:latest")
    return place


def homeport(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "homeport", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def rows(
    dockerd_20: RunningEngine,
    loopback_registry: str,
    layout: Path,
    app: App,
) -> list[Row]:
    """Every case, with the image pulled by digest from a registry."""
    name = f"{loopback_registry}/helpers/dockerfile-copy"
    pushed = json.loads(
        homeport("push", f"oci:{layout}:latest", f"docker://{name}:1", "--format", "json")
    )
    with local_registry(None, {"remote.txt": REMOTE}) as web:
        helper = Helper(reference=f"{name}@{pushed['digest']}", url=web.url)
        trial = Trial(engine=dockerd_20.engine, helper=helper, runtime=app.runtime)
        return list(prove(trial, KIND))


def test_every_copy_and_add_is_done_by_our_image_by_digest_and_equals_the_engines_own(
    rows: list[Row],
) -> None:
    assert [(row.name, row.state, row.why) for row in rows if row.state != "passed"] == []
    assert len(rows) == len(KIND.cases)


def test_how_long_copying_took_with_our_helper_is_printed(
    rows: list[Row], capsys: pytest.CaptureFixture[str]
) -> None:
    timed = [row for row in rows if row.helper_seconds]
    with capsys.disabled():
        print(
            f"\n{len(timed)} builds: COPY and ADD took "
            f"{sum(row.helper_seconds for row in timed):.2f} s with our helper, "
            f"{sum(row.plain_seconds for row in timed):.2f} s with the engine's file operations"
        )
    assert len(timed) > 50


def test_an_image_without_the_program_fails_so_the_proof_can_fail(
    dockerd_20: RunningEngine,
    layout: Path,
    app: App,
) -> None:
    with app.open_image(f"oci:{layout}:latest") as ours, local_registry(_emptied(ours), {}) as web:
        helper = Helper(reference=web.reference(_emptied(ours).digest))
        trial = Trial(engine=dockerd_20.engine, helper=helper, runtime=app.runtime)
        [row] = prove(trial, KIND, KIND.cases[:1])
    assert row.state == "failed"
    assert "copy" in row.why


def test_the_command_says_yes_to_an_image_of_this_machine(
    dockerd_20: RunningEngine, layout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verify_helper.main(
        [
            f"oci:{layout}:latest", "--engine", dockerd_20.address, "--format", "json",
            "--case", "a file to a name", "--case", "ADD a tar.xz",
        ],
        standalone_mode=False,
    )  # fmt: skip
    document = json.loads(capsys.readouterr().out)
    assert (document["passed"], document["failed"], document["not_tried"]) == (3, 0, 0)
    assert unspecified(document) == []


@pytest.mark.parametrize("suite", ["trixie", "sid"])
def test_an_engine_that_uses_no_helpers_any_more_says_so(suite: str, app: App) -> None:
    helper = Helper(reference="registry.example/copy@sha256:" + "0" * 64)
    with (
        running_in_chroot(suite) as engine,
        pytest.raises(EngineTooOld, match="no longer uses helper images"),
    ):
        trial = Trial(engine=engine.engine, helper=helper, runtime=app.runtime)
        list(prove(trial, KIND, KIND.cases[:1]))


def _emptied(value: Image | Index) -> Image:
    """An image like ours that holds one empty layer."""
    layer = BytesBlob(bytes(1024))
    config = BytesBlob(
        json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "rootfs": {"type": "layers", "diff_ids": [str(layer.digest)]},
            }
        ).encode()
    )
    raw = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": {
                "mediaType": media_types.OCI_CONFIG,
                "digest": str(config.digest),
                "size": config.size,
            },
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar",
                    "digest": str(layer.digest),
                    "size": layer.size,
                }
            ],
        }
    ).encode()
    document = documents.read_manifest_or_index(raw, media_types.OCI_MANIFEST, Digest.of(raw))
    assert isinstance(document.parsed, documents.Manifest)
    return Image(
        document=cast("documents.Document[documents.Manifest]", document),
        blobs={config.digest: config, layer.digest: layer},
    )
