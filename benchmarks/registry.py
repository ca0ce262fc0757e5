"""Push and pull against Debian's docker-registry on loopback, side by side with other clients.

    python -P benchmarks/registry.py --size 2000 --rounds 3 --peer crane=/usr/bin/crane

Needs docker-registry and skopeo (Debian); crane and regctl where given. Each row is a fresh
repository and, for pulls, an empty destination and cache. Wall time, processor time and peak
memory are those of the client's process (wait4); requests and bytes sent are counted in one
extra run through a relay, which is not timed. Raw figures go to a JSON file.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import platform
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any

PLATFORMS = ("amd64", "arm64", "arm", "386", "ppc64le", "riscv64", "s390x")
OCI = "application/vnd.oci.image"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run of one client."""

    client: str
    row: str
    wall: float
    cpu: float
    peak_mb: float


@dataclass(frozen=True, kw_only=True)
class Client:
    """How a client is called. ``{layout}``, ``{ref}``, ``{host}``, ``{out}`` are filled in."""

    name: str
    push: list[str]
    pull: list[str]
    environ: dict[str, str]


def clients(folder: Path, peers: dict[str, str]) -> list[Client]:
    """Homeport, skopeo and the peers that were named."""
    homeport = [str(Path(sys.executable).with_name("homeport"))]  # the installed command
    quiet = ["-q", "--no-progress", "--cache-dir", str(folder / "cache")]
    found = [
        Client(
            name="homeport",
            push=[*homeport, "push", "oci:{layout}:1", "{ref}", *quiet],
            pull=[*homeport, "pull", "{ref}", "oci:{out}:1", *quiet],
            # Installed programs have their bytecode; a checkout under test may not write any.
            environ={"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "pyc")},
        )
    ]
    if skopeo := shutil.which("skopeo"):
        copy = [skopeo, "copy", "--all", "--quiet"]
        found.append(
            Client(
                name="skopeo",
                push=[*copy, "--dest-tls-verify=false", "oci:{layout}:1", "docker://{ref}"],
                pull=[*copy, "--src-tls-verify=false", "docker://{ref}", "oci:{out}:1"],
                environ={},
            )
        )
    for name, program in peers.items():
        if name == "crane":
            push = [program, "push", "--insecure", "--index", "{layout}", "{ref}"]
            pull = [program, "pull", "--insecure", "--format=oci", "{ref}", "{out}"]
        elif name == "regctl":
            copy = [program, "--host", "reg={host},tls=disabled", "image", "copy"]
            push = [*copy, "ocidir://{layout}:1", "{ref}"]
            pull = [*copy, "{ref}", "ocidir://{out}:1"]
        else:
            sys.exit(f"unknown peer {name}; known are crane and regctl")
        found.append(Client(name=name, push=push, pull=pull, environ={}))
    return found


def run(client: Client, row: str, command: list[str], **places: str) -> Measured:
    """Run a client to its end and measure it."""
    host = places["ref"].partition("/")[0]
    argv = [part.format(**places, host=host) for part in command]
    started = time.perf_counter()
    process = subprocess.Popen(
        argv,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, **client.environ},
    )
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - started
    if process.returncode:
        sys.exit(f"{argv} failed: {errors.decode(errors='replace')}")
    return Measured(
        client=client.name, row=row, wall=wall, cpu=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss / 1024,
    )  # fmt: skip


