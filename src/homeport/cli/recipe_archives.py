"""Options of commands that look packages up in the archives of a recipe."""

from __future__ import annotations

import click

recipe_option = click.option(
    "--recipe", metavar="RECIPE", default="",
    help="Look in the archives and slices of this recipe.  [default: ./homeport.yaml if it is"
    " there, else Debian trixie]",
)  # fmt: skip
package_platform_option = click.option(
    "--platform", metavar="OS/ARCH[/VARIANT]", envvar="HOMEPORT_PLATFORM",
    help="Platform of the packages.  [default: this machine's]",
)  # fmt: skip
no_check_option = click.option(
    "--no-check", is_flag=True,
    help="Do not ask the archives whether they have the packages; implied by --offline.",
)  # fmt: skip
