"""``homeport update``: recipes locked anew, in one commit or one merge request.

Each recipe by itself: one that fails is reported with its lockfile as it was, the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from homeport.building.lock import lock_recipe
from homeport.building.request import BuildRequest, Connections
from homeport.content.files import write_file
from homeport.errors import Faults, HomeportError, Interrupted, UsageError
from homeport.freshness.effective import file_changes
from homeport.freshness.model import Change, FileChange, Subject
from homeport.freshness.outdated import OutdatedAccess, OutdatedRequest, judge_subjects
from homeport.freshness.recipe_graph import in_order
from homeport.freshness.subjects import LockedSubject, Subjects, find_subjects
from homeport.known_secrets import keep_secret
from homeport.locking.archive_access import ArchiveAccess
from homeport.locking.changes import package_changes
from homeport.locking.lock import lock
from homeport.locking.lock_paths import lock_paths, proof_path
from homeport.locking.opened_states import OpenedStates
from homeport.locking.update_policy import UPDATE_ALL, UpdatePolicy
from homeport.net.client import Client
from homeport.recipe.catalog import current_catalog, find_recipe, is_name
from homeport.recipe.lock.model import Lockfile
from homeport.recipe.model import Recipe
from homeport.runtime import Runtime
from homeport.updating.forges import (
    Forge,
    ForgeRefused,
    Kind,
    OpenRequest,
    Place,
    find_place,
    mark_of,
    open_forge,
)
from homeport.updating.git import (
    Repository,
    build_commit,
    check_branch,
    check_is_ours,
    commit_files,
    open_repository,
    push_branch,
    same_content,
)
from homeport.updating.images import TestImage, build_both
from homeport.updating.model import (
    Only,
    RequestResult,
    UpdatedRecipe,
    UpdateResult,
    WrittenFile,
)
from homeport.updating.text import commit_message, request_text, title

BRANCH = "homeport/update"
TOKEN = "HOMEPORT_FORGE_TOKEN"  # noqa: S105  the name of a variable


class UpdateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to update, and what to do with it.

    only:     ``security``: packages with a security fix alone
    packages: these alone
    build:    build the image before and after, for digests and sizes, and run the recipe's tests
    commit:   commit the lockfiles on the current branch
    request:  push them to ``branch`` and open a merge request; the work tree stays as it is
    target:   the branch to merge into; empty: the remote's default
    """

    wanted: tuple[str, ...] = ()
    only: Only = "all"
    packages: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    dry_run: bool = False
    build: bool = False
    commit: bool = False
    request: bool = False
    branch: str = BRANCH
    remote: str = "origin"
    target: str = ""
    forge: Kind | None = None
    allow_outside: tuple[Path, ...] = ()
    directory: Path = msgspec.field(default_factory=Path.cwd)


class UpdateAccess(msgspec.Struct, frozen=True, kw_only=True):
    """What an update reaches; ``homeport.app`` makes it."""

    outdated: OutdatedAccess
    connections: Connections
    client: Callable[[], Client]
    runtime: Runtime
    environment: Mapping[str, str]
    test: TestImage


def run_update(request: UpdateRequest, access: UpdateAccess) -> UpdateResult:
    """Update everything that ``request`` names."""
    subjects = find_subjects(request.wanted, request.directory, request.allow_outside)
    access = _sharing(access)
    for name in subjects.images:
        if is_name(name) and ":" not in name:
            find_recipe(name, current_catalog())  # says which recipes there are
        raise UsageError(f"{name} is not a recipe: an image is updated by its recipe's lockfile")
    _check_names(request, subjects.locked)
    home = _home(subjects, request, access)  # before anything is locked
    recipes: list[UpdatedRecipe] = []
    written: list[WrittenFile] = []
    newer = _outdated(subjects, request, access)
    try:
        for at in in_order([subject.recipe for subject in subjects.locked]):
            subject = subjects.locked[at]
            one, files = _update(subject, newer[subject.stored.path], request, access)
            recipes.append(one)
            written += files
    finally:
        if request.request:  # also after an interrupt: the work tree stays as it is
            _restore({file.path: file.before for file in written})
    recipes += [
        UpdatedRecipe(name=name, lockfile="", outcome="failed", error=_why(error))
        for name, error in subjects.failed
    ]
    result = UpdateResult(recipes=tuple(recipes), dry_run=request.dry_run)
    if request.dry_run:
        return result
    if request.request and home is not None:
        return _request(result, written, home, request, access)
    if request.commit and result.updated and home is not None:
        commit = commit_files(
            home.repository, [file.path for file in written], commit_message(result.updated)
        )
        return msgspec.structs.replace(result, commit=commit)
    return result