class Layout:
    """An OCI layout written by hand, so that no client under test has made it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs/sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def blob(self, pieces: Iterator[bytes]) -> tuple[str, int]:
        hasher, size = sha256(), 0
        unfinished = self.folder / "unfinished"
        with unfinished.open("wb") as stream:
            for piece in pieces:
                hasher.update(piece)
                stream.write(piece)
                size += len(piece)
        unfinished.rename(self.folder / "blobs/sha256" / hasher.hexdigest())
        return f"sha256:{hasher.hexdigest()}", size

    def document(self, document: dict[str, Any]) -> dict[str, Any]:
        digest, size = self.blob(iter([json.dumps(document).encode()]))
        return {"mediaType": document.get("mediaType", ""), "digest": digest, "size": size}

    def image(self, architecture: str, layers: list[tuple[str, int]]) -> dict[str, Any]:
        config = self.document(
            {
                "architecture": architecture, "os": "linux", "config": {},
                "rootfs": {"type": "layers", "diff_ids": [digest for digest, _ in layers]},
            }
        )  # fmt: skip
        config["mediaType"] = f"{OCI}.config.v1+json"
        manifest = self.document(
            {
                "schemaVersion": 2,
                "mediaType": f"{OCI}.manifest.v1+json",
                "config": config,
                "layers": [
                    {"mediaType": f"{OCI}.layer.v1.tar", "digest": digest, "size": size}
                    for digest, size in layers
                ],
            }
        )
        return {**manifest, "platform": {"architecture": architecture, "os": "linux"}}

    def finish(self, images: list[dict[str, Any]]) -> None:
        index = {
            "schemaVersion": 2, "mediaType": f"{OCI}.index.v1+json", "manifests": images,
        }  # fmt: skip
        top = self.document(index)
        top["annotations"] = {"org.opencontainers.image.ref.name": "1"}
        (self.folder / "index.json").write_text(json.dumps({**index, "manifests": [top]}))


def noise(megabytes: int) -> Iterator[bytes]:
    for _ in range(megabytes):
        yield secrets.token_bytes(1 << 20)


def seven_platforms(folder: Path) -> Path:
    """Two shared layers of 4 MB, one of 2 MB per platform."""
    layout = Layout(folder)
    shared = [layout.blob(noise(4)), layout.blob(noise(4))]
    layout.finish([layout.image(name, [*shared, layout.blob(noise(2))]) for name in PLATFORMS])
    return folder


def large(folder: Path, megabytes: int) -> Path:
    """One image of four equal layers."""
    layout = Layout(folder)
    layers = [layout.blob(noise(megabytes // 4)) for _ in range(4)]
    layout.finish([layout.image("amd64", layers)])
    return folder


@contextmanager
def registry(work: Path | None) -> Iterator[str]:
    """An empty registry whose storage is below ``work``."""
    port = _free_port()
    with tempfile.TemporaryDirectory(dir=work) as name:
        config = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": f"{name}/storage"}},
            "http": {"addr": f"127.0.0.1:{port}"},
        }
        path = Path(name, "config.yml")
        path.write_text(json.dumps(config))
        process = subprocess.Popen(
            ["docker-registry", "serve", str(path)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _await_port(port)
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _await_port(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)


class Relay:
    """Passes connections on and counts requests and bytes towards the registry."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream.split(":")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests = self.sent = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection((self._upstream[0], int(self._upstream[1])))
            for source, target, count in ((client, server, True), (server, client, False)):
                threading.Thread(
                    target=self._pump, args=(source, target, count), daemon=True
                ).start()

    def _pump(self, source: socket.socket, target: socket.socket, count: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                if count:
                    with self._lock:
                        self.sent += len(data)
                        self.requests += data.count(b" HTTP/1.1\r\n")
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()
            target.close()

    def close(self) -> None:
        self._listener.close()


async def _slow_line(upstream: str, port: int, one_way: float) -> None:
    """Pass connections on, every byte ``one_way`` seconds later."""

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()

        def deliver(data: bytes) -> None:
            if not target.is_closing():
                target.write(data)

        with contextlib.suppress(OSError):
            while data := await source.read(1 << 20):
                loop.call_later(one_way, deliver, data)
        loop.call_later(one_way, target.close)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, number = upstream.rpartition(":")
        theirs, ours = await asyncio.open_connection(host, int(number), limit=4 << 20)
        await asyncio.gather(pump(reader, ours), pump(theirs, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=4 << 20)
    await server.serve_forever()


@contextmanager
def slow_line(upstream: str, round_trip: float) -> Iterator[str]:
    """The registry as seen over a line with that round trip (seconds); a process of its own."""
    port = _free_port()
    process = multiprocessing.get_context("fork").Process(
        target=lambda: asyncio.run(_slow_line(upstream, port, round_trip / 2)), daemon=True
    )
    process.start()
    try:
        _await_port(port)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.join()


def measure_far(
    client: Client, host: str, layout: Path, folder: Path, round_trip: float, round_number: int
) -> Iterator[Measured]:
    """The seven platforms over a slow line."""
    away = f"seven platforms, {round_trip * 1000:.0f} ms away"
    with slow_line(host, round_trip) as far:
        ref = f"{far}/{client.name}/far-{round_number}:1"
        yield run(client, f"push {away}", client.push, layout=str(layout), ref=ref)
        yield run(client, f"push {away}, again", client.push, layout=str(layout), ref=ref)
        out = folder / "out"
        yield run(client, f"pull {away}", client.pull, ref=ref, out=str(out))
        shutil.rmtree(out, ignore_errors=True)
        shutil.rmtree(folder / "cache", ignore_errors=True)


def measure(
    client: Client, hosts: list[str], layouts: dict[str, Path], folder: Path, round_number: int
) -> Iterator[Measured]:
    for name, layout in layouts.items():
        ref, second = (
            f"{host}/{client.name}/{name.replace(' ', '-').lower()}-{round_number}:1"
            for host in hosts
        )
        yield run(client, f"push {name}", client.push, layout=str(layout), ref=ref)
        yield run(client, f"push {name} again", client.push, layout=str(layout), ref=ref)
        yield run(
            client, f"push {name} to a second registry", client.push, layout=str(layout), ref=second
        )
        out = folder / "out"
        yield run(client, f"pull {name}", client.pull, ref=ref, out=str(out))
        shutil.rmtree(out, ignore_errors=True)
        shutil.rmtree(folder / "cache", ignore_errors=True)


def count(client: Client, host: str, layouts: dict[str, Path]) -> Iterator[dict[str, Any]]:
    """Requests and bytes of the first and of a second push of the seven platforms."""
    for row, name in (
        ("push seven platforms", "counted"),
        ("push seven platforms again", "counted"),
    ):
        relay = Relay(host)
        ref = f"{relay.host}/{client.name}/{name}:1"
        run(client, row, client.push, layout=str(layouts["seven platforms"]), ref=ref)
        relay.close()
        yield {
            "client": client.name, "row": row, "requests": relay.requests, "bytes": relay.sent,
        }  # fmt: skip


def table(found: list[Measured], names: list[str]) -> str:
    lines = ["| row | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for row in dict.fromkeys(one.row for one in found):
        cells = []
        for name in names:
            mine = [one for one in found if one.row == row and one.client == name]
            shown: Callable[[str], float] = lambda field, mine=mine: median(  # noqa: E731
                getattr(one, field) for one in mine
            )
            cells.append(
                f"{shown('wall'):.2f} s, {shown('cpu'):.2f} s CPU, {shown('peak_mb'):.0f} MB"
            )
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", type=int, default=2000, help="megabytes of the large image")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--round-trip", type=float, default=40, help="milliseconds of the slow line; 0 is none"
    )
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PROGRAM")
    parser.add_argument(
        "--work", type=Path, help="a folder for everything; /dev/shm leaves the disk out of it"
    )
    parser.add_argument("--output", type=Path, default=Path("registry-benchmark.json"))
    options = parser.parse_args()
    peers = dict(one.split("=", 1) for one in options.peer)
    with tempfile.TemporaryDirectory(dir=options.work) as name:
        folder = Path(name)
        layouts = {
            "seven platforms": seven_platforms(folder / "seven"),
            f"{options.size} MB": large(folder / "large", options.size),
        }
        everyone = clients(folder, peers)
        found: list[Measured] = []
        counted: list[dict[str, Any]] = []
        for number in range(options.rounds):
            for client in everyone:  # rounds interleave, so that a busy moment hits all alike
                if number == 0:  # not timed; Python writes its bytecode here
                    with registry(options.work) as host:
                        counted += count(client, host, layouts)
                with registry(options.work) as host, registry(options.work) as second:
                    found += measure(client, [host, second], layouts, folder, number)
                if options.round_trip:
                    with registry(options.work) as host:
                        found += measure_far(
                            client, host, layouts["seven platforms"], folder,
                            options.round_trip / 1000, number,
                        )  # fmt: skip
    names = [client.name for client in everyone]
    print(table(found, names))
    print()
    for one in counted:
        print("{client}: {row}: {requests} requests, {bytes} bytes".format(**one))
    document = {
        "machine": f"{platform.system()} {platform.machine()}", "processors": os.cpu_count(),
        "python": platform.python_version(), "work": str(options.work or "disk"),
        "runs": [asdict(one) for one in found], "counted": counted,
    }  # fmt: skip
    options.output.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
