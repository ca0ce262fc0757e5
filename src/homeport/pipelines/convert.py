"""``homeport pipelines convert``: another system's pipeline carried over, with an honest report.

Gives jobs of Homeport, a recipe's skeleton, and a list of every step and setting: carried,
replaced, not carried, or for a person, each with its line and why. Scripts that a step calls are
read one level deep, only to find builds and pushes. The result is a start, not the same pipeline.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from homeport.content.files import open_input, read_input, write_file
from homeport.content.reading import read_bounded
from homeport.dockerpkg.conversion import propose_recipe
from homeport.errors import HomeportError, UsageError
from homeport.oci.platform import parse_platform
from homeport.oci.reference import names_registry, parse_reference
from homeport.pipelines.docker_steps import (
    ImageBuild,
    build_of,
    plain,
    pushed_names,
    secrets_in,
    variables_in,
    what_it_does,
)
from homeport.pipelines.fates import SCRIPT, Fate, fate_of_setting, fate_of_step
from homeport.pipelines.foreign import LARGEST, ForeignPipeline, Job, Setting, Step, read_pipeline
from homeport.pipelines.generate import FILES, marked
from homeport.pipelines.request import PipelineRequest, System
from homeport.printable import printable
from homeport.quantities import counted
from homeport.recipe.platforms import debian_architecture

_TITLES: Mapping[Fate, str] = {
    "carried": "Carried over", "replaced": "Replaced", "not-carried": "Not carried over",
    "person": "Needs a person",
}  # fmt: skip
_END = re.compile(r"(?:fi|done|else|then|do|esac|;;|\{|\}|\)|\()[;\s]*")
#: What a job of a system has by itself, in the generated jobs, too.
_OWN_SECRETS: Mapping[System, re.Pattern[str]] = {
    "gitlab": re.compile(r"CI_REGISTRY(?:_IMAGE|_USER|_PASSWORD)?"),
    "github": re.compile(r"GITHUB_TOKEN"),
}
_NONE = re.compile(r"(?!)")
_OF_PROJECT = re.compile(r"\$\{?CI_REGISTRY_IMAGE\}?((?:/[a-z0-9._-]+)*)(?=[:/@]|$)")
_OWN_REGISTRY = re.compile(r"localhost\b|127\.|\[::1\]|registry:\d")


class Fated(msgspec.Struct, frozen=True, kw_only=True):
    """One step or setting and what became of it. file: another one than the pipeline's, if so"""

    fate: Fate
    line: int
    what: str
    why: str
    job: str = ""
    file: str = ""


class ConvertRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to convert. to: the new system; output: a folder to write to, or nothing is written"""

    file: Path
    to: System = "gitlab"
    image: str = "registry.example/ci/homeport:1"
    repository: str = ""
    output: Path | None = None


class Converted(msgspec.Struct, frozen=True, kw_only=True):
    """Everything. builds, pushes: how many were recognised; written: files"""

    source: str
    kind: str
    pipeline_file: str
    pipeline: str
    recipe: str
    report: tuple[Fated, ...]
    builds: int
    pushes: int
    written: tuple[str, ...] = ()

    def of(self, fate: Fate) -> list[Fated]:
        """The entries of one fate, in the order of their lines."""
        return [each for each in self.report if each.fate == fate]


class _Run:
    """What one conversion gathers."""

    def __init__(self, pipeline: ForeignPipeline, folder: Path, to: System) -> None:
        self.pipeline = pipeline
        self.to = to
        self.folder = folder
        self.report: list[Fated] = []
        self.builds: list[ImageBuild] = []
        self.pushes = 0
        self.secrets: dict[str, tuple[str, int]] = {}
        self.variables: dict[str, str] = {}
        self.names: list[str] = []  # of images, besides the builds' own tags
        self.scripts: dict[Path, bool] = {}  # whether each builds or pushes
        self._noted: set[tuple[str, str, int, str, str]] = set()

    def note(self, fated: Fated) -> None:
        """Put an entry into the report, with a bound on its text; once, where jobs share lines."""
        key = (fated.fate, fated.file, fated.line, fated.what, fated.why)
        if key not in self._noted:
            self._noted.add(key)
            self.report.append(msgspec.structs.replace(fated, what=fated.what[:300]))

    def person(self, line: int, what: str, why: str, file: str = "") -> None:
        """The same, for a person."""
        self.note(Fated(fate="person", line=line, what=what, why=why, file=file))

    @property
    def images(self) -> list[str]:
        """Every image that is named, tags of builds first."""
        return [tag for build in self.builds for tag in build.tags] + self.names


def run_convert(request: ConvertRequest) -> Converted:
    """Convert; write files if a folder is named. Raises ``UsageError`` for an unusable file."""
    data = read_input(request.file, LARGEST, "the pipeline")
    pipeline = read_pipeline(request.file, data)
    run = _Run(pipeline, request.file.resolve().parent, request.to)
    if run.folder.name == "workflows":
        run.folder = run.folder.parent.parent  # .github/workflows is below the repository's root
    for line, why in pipeline.faults:
        run.person(line, "the file", f"could not be read from here on: {why}")
    for setting in pipeline.settings:
        _setting(run, setting, "")
    for job in pipeline.jobs:
        for setting in job.settings:
            _setting(run, setting, job.name)
    for job in pipeline.jobs:
        for step in job.steps:
            _step(run, step, job)
    for name, (file, line) in run.secrets.items():
        if _OWN_SECRETS.get(run.to, _NONE).fullmatch(name):
            why = "a job of the new system has it by itself"
            run.note(Fated(fate="replaced", line=line, what=name, why=why, file=file))
            continue
        run.person(line, name, "a secret: set it in the new system, it is not in the file", file)
    recipe = _recipe(run)
    text = marked(
        PipelineRequest(
            system=request.to, recipes=("homeport.yaml",), image=request.image,
            repository=request.repository or _repository(run),
        )
    )  # fmt: skip
    fates = list(_TITLES)
    report = sorted(run.report, key=lambda each: (fates.index(each.fate), each.file, each.line))
    done = Converted(
        source=str(request.file), kind=pipeline.kind, pipeline_file=FILES[request.to],
        pipeline=text, recipe=recipe, report=tuple(report),
        builds=len(run.builds), pushes=run.pushes,
    )  # fmt: skip
    return done if request.output is None else _written(done, request.output)


def _setting(run: _Run, setting: Setting, job: str) -> None:
    run.variables |= setting.values
    if setting.key == "deploy.on" and (found := re.search(r"\brepo: ([\w./-]+)", setting.text)):
        run.variables.setdefault("TRAVIS_REPO_SLUG", found[1])
    for name in secrets_in(setting.text):
        run.secrets.setdefault(name, ("", setting.line))
    key = setting.key.removesuffix(".secure")
    fate, why = fate_of_setting(setting)
    what = f"{key}: {setting.text}" if setting.text and "secure:" not in setting.text else key
    run.note(Fated(fate=fate, line=setting.line, what=what, why=why, job=job))


def _step(run: _Run, step: Step, job: Job, file: str = "") -> None:
    does = what_it_does(step)
    for name in secrets_in(step.text + " ".join(step.inputs.values())):
        run.secrets.setdefault(name, (file, step.line))

    def told(fate: Fate, why: str) -> None:
        run.note(Fated(fate=fate, line=step.line, what=step.text, why=why, job=job.name, file=file))

    if does == "build":
        build = msgspec.structs.replace(build_of(step, run.variables), file=file)
        run.builds.append(build)
        run.pushes += build.pushes
        publish = " and homeport publish" if build.pushes else ""
        told("replaced", f"homeport build --locked --check{publish}")
        if re.search(r"\bbake\b", step.uses + step.text):
            why = "the file of bake is not read: its platforms, tags and targets are for recipes"
            run.person(step.line, "bake", why, file)
    elif does == "push":
        run.pushes += 1
        run.names += pushed_names(step, run.variables)
        told("replaced", "homeport publish pushes by digest, then names")
    elif does == "login":
        for name in variables_in(step):
            run.secrets.setdefault(name, (file, step.line))
        own = _OWN_SECRETS.get(run.to, _NONE)
        if all(own.fullmatch(name) for name in (*secrets_in(step.text), *variables_in(step))):
            told("replaced", "the publish job has the credentials of its own registry")
        else:
            told("person", "the publish job needs the registry's credentials, as HOMEPORT_CREDS")
    elif does == "setup":
        told("replaced", "builds need no daemon, emulator or privileges")
    elif does == "tags":
        names = plain(step.inputs.get("images", ""), run.variables)
        run.names += [name.strip() for name in re.split(r"[\n,]", names) if name.strip()]
        told("replaced", "homeport publish makes the tags: give it --version")
    elif does == "checkout":
        told("carried", "the new jobs check the repository out")
    elif not file and not _END.fullmatch(step.text):  # of a script only builds and pushes count
        found = [name for name in SCRIPT.findall(step.text) if _follow(run, name, job)]
        told(*fate_of_step(step, found))


def _follow(run: _Run, name: str, job: Job) -> bool:
    """Look for builds and pushes in a script of the repository; whether there are any."""
    path = (run.folder / name).resolve()
    if not path.is_relative_to(run.folder) or not path.is_file():
        return False
    if path in run.scripts:
        return run.scripts[path]
    run.scripts[path] = False
    try:
        with open_input(path) as stream:
            text = read_bounded(stream, LARGEST, "the script").decode("utf-8", "replace")
    except (OSError, HomeportError):
        return False
    before = len(run.builds) + run.pushes
    pending, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        first = first if pending else number
        pending += line.rstrip("\\")
        if line.endswith("\\"):
            continue
        whole, pending = pending.strip(), ""
        if whole and not whole.startswith("#"):
            _step(run, Step(line=first, section="script", text=whole), job, file=name)
    run.scripts[path] = len(run.builds) + run.pushes > before
    return run.scripts[path]


def _platforms(run: _Run) -> tuple[list[str], list[str]]:
    """Platforms of all builds that Debian has, and the others."""
    named = dict.fromkeys(p for build in run.builds for p in build.platforms)
    good: dict[str, None] = {}
    bad: list[str] = []
    for text in named:
        try:
            platform = parse_platform(text)
            debian_architecture(platform)
        except (HomeportError, ValueError):
            bad.append(text)
        else:
            good[str(platform)] = None
    return list(good) or ["linux/amd64"], bad


def _name(run: _Run) -> str:
    for tag in run.images:
        name = tag.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
        if re.fullmatch(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", name):
            return name
    plain = re.sub(r"[^a-z0-9]+", "-", run.folder.name.lower()).strip("-")
    return plain or "image"


def _repository(run: _Run) -> str:
    """The repository that was pushed to, if it is written in plain text; further ones are told."""
    line, file = (run.builds[0].line, run.builds[0].file) if run.builds else (1, "")
    found: dict[str, None] = {}
    implied = ""
    for tag in run.images:
        if run.to == "gitlab" and (project := _OF_PROJECT.match(tag)):
            found[f"$CI_REGISTRY_IMAGE{project[1]}"] = None
            continue
        try:  # a tag in a variable says no less about the repository
            reference = parse_reference(re.sub(r":[^/:]*\$.*$", "", tag))
        except HomeportError:
            continue
        if not names_registry(tag):
            implied = implied or reference.name
        elif _OWN_REGISTRY.match(tag):
            run.person(line, tag, "a registry of the job's own: publish to yours", file)
        else:
            found[reference.name] = None
    for other in list(found)[1:]:
        same = other.rpartition("/")[2] == next(iter(found)).rpartition("/")[2]
        why = "the same image: publish it there, too" if same else "another image: write its recipe"
        run.person(line, other, why, file)
    if not found and run.pushes and implied:
        run.person(line, implied, "by a name without a registry: give --repository", file)
    elif not found and (run.builds or run.pushes):
        name = next(
            (name for name in run.images[::-1] if "$" in name), "the repository to publish to"
        )
        run.person(line, name, "not in plain text: give --repository", file)
    return next(iter(found), "")


def _recipe(run: _Run) -> str:
    """A recipe: what the Dockerfile says that a recipe can say, else an outline with TODO."""
    platforms, others = _platforms(run)
    lines = [
        f"# Outline made from {printable(Path(run.pipeline.path).name)}: settle each TODO, then",
        "#   homeport recipe check . && homeport lock .",
    ]
    for other in others:
        build = next(build for build in run.builds if other in build.platforms)
        if "$" in other:
            run.person(build.line, other, "platforms in a variable: name them", build.file)
            lines.append(f"# TODO: platforms: {printable(other)} is a variable")
            continue
        lines.append(f"# TODO: {printable(other)} is not a platform of Debian; it is left out.")
        why = "not a platform of Debian"
        run.note(Fated(fate="not-carried", line=build.line, what=other, why=why, file=build.file))
    chosen = next((b for b in run.builds if _dockerfile(run, b)), None)
    path = _dockerfile(run, chosen) if chosen else None
    if chosen is None or path is None:
        body = (
            f"homeport: 1\nname: {_name(run)}\nplatforms: [{', '.join(platforms)}]\n"
            "packages:\n  - base-files_os-release  # TODO: what the image needs\n"
            "files: []  # TODO: - {from: ./tool, to: /usr/bin/tool, mode: '0755'}\n"
        )
        return "\n".join(lines) + "\n" + body
    text = path.read_text("utf-8", "replace")
    body, left = propose_recipe(_name(run), text, platforms, chosen.target)
    shown = path.relative_to(run.folder).as_posix()
    for each in left:
        run.person(each.line, each.text, each.why, shown)
        lines.append(f"# TODO: {shown}:{each.line}: {printable(each.text)[:60]}: {each.why}")
    target = f", target: {shlex.quote(chosen.target)}" if chosen.target else ""
    lines.append(f"# Or build it as it is, on an engine: parts: [{{name: built, from: "
                 f"{{dockerfile: ./{printable(shown)}{printable(target)}}}}}]")  # fmt: skip
    return "\n".join(lines) + "\n" + body


def _dockerfile(run: _Run, build: ImageBuild) -> Path | None:
    """The file, if it lies in the repository."""
    context = build.context if not re.search(r"[$:]", build.context) else "."
    names = [build.dockerfile] if build.dockerfile else [f"{context or '.'}/Dockerfile"]
    for name in names:
        path = (run.folder / name).resolve()
        if path.is_relative_to(run.folder) and path.is_file() and path.stat().st_size <= LARGEST:
            return path
    return None


def _written(done: Converted, folder: Path) -> Converted:
    """Write pipeline, recipe and report; a file that is there is never overwritten."""
    files = {
        folder / done.pipeline_file: done.pipeline,
        folder / "homeport.yaml": done.recipe,
        folder / "CONVERTED.md": report_markdown(done),
    }
    for path in files:
        if path.exists():
            raise UsageError(f"{path} exists", hint="name another folder with --output")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, text.encode())
    return msgspec.structs.replace(done, written=tuple(map(str, files)))


def report_markdown(done: Converted) -> str:
    """The report for people."""
    return "\n".join(_report(done)) + "\n"


def _report(done: Converted) -> Iterator[str]:
    yield f"# {printable(done.source)} carried over to {done.pipeline_file}"
    yield ""
    yield (
        f"{counted(done.builds, 'build')} and {counted(done.pushes, 'push', 'pushes')} recognised. "
        "The result is a start: compare what the old pipeline did before you switch it off."
    )
    for fate, title in _TITLES.items():
        found = done.of(fate)
        if not found:
            continue
        yield ""
        yield f"## {title}"
        yield from _rows(found)


def _rows(found: Sequence[Fated]) -> Iterator[str]:
    for each in found:
        place = f"{each.file}:{each.line}" if each.file else f"line {each.line}"
        job = f" ({printable(each.job)})" if each.job else ""
        what = printable(each.what).replace("`", "'")
        yield f"- {printable(place)}{job}: `{what}`: {each.why}"
