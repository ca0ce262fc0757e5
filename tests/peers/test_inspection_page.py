"""The report's page in a real browser: it draws, it finds, and nothing in it acts."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from builders.inspection import Member, file, layer, made, opened
from builders.runtime import runtime
from homeport.inspection.report.inspect_image import inspect
from homeport.inspection.report.page import html_page
from homeport.oci.documents import RunConfig

pytestmark = pytest.mark.peer("chromium")
EVIL = [
    "</script><script>document.title='hacked'</script>", "<img src=x onerror=alert(1)>",
    "a\u202egnp.exe", "\x1b[31mred", '"quoted"', "'single'", "@@DATA@@", "&amp;", "-->",
]  # fmt: skip


def page(*members: Member, config: RunConfig | None = None) -> str:
    one = layer(*members)
    image = made(one, config=config)
    return html_page(inspect(image, "docker://registry.example/a", runtime()), opened(one))


def dom(folder: Path, text: str, *more: str) -> str:
    """The document after its script ran."""
    (folder / "page.html").write_text(text)
    done = subprocess.run(
        [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu",
            f"--user-data-dir={folder}/p",
            "--virtual-time-budget=20000", "--window-size=1400,1200", *more,
            "--dump-dom", f"file://{folder}/page.html",
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout


def test_the_page_draws_the_tree_and_lists_it(tmp_path: Path) -> None:
    shown = dom(tmp_path, page(file("usr/bin/tool", b"x" * 5000), file("etc/conf", b"y" * 10)))
    assert 'data-ready="6"' in shown
    assert re.search(r'role="row"[^>]*aria-selected="true"', shown)
    assert "5.01 kB in 2 files" in shown
    assert '<div id="live">' in shown, "no longer hidden"


def test_names_are_text_and_never_markup(tmp_path: Path) -> None:
    members = [file(f"d/{name.replace('/', '_')}") for name in EVIL]
    labels = {name: name for name in EVIL}
    shown = dom(tmp_path, page(*members, config=RunConfig(labels=labels)))
    assert f'data-ready="{len(EVIL) + 2}"' in shown
    assert "<title>docker://registry.example/a</title>" in shown
    assert "<img" not in shown
    assert "\u202e" not in shown
    assert "\x1b" not in shown


def test_a_hundred_thousand_files_are_drawn(tmp_path: Path) -> None:
    members = [file(f"d{n % 300}/e{n % 7}/f{n}", b"") for n in range(100_000)]
    shown = dom(tmp_path, page(*members))
    assert int(re.search(r'data-ready="(\d+)"', shown)[1]) >= 100_000  # type: ignore[index]


def test_what_is_folded_is_printed_too(tmp_path: Path) -> None:
    stanzas = "".join(
        f"Package: p{n}\nStatus: install ok installed\nVersion: 1\n\n" for n in range(61)
    )
    text = page(file("var/lib/dpkg/status", stanzas.encode()))
    assert "<details><summary>61 rows" in text

    def after(*events: str) -> str:
        """The document once these happened; its policy would forbid to make them happen."""
        made_so = "".join(f"dispatchEvent(new Event('{event}'));" for event in events)
        return dom(
            tmp_path,
            re.sub(r"<meta http-equiv=[^>]+>", "", text).replace(
                "</body>", f"<script>{made_so}</script></body>"
            ),
        )

    assert '<details open=""><summary>61 rows' in after("beforeprint")
    assert "<details><summary>61 rows" in after("beforeprint", "afterprint")


def test_the_page_reaches_for_no_network_and_has_a_policy() -> None:
    text = page(file("a"))
    assert "default-src 'none'" in text
    assert not re.search(r'(?:src|href)\s*=\s*"(?!data:|#)', text)


def test_without_scripts_the_tables_are_there() -> None:
    text = page(file("a"))
    static = text.partition("<script")[0]
    for title in ("Layers", "Anomalies", "Waste", "Packages", "Config"):
        assert f">{title}</h2>" in static
