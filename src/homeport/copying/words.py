"""Source words and a destination word: what a whole COPY or ADD does."""

from homeport.copying.engine import Copier, Destination
from homeport.copying.errors import CopyError, shown
from homeport.copying.filesystem import NO_METADATA
from homeport.copying.resolve import clean, resolve

TYPE_CHECKING = False  # typing is not loaded inside the image
if TYPE_CHECKING:
    from homeport.copying.filesystem import Metadata
    from homeport.copying.protocol import Content, Home


class Word:
    """A source: a path in a home, which may hold wildcards, or a content with a name.

    literal: wildcards in it mean themselves
    """

    __slots__ = ("content", "home", "literal", "metadata", "path")

    def __init__(
        self,
        home: "Home | None",
        path: bytes,
        literal: bool = False,
        content: "Content | None" = None,
        metadata: "Metadata" = NO_METADATA,
    ) -> None:
        self.home = home
        self.path = path
        self.literal = literal
        self.content = content
        self.metadata = metadata


def copy_words(copier: Copier, words: "list[Word]", destination: bytes) -> None:
    """Copy each word in order. The destination is from the target's root."""
    rules = copier.options.rules
    to = Destination(destination)
    made = False
    if rules.directory_makes_directory and (len(words) > 1 or any(map(_is_directory, words))):
        to.is_directory = made = True
        copier.make_directory(to).close()
    for word in words:
        copier.begin_word()
        if word.content is not None:
            copier.put(word.path, word.content, word.metadata, to)
        elif word.home is not None:
            _copy_word(copier, word.home, word, to, made)


def _copy_word(copier: Copier, home: "Home", word: Word, to: Destination, made: bool) -> None:
    names = clean(word.path)
    if not word.literal and any(sign in word.path for sign in (b"*", b"?", b"[", b"\\")):
        from homeport.copying.patterns import split, unescaped

        if split(names)[1]:
            if not _exists_for_old(copier, word):
                _copy_matches(copier, home, names, to, made)
                return
        elif b"\\" in word.path and not _exists(home, names):
            # Go's tools find nothing then; a quoted star that means itself is kinder.
            names = [unescaped(name) for name in names]
    slash = copier.options.rules.directory_makes_directory and word.path.endswith(b"/")
    copier.copy(home, names, to, None, made, slash)


def _exists(home: "Home", names: "list[bytes]") -> bool:
    place = resolve(home, names)
    place.close()
    return not place.rest or place.info is not None


def _exists_for_old(copier: Copier, word: Word) -> bool:
    """The old tool takes a directory by its name before it looks for wildcards in that."""
    return copier.options.rules.directory_makes_directory and _is_directory(word)


def _copy_matches(
    copier: Copier, home: "Home", names: "list[bytes]", to: Destination, made: bool
) -> None:
    from homeport.copying.expand import expand

    rules = copier.options.rules
    found = expand(home, names, rules.bad_pattern_is_error)
    if not found and rules.no_match_is_error:
        raise CopyError("no matches found", {"source": shown(b"/".join(names))})
    from homeport.copying.patterns import split

    literal = len(split(names)[0])
    for match in found:
        copier.begin_word(again=True)
        copier.copy(home, match, to, match[literal:], made)


def _is_directory(word: Word) -> bool:
    """Whether the word as it stands is a directory; a link to one is not."""
    if word.home is None:
        return False
    try:
        place = resolve(word.home, clean(word.path), follow_last=False)
    except CopyError:
        return False
    place.close()
    return not place.rest
