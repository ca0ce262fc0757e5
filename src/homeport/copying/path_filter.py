"""Which paths below a source are copied: ``--exclude``, and the pattern of ``--parents``.

Implemented in ``homeport.copying.ignore``. For type checkers and readers alone.
"""

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from typing import Any, Protocol

    #: The filter's own.
    State = Any

    class PathFilter(Protocol):
        """Decides in a walk from the top down; a state goes with each directory."""

        def start(self) -> State:
            """Of the top, which itself is always wanted."""

        def step(self, above: State, name: bytes) -> tuple[State, bool, bool]:
            """Its own state, whether it is wanted, and whether something below may be."""

        def excludes_source(self, path: bytes) -> bool:
            """Whether a source is not copied at all, by the name it was asked for."""
