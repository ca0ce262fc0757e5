"""Locales that a recipe names are taken out of the package of all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.building import BARE, BuildWorld, listing
from builders.deb import deb, link
from homeport.errors import Faults, UsageError

_FOLDER = "usr/lib/locale/"
_FILES = {
    "aa_DJ.utf8/LC_COLLATE": "all",
    "aa_DJ.utf8/LC_TIME": "time of aa",
    "de_DE/LC_TIME": "old time",
    "de_DE.utf8/LC_TIME": "time of de",
    "de_DE.utf8/LC_COLLATE": link("../aa_DJ.utf8/LC_COLLATE"),
    "de_DE.utf8/LC_MESSAGES/SYS_LC_MESSAGES": link("../../aa_DJ.utf8/LC_TIME"),
    "fr_FR.utf8/LC_COLLATE": link("../aa_DJ.utf8/LC_COLLATE"),
    "fr_FR.utf8/LC_TIME": link("../de_DE.utf8/LC_TIME"),
    "vi_VN/LC_TIME": "time of vi",
    "sr_RS@latin/LC_TIME": "time of sr",
}


def _world(tmp_path: Path) -> BuildWorld:
    messages = {
        f"usr/share/locale/{name}/LC_MESSAGES/libc.mo": name for name in ("de", "fr", "en_GB")
    }
    return BuildWorld(tmp_path, [
        deb("locales-all", depends="libc-l10n",
            files={_FOLDER + name: text for name, text in _FILES.items()}),
        deb("libc-l10n", files=messages),
    ])  # fmt: skip


def test_a_locale_has_the_files_behind_its_links_each_once(tmp_path: Path) -> None:
    made = listing(_world(tmp_path).build(BARE + "locales: [fr_FR.UTF-8, de_DE.utf-8]\n"))
    assert made == {
        _FOLDER + "de_DE.utf8/LC_COLLATE": "0644 all",
        _FOLDER + "de_DE.utf8/LC_MESSAGES/SYS_LC_MESSAGES": "0644 time of aa",
        _FOLDER + "de_DE.utf8/LC_TIME": "0644 time of de",
        _FOLDER + "fr_FR.utf8/LC_COLLATE": "-> ../de_DE.utf8/LC_COLLATE",
        _FOLDER + "fr_FR.utf8/LC_TIME": "-> ../de_DE.utf8/LC_TIME",
        "usr/share/locale/de/LC_MESSAGES/libc.mo": "0644 de",
        "usr/share/locale/fr/LC_MESSAGES/libc.mo": "0644 fr",
    }


def test_names_are_those_that_setlocale_finds(tmp_path: Path) -> None:
    recipe = BARE + "locales: [vi_VN.UTF-8, sr_RS.UTF-8@latin, de_DE]\npackages: [locales-all]\n"
    assert set(listing(_world(tmp_path).build(recipe))) == {
        _FOLDER + "vi_VN/LC_TIME", _FOLDER + "sr_RS@latin/LC_TIME", _FOLDER + "de_DE/LC_TIME",
        "usr/share/locale/de/LC_MESSAGES/libc.mo",
    }  # fmt: skip


def test_a_locale_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"locales-all has no locale 'de_DX\.UTF-8'") as caught:
        _world(tmp_path).build(BARE + "locales: [de_DX.UTF-8]\n")
    assert caught.value.hint == "did you mean de_DE.utf8, aa_DJ.utf8, fr_FR.utf8?"
    with pytest.raises(Faults) as faults:
        _world(tmp_path / "c").build(BARE + "locales: [C.UTF-8]\n")
    assert "C.UTF-8 is in libc-bin" in str(faults.value.faults[0].hint)
