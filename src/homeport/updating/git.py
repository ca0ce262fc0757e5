"""Git, as far as an update needs it: one commit of some files, and one branch that is ours.

The ``git`` program does it, so that a user's hooks, credentials and settings hold. A commit for a
branch is made beside the work tree, which stays as it is.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from homeport.errors import HomeportError, UsageError
from homeport.gitprogram import GitFailed, run_git, without_login
from homeport.printable import printable

#: Last line of the messages of our commits: by it a branch is known to be ours alone.
TRAILER = "Homeport-Update: 1"
_NO_OPTIONS = "does not support push options"  # git's words, before it sends anything
_HTTP = re.compile(r"https?://")
#: Git's words for a token that is wrong, has expired, or may not do it.
_NO_ENTRY = re.compile(r"Authentication failed|could not read Username|returned error: 40[13]")
#: A branch ``a`` and a branch ``a/b`` cannot both be there.
_IN_THE_WAY = re.compile(r"exists; cannot create|directory file conflict")
#: Reads the token from the environment, so that no argument and no file holds it.
_HELPER = '!f() { echo username=oauth2; echo "password=$HOMEPORT_FORGE_TOKEN"; }; f'


class PersonsCommits(HomeportError):
    """The branch has commits of other people: they are never overwritten."""

    id = "branch-has-other-commits"


class Repository(msgspec.Struct, frozen=True, kw_only=True):
    """A work tree. ``token``: whether HOMEPORT_FORGE_TOKEN is used for https remotes."""

    root: Path
    token: bool = False

    def run(
        self, *arguments: str, data: bytes | None = None, env: Mapping[str, str] | None = None,
        settings: Sequence[str] = (),
    ) -> str:  # fmt: skip
        """Standard output of ``git ARGUMENTS``, stripped. Raises ``GitFailed``.

        settings: ``NAME=VALUE`` of git's configuration, for this command
        """
        if self.token:
            # The first, empty one drops the helpers of the user's own configuration.
            settings = ("credential.helper=", f"credential.helper={_HELPER}", *settings)
        try:
            output = run_git(
                self.root, *arguments, strangers=False, data=data, env=env, settings=settings
            )
        except GitFailed as error:
            if self.token and _NO_ENTRY.search(error.words):
                error.hint = (
                    "the token in HOMEPORT_FORGE_TOKEN is wrong, has expired, or may not write"
                    " to the repository"
                )
            raise
        return output.decode("utf-8", "replace").strip()

    def remote_url(self, remote: str) -> str:
        try:
            return self.run("remote", "get-url", remote)
        except GitFailed as error:
            error.hint = "name the remote of the forge with --remote; git remote -v lists them"
            raise

    def push_address(self, remote: str) -> tuple[str, tuple[str, ...]]:
        """Where to push to, and the settings for it.

        With a token, without the credentials of a CI job: a runner puts those of the job into the
        remote's URL (GitLab) or into a header (actions/checkout), where git prefers them, and
        what they push starts no pipeline, if they may push at all.
        """
        url = self.run("remote", "get-url", "--push", remote)
        if not self.token or not _HTTP.match(url):
            return remote, ()
        url = without_login(url)
        base = "/".join(url.split("/", 3)[:3])
        return url, (f"http.{base}/.extraheader=",)

    def identity(self) -> Mapping[str, str]:
        """Variables for a commit of Homeport: empty if git knows who commits, as a person's does.

        A CI job has no name and no address, and git refuses to commit without.
        """
        try:
            self.run("var", "GIT_COMMITTER_IDENT")
            self.run("var", "GIT_AUTHOR_IDENT")
        except GitFailed:
            return {
                f"GIT_{role}_{part}": value
                for role in ("AUTHOR", "COMMITTER")
                for part, value in (("NAME", "Homeport"), ("EMAIL", "homeport@localhost"))
            }
        return {}

    def remote_branch(self, remote: str, branch: str) -> str:
        """The commit of a branch of the remote, empty if there is none."""
        found = self.run("ls-remote", "--heads", remote, f"refs/heads/{branch}")
        return found.split()[0] if found else ""

    def relative(self, path: Path) -> str:
        """A path as git names it. Raises ``GitFailed`` outside the work tree."""
        try:
            return path.resolve().relative_to(self.root.resolve()).as_posix()
        except ValueError as error:
            raise GitFailed(f"{path} is not in the work tree {self.root}") from error


def open_repository(path: Path, *, token: bool = False) -> Repository:
    """The work tree that a file is in. Raises ``GitFailed``."""
    try:
        root = run_git(path.parent, "rev-parse", "--show-toplevel", strangers=False).decode()
    except GitFailed as error:
        if "not a git repository" in error.words:
            error.hint = "--commit and --request need the recipe in a git repository: git init"
        raise
    return Repository(root=Path(root.strip()), token=token)


def check_branch(repository: Repository, branch: str) -> None:
    """Raise ``UsageError`` for what is no name of a branch."""
    try:
        repository.run("check-ref-format", f"refs/heads/{branch}")
    except GitFailed as error:
        raise UsageError(f"{printable(branch)} is no name of a branch for git") from error


def commit_files(repository: Repository, paths: Sequence[Path], message: str) -> str:
    """Commit these files, and nothing else that is staged; the commit's id."""
    names = [repository.relative(path) for path in paths]
    repository.run("add", "--", *names)
    repository.run("commit", "-q", "-F", "-", "--", *names, data=message.encode())
    return repository.run("rev-parse", "HEAD")