class _Home(msgspec.Struct, frozen=True, kw_only=True):
    """Where an update is committed and, for a request, the forge that it is opened at and the
    branch that it is to be merged into.
    """

    repository: Repository
    place: Place | None
    target: str = ""


def _home(subjects: Subjects, request: UpdateRequest, access: UpdateAccess) -> _Home | None:
    """Raises ``GitFailed`` and ``UsageError`` if a commit or a request cannot be made here."""
    if request.dry_run or not (request.commit or request.request):
        return None
    files = [subject.stored.path for subject in subjects.locked]
    first = files[0] if files else request.directory / "homeport.yaml"
    repository = open_repository(first, token=request.request and bool(_token(access)))
    for path in files:
        repository.relative(path)
    if not request.request:
        return _Home(repository=repository, place=None)
    check_branch(repository, request.branch)
    remote = repository.remote_url(request.remote)
    place = find_place(remote, access.environment, request.forge)
    default = _default_branch(repository, request.remote)
    target = request.target or default
    if request.branch in (target, default):
        raise UsageError(
            f"--branch {request.branch} is the branch that the request is to be merged into",
            hint=f"name another, which is Homeport's alone: --branch {BRANCH}",
        )
    return _Home(repository=repository, place=place, target=target)


def _update(
    subject: LockedSubject, newer: Subject, request: UpdateRequest, access: UpdateAccess
) -> tuple[UpdatedRecipe, list[WrittenFile]]:
    paths = lock_paths(subject.recipe, current_catalog(), request.directory)
    places = [paths.write, proof_path(paths.write)]
    before = {path: _bytes(path) for path in places}
    failed = UpdatedRecipe(
        name=subject.recipe.name, recipe=str(subject.recipe.path), lockfile=str(paths.write),
        outcome="failed",
    )  # fmt: skip
    try:
        policy = _policy(subject, newer, request)
        if policy is None:
            return msgspec.structs.replace(failed, outcome="current"), []
        new = _locked(subject, policy, request, access)
        one = _described(subject, new, newer, request, access)
        if request.build and one.outcome == "updated":
            one = _with_images(one, subject, new, request, access)
    except Interrupted:
        _restore(before)
        raise
    except HomeportError as error:
        _restore(before)
        return msgspec.structs.replace(failed, error=_why(error)), []
    if one.outcome == "current" or request.dry_run:
        _restore(before)  # what only says when it was looked at changes nothing
        return one, []
    files = [
        WrittenFile(path=path, before=before[path], after=after)
        for path in places
        if (after := _bytes(path)) != before[path]
    ]
    return one, files


def _with_images(
    one: UpdatedRecipe,
    subject: LockedSubject,
    new: Lockfile,
    request: UpdateRequest,
    access: UpdateAccess,
) -> UpdatedRecipe:
    how = BuildRequest(
        recipe=str(subject.recipe.path), mirrors=request.mirrors, engines=request.engines,
        allow_outside=request.allow_outside, directory=request.directory,
        command="homeport update",
    )  # fmt: skip
    both = build_both(
        subject.recipe, subject.lockfile, new, how,
        runtime=access.runtime, connections=access.connections, test=access.test,
    )  # fmt: skip
    unknown = "; ".join(text for text in (one.unknown, both.unknown) if text)
    return msgspec.structs.replace(one, images=both.images, tests=both.tests, unknown=unknown)


def _sharing(access: UpdateAccess) -> UpdateAccess:
    """Archives whose states are opened once for all recipes of the run."""
    opened = OpenedStates()
    archives = access.connections.archives

    def shared(recipe: Recipe, mirrors: Sequence[str]) -> ArchiveAccess:
        return msgspec.structs.replace(archives(recipe, mirrors), opened=opened)

    connections = msgspec.structs.replace(access.connections, archives=shared)
    return msgspec.structs.replace(access, connections=connections)


