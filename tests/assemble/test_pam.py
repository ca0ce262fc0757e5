"""/etc/pam.d/common-* as ``pam-auth-update`` writes them."""

from __future__ import annotations

from homeport.assemble.system.pam import pam_effects
from homeport.assemble.system.paths import ImagePaths
from homeport.content.blob import BytesBlob
from homeport.debian.scripts.effects import MakeFile
from homeport.tree.node import Node, Source

_TEMPLATE = """\
# here are the per-package modules (the "Primary" block)
$x_primary
# here's the fallback if no module succeeds
x requisite pam_deny.so
# and here are more per-package modules (the "Additional" block)
$x_additional
# end of pam-auth-update config
"""
_UNIX = """\
Name: Unix authentication
Default: yes
Priority: 256
Auth-Type: Primary
Auth:
\t[success=end default=ignore]\tpam_unix.so nullok  try_first_pass
Auth-Initial:
\t[success=end default=ignore]\tpam_unix.so nullok
Session-Type: Additional
Session:
\trequired\tpam_unix.so
"""
_OTHER = """\
Name: Other
Default: yes
Priority: 900
Conflicts: gone
Auth-Type: Primary
Auth:
\t[success=end default=ignore]\tpam_other.so
\trequired pam_deny.so
Session-Type: Additional
Session-Interactive-Only: yes
Session:
\toptional\tpam_other.so
"""
_GONE = "Name: Gone\nDefault: yes\nPriority: 1\nAuth-Type: Primary\nAuth:\n\trequired pam_gone.so\n"


def made(profiles: dict[str, str]) -> dict[str, list[str]]:
    """File → its lines without comments."""
    files = {"usr/sbin/pam-auth-update": ""}
    files |= {f"usr/share/pam-configs/{name}": text for name, text in profiles.items()}
    files |= {f"usr/share/pam/common-{kind}": _TEMPLATE
              for kind in ("auth", "session", "session-noninteractive")}  # fmt: skip
    source = Source(kind="package", name="p")
    nodes = {
        path.encode(): Node(
            type="file", mode=0o644, content=BytesBlob(text.encode()), source=source
        )
        for path, text in files.items()
    }
    found = {}
    for effect in pam_effects(ImagePaths(nodes)):
        assert isinstance(effect, MakeFile)
        lines = effect.text.splitlines()
        found[effect.path.rpartition("-")[2]] = [x for x in lines if not x.startswith(("#", "x "))]
    return found


def test_profiles_go_into_the_two_blocks_by_priority() -> None:
    assert made({"unix": _UNIX, "other": _OTHER, "gone": _GONE, "off": "Default: no\n"}) == {
        "auth": [
            "auth\t[success=3 default=ignore]\tpam_other.so ",
            "auth\trequired pam_deny.so ",
            "auth\t[success=1 default=ignore]\tpam_unix.so nullok try_first_pass",
        ],
        "session": [
            "session\t[default=1]\t\t\tpam_permit.so",
            "session\toptional\tpam_other.so ",
            "session\trequired\tpam_unix.so ",
        ],
        "noninteractive": [
            "session\t[default=1]\t\t\tpam_permit.so",
            "session\trequired\tpam_unix.so ",
        ],
    }


def test_the_first_of_a_stack_has_its_own_line() -> None:
    assert made({"unix": _UNIX})["auth"] == ["auth\t[success=1 default=ignore]\tpam_unix.so nullok"]
