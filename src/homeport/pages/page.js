"use strict";
// What every page can do: sort, filter and group tables, copy commands, print what is folded.
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const say = text => { document.getElementById("said").textContent = text; };

  let folded = [];
  addEventListener("beforeprint", () => { folded = all("details:not([open])"); for (const each of folded) each.open = true; });
  addEventListener("afterprint", () => { for (const each of folded) each.open = false; folded = []; });

  // A section that is linked to is open.
  const unfold = () => { const wanted = location.hash.length > 1 && document.getElementById(location.hash.slice(1)); const inside = wanted && wanted.querySelector(":scope > details"); if (inside) inside.open = true; };
  addEventListener("hashchange", unfold);
  unfold();

  for (const button of all("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try { await navigator.clipboard.writeText(code.textContent); }
      catch { getSelection().selectAllChildren(code); say("Selected; copy it with the keyboard"); return; }
      button.textContent = "Copied";
      say("Copied");
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }

  // Commands name the reader's own registry once it is typed.
  for (const input of all("input[data-fills]")) {
    input.closest("label").hidden = false;
    input.addEventListener("input", () => {
      const wanted = input.value.trim();
      const text = /^[a-z0-9][a-z0-9.:/_-]*$/.test(wanted) ? wanted : input.placeholder;
      for (const code of all(".command code")) {
        code.dataset.text ??= code.textContent;
        code.textContent = code.dataset.text.replaceAll(input.placeholder, text);
      }
    });
  }

  const key = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
  const order = new Intl.Collator(undefined, {numeric: true}).compare;
  const rowsOf = body => [...body.rows].filter(row => !row.classList.contains("group"));

  for (const table of all("table[data-sortable]")) {
    for (const head of table.tHead.rows[0].cells) {
      if (!head.textContent.trim()) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        for (const body of table.tBodies)
          body.append(...rowsOf(body).sort((a, b) => order(key(a, head.cellIndex), key(b, head.cellIndex)) * (up ? 1 : -1)));
      });
    }
  }

  for (const tools of all(".tools[data-for]")) {
    const table = document.getElementById(tools.dataset.for);
    const rows = [...table.tBodies].flatMap(rowsOf), search = tools.querySelector("input[type=search]");
    const boxes = all("input[type=checkbox]", tools), grouping = tools.querySelector("select[data-groups]");
    const first = [...table.tBodies], shown = tools.querySelector(".shown");
    const show = () => {
      const wanted = search.value.toLowerCase(), off = boxes.filter(box => !box.checked);
      let count = 0;
      for (const row of rows) {
        row.hidden = off.some(box => (row.dataset[box.name] ?? "").split(" ").includes(box.value)) || !row.textContent.toLowerCase().includes(wanted);
        count += !row.hidden;
      }
      for (const body of table.tBodies) {
        const left = rowsOf(body).filter(row => !row.hidden).length, number = body.querySelector(".group .number");
        body.hidden = !left;
        if (number) number.textContent = left;
      }
      const all = `${rows.length} ${rows.length === 1 ? "row" : "rows"}`;
      shown.textContent = count === rows.length ? all : `${count} of ${all}`;
    };
    const group = () => {
      const by = grouping.value;
      if (by === grouping.options[0].value) {
        const places = new Map(first.map(body => [body.dataset.group, body]));
        for (const row of rows) places.get(row.dataset[by]).append(row);
        for (const body of [...table.tBodies]) body.remove();
        table.append(...first);
      } else {
        const groups = new Map();
        for (const row of rows) { const name = row.dataset[by] || "none"; groups.set(name, [...(groups.get(name) ?? []), row]); }
        const names = [...groups.keys()];
        // Levels come in their order, everything else by its name.
        if (by !== "level") names.sort(order);
        const bodies = names.map(name => {
          const body = document.createElement("tbody"), line = body.insertRow(), head = document.createElement("th"), title = document.createElement("h3"), number = document.createElement("span");
          body.setAttribute("role", "rowgroup"); line.setAttribute("role", "row"); line.className = "group";
          head.scope = "rowgroup"; head.setAttribute("role", "rowheader"); head.colSpan = table.tHead.rows[0].cells.length;
          title.textContent = name; number.className = "number";
          head.append(title, " ", number); line.append(head); body.append(...groups.get(name));
          return body;
        });
        for (const body of [...table.tBodies]) body.remove();
        table.append(...bodies);
      }
      show();
    };
    tools.hidden = false;
    search.addEventListener("input", show);
    for (const box of boxes) box.addEventListener("change", show);
    if (grouping) grouping.addEventListener("change", group);
    show();
  }
})();
