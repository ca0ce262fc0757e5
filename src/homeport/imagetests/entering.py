"""The program that starts a command of an image, in namespaces that were made for it.

Run by ``running`` as a file of its own, as process 1 of its namespaces. The image may be a
stranger's: before the command starts, all that it could leave the folder with is gone. A
capability to chroot again leads out of a chroot, one to mount leads to what is mounted over, and
/proc/sys belongs to root of the machine if root runs the test, so /proc is read-only. Process 1 is
not the command, which could ask not to be killed with its parent.

Not for the namespaces themselves; standard library only, and nothing is imported after chroot.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from typing import Any, NoReturn

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND = 1, 2, 4, 8, 4096
_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 23, 24, 38
#: As in a container of docker, but for mknod, sys_chroot and audit_write (capabilities(7)).
_KEPT = {
    "chown": 0, "dac_override": 1, "fowner": 3, "fsetid": 4, "kill": 5, "setgid": 6, "setuid": 7,
    "setpcap": 8, "net_bind_service": 10, "net_raw": 13, "setfcap": 31,
}  # fmt: skip
_MOST_CAPABILITIES = 64
_NOT_FOUND, _NOT_STARTED, _BY_SIGNAL = 127, 126, 128
#: Of the command and of each process that it starts.
LIMITS = {
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_DATA: 4 << 30,  # bytes of memory
    resource.RLIMIT_FSIZE: 2 << 30,  # bytes of a file
    resource.RLIMIT_NPROC: 4096,  # of all together; the kernel does not count root's
}


def main() -> int:
    """Start what standard input describes; the exit code of the command."""
    request: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    root = request["root"]
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    libc = ctypes.CDLL(None, use_errno=True)
    _mount(libc, root, request["devices"])
    for kind, most in LIMITS.items():
        _, hard = resource.getrlimit(kind)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (value, value))
    os.chroot(root)
    os.chdir("/")
    # What is imported from here on would be the image's.
    sys.path.clear()
    sys.meta_path.clear()
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return _NOT_STARTED
    for number in range(_MOST_CAPABILITIES):
        dropped = number in _KEPT.values() or libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) == 0
        if not dropped and libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) == 1:
            return _NOT_STARTED
    child = os.fork()
    if child == 0:
        _start(request["command"], request["environment"])
    return _wait(child)


def _mount(libc: ctypes.CDLL, root: str, devices: list[str]) -> None:
    """The devices that have a place, and /proc where the kernel allows it."""
    for name in devices:
        place = os.path.join(root, "dev", name)
        if libc.mount(f"/dev/{name}".encode(), place.encode(), None, _MS_BIND, None) != 0:
            raise OSError(ctypes.get_errno(), f"cannot mount /dev/{name}")
    place = os.path.join(root, "proc")
    if not os.path.islink(place):
        flags = _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
        libc.mount(b"proc", place.encode(), b"proc", flags, None)


def _start(command: list[str], environment: dict[str, str]) -> NoReturn:
    try:
        os.execve(command[0], command, environment)  # noqa: S606  it is what this is for
    except (OSError, ValueError) as error:
        code = _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_STARTED
        why = error.strerror if isinstance(error, OSError) else str(error)
        os.write(2, f"{command[0]}: {why}\n".encode("utf-8", "surrogateescape"))
        os._exit(code)


def _wait(child: int) -> int:
    """The code of the command. Others that it left behind end with this process."""
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else _BY_SIGNAL - code


if __name__ == "__main__":
    sys.exit(main())
