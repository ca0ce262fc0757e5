"""Jobs that keep images fresh, written into the user's own pipeline file.

Between two marker lines; everything else of the file stays byte for byte. Writing again gives the
same text. The jobs only wrap commands: ``outdated`` and ``update --build --request`` on a schedule,
``build --locked --check`` on merge requests, ``publish`` on the default branch, also when
scheduled, so that a lost tag is put back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from homeport.content.files import read_input, write_file
from homeport.errors import UsageError
from homeport.pipelines import forge_jobs, machine_jobs
from homeport.pipelines.request import PipelineRequest, System, check_request

BEGIN = "# homeport pipelines: begin (written by homeport; changes below are lost)"
END = "# homeport pipelines: end"
FILES: Mapping[System, str] = {
    "gitlab": ".gitlab-ci.yml",
    "github": ".github/workflows/homeport.yml",
    "forgejo": ".forgejo/workflows/homeport.yml",
    "woodpecker": ".woodpecker/homeport.yml",
    "jenkins": "Jenkinsfile.homeport",
    "cron": "homeport.cron",
    "systemd": "homeport.service",
}
_LARGEST = 16 << 20  # bytes of a pipeline file
_JOBS: Mapping[System, Callable[[PipelineRequest], str]] = {
    "gitlab": forge_jobs.gitlab,
    "github": forge_jobs.github,
    "forgejo": forge_jobs.forgejo,
    "woodpecker": forge_jobs.woodpecker,
    "jenkins": machine_jobs.jenkins,
    "cron": machine_jobs.cron,
    "systemd": machine_jobs.service,
}


class PipelineWritten(msgspec.Struct, frozen=True, kw_only=True):
    """The file, and whether it was as it should be already. others: files that belong to it"""

    file: str
    current: bool
    others: tuple[str, ...] = ()


def run_pipelines(request: PipelineRequest) -> PipelineWritten:
    """Write the jobs; with ``check`` only compare."""
    path = request.file or _own_file(FILES[request.system])
    if request.system == "gitlab" and not request.stage:
        request = msgspec.structs.replace(request, stage=_stage(path))
    blocks = {path: marked(request)}
    if request.system == "systemd":
        if path.suffix != ".service":
            raise UsageError(f"{path}: the file of a systemd service ends in .service")
        blocks[path.with_suffix(".timer")] = _between(machine_jobs.timer(request))
    changed: dict[Path, str] = {}
    for each, block in blocks.items():
        before = _text(each)
        after = _merged(before, block, each)
        if after != before:
            changed[each] = after
    if not request.check:
        for each, text in changed.items():
            each.parent.mkdir(parents=True, exist_ok=True)
            write_file(each, text.encode())
    others = tuple(str(each) for each in blocks if each != path)
    return PipelineWritten(file=str(path), current=not changed, others=others)


def _own_file(name: str) -> Path:
    """The usual file of this directory: a repository's link leads nowhere else."""
    path = Path(name)
    if not path.resolve().is_relative_to(Path.cwd().resolve()):
        raise UsageError(
            f"{path} leads out of this directory, to {path.resolve()}",
            hint="if that is wanted, name the file with --file",
        )
    return path


def _stage(path: Path) -> str:
    """A stage that the file has: one that it does not list is an error of GitLab's."""
    text = _text(path)
    if "stages:" not in text:
        return ""
    # 60 ms that --help saves
    from homeport.pipelines.foreign import gitlab_stages

    stages = gitlab_stages(path, text.encode())
    own = [stage for stage in stages if not stage.startswith(".")]
    return own[0] if own and "test" not in own else ""


def marked(request: PipelineRequest) -> str:
    """The jobs of the main file between their marker lines."""
    check_request(request)
    return _between(_JOBS[request.system](request), "//" if request.system == "jenkins" else "#")


def _between(text: str, comment: str = "#") -> str:
    begin, end = BEGIN.replace("#", comment, 1), END.replace("#", comment, 1)
    return f"{begin}\n{text}{end}\n"


def _text(path: Path) -> str:
    if not path.exists():
        return ""
    data = read_input(path, _LARGEST)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path} is not UTF-8: {error.reason} at byte {error.start}",
            where={"file": str(path)},
        ) from error


def _merged(before: str, block: str, path: Path) -> str:
    """The file with the block in its place, or at its end; the line ends are the file's."""
    newline = "\r\n" if "\r\n" in before else "\n"
    block = block.replace("\n", newline)
    lines = block.splitlines()
    first, last = lines[0], lines[-1]
    begin, end = before.find(first), before.find(last)
    if (begin < 0) != (end < 0) or end < begin:
        raise UsageError(
            f"{path} has one of the two marker lines only", hint="remove it, and run this again"
        )
    if begin >= 0:
        return before[:begin] + block + before[end + len(last) :].removeprefix(newline)
    gap = "" if not before else newline if before.endswith("\n") else newline * 2
    return before + gap + block
