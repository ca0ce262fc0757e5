"""An engine that asks for everything gets what the build gives it, and no more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from builders.engine_wire import Greedy
from homeport.buildkit.dockerfile import DockerfileBuild, prepare
from homeport.buildkit.session.context_folder import BadContext, Filters, Folder
from homeport.buildkit.session.filesync import send_folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A context with secrets that its ignore file names, and a Dockerfile among other files."""
    for name, text in {
        "context/.dockerignore": ".env\n.git\n*.key\n!public.key\n",
        "context/.env": "SECRET", "context/.git/config": "SECRET", "context/a.key": "SECRET",
        "context/public.key": "public", "context/app/main.py": "main", "context/app/.env": "inner",
        "home/Dockerfile": "FROM scratch\nCOPY . /\n", "home/.netrc": "SECRET",
        "home/.ssh/id": "SECRET", "more/.dockerignore": "hidden\n", "more/hidden": "SECRET",
        "more/shown": "shown",
    }.items():  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "context/link").symlink_to("../home/.netrc")
    (tmp_path / "context/git").symlink_to(".git")
    return tmp_path


def taken(project: Path, filters: Filters, **more: object) -> dict[str, dict[str, bytes]]:
    """Files by the directory that a greedy engine has them from."""
    build = prepare(
        DockerfileBuild(
            context=project / "context", file=project / "home/Dockerfile",
            build_contexts={"more": str(project / "more")}, **more,  # type: ignore[arg-type]
        )
    )  # fmt: skip
    found = {}
    for name, offer in build.folders.items():
        folder, engine = Folder.open(offer), Greedy()
        try:
            asyncio.run(asyncio.wait_for(send_folder(folder, filters, engine), 20))
        finally:
            folder.close()
        found[name] = dict(engine.files)
    return found


@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(exclude=(b"nothing",)),
        Filters(exclude=(b"*", b"!.env", b"!.git", b"!a.key", b"!hidden", b"!.netrc", b"!.ssh")),
        Filters(include=(b"**",)),
        Filters(include=(b".env", b".git/config", b"a.key", b"hidden", b".netrc", b".ssh/id")),
        Filters(follow=(b".env", b".git", b"*.key", b"git/config", b"link", b".netrc", b".ssh")),
        Filters(follow=(b"../home/.netrc", b"/", b".")),
    ],
)
def test_no_filter_of_an_engine_gets_at_what_the_build_does_not_give(
    project: Path, filters: Filters
) -> None:
    found = taken(project, filters)
    assert not any(b"SECRET" in each for files in found.values() for each in files.values())


def test_what_the_build_gives_is_sent(project: Path) -> None:
    assert taken(project, Filters()) == {
        "context": {
            ".dockerignore": b".env\n.git\n*.key\n!public.key\n", "app/.env": b"inner",
            "app/main.py": b"main", "public.key": b"public",
        },
        "dockerfile": {"Dockerfile": b"FROM scratch\nCOPY . /\n"},
        "context:more": {".dockerignore": b"hidden\n", "shown": b"shown"},
    }  # fmt: skip


def test_an_engine_that_asks_for_a_file_that_was_not_listed_is_refused(project: Path) -> None:
    build = prepare(DockerfileBuild(context=project / "context", file=project / "home/Dockerfile"))
    folder = Folder.open(build.folders["context"])
    try:
        for path in (b"link", b"git/config", b"../home/.netrc"):
            with pytest.raises(BadContext):
                folder.open_file(path)
    finally:
        folder.close()
