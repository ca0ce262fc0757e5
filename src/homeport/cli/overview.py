"""What ``homeport`` alone prints: the first commands of a new user, and where the rest is."""

from __future__ import annotations

from homeport import __version__
from homeport.cli.screen import Screen

_FIRST = (
    ("Find the public images that files depend on", "homeport audit ."),
    ("Look into an image without running it", "homeport inspect docker.io/library/debian:13-slim"),
    ("Bring an image home, pinned by its digest", "homeport import SOURCE DESTINATION"),
    ("Copy between registries", "homeport mirror SOURCE DESTINATION"),
    ("Build an image for every platform", "homeport build dockerfile-copy"),
    ("Start an image of your own", "homeport init; homeport build"),
    ("See what changed between two images", "homeport diff ONE OTHER"),
    ("Sign, and verify who signed", "homeport sign IMAGE; homeport verify IMAGE"),
)


def overview(screen: Screen) -> str:
    """The commands to begin with, each under what it is for."""
    lines = [
        f"{screen.styled('homeport', 'title')} {__version__}: "
        "build, inspect, move and audit container images",
        "",
    ]
    for purpose, example in _FIRST:
        lines += [purpose, f"    {screen.styled(example, 'hint')}"]
    return "\n".join(
        [
            *lines,
            "",
            "All commands: homeport help           One of them: homeport help COMMAND",
            "The documentation: homeport docs       Completion: homeport completion --install",
        ]
    )
