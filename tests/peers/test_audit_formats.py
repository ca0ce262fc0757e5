"""What the audit writes and what the repository ships, checked by other people's validators.

SARIF against the published schema (as @microsoft/jest-sarif carries it), the hook definition with
pre-commit. The actions and components are checked in ``test_pipeline_schemas``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from builders.audit import TODAY, every_case, lay_out, read_case
from homeport.audit.auditing import AuditRequest, audit
from homeport.audit.report.json import clean
from homeport.audit.report.sarif import sarif_document
from homeport.audit.results import results

ROOT = Path(__file__).parent.parent.parent


def need(program: str) -> str:
    """A program on PATH or beside this Python; missing fails in CI, skips elsewhere."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), beside]))
    if found is None:
        if os.environ.get("CI") == "true" or os.environ.get("HOMEPORT_PEERS") == "1":
            pytest.fail(f"{program} is not installed; .ci/run installs all peers")
        pytest.skip(f"{program} is not installed")
    return found


def check(schema: list[str], *files: Path) -> None:
    program = need("check-jsonschema")
    done = subprocess.run([program, *schema, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_hooks_are_a_pre_commit_manifest() -> None:
    program = need("pre-commit")
    manifest = ROOT / ".pre-commit-hooks.yaml"
    done = subprocess.run(
        [program, "validate-manifest", manifest], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_sarif_logs_follow_the_published_schema(tmp_path: Path) -> None:
    npm = need("npm")
    package = "@microsoft/jest-sarif@1.0.0-beta.0"
    subprocess.run([npm, "pack", "--silent", package], cwd=tmp_path, check=True)
    archive = next(tmp_path.glob("*.tgz"))
    subprocess.run(["tar", "-xzf", archive, "-C", tmp_path], check=True)
    (schema,) = tmp_path.glob("package/lib/schemas/sarif-2.1.0*.json")
    logs = []
    for number, path in enumerate(every_case()[::5]):
        root = tmp_path / f"case{number}"
        lay_out(read_case(path).files, root)
        found = audit(AuditRequest(paths=["."], root=root, today=TODAY))
        some = list(results(found.report))
        known = list(results(found.report, [r.fingerprint for r in some[:1]]))
        log = tmp_path / f"{number}.sarif"
        document = clean(sarif_document(known, found.report.unread, found.rules))
        log.write_bytes(msgspec.json.encode(document))
        logs.append(log)
    # The schema has a pattern that is no regular expression of ECMAScript.
    check(["--regex-variant", "python", "--schemafile", str(schema)], *logs)
