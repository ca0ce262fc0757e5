"""The two rule sets of ADD and COPY, where they differ. Chosen by name, never flag by flag.

``old``: the Go tool inside ``docker/dockerfile-copy`` 0.1.9, which BuildKit up to 0.10 runs.
``current``: BuildKit's file operations as of 2026 and the Dockerfile reference 1.20.
"""

from homeport.copying.errors import CopyError


class Rules:
    """What one rule set does.

    keep_matched_directories: a directory that a wildcard matched becomes DEST/NAME;
                else its contents are merged into DEST
    no_match_is_error: of a wildcard without a match (else nothing happens)
    bad_pattern_is_error: else it matches nothing
    directory_makes_directory: a directory among the sources, or two sources, make DEST a
                directory, written with a slash or not
    top_keeps_time: an existing or new DEST does not get the source directory's mtime
    links_across_matches: hard links are kept between the matches of one wildcard
    strict_archives: ``..`` in a member's name is refused (GNU tar) rather than stopped at
                the destination; a member ``.`` sets the destination's mode
    zstd:       archives compressed so are recognised
    """

    __slots__ = (
        "bad_pattern_is_error",
        "directory_makes_directory",
        "keep_matched_directories",
        "links_across_matches",
        "name",
        "no_match_is_error",
        "strict_archives",
        "top_keeps_time",
        "zstd",
    )

    def __init__(self, name: str, old: bool) -> None:
        self.name = name
        self.keep_matched_directories = old
        self.no_match_is_error = old
        self.bad_pattern_is_error = not old
        self.directory_makes_directory = old
        self.top_keeps_time = old
        self.links_across_matches = old
        self.strict_archives = old
        self.zstd = not old


OLD = Rules("old", True)
CURRENT = Rules("current", False)


def rule_set(name: str) -> Rules:
    for rules in (OLD, CURRENT):
        if rules.name == name:
            return rules
    raise CopyError(f"unknown rule set {name!r}", {"option": "--rules"}, "use old or current")
