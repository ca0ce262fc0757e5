"""``homeport docs``: the pages of the documentation, and man pages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from homeport import __version__
from homeport.cli.man_pages import man_pages
from homeport.cli.options import Session, common
from homeport.cli.pages import Page, all_pages, find_page
from homeport.cli.screen import Column
from homeport.content.files import explained, write_file
from homeport.errors import UsageError
from homeport.quantities import counted

_COLUMNS = (Column(name="topic", least=20), Column(name="page", least=24))


@click.command(
    name="docs",
    epilog="""\b
Examples:
  homeport docs                            # the topics
  homeport docs guide
  homeport docs formats/recipe --url
  homeport docs --man ~/.local/share/man/man1
""",
)
@click.argument("topic", default="")
@click.option("--url", is_flag=True, help="Print the address of the page on the web.")
@click.option("--web", is_flag=True, help="Open the page in a browser.")
@click.option(
    "--man", "folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Write a man page for every command to this directory.",
)  # fmt: skip
@common
def command(session: Session, *, topic: str, url: bool, web: bool, folder: Path | None) -> None:
    """Print a page of the documentation, or list the topics.

    The pages are those of this version and need no network. Output is Markdown; on a terminal
    it is formatted.
    """
    if folder is not None:
        if topic or url or web:
            raise UsageError("--man cannot be combined with TOPIC, --url or --web")
        _write_man(session, folder)
        return
    if not topic and not (url or web):
        _list(session, all_pages())
        return
    page = find_page(topic or "index")
    if web:
        click.launch(page.url)
    document = _document((page,), page.text())
    text = page.url if url or web else page.text()
    if session.format == "text" and sys.stdout.isatty() and not (url or web):
        _show(text)
        return
    session.output.write(document, text.rstrip("\n"), quiet_text=text.rstrip("\n"))


def _document(pages: tuple[Page, ...], text: str | None) -> dict[str, Any]:
    """docs/formats/docs.md."""
    topics = [{"topic": page.topic, "title": page.title, "url": page.url} for page in pages]
    return {"schema": "homeport-docs/v1", "topics": topics, "text": text}


def _list(session: Session, pages: tuple[Page, ...]) -> None:
    document = _document(pages, None)
    table = session.screen.table(_COLUMNS, [(page.topic, page.title) for page in pages])
    session.output.write(
        document,
        f"{table}\n\n{counted(len(pages), 'page')}; to read one: homeport docs guide",
        quiet_text="\n".join(page.topic for page in pages),
    )


def _show(text: str) -> None:
    """Formatted for a terminal, through the user's pager."""
    # 60 ms that pipes save
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    with console.capture() as captured:
        console.print(Markdown(text))
    click.echo_via_pager(captured.get())


def _write_man(session: Session, folder: Path) -> None:
    context = click.get_current_context().find_root()
    program = context.command
    assert isinstance(program, click.Group)
    pages = man_pages(program, click.Context(program, info_name="homeport"), __version__)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        write_file(folder / name, text.encode())
    session.output.write(
        {"schema": "homeport-docs-man/v1", "directory": str(folder), "pages": sorted(pages)},
        f"wrote {counted(len(pages), 'page')} to {folder}; to read one: man homeport-build",
        quiet_text="\n".join(str(folder / name) for name in sorted(pages)),
    )
