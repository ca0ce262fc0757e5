"""A report as one HTML page: no other file, no network, sortable, fit for printing."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from homeport.audit.assessment import Image, Report
from homeport.audit.findings import page_of
from homeport.audit.model import LEVELS, Use

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } .sum { display: flex; flex-wrap: wrap; gap: .5rem 2rem; padding: 0; }
.sum li { list-style: none; } .sum b { font-size: 1.3rem; display: block; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem;
         border-bottom: 1px solid #8884; }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 2px solid; }
th[aria-sort=ascending] button::after { content: " ▲"; }
th[aria-sort=descending] button::after { content: " ▼"; }
code { font: .92em ui-monospace, monospace; overflow-wrap: anywhere; }
.high { color: #b3261e; font-weight: 600; } .medium { color: #8a5a00; } .low { color: inherit; }
@media (prefers-color-scheme: dark) { .high { color: #ff8a80; } .medium { color: #ffca5f; } }
details ul { margin: .3rem 0; padding-left: 1.1rem; }
@media print { body { margin: 0; max-width: none; } th button::after { content: none !important; }
  tr { break-inside: avoid; } input { display: none; } details > * { display: block; } }
""".strip()

_SCRIPT = """
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, body = head.closest("table").tBodies[0];
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = row => row.cells[head.cellIndex].dataset.sort
      ?? row.cells[head.cellIndex].textContent;
    const rows = [...body.rows].sort((a, b) =>
      key(a).localeCompare(key(b), undefined, {numeric: true}) * (up ? 1 : -1));
    body.append(...rows);
  });
}
document.getElementById("filter").addEventListener("input", event => {
  const wanted = event.target.value.toLowerCase();
  for (const row of document.querySelector("tbody").rows)
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
});
""".strip()

_COLUMNS = ("Risk", "Image", "Pinned", "Named", "Why", "Built", "Where")
_MOST_PLACES = 200


def html_page(report: Report) -> str:
    """The page. Everything that comes from files is escaped."""
    policy = (
        f"default-src 'none'; style-src '{_hash(_STYLE)}'; script-src '{_hash(_SCRIPT)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    heads = "".join(f'<th scope="col"><button>{name}</button></th>' for name in _COLUMNS)
    ordered = sorted(report.images, key=lambda i: (LEVELS.index(i.level), i.name))
    rows = "\n".join(_row(image) for image in ordered)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Images: homeport audit</title>\n<style>{_STYLE}</style></head>\n<body>\n"
        f"<h1>Images this infrastructure depends on</h1>\n{_summary(report)}\n"
        '<p><label>Filter <input id="filter" type="search"></label></p>\n'
        f"<table><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>\n"
        f"{_elsewhere(report)}{_unread(report)}<script>{_SCRIPT}</script>\n</body></html>\n"
    )


def _hash(text: str) -> str:
    """The source expression that permits exactly this inline text (CSP level 2)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _summary(report: Report) -> str:
    implicit = sum(1 for image in report.images if not image.explicit)
    facts = [
        (len(report.foreign), "foreign images"), (implicit, "pulled implicitly"),
        (sum(len(i.uses) for i in report.images), "places"), (report.read, "files read"),
    ]  # fmt: skip
    items = "".join(f"<li><b>{number}</b> {escape(text)}</li>" for number, text in facts)
    items += "".join(
        f"<li><b>{p.pulls}</b> anonymous pulls of {escape(p.registry)} a run, "
        f"{p.limit} in {p.hours} h allowed</li>"
        for p in report.pulls
    )
    return f'<ul class="sum">{items}</ul>'


def _row(image: Image) -> str:
    name = image.reference.familiar if image.reference else image.name
    why = "<br>".join(
        f'<a href="{escape(page_of(risk.id))}">{escape(risk.id)}</a>: {escape(risk.text)}'
        for risk in image.risks
    )
    named = "explicitly" if image.explicit else "implicitly"
    built = escape(image.lookup.created[:10]) if image.lookup else ""
    level = image.level if not image.internal else "low"
    return (
        f'<tr><td class="{level}" data-sort="{LEVELS.index(level)}">{level}</td>'
        f"<td><code>{escape(name)}</code></td><td>{image.pin}</td><td>{named}</td>"
        f"<td>{why or escape(image.internal) or 'at home'}</td><td>{built}</td>"
        f'<td data-sort="{len(image.uses):06}">{_places(image)}</td></tr>'
    )


def _places(image: Image) -> str:
    items = "".join(f"<li>{_place(use)}</li>" for use in image.uses[:_MOST_PLACES])
    count = len(image.uses)
    opened = " open" if count <= 3 else ""
    return (
        f"<details{opened}><summary>{count} place{'' if count == 1 else 's'}</summary>"
        f"<ul>{items}</ul></details>"
    )


def _place(use: Use) -> str:
    text = f"<code>{escape(use.place.file)}:{use.place.line}</code> {escape(use.key)}"
    notes = [use.rule, use.note, use.problem, use.internal, use.via]
    extra = "; ".join(escape(note) for note in notes if note)
    return f"{text}<br><small>{extra}</small>" if extra else text


def _elsewhere(report: Report) -> str:
    if not report.external:
        return ""
    items = "".join(
        f"<li><code>{escape(e.place.file)}:{e.place.line}</code> {escape(e.what)}: "
        f"{escape(e.hint)}</li>"
        for e in report.external
    )
    return f"<h2>Outside the audited files, not read</h2><ul>{items}</ul>\n"


def _unread(report: Report) -> str:
    if not report.unread:
        return ""
    items = "".join(
        f"<li><code>{escape(u.file)}:{u.line}</code> {escape(u.what)}</li>" for u in report.unread
    )
    return f"<h2>Files that could not be read</h2><ul>{items}</ul>\n"