def build_commit(
    repository: Repository, base: str, files: Mapping[Path, bytes | None], message: str
) -> str:
    """A commit on ``base`` with these contents; index and work tree are not touched."""
    with tempfile.TemporaryDirectory(prefix="homeport-index-") as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        repository.run("read-tree", base, env=env)
        for path, data in files.items():
            name = repository.relative(path)
            if data is None:
                repository.run("update-index", "--force-remove", "--", name, env=env)
                continue
            blob = repository.run("hash-object", "-w", "--stdin", data=data)
            repository.run("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}", env=env)
        tree = repository.run("write-tree", env=env)
    text = f"{message.rstrip()}\n\n{TRAILER}\n".encode()
    who = repository.identity()
    return repository.run("commit-tree", tree, "-p", base, "-F", "-", data=text, env=who)


def same_content(repository: Repository, one: str, two: str) -> bool:
    """Whether two commits have one tree on one parent."""
    both = [repository.run("rev-parse", f"{each}^{{tree}}", f"{each}^") for each in (one, two)]
    return both[0] == both[1]


def check_is_ours(repository: Repository, remote: str, branch: str, there: str, base: str) -> None:
    """Raise ``PersonsCommits`` unless every commit of the branch since ``base`` is ours."""
    if repository.run("rev-parse", "--is-shallow-repository") == "true":
        # A runner's clone ends before the branch's fork, and so would the history read below.
        repository.run("fetch", "-q", "--no-tags", "--unshallow", remote)
    repository.run("fetch", "-q", "--no-tags", remote, f"refs/heads/{branch}")
    try:
        fork = repository.run("merge-base", base, there)
    except GitFailed as error:
        if error.words:
            raise
        raise PersonsCommits(
            f"the branch {branch} shares no commit with the branch that is checked out",
            where={"branch": branch},
            hint="delete that branch, or name another: --branch NAME",
        ) from error
    for commit in repository.run("rev-list", f"{fork}..{there}").split():
        message = repository.run("log", "-1", "--format=%B", commit)
        if TRAILER not in message.splitlines():
            raise PersonsCommits(
                f"the branch {branch} has a commit that is not Homeport's: {commit[:12]}",
                where={"branch": branch},
                hint="merge or delete the branch; the next run makes it anew",
            )


def push_branch(
    repository: Repository, remote: str, branch: str, commit: str, there: str, *,
    options: Sequence[str] = (),
) -> bool:  # fmt: skip
    """Put ``commit`` on the branch, only if it is still where it was seen.

    options: push options, one line each; left out where the server takes none

    Returns whether it was necessary: another run may have put the same content there meanwhile.
    Raises ``GitFailed`` if it put something else there, or if the remote rejects the push.
    """
    address, settings = repository.push_address(remote)
    push = ("push", "-q", f"--force-with-lease=refs/heads/{branch}:{there}")
    what = (address, f"+{commit}:refs/heads/{branch}")
    given = [f"--push-option={option}" for option in options]
    try:
        try:
            repository.run(*push, *given, *what, settings=settings)
        except GitFailed as error:
            if not given or _NO_OPTIONS not in error.what:
                raise
            repository.run(*push, *what, settings=settings)
    except GitFailed as error:
        now = repository.remote_branch(remote, branch)
        if _IN_THE_WAY.search(error.words):
            error.hint = f"a branch of the remote is in the way of {branch}: --branch NAME"
        if now in (there, ""):
            raise
        repository.run("fetch", "-q", "--no-tags", remote, f"refs/heads/{branch}")
        if not same_content(repository, now, commit):
            raise GitFailed(
                f"the branch {branch} was changed by another run or a person during this one",
                where={"branch": branch},
                hint="run the same command again",
            ) from error
        return False
    return True
