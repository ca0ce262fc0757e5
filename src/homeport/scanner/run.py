"""The program of the image ``sbom-scanner``: BuildKit's protocol for SBOM generators.

BuildKit (its page "SBOM scanning protocol") runs it with the built root under
``BUILDKIT_SCAN_SOURCE``, further roots below ``BUILDKIT_SCAN_SOURCE_EXTRAS``, and takes the
statements ``NAME.spdx.json`` that it leaves in ``BUILDKIT_SCAN_DESTINATION``. The same roots give
the same bytes: times are those of the files, or ``SOURCE_DATE_EPOCH``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from homeport.content.files import write_file
from homeport.content.store import Store
from homeport.content.thread_pools import Pools
from homeport.errors import HomeportError
from homeport.inspection.image.opened_root import OpenedRoot, open_root
from homeport.inspection.report.image_bill import image_bill
from homeport.oci.platform import UNKNOWN
from homeport.printable import output_text
from homeport.progress import CancelToken, Silent
from homeport.quantities import apart
from homeport.runtime import Runtime
from homeport.sbom import spdx
from homeport.sbom.model import Subject

_STATEMENT = "https://in-toto.io/Statement/v1"
#: BuildKit refuses larger ones.
_LIMIT = 40 << 20
_SHOWN = 20


class BadScan(HomeportError):
    """The engine, or the user, did not say what to scan."""

    id = "bad-scan"


def main() -> int:
    """Scan what the environment names; 1 with a message if it cannot be."""

    def say(text: str) -> None:
        print(output_text(text), file=sys.stderr)

    try:
        scan(os.environ, say)
    except HomeportError as error:
        say(f"error: {error.what}")
        if error.hint:
            say(f"  hint: {error.hint}")
    except OSError as error:
        say(f"error: cannot read or write {error.filename}: {error.strerror}")
    else:
        return 0
    return 1


def scan(environment: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Write a statement for the core and for each of the extras."""
    destination = _directory(environment, "BUILDKIT_SCAN_DESTINATION")
    core = _directory(environment, "BUILDKIT_SCAN_SOURCE")
    roots = [core]
    if environment.get("BUILDKIT_SCAN_SOURCE_EXTRAS"):
        extras = _directory(environment, "BUILDKIT_SCAN_SOURCE_EXTRAS")
        roots += sorted(path for path in extras.iterdir() if path.is_dir())
    epoch = _epoch(environment)
    cancel = CancelToken()
    with Pools(cancel) as pools:
        # Nothing is kept: the store's folder is never made.
        runtime = Runtime(
            store=Store(destination / ".store"), pools=pools, progress=Silent(), cancel=cancel
        )
        for root in roots:
            opened = open_root(root, runtime, root.name)
            data, count = _statement(opened, epoch)
            if len(data) > _LIMIT:
                size, limit = apart(len(data), _LIMIT)
                raise BadScan(
                    f"the SBOM of {root.name} has {size}; BuildKit takes {limit}",
                    hint="scan fewer stages (BUILDKIT_SBOM_SCAN_STAGE)",
                )
            write_file(destination / f"{root.name}.spdx.json", data, mode=0o644)
            say(f"{root.name}: {count} packages, {len(opened.history.final)} paths")
            for problem in opened.problems[:_SHOWN]:
                say(f"warning: not read: {problem}")
            if len(opened.problems) > _SHOWN:
                say(f"warning: not read: {len(opened.problems) - _SHOWN} more")


def _statement(opened: OpenedRoot, epoch: int | None) -> tuple[bytes, int]:
    """The statement about one root, and how many packages it lists. BuildKit adds the subject."""
    bill = msgspec.structs.replace(image_bill(opened), platform=UNKNOWN)
    created = opened.newest if epoch is None else epoch
    subject = Subject(name=opened.address, digest="", created=max(created, 0))
    document = spdx.document(bill, subject)
    statement = {
        "_type": _STATEMENT, "subject": [], "predicateType": spdx.PREDICATE_TYPE,
        "predicate": document,
    }  # fmt: skip
    return msgspec.json.encode(statement), len(bill.packages) + len(bill.components)


def _directory(environment: Mapping[str, str], name: str) -> Path:
    text = environment.get(name, "")
    if not text:
        raise BadScan(
            f"{name} is not set: this program is run by BuildKit",
            hint="docker buildx build --attest type=sbom,generator=IMAGE",
        )
    path = Path(text)
    if not path.is_dir():
        raise BadScan(f"{name} is not a directory: {text}")
    return path


def _epoch(environment: Mapping[str, str]) -> int | None:
    text = environment.get("SOURCE_DATE_EPOCH") or environment.get(
        "BUILDKIT_SCAN_SOURCE_DATE_EPOCH", ""
    )
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 11):
        raise BadScan(f"invalid SOURCE_DATE_EPOCH {text!r}: a number of seconds is expected")
    return int(text)