def _outdated(
    subjects: Subjects, request: UpdateRequest, access: UpdateAccess
) -> dict[Path, Subject]:
    """Lockfile → what is newer; all in one look at each suite and index."""
    asked = OutdatedRequest(mirrors=request.mirrors, inputs=False)
    locked = msgspec.structs.replace(subjects, images=(), failed=())
    with access.runtime.store.lease():
        report = judge_subjects(locked, asked, access.outdated)
    return {Path(subject.file): subject for subject in report.subjects}


def _policy(subject: LockedSubject, newer: Subject, request: UpdateRequest) -> UpdatePolicy | None:
    """What may change; ``None``: nothing is to."""
    if request.packages:
        policy = UpdatePolicy(names=frozenset(request.packages))
        return policy if _fault(policy, subject) is None else None
    if request.only == "security":
        names = frozenset(change.name for change in newer.of("security"))
        return UpdatePolicy(names=names) if names else None
    return UPDATE_ALL


def _fault(policy: UpdatePolicy, subject: LockedSubject) -> UsageError | None:
    """Why the names of ``--package`` are none of this lockfile."""
    try:
        policy.check(subject.lockfile, subject.recipe.path)
    except UsageError as error:
        return error
    return None


def _check_names(request: UpdateRequest, subjects: Sequence[LockedSubject]) -> None:
    """Raise ``UsageError`` for names that no lockfile has; of a tree, one is enough."""
    policy = UpdatePolicy(names=frozenset(request.packages))
    faults = [_fault(policy, subject) for subject in subjects]
    if request.packages and faults and faults[0] is not None and all(faults):
        raise faults[0]


def _locked(
    subject: LockedSubject, policy: UpdatePolicy, request: UpdateRequest, access: UpdateAccess
) -> Lockfile:
    if request.dry_run:
        archives = access.connections.archives(subject.recipe, request.mirrors)
        with access.runtime.store.lease():
            return lock(subject.recipe, archives, previous=subject.lockfile, update=policy).lockfile
    asked = BuildRequest(
        recipe=str(subject.recipe.path),
        update=policy,
        mirrors=request.mirrors,
        engines=request.engines,
        allow_outside=request.allow_outside,
        directory=request.directory,
        command="homeport update",
    )
    _, prepared = lock_recipe(asked, access.runtime, access.connections)
    return prepared.lockfile


def _described(
    subject: LockedSubject,
    new: Lockfile,
    newer: Subject,
    request: UpdateRequest,
    access: UpdateAccess,
) -> UpdatedRecipe:
    old = subject.lockfile
    found = package_changes(old, new)
    lines = [_line(str(change), change.platforms, new) for change in found]
    lines += _parts(old, new)
    names = {change.name for change in found}
    files: tuple[FileChange, ...] = ()
    unknown = ""
    if found:
        archives = access.connections.archives(subject.recipe, request.mirrors)
        try:
            files = file_changes(old, new, archives, usrmerge=subject.recipe.steps.usrmerge)
        except HomeportError as error:
            unknown = error.what
    changes = tuple(change for change in newer.changes if change.name in names and not change.part)
    return UpdatedRecipe(
        name=subject.recipe.name,
        recipe=str(subject.recipe.path),
        lockfile=str(subject.stored.path),
        outcome="updated" if lines else "current",
        lines=tuple(lines),
        changes=changes,
        files=files,
        news=_news(changes),
        size=(_size(old), _size(new)),
        unknown=unknown,
    )


def _line(text: str, platforms: Iterable[object], new: Lockfile) -> str:
    """Without its platforms where it is all of them."""
    where = list(platforms)
    return text.rpartition(" (")[0] if len(where) == len(new.platforms) else text


def _parts(old: Lockfile, new: Lockfile) -> list[str]:
    """What changed in build roots, and in what was built."""
    lines: list[str] = []
    for name, part in new.parts.items():
        before = old.parts.get(name)
        if part.root is not None:
            root = before.root if before else None
            lines += [f"{c} in the build root of {name}" for c in package_changes(root, part.root)]
        if before is not None and before.outputs != part.outputs:
            lines.append(f"{name}: another result")
    return lines


