"""Several recipes in one run: ``homeport build`` and ``publish`` take each in its turn.

One that fails does not stop the others, and no two may go to one place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from homeport.errors import HomeportError, Interrupted, UsageError
from homeport.net.errors import NetError
from homeport.recipe.model import Recipe

R = TypeVar("R")


def check_names(recipes: Sequence[Recipe], done: str) -> None:
    """Raise ``UsageError`` for two recipes that would go to one place.

    done: what would be done with both, for the message
    """
    known: dict[str, Recipe] = {}
    for recipe in recipes:
        other = known.setdefault(recipe.name, recipe)
        if other is not recipe:
            raise UsageError(
                f"{other.path} and {recipe.path} are both named {recipe.name}, and would be {done}",
                where={"file": str(recipe.path)},
                hint="give one another name:, or take each with a command of its own",
            )


def each_in_turn(
    recipes: Sequence[Recipe],
    act: Callable[[Recipe], R],
    failed: Callable[[Recipe, HomeportError], R],
    *,
    registries: Callable[[Recipe], Collection[str]],
    check: Callable[[], None],
    alone: bool,
) -> list[R]:
    """What ``act`` gives for each recipe, or ``failed`` for what it raised; of one alone it raises.

    registries: that a recipe goes to; when one cannot be reached, what goes there is not tried
    check:      may raise to stop early
    """
    done: list[R] = []
    gone: dict[str, HomeportError] = {}
    for recipe in recipes:
        check()
        reason = next((gone[each] for each in registries(recipe) if each in gone), None)
        if reason is not None:
            not_tried = HomeportError(f"skipped, because {reason.what}", hint=reason.hint)
            done.append(failed(recipe, not_tried))
            continue
        try:
            done.append(act(recipe))
        except Interrupted:
            raise
        except HomeportError as error:
            if alone:
                raise
            done.append(failed(recipe, error))
            if isinstance(error, NetError) and error.unsent:
                gone |= {
                    each: error
                    for each in registries(recipe) if error.where.get("registry") == each
                }  # fmt: skip
    return done
