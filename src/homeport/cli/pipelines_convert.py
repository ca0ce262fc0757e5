"""``homeport pipelines convert``: a .travis.yml, GitHub workflow or GitLab file carried over."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from homeport.cli.options import Session, common
from homeport.errors import AnswerNo
from homeport.pipelines.request import MACHINES, SYSTEMS, System


@click.command(
    name="convert",
    epilog="""\b
Examples:
  homeport pipelines convert .travis.yml                       # print what would be written
  homeport pipelines convert .travis.yml --output new/
  homeport pipelines convert .github/workflows/docker.yml --to github --output new/
""",
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--to",
    type=click.Choice([name for name in SYSTEMS if name not in MACHINES]),
    default="gitlab",
    show_default=True,
    help="Write jobs of this system.",
)
@click.option(
    "--image",
    default="registry.example/ci/homeport:1",
    show_default=True,
    metavar="IMAGE",
    help="Run the jobs in this image, with Homeport and git.",
)
@click.option(
    "--repository",
    default="",
    metavar="REPOSITORY",
    help="Publish to this repository.  [default: the one that FILE pushes to, if it is plain text]",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write pipeline, recipe and report below this folder.  [default: only print them]",
)
@common
def command(
    session: Session, *, file: Path, to: System, image: str, repository: str, output: Path | None,
) -> None:  # fmt: skip
    """Carry another system's pipeline over, with a report of what was not.

    FILE is a .travis.yml, a GitHub workflow or a .gitlab-ci.yml. Every step and setting is in
    the report: carried over, replaced, not carried over, or for a person, with its line and
    why. Files that are there are not overwritten. Exit code 3: no build or push was found.
    """
    # 60 ms that --help saves
    from homeport.pipelines.convert import ConvertRequest, report_markdown

    with session.app() as app:
        done = app.convert_pipeline(
            ConvertRequest(file=file, to=to, image=image, repository=repository, output=output)
        )
    text = report_markdown(done)
    if output is None:
        text += f"\n--- {done.pipeline_file}\n{done.pipeline}\n--- homeport.yaml\n{done.recipe}"
    else:
        text += f"\nwritten: {', '.join(done.written)}"
    document = {"schema": "homeport-pipelines-convert/v1", **msgspec.to_builtins(done)}
    session.output.write(document, text.rstrip("\n"))
    if not done.builds and not done.pushes:
        raise AnswerNo(f"{file}: no build or push of an image was recognised")
