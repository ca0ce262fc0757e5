"""The HTML reports in a real browser: accessible, at two widths, light and dark, without a network.

axe-core (https://github.com/dequelabs/axe-core) comes from npm for each run and is not kept.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import Tab, chromium
from make_screenshots import make_pages

from builders.freshness import sample_report
from homeport.freshness.report.writing import OutdatedFiles, write_reports

pytestmark = pytest.mark.peer("chromium", "npm")
AXE = "axe-core@4.14.1"
REPORTS = ("inspect", "audit", "diff", "outdated")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    outdated = folder / "outdated.html"
    write_reports(sample_report(), OutdatedFiles(html=outdated))
    return {**make_pages(folder), "outdated": outdated}


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("axe")
    subprocess.run(["npm", "pack", "--silent", AXE], cwd=folder, check=True, capture_output=True)
    (archive,) = folder.glob("*.tgz")
    subprocess.run(["tar", "-xzf", archive, "package/axe.min.js"], cwd=folder, check=True)
    return (folder / "package/axe.min.js").read_text()


@pytest.fixture
def tab() -> Iterator[Tab]:
    with chromium() as one:
        yield one


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("report", REPORTS)
def test_axe_finds_no_violation(
    tab: Tab, pages: dict[str, Path], axe: str, report: str, width: int, dark: bool
) -> None:
    tab.show(pages[report], width=width, dark=dark)
    tab.run("for (const each of document.querySelectorAll('details')) each.open = true")
    tab.run(f"{axe};0")
    found = tab.run(
        "axe.run().then(result => result.violations.map(each =>"
        " `${each.id}: ${each.nodes.map(node => node.html).join(' ').slice(0, 500)}`))"
    )
    assert found == []


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("report", REPORTS)
def test_nothing_is_cut_and_nothing_is_asked_of_a_network(
    tab: Tab, pages: dict[str, Path], report: str, width: int
) -> None:
    tab.show(pages[report], width=width)
    assert tab.run("document.documentElement.scrollWidth") == width
    assert tab.requests == [pages[report].resolve().as_uri()]
    cut = "[...document.querySelectorAll('td, th, h1, h2, .verdict')].filter(each =>"
    cut += " each.scrollWidth > each.clientWidth + 1 && each.clientWidth && !each.closest('thead'))"
    assert tab.run(f"{cut}.map(each => each.outerHTML.slice(0, 200))") == []


def test_rows_are_filtered_grouped_and_sorted(tab: Tab, pages: dict[str, Path]) -> None:
    tab.show(pages["audit"])
    shown = "[...document.querySelectorAll('#all-images tr[data-level]')].filter(e => !e.hidden)"
    names = f"{shown}.map(row => row.cells[1].textContent)"
    everything = tab.run(names)
    assert "debian:11-slim" in everything
    tab.run(
        "{const box = document.querySelector('.tools input[type=search]'); box.value = 'quay.io';"
        " box.dispatchEvent(new Event('input'))}"
    )
    assert sorted(tab.run(names)) == [
        "quay.io/example/agent@sha256:5f5f5f5f5f5f", "quay.io/example/proxy:latest"
    ]  # fmt: skip
    tab.run(
        "{const box = document.querySelector('.tools input[type=search]'); box.value = '';"
        " box.dispatchEvent(new Event('input'));"
        " const by = document.querySelector('[data-groups]'); by.value = 'registry';"
        " by.dispatchEvent(new Event('change'))}"
    )
    heads = tab.run(
        "[...document.querySelectorAll('#all-images tbody:not([hidden]) h3')].map(e => e.innerText)"
    )
    assert heads == ["docker.io", "ghcr.io", "quay.io", "registry.example"]
    tab.run("document.querySelector('#all-images th:nth-child(2) button').click()")
    ordered = tab.run(names)
    assert sorted(ordered) == sorted(everything)
    official = [name for name in ordered if "/" not in name]
    assert len(official) > 3
    assert official == sorted(official)


def test_a_command_is_copied_and_names_the_readers_registry(
    tab: Tab, pages: dict[str, Path]
) -> None:
    tab.show(pages["audit"])
    typed = (
        "{const box = document.querySelector('[data-fills]'); box.value = '%s';"
        " box.dispatchEvent(new Event('input'))}"
    )
    command = "document.querySelector('#next code').textContent"
    tab.run(typed % "harbor.corp:5000/mirror")
    assert tab.run(command) == "homeport home harbor.corp:5000/mirror"
    tab.run(typed % "x; rm -rf /")
    assert tab.run(command) == "homeport home registry.example/mirror"
    assert tab.run("[...document.querySelectorAll('button.copy')].every(each => !each.hidden)")


def test_the_list_of_files_is_walked_by_keys(tab: Tab, pages: dict[str, Path]) -> None:
    tab.show(pages["inspect"])
    tab.run("document.getElementById('rows').focus()")
    path = "[...document.querySelectorAll('#crumbs button')].map(each => each.textContent).join('')"
    assert tab.run(path) == "/"
    tab.press("ArrowDown", 40)
    tab.press("Enter", 13)
    assert tab.run(path) == "/app"
    tab.press("Backspace", 8)
    assert tab.run(path) == "/"


def test_waste_alone_is_red_and_the_base_is_grey(tab: Tab, pages: dict[str, Path]) -> None:
    tab.show(pages["inspect"])
    fills = tab.run(
        "[...document.querySelectorAll('#layer-table svg')].map(bar => [...bar.children].filter("
        "part => +part.getAttribute('width') > 0).map(part => part.className.baseVal))"
    )
    assert fills == [["base"], ["h0", "waste"], ["h1"]]


def test_paper_has_what_is_folded_and_no_controls(tab: Tab, pages: dict[str, Path]) -> None:
    tab.show(pages["audit"], print_=True)
    assert tab.run("getComputedStyle(document.querySelector('.tools')).display") == "none"
    tab.run("dispatchEvent(new Event('beforeprint'))")
    assert tab.run("document.querySelectorAll('details:not([open])').length") == 0
    tab.run("dispatchEvent(new Event('afterprint'))")
    assert tab.run("document.querySelectorAll('details[open]').length") == 0
