// The treemap of an image and the list of a directory.
(async () => {
  // A file is [name, size, layer, kind, package]; a directory [name, layer, [children]].
  const raw = Uint8Array.from(atob(document.getElementById("data").textContent), c => c.charCodeAt(0));
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"));
  const data = JSON.parse(await new Response(stream).text());
  const $ = id => document.getElementById(id);
  let total = 0;
  const build = (item, parent) => {
    const stack = [[item, parent, null]];
    let root = null;
    const order = [];
    while (stack.length) {
      const [one, above] = stack.pop();
      const folder = Array.isArray(one[2]);
      const node = folder
        ? {name: one[0], size: 0, layer: one[1], kids: [], parent: above, files: 0}
        : {name: one[0], size: one[1], layer: one[2], kind: one[3], pkg: one[4], parent: above, files: 1};
      if (above) above.kids.push(node); else root = node;
      order.push(node);
      if (folder) for (const kid of one[2]) stack.push([kid, node]);
    }
    for (let i = order.length - 1; i > 0; i--) {
      const node = order[i];
      node.parent.size += node.size;
      node.parent.files += node.files;
    }
    for (const node of order) if (node.kids) node.kids.sort((a, b) => b.size - a.size || (a.name < b.name ? -1 : 1));
    total = order.length;
    return root;
  };
  const root = build(data.tree, null);
  let here = root, shown = root.kids, chosen = 0, rects = [];
  const path = node => { const parts = []; for (; node.parent; node = node.parent) parts.push(node.name); return "/" + parts.reverse().join("/"); };
  const counted = number => number + (number === 1 ? " file" : " files");
  const human = size => { for (const unit of ["B", "kB", "MB", "GB"]) { if (size < 1000 || unit === "GB") return (unit === "B" ? size : size.toFixed(2)) + " " + unit; size /= 1000; } };
  // Layers have the colours of the legend; of packages and kinds the largest eight have one each.
  const variable = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  let how = "layer";
  const keyOf = node => how === "package" ? node.pkg : node.kind;
  let ranked = new Map();
  const rank = () => {
    how = $("colour").value;
    const legend = $("other-legend");
    $("layer-legend").hidden = how !== "layer"; legend.hidden = how === "layer"; legend.replaceChildren();
    if (how === "layer") return;
    const sums = new Map(), todo = [root];
    while (todo.length) { const node = todo.pop(); if (node.kids) todo.push(...node.kids); else if (keyOf(node) >= 0) sums.set(keyOf(node), (sums.get(keyOf(node)) ?? 0) + node.size); }
    ranked = new Map([...sums].sort((a, b) => b[1] - a[1]).slice(0, 8).map(([key], number) => [key, number]));
    const names = how === "package" ? data.packages : data.kinds;
    const items = [...ranked].map(([key, number]) => ["h" + number, names[key]]);
    for (const [tone, text] of [...items, ["base", "other"]]) { const item = document.createElement("li"), swatch = document.createElement("span"); swatch.className = "swatch " + tone; item.append(swatch, text); legend.append(item); }
  };
  const tone = node => how === "layer" ? data.hues[node.layer] ?? "base" : ranked.has(keyOf(node)) ? "h" + ranked.get(keyOf(node)) : "base";
  let paint = {};
  const colour = node => paint[tone(node)] ??= variable(tone(node));
  // Squarified: rows along the shorter side, as square as they can be.
  const layout = (node, x, y, w, h, depth, out) => {
    const todo = [[node, x, y, w, h, depth]];
    while (todo.length) {
      const [one, x0, y0, w0, h0, d] = todo.pop();
      if (w0 < 1 || h0 < 1) continue;
      out.push({node: one, x: x0, y: y0, w: w0, h: h0, d});
      if (!one.kids || !one.size) continue;
      const pad = d && w0 > 24 && h0 > 24 ? 2 : 0, head = d && w0 > 60 && h0 > 34 ? 14 : 0;
      let rx = x0 + pad, ry = y0 + pad + head, rw = w0 - 2 * pad, rh = h0 - 2 * pad - head;
      let left = one.size, at = 0;
      const kids = one.kids;
      while (at < kids.length && kids[at].size > 0 && rw >= 1 && rh >= 1) {
        const scale = rw * rh / left, side = Math.min(rw, rh);
        let sum = 0, end = at, worst = Infinity;
        const big = kids[at].size * scale;
        while (end < kids.length && kids[end].size > 0) {
          const area = kids[end].size * scale, all = sum + area;
          const ratio = Math.max(side * side * big / (all * all), all * all / (side * side * area));
          if (ratio > worst) break;
          worst = ratio; sum = all; end++;
        }
        const thick = sum / side;
        let place = rw < rh ? rx : ry, used = 0;
        for (let i = at; i < end; i++) {
          const length = kids[i].size * scale / thick;
          if (rw < rh) todo.push([kids[i], place, ry, length, thick, d + 1]);
          else todo.push([kids[i], rx, place, thick, length, d + 1]);
          place += length; used += kids[i].size;
        }
        if (rw < rh) { ry += thick; rh -= thick; } else { rx += thick; rw -= thick; }
        left -= used; at = end;
      }
    }
  };
  const map = $("map"), over = $("over");
  const fit = canvas => { const scale = devicePixelRatio || 1, box = map.getBoundingClientRect(); canvas.width = box.width * scale; canvas.height = box.height * scale; const context = canvas.getContext("2d"); context.setTransform(scale, 0, 0, scale, 0, 0); return [context, box]; };
  const draw = () => {
    const [context, box] = fit(map);
    fit(over);
    rects = []; paint = {};
    layout(here, 0, 0, box.width, box.height, 0, rects);
    rects.sort((a, b) => a.d - b.d);
    const ink = variable("ink"), back = variable("card"), line = variable("line");
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "top";
    for (const one of rects) {
      if (one.node.kids) { context.fillStyle = back; context.fillRect(one.x, one.y, one.w, one.h); context.strokeStyle = line; context.strokeRect(one.x + .5, one.y + .5, one.w - 1, one.h - 1); }
      else { context.fillStyle = colour(one.node); context.fillRect(one.x, one.y, Math.max(1, one.w - 1), Math.max(1, one.h - 1)); }
      if (one.d && one.w > 40 && one.h > 14) { context.save(); context.beginPath(); context.rect(one.x, one.y, one.w - 2, one.h); context.clip(); context.fillStyle = ink; context.fillText(one.node.name, one.x + 3, one.y + 2); context.restore(); }
    }
  };
  const mark = one => {
    const [context] = fit(over);
    if (one) { context.strokeStyle = variable("focus"); context.lineWidth = 2; context.strokeRect(one.x, one.y, one.w, one.h); }
    $("tip").textContent = one ? describe(one.node) : "";
  };
  const describe = node => {
    const share = root.size ? (100 * node.size / root.size).toFixed(2) + " %" : "";
    const more = node.kids ? `${counted(node.files)}` : `layer ${node.layer}` + (node.pkg >= 0 ? `, package ${data.packages[node.pkg]}` : "") + `, ${data.kinds[node.kind]}`;
    return `${path(node)} — ${human(node.size)}, ${share}, ${more}`;
  };
  const hit = event => {
    const box = map.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    for (let i = rects.length - 1; i >= 0; i--) { const one = rects[i]; if (x >= one.x && y >= one.y && x < one.x + one.w && y < one.y + one.h) return one; }
  };
  map.addEventListener("mousemove", event => mark(hit(event)));
  map.addEventListener("mouseleave", () => mark(null));
  map.addEventListener("click", event => { const one = hit(event); if (!one) return; let node = one.node; while (node.parent && node.parent !== here) node = node.parent; if (node !== here && node.kids) open(node); });
  const rows = $("rows"), height = 26, pool = document.createElement("div");
  rows.append(pool);
  const list = () => {
    pool.style.height = rows.style.height = shown.length * height + "px"; rows.style.minHeight = height + "px";
    const first = Math.max(0, Math.floor(rows.scrollTop / height) - 5), last = Math.min(shown.length, first + Math.ceil(rows.clientHeight / height) + 10);
    pool.replaceChildren();
    for (let i = first; i < last; i++) {
      const node = shown[i], row = document.createElement("div");
      row.setAttribute("role", "row"); row.setAttribute("aria-rowindex", i + 1); row.id = "row" + i;
      row.setAttribute("aria-selected", i === chosen); row.style.top = i * height + "px";
      const cells = [human(node.size), root.size ? (100 * node.size / root.size).toFixed(1) + " %" : "", node.kids ? counted(node.files) : "layer " + node.layer, searching ? path(node) : node.name + (node.kids ? "/" : "")];
      cells.forEach((text, column) => { const cell = document.createElement("span"); cell.setAttribute("role", "gridcell"); cell.textContent = text; cell.className = column < 2 ? "n" : "c"; row.append(cell); });
      row.addEventListener("click", () => { chosen = i; list(); $("tip").textContent = describe(node); });
      row.addEventListener("dblclick", () => enter(node));
      pool.append(row);
    }
    rows.setAttribute("aria-rowcount", shown.length);
    rows.setAttribute("aria-activedescendant", "row" + chosen);
  };
  const enter = node => { if (node.kids) open(node); else if (searching && node.parent) open(node.parent); };
  let searching = "";
  const open = node => {
    here = node; searching = ""; $("find").value = ""; shown = node.kids; chosen = 0; rows.scrollTop = 0;
    const crumbs = $("crumbs"); crumbs.replaceChildren();
    const chain = []; for (let one = node; one; one = one.parent) chain.push(one);
    chain.reverse().forEach(one => { const button = document.createElement("button"); button.textContent = one.parent ? one.name : "/"; button.addEventListener("click", () => open(one)); crumbs.append(button); });
    $("count").textContent = `${human(node.size)} in ${counted(node.files)}`;
    draw(); list();
  };
  rows.addEventListener("scroll", list);
  rows.addEventListener("keydown", event => {
    const step = {ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -Infinity, End: Infinity}[event.key];
    if (step !== undefined) { chosen = Math.max(0, Math.min(shown.length - 1, chosen + step)); const top = chosen * height; if (top < rows.scrollTop) rows.scrollTop = top; if (top + height > rows.scrollTop + rows.clientHeight) rows.scrollTop = top + height - rows.clientHeight; list(); if (shown[chosen]) $("tip").textContent = describe(shown[chosen]); }
    else if (event.key === "Enter" || event.key === "ArrowRight") { if (shown[chosen]) enter(shown[chosen]); }
    else if (event.key === "Backspace" || event.key === "ArrowLeft") { if (here.parent) open(here.parent); }
    else return;
    event.preventDefault();
  });
  map.addEventListener("keydown", event => { if (event.key === "Backspace" && here.parent) { open(here.parent); event.preventDefault(); } });
  let timer = 0;
  $("find").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => {
    const wanted = $("find").value.toLowerCase();
    if (!wanted) { open(here); return; }
    searching = wanted;
    const found = [], todo = [here];
    while (todo.length) { const node = todo.pop(); if (node !== here && (node.name.toLowerCase().includes(wanted) || (wanted.includes("/") && path(node).toLowerCase().includes(wanted)))) found.push(node); if (node.kids) todo.push(...node.kids); }
    found.sort((a, b) => b.size - a.size); shown = found; chosen = 0; rows.scrollTop = 0;
    $("count").textContent = `${counted(found.length)} found`;
    list();
  }, 200); });
  $("colour").addEventListener("change", () => { rank(); draw(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("beforeprint", draw);
  addEventListener("resize", draw);
  $("live").hidden = false; $("rows").hidden = false;
  rank();
  open(root);
  document.documentElement.dataset.ready = total;
})();
