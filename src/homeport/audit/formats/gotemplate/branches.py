"""Conditions of a Go template, as the chart's values decide them: what is rendered."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import msgspec

from homeport.audit.formats.gotemplate.actions import BLOCKS, spans_of_actions
from homeport.audit.formats.gotemplate.evaluating import Chart, Frame, choose, scope_of
from homeport.audit.formats.gotemplate.values import UNKNOWN, NotSimple, Piece, Value


class Branches(msgspec.Struct, frozen=True):
    """The blocks of a template that stand in a file, as the chart's values decide them.

    choices:  for each ``if`` the spans of its branches, and whether each is rendered
              (``None``: the values do not say)
    contexts: where ``.`` changes its meaning, and what it then means
    """

    choices: tuple[tuple[tuple[int, int, bool | None], ...], ...]
    contexts: tuple[tuple[int, Value], ...]

    def dot(self, at: int) -> Value:
        """What ``.`` means at a place of the text."""
        found = bisect_right(self.contexts, at, key=lambda one: one[0])
        return self.contexts[found - 1][1]

    def unused(self, places: Sequence[int]) -> frozenset[int]:
        """Those of the places that another one of them is rendered instead of."""
        left_out: set[int] = set()
        for branches in self.choices:
            inside = [
                (rendered, places[bisect_left(places, start) : bisect_left(places, end)])
                for start, end, rendered in branches
            ]
            if any(rendered and found for rendered, found in inside):
                for rendered, found in inside:
                    left_out.update(found if rendered is False else ())
        return frozenset(left_out)


def branches(text: str, chart: Chart) -> Branches:
    """The blocks of a template."""
    scope = scope_of(chart, None)
    root, unknown = scope.root, (Piece("", UNKNOWN),)
    frames: list[Frame] = []
    spans: list[list[tuple[int, int, bool | None]]] = []
    begun: list[int] = []
    choices: list[tuple[tuple[int, int, bool | None], ...]] = []
    contexts: list[tuple[int, Value]] = [(0, root)]

    def decide(word: str, condition: str) -> bool | None:
        try:
            return choose(scope, word, condition)
        except NotSimple:
            if word == "with":
                scope.dot = unknown
            return None

    for start, end, action in spans_of_actions(text):
        word, _, rest = action.partition(" ")
        if word in BLOCKS:
            frame = Frame(live=None, chosen=None, dot=scope.dot)
            if word in ("if", "with"):
                frame.live = frame.chosen = decide(word, rest)
            elif word != "define":  # those are mostly called with the chart's context
                scope.dot = unknown
            frames.append(frame)
            spans.append([])
            begun.append(end)
        elif word in ("else", "end") and frames:
            frame = frames[-1]
            spans[-1].append((begun[-1], start, frame.live))
            begun[-1] = end
            scope.dot = frame.dot
            if word == "end":
                frames.pop()
                begun.pop()
                choices.append(tuple(spans.pop()))
            elif frame.chosen:
                frame.live = False
            else:
                inner, _, condition = rest.strip().partition(" ")
                chosen = decide(inner, condition) if inner else True
                # Behind a condition that is not known, nothing is.
                known = frame.chosen is not None
                frame.live = chosen if known or chosen is False else None
                frame.chosen = frame.live if known or frame.live else None
        else:
            continue
        if contexts[-1][1] is not scope.dot:
            contexts.append((end, scope.dot))
    return Branches(tuple(choices), tuple(contexts))
