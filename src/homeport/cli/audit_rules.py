"""``homeport audit rules``: the rules for implicit images, and those that are due for a check."""

from __future__ import annotations

import datetime

import click

from homeport.audit.rules import OLD_AFTER, old_rules, shipped
from homeport.cli.options import Session, common
from homeport.quantities import counted


@click.command(
    name="rules",
    epilog="""\b
Examples:
  homeport audit rules
  homeport audit rules --check-age
  homeport audit ./rules                    # a directory of that name""",
)
@click.option(
    "--check-age", is_flag=True, help="List only rules last checked more than 180 days ago."
)
@common
def command(session: Session, check_age: bool) -> None:
    """List the rules for images that tools pull implicitly.

    Each rule has the day when it was last compared with its source.
    """
    tools = shipped()
    today = datetime.datetime.now(datetime.UTC).date()
    old = {rule.id for rule, _ in old_rules(tools, today)}
    rows = [
        (rule, rule.checked or tool.checked, rule.up_to or tool.up_to)
        for tool in tools for rule in tool.rules if rule.id in old or not check_age
    ]  # fmt: skip
    lines = [f"{checked or 'never':<12}{rule.id}  {rule.source}" for rule, checked, _ in rows]
    days = OLD_AFTER.days
    total = counted(len(rows), "rule") + (f" not checked for {days} days" if check_age else "")
    session.output.write(
        {
            "schema": "homeport-audit-rules/v1",
            "rules": [
                {"id": rule.id, "title": rule.title, "image": rule.image, "checked": checked,
                 "up_to": up_to, "source": rule.source, "old": rule.id in old}
                for rule, checked, up_to in rows
            ],
        },
        "\n".join([*lines, total]),
    )  # fmt: skip