def _news(changes: Iterable[Change]) -> dict[str, str]:
    return {
        change.name: "\n\n".join(entry.text for entry in change.news)
        for change in changes
        if change.news
    }


def _size(lockfile: Lockfile) -> int:
    files = {p.file for packages in lockfile.platforms.values() for p in packages}
    return sum(file.size for file in files)


def _request(
    result: UpdateResult,
    written: Sequence[WrittenFile],
    home: _Home,
    request: UpdateRequest,
    access: UpdateAccess,
) -> UpdateResult:
    """Push the branch and open, change or close the request."""
    token = _token(access)
    repository, place = home.repository, home.place
    assert place is not None
    there = repository.remote_branch(request.remote, request.branch)
    if not written:
        action = RequestResult(action="none", branch=request.branch)
        if there and token and not result.failed:
            done = open_forge(place, token, access.client())
            for old in done.find(request.branch):
                if old.state == "open" and old.mark:
                    done.close(old)
                    action = RequestResult(action="closed", branch=request.branch, url=old.url)
        return msgspec.structs.replace(result, request=action)
    base = repository.run("rev-parse", "HEAD")
    files = {file.path: file.after for file in written}
    commit = build_commit(repository, base, files, commit_message(result.updated))
    mark = repository.run("rev-parse", f"{commit}^{{tree}}")
    pushed = True
    if there:
        check_is_ours(repository, request.remote, request.branch, there, base)
        pushed = not same_content(repository, there, commit)
    forge = open_forge(place, token, access.client()) if token else None
    before = forge.find(request.branch) if forge else []
    if _open_one(before) is None:
        closed = next((one for one in before if one.state == "closed" and one.mark == mark), None)
        if closed is not None:
            declined = RequestResult(action="declined", branch=request.branch, url=closed.url)
            return msgspec.structs.replace(result, request=declined)
    name = title(result.updated)
    if pushed:
        options = () if forge else place.push_options(home.target, name, mark_of(mark))
        pushed = push_branch(
            repository, request.remote, request.branch, commit, there, options=options
        )
    if forge is None:
        link = place.link(request.branch, home.target)
        outcome = RequestResult(action="link", branch=request.branch, url=link)
    else:
        text = request_text(result, mark_of(mark), repository.root)
        outcome = _opened(
            forge, _open_one(before), branch=request.branch, target=home.target, name=name,
            text=text,
        )  # fmt: skip
    return msgspec.structs.replace(result, commit=commit if pushed else "", request=outcome)


def _token(access: UpdateAccess) -> str:
    """The token for the forge; empty without one. A forge may repeat it in an error."""
    token = access.environment.get(TOKEN, "")
    keep_secret(token)
    return token


def _open_one(requests: Sequence[OpenRequest]) -> OpenRequest | None:
    return next((one for one in requests if one.state == "open"), None)


def _opened(
    forge: Forge, current: OpenRequest | None, *, branch: str, target: str, name: str, text: str
) -> RequestResult:
    """The branch's one request, made or changed."""
    if current is None:
        try:
            made = forge.create(branch, target, name, text)
            return RequestResult(action="created", branch=branch, url=made.url)
        except ForgeRefused as error:
            current = _open_one(forge.find(branch)) if error.exists else None
            if current is None:
                raise
    if (current.title, current.text.strip()) == (name, text.strip()):
        return RequestResult(action="unchanged", branch=branch, url=current.url)
    made = forge.change(current, name, text)
    return RequestResult(action="updated", branch=branch, url=made.url)


def _default_branch(repository: Repository, remote: str) -> str:
    found = repository.run("ls-remote", "--symref", remote, "HEAD")
    name = found.partition("refs/heads/")[2].split()
    return name[0] if name else "main"


def _restore(before: Mapping[Path, bytes | None]) -> None:
    for path, data in before.items():
        if _bytes(path) == data:
            continue
        if data is None:
            path.unlink(missing_ok=True)
        else:
            write_file(path, data)


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _why(error: HomeportError) -> str:
    if isinstance(error, Faults):
        return f"{error.what}: {'; '.join(fault.what for fault in error.faults[:3])}"
    return error.what
