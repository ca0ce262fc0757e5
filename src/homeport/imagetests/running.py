"""Running a command of an image without a daemon and without privileges.

The image's files are written to a temporary folder, and the command is started there in user,
mount, process and network namespaces of its own, so that it sees no network and no
other file but a container's devices and, where the kernel allows it, /proc; ``entering`` does it
there. Time, memory, processes and output have a bound. Only on platforms that
this machine runs, natively or by qemu-user (statically linked, as Debian's qemu-user-static).
Everything else is not run, and says why.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from homeport.errors import HomeportError
from homeport.imagetests import entering
from homeport.inspection.image.extraction import extract, paths_below
from homeport.inspection.image.opened_image import OpenedImage
from homeport.oci.platform import Platform, native_platform

_PATIENCE = 120.0  # seconds
_LONGEST = 1 << 20
_QEMU = {
    "386": "i386", "amd64": "x86_64", "arm": "arm", "arm64": "aarch64", "ppc64le": "ppc64le",
    "riscv64": "riscv64", "s390x": "s390x",
}  # fmt: skip
_EMULATOR = ".homeport-emulator"
#: What every container has (OCI runtime specification, "Default Devices").
_DEVICES = ("null", "zero", "full", "random", "urandom")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class NotRun(HomeportError):
    """The command cannot be run here; never a failed test."""

    id = "not-run"


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a command ended: its code, and what it printed on both streams."""

    code: int
    output: str


class Root(msgspec.Struct, frozen=True, kw_only=True):
    """An image's files in a folder, ready for commands.

    devices:  names below /dev that are to be mounted
    emulator: its path inside, if any
    """

    folder: Path
    devices: tuple[str, ...]
    emulator: tuple[str, ...]
    environment: Mapping[str, str]

    def run(self, command: Sequence[str], env: Mapping[str, str]) -> Ended:
        """Run it. Raises ``NotRun`` if it cannot even be started or does not end."""
        program = [*self.emulator, self._found(command[0]), *command[1:]]
        request = {
            "root": str(self.folder), "devices": self.devices, "command": program,
            "environment": {**self.environment, **env},
        }  # fmt: skip
        # The image's variables are for its own program: LD_PRELOAD would change ours.
        arguments = [*_namespaces(), sys.executable, "-I", "-S", entering.__file__]
        try:
            process = subprocess.Popen(
                arguments, cwd="/", env={"PATH": _PATH},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
        except OSError as error:
            raise NotRun(f"cannot start it: {error.strerror}") from error
        output, late = _finish(process, json.dumps(request).encode())
        if late:
            raise NotRun(f"it did not end within {_PATIENCE:.0f} s")
        return Ended(code=process.returncode, output=output.decode("utf-8", "replace"))

    def _found(self, name: str) -> str:
        """The program's path inside: an emulator searches no PATH."""
        if "/" in name:
            return name
        for folder in self.environment.get("PATH", _PATH).split(":"):
            if os.path.lexists(self.folder / folder.strip("/") / name):
                return f"{folder}/{name}"
        return name


def _finish(process: subprocess.Popen[bytes], request: bytes) -> tuple[bytes, bool]:
    """The beginning of what it prints, and whether it was ended because it took too long."""
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()  # and with it all processes of its namespaces

    timer = threading.Timer(_PATIENCE, end)
    timer.start()
    try:
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(request)
                process.stdin.close()
            output = process.stdout.read(_LONGEST)
            while process.stdout.read(_LONGEST):
                pass
    finally:
        timer.cancel()
    return output, late.is_set()


@contextmanager
def unpacked(opened: OpenedImage, platform: Platform) -> Iterator[Root]:
    """The image's files in a temporary folder, while the block runs. Raises ``NotRun``."""
    emulator = _emulator(platform)
    if not _namespaces():
        raise NotRun(
            "this machine allows no user namespaces",
            hint="allow them (sysctl kernel.unprivileged_userns_clone), or run it elsewhere",
        )
    with tempfile.TemporaryDirectory(prefix="homeport-test-") as name:
        folder = Path(name) / "root"
        extract(opened, paths_below(opened, {b""}), folder)
        folder.mkdir(exist_ok=True)
        inside: tuple[str, ...] = ()
        if emulator is not None:
            place_emulator(Path(emulator), folder)
            inside = (f"/{_EMULATOR}",)
        config = opened.config.config
        environment: dict[str, str] = {}
        for text in config.env or ():
            key, _, value = text.partition("=")
            environment[key] = value
        environment.setdefault("PATH", _PATH)
        yield Root(
            folder=folder, devices=_places(folder), emulator=inside, environment=environment
        )  # fmt: skip


def place_emulator(emulator: Path, folder: Path) -> None:
    """Copy it among the image's files, in place of what the image has of that name.

    A link of that name would lead to a file of this machine, which would be overwritten.
    """
    place = folder / _EMULATOR
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
    with open(emulator, "rb") as source, open(place, "xb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
        os.fchmod(copy.fileno(), 0o755)


def _path_of(name: str) -> str:
    """Where this machine has a program; its bare name if it has none."""
    return shutil.which(name) or shutil.which(name, path=_PATH) or name


def _places(root: Path) -> tuple[str, ...]:
    """Make what devices and /proc are mounted on; the devices that have a place.

    Where the image has something else, a link above all, it stays as it is.
    """
    for name in ("dev", "proc"):
        if not os.path.lexists(root / name):
            (root / name).mkdir()
    if (root / "dev").is_symlink() or not (root / "dev").is_dir():
        return ()
    for name in _DEVICES:
        if not os.path.lexists(root / "dev" / name):
            (root / "dev" / name).touch(mode=0o666)
    return tuple(
        name
        for name in _DEVICES
        if (root / "dev" / name).is_file() and not (root / "dev" / name).is_symlink()
    )


def _emulator(platform: Platform) -> str | None:
    """``None``: this machine runs it itself. Raises ``NotRun`` without an emulator."""
    native = native_platform()
    runs_both = (native.architecture, platform.architecture) == ("amd64", "386")
    if platform.satisfies(native) or native.architecture == platform.architecture or runs_both:
        return None
    name = f"qemu-{_QEMU.get(platform.architecture, platform.architecture)}-static"
    found = shutil.which(name)
    if found is None:
        raise NotRun(
            f"this machine does not run {platform}, and has no {name}",
            hint="apt install qemu-user-static",
        )
    return found


@functools.cache
def _namespaces() -> tuple[str, ...]:
    """The command that makes namespaces of its own; empty: this machine allows none."""
    command = (_path_of("unshare"), "--user", "--map-root-user", "--mount", "--pid", "--fork",
               "--net", "--ipc", "--uts", "--kill-child")  # fmt: skip
    try:
        done = subprocess.run(
            [*command, "true"], capture_output=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return command if done.returncode == 0 else ()
