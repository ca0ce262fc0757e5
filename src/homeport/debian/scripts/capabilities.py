"""File capabilities: from the text of setcap(8) to the attribute ``security.capability``.

The kernel's form is ``vfs_cap_data`` of version 2 (linux/capability.h), numbers from there.
"""

from __future__ import annotations

import re
import struct

_VERSION_2 = 0x02000000
_EFFECTIVE = 0x000001
_NAMES_TEXT = """
    chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable
    net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio
    sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time
    sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog
    wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore
"""
_NUMBERS = {f"cap_{name}": number for number, name in enumerate(_NAMES_TEXT.split())}
_CLAUSE = re.compile(r"([a-z_,]+)(?:=\+|[=+])([eip]+)")


def capability_attribute(text: str) -> bytes | None:
    """The attribute of ``cap_net_raw+ep``; ``None`` if ``text`` says something else."""
    permitted = inheritable = flags = 0
    for clause in text.lower().split():
        match = _CLAUSE.fullmatch(clause)
        if match is None or any(name not in _NUMBERS for name in match[1].split(",")):
            return None
        bits = sum(1 << _NUMBERS[name] for name in set(match[1].split(",")))
        permitted |= bits if "p" in match[2] else 0
        inheritable |= bits if "i" in match[2] else 0
        flags |= _EFFECTIVE if "e" in match[2] else 0
    if not permitted | inheritable:
        return None
    low, high = (1 << 32) - 1, 32
    return struct.pack(
        "<IIIII", _VERSION_2 | flags, permitted & low, inheritable & low, permitted >> high,
        inheritable >> high,
    )  # fmt: skip
