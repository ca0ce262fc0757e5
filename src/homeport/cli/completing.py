"""What a shell completes: addresses with files and tags, recipes, platforms, findings, packages.

Imported only when a shell asks (``_HOMEPORT_COMPLETE``) or a script is wanted. Nothing is fetched:
what completes is on this machine. The scripts are ours where click's do not know a colon inside a
word: bash and its ``COMP_WORDBREAKS`` split ``oci:DIR`` into three words.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ZshComplete,
    add_completion_class,
    split_arg_string,
)

from homeport.cli.arrangement import arranged
from homeport.errors import HomeportError
from homeport.images.address import TRANSPORTS
from homeport.images.storage.files import DirectoryFiles
from homeport.images.storage.layout import read_index, tags_of
from homeport.oci.reference import is_tag
from homeport.recipe.catalog import current_catalog

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

#: What Debian and the catalog know (docs/guide.md), and the two words.
PLATFORMS = (
    "all", "native", "linux/386", "linux/amd64", "linux/arm/v5", "linux/arm/v7", "linux/arm64",
    "linux/loong64", "linux/ppc64le", "linux/riscv64", "linux/s390x", "windows/amd64",
)  # fmt: skip
#: Transports whose place is a file or a directory, which shells complete; with tags behind it.
_FILES = ("oci:", "dir:", "oci-archive:", "docker-archive:")
_MOST = 500


def attach(name: str, command: click.Command) -> click.Command:
    """Give the parameters of a command their values, by what they are called."""
    if isinstance(command, click.Group):
        for child in command.commands.values():
            attach(name, child)
    subcommand = getattr(command, "subcommand", None)
    if isinstance(subcommand, click.Command):
        attach(name, subcommand)
    for parameter in command.params:
        found = _completer(name, parameter)
        if found is not None:
            parameter._custom_shell_complete = found
    return command


def _completer(command: str, parameter: click.Parameter) -> Complete | None:
    name = parameter.name or ""
    if found := _BY_COMMAND.get((command, name)):
        return found
    is_text = isinstance(parameter.type, click.types.StringParamType)
    return _BY_NAME.get(name) if is_text else None


def _addresses(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Transports, files behind them, tags behind layouts; or files alone."""
    prefix = next((each for each in _FILES if incomplete.startswith(each)), "")
    place = incomplete.removeprefix(prefix)
    if prefix == "" and ":" not in incomplete:
        known = [row.prefix for row in TRANSPORTS.values() if row.prefix[-1] in ":/"]
        words = [each for each in known if each.startswith(incomplete) and each != "./"]
        return _items([*words, *_paths(place)])
    folder, colon, tag = place.partition(":")
    if not colon:
        return _items(prefix + each for each in _paths(place))
    return _items(f"{prefix}{folder}:{each}" for each in _tags(folder) if each.startswith(tag))


def _tags(folder: str) -> list[str]:
    with contextlib.suppress(HomeportError, OSError):
        files = DirectoryFiles(Path(folder))
        return [tag for tag in tags_of(read_index(files)[1]) if is_tag(tag)]
    return []


def _paths(start: str) -> list[str]:
    """Names in a directory that begin as typed; directories end with a slash."""
    folder, slash, begin = start.rpartition("/")
    found = []
    with contextlib.suppress(OSError), os.scandir(folder + slash or ".") as entries:
        for entry in entries:
            name = entry.name
            hidden = name.startswith(".") and not begin.startswith(".")
            if name.startswith(begin) and not hidden and name.isprintable():
                found.append(f"{folder}{slash}{name}{'/' if entry.is_dir() else ''}")
            if len(found) >= _MOST:
                break
    return sorted(found)


