"""A forge on loopback: its REST API for merge requests, and a real git repository over HTTP.

with gitlab(tmp_path) as server:
    server.url            # http://127.0.0.1:PORT/group/images.git
    server.forge.requests # the merge requests, as the API has them

Git itself (``git http-backend``) serves the repository. Two people come to it, as on a real
GitLab: ``gitlab-ci-token`` (a job's own token) may only read, ``oauth2`` with the project's token
may push. ``gitlab(tmp_path, kind="github")`` has another forge's API and the same git.
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builders.forge import EveryPath, FakeForge
from builders.http_server import Answer, Received, serving
from homeport.updating.forges import Kind

JOB_TOKEN, TOKEN = "of-the-job", "of-the-project"


@dataclass(frozen=True, kw_only=True)
class GitLab:
    """One project, ``group/images``. bare: its repository; forge: its merge requests"""

    bare: Path
    forge: FakeForge

    @property
    def url(self) -> str:
        return self.forge.server.url("/group/images.git")

    @property
    def url_of_job(self) -> str:
        """The address that a runner clones from; the job's token stands in it."""
        return self.url.replace("//", f"//gitlab-ci-token:{JOB_TOKEN}@", 1)

    def git(self, *arguments: str) -> str:
        """Output of git in the repository on the server."""
        done = subprocess.run(
            ["git", "-C", self.bare, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def answer(self, request: Received) -> Answer:
        if request.path.startswith("/api/"):
            return self.forge.answer(request)
        return self._serve_git(request)

    def _serve_git(self, request: Received) -> Answer:
        """``git http-backend``, as CGI (RFC 3875)."""
        path, _, query = request.path.partition("?")
        user = self._user(request.headers.get("authorization", ""))
        if not user:
            return 401, {"WWW-Authenticate": 'Basic realm="GitLab"'}, b"HTTP Basic: Access denied"
        if user == "gitlab-ci-token" and "git-receive-pack" in request.path:
            return 403, {}, b"You are not allowed to upload code."
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.bare.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path.removeprefix("/group"),
            "QUERY_STRING": query,
            "REQUEST_METHOD": request.method,
            "REMOTE_USER": user,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(request.body)),
            "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], input=request.body, env=environment, capture_output=True,
            check=True,
        )  # fmt: skip
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        pairs = [line.partition(": ") for line in head.decode().splitlines()]
        headers = {name: value for name, _, value in pairs}
        return int(headers.pop("Status", "200").split()[0]), headers, body

    @staticmethod
    def _user(authorization: str) -> str:
        scheme, _, given = authorization.partition(" ")
        if scheme != "Basic":
            return ""
        user, _, password = base64.b64decode(given).decode().partition(":")
        known = {"gitlab-ci-token": JOB_TOKEN, "oauth2": TOKEN}
        return user if known.get(user) == password else ""


@contextmanager
def gitlab(folder: Path, kind: Kind = "gitlab") -> Iterator[GitLab]:
    """The server while the block runs; the repository is empty, its branch ``main``."""
    bare = folder / "gitlab" / "images.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", bare], check=True)
    for setting in ("http.receivepack", "receive.advertisePushOptions"):
        subprocess.run(["git", "-C", bare, "config", setting, "true"], check=True)
    with serving() as server:
        made = GitLab(bare=bare, forge=FakeForge(kind=kind, server=server, token=TOKEN))
        server.answers = EveryPath(made.answer)
        yield made
