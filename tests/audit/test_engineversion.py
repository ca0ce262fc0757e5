"""What engines answer about their version, and what follows from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.audit import TODAY, lay_out
from homeport.audit.auditing import AuditRequest, audit
from homeport.audit.engineversion import read_version
from homeport.buildkit.protocol.errors import EngineRefused

OK = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"


def test_the_version_is_in_the_body() -> None:
    assert read_version(OK + b'{"Version": "28.1.0", "ApiVersion": "1.49"}', "e") == "28.1.0"


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0-x", b"HTTP/1.1 403 Forbidden\r\n\r\nno", OK + b"<html>", OK + b'["x"]'],
)
def test_any_other_answer_is_one_clear_error(answer: bytes) -> None:
    with pytest.raises(EngineRefused, match="version"):
        read_version(answer, "unix:///run/x.sock")


@pytest.mark.parametrize(
    ("docker", "rules"),
    [
        ("18.09", {"docker-copy-image", "buildkit-copy-image", "fileop-copy-image"}),
        ("19.03.15", {"fileop-copy-image"}),
        ("20.10.24", {"fileop-copy-image"}),
        ("23.0.1", {"fileop-copy-image"}),
        ("24.0.0", {"sbom-scanner"}),
        ("29.1", {"sbom-scanner"}),
    ],
)
def test_a_known_docker_is_a_known_buildkit(docker: str, rules: set[str], tmp_path: Path) -> None:
    lay_out(
        {
            "Dockerfile": "FROM scratch\nCOPY a b\n",
            "x.sh": "docker build --build-arg BUILDKIT_DISABLE_FILEOP=1 .\n"
            "docker buildx build --sbom=true .\n",
        },
        tmp_path,
    )
    request = AuditRequest(paths=["."], root=tmp_path, assumptions={"docker": docker}, today=TODAY)
    uses = [use for image in audit(request).report.images for use in image.uses if use.rule]
    assert {use.rule for use in uses} == rules
    assert {use.confidence for use in uses} == {"high"}
