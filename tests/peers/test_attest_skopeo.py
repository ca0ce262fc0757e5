"""skopeo and podman of Debian trixie with our policy.json and registries.d.

bookworm's cannot verify sigstore signatures at all. They run in trixie's root, which
HOMEPORT_ENGINE_CHROOTS names (.ci/run).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from builders.signed_images import Workshop, seven_platforms, workshop
from homeport.attest.keys.private_key import encrypt_key, generate_key
from homeport.cli.main import homeport

pytestmark = pytest.mark.root

POLICY = """
schema: homeport-policy/v1
identities: {us: {keys: [k.pub]}}
images: [{match: [HOST/a/b], identity: [us]}]
default: reject
"""


#: podman asks /proc about itself; the mounts are gone when it ends.
IN_ROOT = (
    "unshare", "--mount", "--propagation", "private", "sh", "-ec",
    'mount --bind "$0" "$0"; cd "$0"; for d in proc sys dev; do mount --rbind "/$d" "$0/$d"; done;'
    ' exec chroot "$0" "$@"',
)  # fmt: skip


@pytest.fixture(scope="module")
def root() -> Path:
    found = Path(os.environ.get("HOMEPORT_ENGINE_CHROOTS", "/none"), "trixie")
    if (found / "usr/bin/skopeo").exists():
        return found
    if os.environ.get("CI") == "true" or os.environ.get("HOMEPORT_PEERS") == "1":
        pytest.fail(f"there is no skopeo in {found}; .ci/run makes it")
    pytest.skip("no skopeo of trixie; HOMEPORT_ENGINE_CHROOTS may name its root")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOMEPORT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("COSIGN_PASSWORD", "")
    monkeypatch.chdir(tmp_path)
    key = generate_key()
    (tmp_path / "k.key").write_bytes(encrypt_key(key, b""))
    (tmp_path / "k.pub").write_bytes(key.public.pem)
    with workshop(tmp_path, seven_platforms()) as made:
        (tmp_path / "policy.yaml").write_text(POLICY.replace("HOST", made.registry.host))
        yield made


@pytest.fixture
def inside(root: Path, shop: Workshop) -> Iterator[Path]:
    """A folder of the root with the policy, as the programs in the root see it."""
    folder = root / "tmp" / f"homeport-{os.getpid()}"
    folder.mkdir()
    emitted = CliRunner().invoke(
        homeport, ["policy", "emit", "--target", "containers", "--policy", "policy.yaml",
                   "-o", str(folder)],
    )  # fmt: skip
    assert emitted.exception is None, emitted.output
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\nrunroot = "/tmp/{folder.name}/run"\n'
        f'graphroot = "/tmp/{folder.name}/graph"\n'
    )
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def sign(shop: Workshop, *options: str) -> None:
    result = CliRunner().invoke(homeport, ["sign", shop.address, "--key", "k.key", *options])
    assert result.exception is None, result.output


def skopeo(folder: Path, shop: Workshop, reference: str) -> bool:
    """Whether skopeo copies the image under the policy."""
    name = f"/tmp/{folder.name}"
    target = folder / "copy"
    shutil.rmtree(target, ignore_errors=True)
    done = subprocess.run(
        ["chroot", str(folder.parent.parent), "skopeo", "--policy", f"{name}/policy.json",
         "--registries.d", f"{name}/registries.d", "--override-arch", "amd64",
         "--tmpdir", name, "copy", "--src-tls-verify=false", "--remove-signatures", f"docker://{reference}",
         f"oci:{name}/copy:x"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0 or "Source image rejected" in done.stderr, done.stderr
    return done.returncode == 0


def test_skopeo_accepts_what_we_signed_and_nothing_else(inside: Path, shop: Workshop) -> None:
    assert not skopeo(inside, shop, shop.address)
    sign(shop)
    assert skopeo(inside, shop, shop.address)
    assert skopeo(inside, shop, f"{shop.repository}@{shop.digest}")


def test_skopeo_accepts_a_signed_tag_too(inside: Path, shop: Workshop) -> None:
    sign(shop, "--sign-identity", shop.address)
    assert skopeo(inside, shop, shop.address)


def test_podman_pulls_what_we_signed_and_nothing_else(inside: Path, shop: Workshop) -> None:
    name = f"/tmp/{inside.name}"

    def pulls() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*IN_ROOT, str(inside.parent.parent), "env",
             f"CONTAINERS_STORAGE_CONF={name}/storage.conf", "podman", "--cgroup-manager",
             "cgroupfs", "pull", "--tls-verify=false", "--signature-policy",
             f"{name}/policy.json", shop.address],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    registries = Path("/".join(inside.parts[:-2]), "etc/containers/registries.d/homeport-test.yaml")
    registries.parent.mkdir(parents=True, exist_ok=True)
    registries.write_text((inside / "registries.d/homeport.yaml").read_text())
    try:
        refused = pulls()
        assert refused.returncode != 0
        assert "Source image rejected" in refused.stderr, refused.stderr
        sign(shop)
        done = pulls()
        assert "Source image rejected" not in done.stderr
        assert done.returncode == 0, done.stderr
    finally:
        registries.unlink()
