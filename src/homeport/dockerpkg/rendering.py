"""Rendering in a process with bounds on processor time and memory.

Jinja2's sandbox keeps a template from files and programs, not from ``{% for %}`` without end or
``"a" * 10**11``: a tree may be a stranger's. One process renders all templates in turn, so that its
start (0.2 s) counts once.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Iterable, Iterator

import msgspec

from homeport.dockerpkg.templates import BadTemplate, Rendered, Renderer
from homeport.dockerpkg.tree import TEMPLATE, SourceImage, Tree
from homeport.errors import HomeportError
from homeport.quantities import human_size

#: Bounds of one template; both of its whole process as well, what Python itself uses included.
SECONDS = 10  # of the processor
MEMORY = 1 << 30  # bytes of address space


class _Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the process: a rendered template, or what is wrong with it."""

    text: str = ""
    named: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    fault: str = ""
    where: dict[str, str | int] = {}
    hint: str | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


def render_images(tree: Tree, images: Iterable[SourceImage]) -> Iterator[Rendered | HomeportError]:
    """Each image's Dockerfile, or what is wrong with its template, in order.

    A template that reaches a bound is the last that is rendered.
    """
    wanted = list(images)
    if not wanted:
        return
    # The same modules as in this process.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-P", "-m", __name__], env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            # A process that ends at once has no answer, which is told below.
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(pickle.dumps((tree, [image.name for image in wanted], SECONDS)))
                process.stdin.close()
            for image in wanted:
                line = process.stdout.readline()
                if not line.endswith(b"\n"):
                    yield BadTemplate(
                        f"rendering takes more than {SECONDS} s of processor time or"
                        f" {human_size(MEMORY)} of memory",
                        where={"file": str(image.path / TEMPLATE)},
                        hint="look for a loop or a text that grows without end",
                    )
                    return
                yield _read(line, image)
        finally:
            process.kill()


def _read(line: bytes, image: SourceImage) -> Rendered | HomeportError:
    answer = _ANSWER.decode(line)
    if answer.fault:
        return BadTemplate(answer.fault, where=answer.where, hint=answer.hint)
    return Rendered(image=image, text=answer.text, named=answer.named, warnings=answer.warnings)


def _answer(renderer: Renderer, image: SourceImage) -> _Answer:
    try:
        found = renderer.render(image)
    except HomeportError as error:
        return _Answer(fault=error.what, where=error.where, hint=error.hint)
    return _Answer(text=found.text, named=found.named, warnings=found.warnings)


def _bound(kind: int, value: int) -> None:
    """The soft limit of this process, where the hard one of its user is not lower anyway."""
    _, most = resource.getrlimit(kind)
    if most == resource.RLIM_INFINITY or most > value:
        resource.setrlimit(kind, (value, most))


def main() -> None:
    """Render what standard input names, an answer a line on standard output."""
    # From our own parent alone, never from a file.
    tree, names, seconds = pickle.load(sys.stdin.buffer)  # noqa: S301
    _bound(resource.RLIMIT_CORE, 0)
    _bound(resource.RLIMIT_AS, MEMORY)
    renderer = Renderer(tree)
    for name in names:
        used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        _bound(resource.RLIMIT_CPU, int(used) + seconds)
        answer = _answer(renderer, tree.images[name])
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
