"""How long an audit of 10,000 files takes: ``python -P benchmarks/audit.py [FILES]``.

The tree is what repositories look like: mostly source code, then manifests, workflows,
Dockerfiles, Compose and Helm files, JSON that is none of these. Target: under 3 seconds.

Then one large file of each of some kinds that name no image (definitions of custom resources, lock
files, a changelog as YAML), 3 MB each. Target: under 50 ms.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from homeport.audit.auditing import AuditRequest, audit

_MANIFEST = "\n---\n".join(
    f"""apiVersion: apps/v1
kind: Deployment
metadata:
  name: web-{number}
  labels: {{app: web, tier: front}}
spec:
  replicas: 3
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
        - name: web
          image: registry.example/team/web:1.{number}
          ports: [{{containerPort: 8080}}]
          env:
            - name: A
              value: b
          resources: {{limits: {{cpu: 500m, memory: 128Mi}}}}
"""
    for number in range(2)
)
_WORKFLOW = """on: push
jobs:
  test:
    runs-on: ubuntu-latest
    container: python:3.13
    steps:
      - uses: actions/checkout@v4
      - uses: docker/setup-buildx-action@v3
      - run: |
          pip install -e .
          docker run --rm alpine:3.22 true
"""
_TEMPLATE = """{{- if .Values.enabled }}
      image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
{{- end }}
"""
_SHARES: tuple[tuple[int, str, str], ...] = (
    (57, "src/module_{n}.py", "import os\n\n\ndef f(x):\n    return x\n" * 20),
    (10, "k8s/app_{n}.yaml", _MANIFEST),
    (8, "data/record_{n}.json", '{"name": "x", "values": [1, 2, 3], "text": "abc"}\n' * 1),
    (5, "svc_{n}/Dockerfile", "ARG V=3.13\nFROM python:${V}-slim\nCOPY . /app\nRUN make\n"),
    (5, "i18n/text_{n}.yml", "hello: Hallo\nworld: Welt\n" * 30),
    (4, ".github/workflows/ci_{n}.yml", _WORKFLOW),
    (3, "compose_{n}/compose.yaml", "services:\n  db: {image: postgres:16}\n"),
    (3, "chart_{n}/values.yaml", "image: {repository: a/b, tag: '1'}\nreplicas: 2\n"),
    (3, "chart_{n}/templates/web.yaml", _TEMPLATE),
    (2, "scripts/run_{n}.sh", "#!/bin/sh\nset -e\ndocker pull alpine:3.22\n"),
)


def make_tree(root: Path, files: int) -> None:
    """Write about ``files`` files."""
    for share, pattern, body in _SHARES:
        for number in range(files * share // 100):
            path = root / f"part_{number % 50}" / pattern.format(n=number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)


_DEFINITION = (
    "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec:\n"
    + "  image:\n    description: |\n      The image of the container, a docker_image for k8s.\n"
    * 40_000
)
_LARGE: dict[str, str] = {
    "crds/crd.yaml": _DEFINITION,
    "package-lock.json": '{"packages": {' + '"a/b": {"version": "1", "resolved": "x"},\n' * 80_000,
    "pnpm-lock.yaml": "packages:\n"
    + "  /a/b@1.0.0: {resolution: {integrity: sha512-x}}\n" * 60_000,
    "data.yaml": "entries:\n" + "  - text: nothing of interest stands here\n\n" * 70_000,
}


def measure_large(root: Path) -> None:
    """One file at a time, the best of three."""
    for name, text in _LARGE.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        took = []
        for _ in range(3):
            start = time.perf_counter()
            audit(AuditRequest(paths=[name], root=root))
            took.append(time.perf_counter() - start)
        print(f"{name}, {len(text) / 1e6:.1f} MB: {1000 * min(took):.0f} ms")


def main() -> None:
    """Measure three runs over one tree, and large files one by one."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        make_tree(root, files)
        for _ in range(3):
            start, busy = time.perf_counter(), time.process_time()
            report = audit(AuditRequest(paths=["."], root=root)).report
            took, used = time.perf_counter() - start, time.process_time() - busy
            uses = sum(len(image.uses) for image in report.images)
            print(
                f"{files} files: {took:.2f} s ({used:.2f} s CPU), {report.read} read, {uses} uses"
            )
        measure_large(root)


if __name__ == "__main__":
    main()
