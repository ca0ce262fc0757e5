"""Make the pictures of the HTML reports in docs/pictures, from real runs in Chromium.

    python tools/make_screenshots.py [DIRECTORY]

An image with a base, waste and packages, and a small repository are made; ``homeport inspect`` and
``homeport audit`` write pages of them, which are taken at 1280 and 400 pixels, light and dark. No
network is needed. Tests take the same samples (``tests/peers/test_pages.py``). Look at the pictures
before you commit them.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

from chromium import chromium  # noqa: E402

from builders.images import image as make_image  # noqa: E402
from builders.inspection import Member, directory, file, layer, whiteout  # noqa: E402
from builders.runtime import runtime  # noqa: E402
from homeport.images.address import LayoutAddress  # noqa: E402
from homeport.images.image import Image  # noqa: E402
from homeport.images.transports.oci_layout import OciLayout  # noqa: E402
from homeport.oci.documents import History, RunConfig  # noqa: E402

WIDTHS = {1280: 1400, 400: 1100}
_SIZES = {
    "usr/lib/x86_64-linux-gnu/libcrypto.so.3": 910_000,
    "usr/lib/x86_64-linux-gnu/libc.so.6": 390_000,
    "usr/lib/x86_64-linux-gnu/libm.so.6": 180_000, "usr/bin/perl": 760_000,
    "usr/bin/bash": 260_000, "usr/share/locale/de/LC_MESSAGES/coreutils.mo": 60_000,
    "etc/ssl/certs/ca-certificates.crt": 110_000,
}  # fmt: skip
_APP = {
    "app/node_modules/typescript/lib/tsc.js": 1_200_000,
    "app/node_modules/esbuild/bin/esbuild": 1_900_000,
    "app/node_modules/lodash/lodash.js": 110_000, "app/dist/server.js": 420_000,
    "app/dist/assets/logo.png": 160_000, "app/package.json": 2_000,
}  # fmt: skip
_STATUS = "".join(
    f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n"
    for name, version in (
        ("base-files", "13.8+deb13u1"), ("bash", "5.2.37-2+b5"), ("libc6", "2.41-12"),
        ("libssl3t64", "3.5.1-1+deb13u1"), ("perl-base", "5.40.1-6"),
        ("ca-certificates", "20250419"),
    )
)  # fmt: skip
#: A repository as many are: what it names, and what its tools pull without a name.
REPOSITORY = {
    "Dockerfile": "# syntax=docker/dockerfile:1.0\nFROM node:18-bookworm AS build\nCOPY . /app\n"
    "FROM debian:11-slim\nCOPY --from=build /app /app\n",
    "compose.yaml": "services:\n  db: {image: 'postgres:16'}\n  cache: {image: 'redis:7.2.4'}\n"
    "  queue: {image: 'docker.io/rabbitmq:3.13-management'}\n"
    "  proxy: {image: 'quay.io/example/proxy'}\n",
    ".github/workflows/ci.yml": "on: push\njobs:\n  build:\n    runs-on: ubuntu-24.04\n"
    "    container: ghcr.io/example/builder:2026.10\n    steps:\n"
    "      - uses: docker/setup-qemu-action@v3\n"
    "      - uses: docker/setup-buildx-action@v3\n      - uses: docker/build-push-action@v6\n",
    "deploy/app.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app}\nspec:\n"
    "  template:\n    spec:\n      containers:\n"
    "      - {name: app, image: 'registry.example/team/app:1.4'}\n"
    "      - {name: agent, image: 'quay.io/example/agent@sha256:" + "5f" * 32 + "'}\n",
    ".gitlab-ci.yml": "test:\n  image: python:3.12\n  services: ['docker:27-dind']\n"
    "  script: [make]\n",
}  # fmt: skip


_COMMANDS = (
    "/bin/sh -c #(nop) ADD file:debian-13 in / ",
    "RUN /bin/sh -c npm ci && npm run build # buildkit",
    "RUN /bin/sh -c rm -rf .npm node_modules/esbuild && npm prune --omit=dev # buildkit",
)


def sample_image(version: str = "5.40.1-6") -> Image:
    """A base, a build that leaves files behind, and their removal. ``version``: of perl-base."""
    draw = random.Random(24)  # noqa: S311  no secret

    def files(sizes: dict[str, int]) -> list[Member]:
        return [file(name, draw.randbytes(size)) for name, size in sizes.items()]

    base = layer(
        *files(_SIZES), file("var/lib/dpkg/status", _STATUS.replace("5.40.1-6", version).encode()),
        file("etc/os-release", b'ID=debian\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n'),
    )  # fmt: skip
    app = layer(directory("app"), *files(_APP), *files({"app/.npm/_cacache/index": 700_000}))
    less = layer(
        whiteout("app/.npm"), whiteout("app/node_modules/esbuild"),
        *files({"app/dist/server.js": 421_000, "usr/bin/start": 9_000}),
    )  # fmt: skip
    return make_image(
        layers=[base, app, less],
        config=RunConfig(env=("PATH=/usr/bin",), cmd=("/usr/bin/start",), labels={"team": "shop"}),
        history=tuple(History(created_by=command) for command in _COMMANDS),
    )


def make_samples(folder: Path) -> None:
    """The repository ``shop`` and the images ``oci:shop.oci:1.4`` and ``:1.5``."""
    for name, text in REPOSITORY.items():
        (folder / "shop" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "shop" / name).write_text(text)
    for tag, version in (("1.4", "5.40.1-6"), ("1.5", "5.40.1-7")):
        layout = OciLayout(LayoutAddress(path=folder / "shop.oci", tag=tag))
        layout.write(sample_image(version), runtime())


def make_pages(folder: Path) -> dict[str, Path]:
    """Run the commands over the samples; their pages by the name of the report."""
    make_samples(folder)
    pages = {name: folder / f"{name}.html" for name in ("inspect", "audit", "diff")}
    for arguments in (
        ["inspect", "oci:shop.oci:1.4", "--html", pages["inspect"]],
        ["audit", "shop", "--html", pages["audit"]],
        ["diff", "oci:shop.oci:1.4", "oci:shop.oci:1.5", "--html", pages["diff"]],
    ):
        subprocess.run(
            [Path(sys.executable).parent / "homeport", *arguments], cwd=folder, check=True,
            env={"PATH": "/usr/bin:/bin", "HOMEPORT_CACHE_DIR": str(folder / "cache")},
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
    return pages


def main(folder: Path) -> int:
    """Make all pictures; 0 if that worked."""
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name, chromium() as tab:
        for report, page in make_pages(Path(name)).items():
            for width, height in WIDTHS.items():
                for dark in (False, True):
                    tab.show(page, width=width, height=height, dark=dark)
                    file_ = folder / f"{report}-{width}-{'dark' if dark else 'light'}.png"
                    tab.picture(file_, width=width, height=height)
                    print(f"{file_}  {file_.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/pictures"))