def _recipes(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return _items(name for name in current_catalog().names() if name.startswith(incomplete))


def _recipes_and_files(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    paths = [path for path in _paths(incomplete) if path.endswith(("/", ".yaml", ".yml"))]
    return [*_recipes(context, parameter, incomplete), *_items(paths)]


def _platforms(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The last of the platforms before a comma."""
    before, comma, last = incomplete.rpartition(",")
    chosen = before.split(",")
    return _items(
        f"{before}{comma}{each}"
        for each in PLATFORMS
        if each.startswith(last) and each not in chosen
    )


def _findings(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Kinds of findings, and the rules for implicit images."""
    findings = importlib.import_module("homeport.audit.findings").FINDINGS
    tools = importlib.import_module("homeport.audit.rules").shipped()
    words = [*findings, *(rule.id for tool in tools for rule in tool.rules)]
    return _items(sorted(word for word in words if word.startswith(incomplete)))


def _locked_packages(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """``all``, and the packages that the recipe on the line has locked."""
    names = {"all"}
    reading = importlib.import_module("homeport.recipe.catalog_listing")
    # Not from the context: click reads no argument of a line that ends with an option.
    for word in split_arg_string(os.environ.get("COMP_WORDS", ""))[2:]:
        if word.startswith("-") or word == incomplete:
            continue
        with contextlib.suppress(HomeportError, OSError):
            locked = reading.locked_recipe(word).lockfile
            for packages in locked.platforms.values() if locked else ():
                names |= {package.name for package in packages}
    return _items(sorted(name for name in names if name.startswith(incomplete)))


def _packages(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Packages, and their slices behind ``_``: of the catalog and of ``./slices``.

    Before a letter is typed those with slices; then those of the index that was opened last, too.
    """
    name, underscore, begin = incomplete.partition("_")
    folders = [
        folder for folder in (Path("slices"), *current_catalog().slice_folders) if folder.is_dir()
    ]
    if not underscore:
        files = {file.stem for folder in folders for file in folder.glob("*.yaml")}
        known = {file for file in files if file.startswith(name)}
        return _items(sorted({*known, *(_known_packages(name) if name else ())})[:_MOST])
    reading = importlib.import_module("homeport.recipe.slices.reading")
    found: set[str] = set()
    for file in (folder / f"{name}.yaml" for folder in folders):
        with contextlib.suppress(HomeportError, OSError):
            found |= {*reading.read_slice_file(file.read_bytes(), file)[0]}
    return _items(f"{name}_{each}" for each in sorted(found) if each.startswith(begin))


def _index_words(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of packages, for words that are searched for."""
    return _items(_known_packages(incomplete) if incomplete else ())


def _known_packages(prefix: str) -> list[str]:
    """Names in the index that was opened last, from the cache that the variables name."""
    settings = importlib.import_module("homeport.settings").Settings
    folder = os.environ.get("HOMEPORT_CACHE_DIR")
    with contextlib.suppress(HomeportError, OSError, ValueError):
        found = settings.load(cache_dir=Path(folder) if folder else None)
        if found.cache_dir is not None and found.cache_dir.is_dir():
            with importlib.import_module("homeport.app").open_app(found) as app:
                names: list[str] = app.known_packages(prefix, most=_MOST)
                return names
    return []


def _items(values: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(value) for value in values]


#: By the name of a parameter, in every command that has one.
_BY_NAME: dict[str, Complete] = {
    "platform": _platforms,
    "platforms": _platforms,
    **dict.fromkeys(
        ("image", "images", "other", "source", "destination", "reference", "repository", "outputs"),
        _addresses,
    ),
}
_BY_COMMAND: dict[tuple[str, str], Complete] = {
    ("build", "recipes"): _recipes_and_files,
    ("lock", "recipe"): _recipes_and_files,
    ("outdated", "subjects"): _recipes_and_files,
    ("update", "recipes"): _recipes_and_files,
    ("graph", "recipes"): _recipes_and_files,
    ("recipe", "recipe"): _recipes_and_files,
    ("sbom", "image"): _recipes_and_files,
    ("test", "subject"): _recipes_and_files,
    ("vex", "image"): _recipes_and_files,
    ("catalog", "name"): _recipes,
    ("catalog", "package"): _packages,
    ("catalog", "recipe"): _recipes_and_files,
    ("add", "packages"): _packages,
    ("add", "recipe"): _recipes_and_files,
    ("init", "packages"): _packages,
    ("search", "recipe"): _recipes_and_files,
    ("search", "words"): _index_words,
    ("slice", "package"): _packages,
    ("show", "package"): _packages,
    ("show", "recipe"): _recipes_and_files,
    ("audit", "deny"): _findings,
    ("lock", "updates"): _locked_packages,
    ("build", "updates"): _locked_packages,
}

_BASH = """\
%(complete_func)s() {
    local line="${COMP_LINE:0:$COMP_POINT}" word type value
    local -a found=()
    # What bash replaces begins after the last character of COMP_WORDBREAKS, such as a colon.
    word="${line##*[[:space:]]}"
    local keep=""
    [[ "$word" == *:* && "$COMP_WORDBREAKS" == *:* ]] && keep="${word%%:*}:"
    [[ "$word" == *=* && "${word##*=}" != *:* && "$COMP_WORDBREAKS" == *=* ]] && keep="${word%%=*}="
    while IFS=, read -r type value; do
        case "$type" in
            plain) found+=("${value#"$keep"}");;
            dir) compopt -o dirnames -o filenames;;
            file) compopt -o default -o filenames;;
        esac
    done < <(COMP_WORDS="$line" %(complete_var)s=bash_complete "$1")
    COMPREPLY=("${found[@]}")
    if [[ ${#found[@]} -eq 1 && "${found[0]}" == *[:/] ]]; then
        compopt -o nospace
    fi
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH = """\
#compdef %(prog_name)s

%(complete_func)s() {
    local -a response words_end words_more
    local type key descr
    (( ! $+commands[%(prog_name)s] )) && return 1
    response=("${(@f)$(env COMP_WORDS="${words[1,CURRENT]}" COMP_CWORD=$((CURRENT-1)) \
%(complete_var)s=zsh_complete %(prog_name)s)}")
    for type key descr in ${response}; do
        case "$type" in
            plain)
                if [[ "$key" == *: || "$key" == */ ]]; then
                    words_more+=("$key")
                else
                    words_end+=("$key")
                fi;;
            dir) _path_files -/;;
            file) _path_files -f;;
        esac
    done
    # A transport or a directory goes on: no space behind it.
    (( $#words_more )) && compadd -U -V more -S '' -a words_more
    (( $#words_end )) && compadd -U -V words -a words_end
    (( $#words_more + $#words_end ))
}

# A function of this name is what zsh loads from its fpath; it stays the one that completes.
if [[ "$funcstack[1]" == "_%(prog_name)s" ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""


_FISH = """\
function %(complete_func)s;
    set -l response (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) \
COMP_CWORD=(commandline -t) %(prog_name)s);
    for completion in $response;
        # A value may hold commas, as a list of platforms does.
        set -l parts (string split -m 1 "," -- $completion);
        switch $parts[1];
            case dir; __fish_complete_directories $parts[2];
            case file; __fish_complete_path $parts[2];
            case plain; echo $parts[2];
        end;
    end;
end;

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)";
"""


class _Bash(BashComplete):
    """Takes the line up to the cursor, not bash's words, which are split at colons."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_WORDS"]
        words = split_arg_string(line)
        incomplete = "" if line[-1:].isspace() or len(words) < 2 else words.pop()
        return arranged(words[1:]), incomplete


class _Zsh(ZshComplete):
    source_template = _ZSH

    def get_completion_args(self) -> tuple[list[str], str]:
        words, incomplete = super().get_completion_args()
        return arranged(words), incomplete


class _Fish(FishComplete):
    source_template = _FISH

    def get_completion_args(self) -> tuple[list[str], str]:
        words, incomplete = super().get_completion_args()
        return arranged(words), incomplete


def register() -> None:
    """Use our scripts."""
    for shell in (_Bash, _Zsh, _Fish):
        add_completion_class(shell)


def install_path(shell: str, home: Path, environment: dict[str, str]) -> Path:
    """Where a shell finds completions of the user by itself; zsh needs a line in ~/.zshrc."""
    data = Path(environment.get("XDG_DATA_HOME") or home / ".local/share")
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    return {
        "bash": data / "bash-completion/completions/homeport",
        "zsh": data / "zsh/site-functions/_homeport",
        "fish": config / "fish/completions/homeport.fish",
    }[shell]


def zsh_line(path: Path) -> str:
    """What ``~/.zshrc`` must have so that zsh looks there."""
    return f"fpath=({shlex.quote(str(path.parent))} $fpath); autoload -Uz compinit; compinit"
