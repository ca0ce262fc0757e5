"""Registers emulators in a user namespace, without root (Linux 6.7 and later).

Such a namespace has a binfmt_misc of its own ("binfmt_misc: enable sandboxed mounts"), which
lasts as long as a mount of it: as long as the namespace's processes run. The image's own program
registers there, as it does on a machine. Its emulators are held open by the kernel (flag ``F``),
so the files are needed for that moment only.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from homeport.binfmt.status import MOUNT
from homeport.errors import HomeportError, UsageError
from homeport.printable import printable

#: What of the image is needed.
FILES = "/usr/bin"
_FIRST_KERNEL = (6, 7)
_PATIENCE = 300.0
_MESSAGE = 2000  # characters of a program's messages in an error
#: A second mount at the same place is refused (EBUSY): then the namespace's own is there already.
#: $1: the folder with the image's files, $2: architectures, then a command or nothing.
_SCRIPT = f"""\
if ! error=$(LC_ALL=C mount -t binfmt_misc binfmt_misc {MOUNT} 2>&1); then
    case $error in
        *"already mounted"* | *busy*) ;;
        *) echo "$error" >&2; exit 125 ;;
    esac
fi
files=$1 wanted=$2
shift 2
export QEMU_BINARY_PATH="$files{FILES}"
if [ $# = 0 ]; then
    exec "$files{FILES}/binfmt" --install "$wanted"
fi
"$files{FILES}/binfmt" --install "$wanted" >/dev/null || exit 126
unset QEMU_BINARY_PATH
exec "$@"
"""


class CannotRegister(HomeportError):
    """Emulators could not be registered in the namespace."""

    id = "binfmt"


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """What the namespace runs now.

    namespace: ``podman``, ``process N``, or ``command``
    code:      exit code of the command that was run in it
    """

    namespace: str
    supported: tuple[str, ...] = ()
    emulators: tuple[str, ...] = ()
    code: int = 0


def register(
    folder: Path, *, architectures: Sequence[str] = (), process: int | None = None,
    command: Sequence[str] = (), credentials: bool = False,
) -> Registered:  # fmt: skip
    """Register the emulators of an image's files.

    architectures: absent: all that the machine does not run itself
    process:       one whose user namespace gets them
    command:       run in a new namespace that has them; without both, podman's namespace gets them
    credentials:   set-uid programs of other architectures get their owner's rights
    """
    if not (folder / FILES.lstrip("/") / "binfmt").is_file():
        raise CannotRegister(
            f"the image has no {FILES}/binfmt",
            hint="homeport build binfmt -o oci:binfmt.oci, then name oci:binfmt.oci",
        )
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    if release < _FIRST_KERNEL:
        raise CannotRegister(
            f"binfmt_misc of user namespaces needs Linux 6.7, this is {platform.release()}",
            hint="register for the whole machine, as root: docker run --privileged --rm IMAGE"
            " --install all",
        )
    name, entered = _entering(process, command)
    words = [*entered, "sh", "-c", _SCRIPT, "sh", str(folder), ",".join(architectures) or "all"]
    # As the image's configuration has it: programs see the name that they were called by.
    environment = {
        **os.environ, "QEMU_PRESERVE_ARGV0": "1", "QEMU_CREDENTIALS": "1" if credentials else "",
    }  # fmt: skip
    if command:
        return Registered(namespace=name, code=_run_command([*words, *command], environment))
    return _registered(name, words, environment)


def _entering(process: int | None, command: Sequence[str]) -> tuple[str, list[str]]:
    """Whose namespace it is, and the command that enters it."""
    if process is not None and command:
        raise UsageError("options cannot be combined: --pid, COMMAND")
    if command:
        # All of the user's subordinate ids, so that the command can be a container engine.
        many = ["--map-auto"] if os.geteuid() and _has_subordinate_ids() else []
        return "command", [_program("unshare"), "--user", "--map-root-user", *many, "--mount"]
    if process is not None:
        _check_process(process)
        words = ["--user", "--mount", "--preserve-credentials", "--target", str(process)]
        return f"process {process}", [_program("nsenter"), *words]
    if not os.geteuid():
        raise UsageError(
            "root's podman has no user namespace of its own",
            hint="as root, register for the whole machine: podman run --privileged --rm IMAGE"
            " --install all; or name a command or --pid",
        )
    return "podman", [_program("podman"), "unshare"]


def _has_subordinate_ids() -> bool:
    try:
        return bool(Path("/etc/subuid").stat().st_size) and shutil.which("newuidmap") is not None
    except OSError:
        return False


def _check_process(process: int) -> None:
    """The namespace of the machine itself is not this command's business."""
    try:
        theirs = os.readlink(f"/proc/{process}/ns/user")
    except FileNotFoundError as error:
        raise UsageError(f"no process {process}") from error
    except OSError as error:
        raise UsageError(
            f"cannot enter the namespace of process {process}: {error.strerror}"
        ) from error
    if theirs == os.readlink("/proc/self/ns/user"):
        raise UsageError(
            f"process {process} is in the user namespace of this command, not in one of its own",
            hint="of rootless docker, the number is in $XDG_RUNTIME_DIR/dockerd-rootless/child_pid",
        )


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        package = "podman" if name == "podman" else "util-linux"
        hint = f"apt install {package}"
        if name == "podman":
            hint += ", or name --pid of another engine, or a command: -- COMMAND"
        raise CannotRegister(f"{name} is not installed", hint=hint)
    return found


def _run_command(words: Sequence[str], environment: dict[str, str]) -> int:
    """Run with our standard streams; a command ended by signal N has the code 128 + N."""
    try:
        code = subprocess.run(words, env=environment, check=False).returncode
    except OSError as error:
        raise CannotRegister(f"cannot start {words[0]}: {error.strerror}") from error
    return code if code >= 0 else 128 - code


def _registered(name: str, words: Sequence[str], environment: dict[str, str]) -> Registered:
    try:
        done = subprocess.run(
            words, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=_PATIENCE, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise CannotRegister(f"{words[0]} did not end within {_PATIENCE:.0f} s") from error
    except OSError as error:
        raise CannotRegister(f"cannot start {words[0]}: {error.strerror}") from error
    said = printable(done.stderr.decode(errors="replace").strip()[-_MESSAGE:])
    if done.returncode:
        raise CannotRegister(
            f"emulators were not registered in the namespace ({name}): {said or 'no message'}"
        )
    try:
        document = json.loads(done.stdout)
        supported, emulators = document["supported"], document["emulators"] or ()
        return Registered(
            namespace=name, supported=tuple(map(str, supported)),
            emulators=tuple(map(str, emulators)),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise CannotRegister(f"{FILES}/binfmt of the image printed no JSON document") from error
