"""A stranger builds a published image again from the registry alone, and signs that.

Another user with an empty home, another umask, locale and time zone; packages from Debian.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.small_registry import SmallRegistry, small_registry

pytestmark = pytest.mark.network
NOBODY = 65534
#: Another user; only reading is as for root, because the interpreter may lie in root's home.
AS_NOBODY = (
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
)  # fmt: skip
POLICY = """
schema: homeport-policy/v1
identities:
  publisher: {keys: [publisher.pub]}
  stranger: {keys: [stranger.pub]}
images:
  - {match: [HOST/copy], identity: [publisher], rebuilders: [stranger]}
"""


@pytest.fixture
def registry() -> Iterator[SmallRegistry]:
    with small_registry(page=1000) as running:
        yield running


@pytest.fixture
def home() -> Iterator[Path]:
    """A home that another user has."""
    folder = Path(tempfile.mkdtemp(prefix="stranger-"))
    try:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        yield folder
    finally:
        shutil.rmtree(folder)


def run(folder: Path, *arguments: str, before: tuple[str, ...] = (), **how: Any) -> Any:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "COSIGN_PASSWORD": "x"}
    for name in ("https_proxy", "http_proxy", "no_proxy", "SSL_CERT_FILE"):
        if name in os.environ:
            environment[name] = os.environ[name]
    environment |= how.pop("environment", {})
    done = subprocess.run(
        [*before, sys.executable, "-m", "homeport", *arguments, "--format", "json"], cwd=folder,
        env=environment, capture_output=True, text=True, check=False, **how,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_stranger_reproduces_dockerfile_copy_and_is_counted(
    registry: SmallRegistry, home: Path, tmp_path: Path
) -> None:
    image = f"{registry.host}/copy:1"
    run(tmp_path, "key", "generate", "-o", "publisher", environment={"LC_ALL": "C.UTF-8"})
    built = run(
        tmp_path, "build", "dockerfile-copy", "--locked", "--push", image, "--sign", "--sign-key",
        "publisher.key", environment={"TZ": "UTC", "LC_ALL": "C.UTF-8"}, umask=0o022,
    )  # fmt: skip

    other: dict[str, Any] = {
        "umask": 0o077, "environment": {"TZ": "Pacific/Kiritimati", "LC_ALL": "POSIX"},
    }  # fmt: skip
    if os.geteuid() == 0:
        other["before"] = AS_NOBODY
    run(home, "key", "generate", "-o", "stranger", **other)
    result = run(
        home, "verify", image, "--rebuild", "--sign", "--sign-key", "stranger.key", **other
    )
    assert (result["verdict"], result["built"]) == ("reproduced", built["digest"])
    assert len(result["platforms"]) == 7
    assert (result["packages_verified"], result["signed"]) == (True, True)

    shutil.copy(home / "stranger.pub", tmp_path)
    (tmp_path / "policy.yaml").write_text(POLICY.replace("HOST", registry.host))
    verified = run(tmp_path, "verify", image, "--policy", "policy.yaml", "--min-rebuilders", "2")
    assert (verified["verified"], verified["builders"]) == (True, 2)
