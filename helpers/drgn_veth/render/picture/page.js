// SPDX-License-Identifier: LGPL-2.1-or-later
// The page works without this script; it adds zoom, search, folding and details.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const view = $("view");
  const svg = view.querySelector("svg");
  const about = $("about");
  const boxes = [...svg.querySelectorAll(".ns")];
  const grounds = [...svg.querySelectorAll(".grounds rect")];
  const layers = [...svg.querySelectorAll(".edges")];
  const outside = [...layers[0].children];
  const inside = [...layers[1].children];
  const above = document.createElementNS(svg.namespaceURI, "path");
  above.setAttribute("class", "above");
  svg.append(above);

  // Devices

  const elements = data.devices.map(() => []);
  // Open, folded.
  const note = (one) => (elements[one.dataset.d][one.matches(".dot") ? 1 : 0] = one);
  svg.querySelectorAll("[data-d]").forEach(note);
  const boxOf = [];
  data.boxes.forEach((box, i) => box.devices.forEach((d) => (boxOf[d] = i)));
  const column = Object.fromEntries(data.columns.map((name, i) => [name, i]));
  const fact = (d, name) => data.devices[d].facts[column[name]];
  const edgesOf = data.devices.map(() => []);
  data.edges.forEach((ends, i) => ends.forEach((d) => edgesOf[d].push(i)));
  const isFolded = (b) => boxes[b].classList.contains("is-folded");
  const shown = (d) => elements[d][boxOf[d] === undefined || !isFolded(boxOf[d]) ? 0 : 1];

  // Where boxes are: as layout.pack() and edges.route() have it.

  const grid = data.grid;
  const [, , width0, height0] = svg.getAttribute("viewBox").split(" ").map(Number);
  let width = width0;
  let height = height0;
  let zoom = 1;
  const boxWidth = (k) => k * grid.width + (k - 1) * grid.gapX;

  function pack(sizes) {
    const ends = new Array(grid.columns).fill(0);
    return sizes.map(([k, h]) => {
      let column = 0;
      let top = Infinity;
      for (let c = 0; c <= Math.max(0, ends.length - k); c++) {
        const here = Math.max(...ends.slice(c, c + k));
        if (here < top) [column, top] = [c, here];
      }
      for (let c = column; c < column + k && c < ends.length; c++)
        ends[c] = top + h + grid.gapY;
      return [column, top];
    });
  }

  const isBeside = (a, b) => b.x - (a.x + a.w) >= 8;

  function curve(a, ya, b, yb) {
    const start = a.x + a.w;
    if (isBeside(a, b)) {
      const middle = (start + b.x) / 2;
      return `M${start} ${ya}C${middle} ${ya} ${middle} ${yb} ${b.x} ${yb}`;
    }
    const end = b.x + b.w;
    const out = Math.max(start, end) + Math.min(30, 12 + Math.abs(yb - ya) / 16);
    return `M${start} ${ya}C${out} ${ya} ${out} ${yb} ${end} ${yb}`;
  }

  function stub(one, box, left) {
    const y = one.y + one.h / 2;
    const start = left ? one.x : one.x + one.w;
    const end = left ? box.x : box.x + box.w;
    if (Math.abs(end - start) <= 40) return [`M${start} ${y}H${end}`, y];
    const between = one.y + one.h + 2;
    const sign = left ? -1 : 1;
    const turn = start + sign * 5;
    const straight = start + sign * 10;
    return [
      `M${start} ${y}C${turn} ${y} ${turn} ${between} ${straight} ${between}H${end}`,
      between,
    ];
  }

  function route(a, boxA, b, boxB) {
    if (b.x < a.x) [a, boxA, b, boxB] = [b, boxB, a, boxA];
    if (boxA === boxB) return ["", [boxA, curve(a, a.y + a.h / 2, b, b.y + b.h / 2)]];
    const [stubA, ya] = stub(a, boxA, false);
    const [stubB, yb] = stub(b, boxB, isBeside(boxA, boxB));
    return [curve(boxA, ya, boxB, yb), [boxA, stubA], [boxB, stubB]];
  }

  // The whole path of each edge: what is on a folded box is drawn only if asked for.
  const whole = [];

  function place() {
    const shapes = data.boxes.map((box, i) => (isFolded(i) ? box.folded : box.open));
    const packed = pack(shapes.map((shape) => [shape.k, shape.h]));
    const at = packed.map(([c, y], i) => ({
      x: 16 + c * (grid.width + grid.gapX),
      y: grid.top + y,
      w: boxWidth(shapes[i].k),
      h: shapes[i].h,
      folded: isFolded(i),
    }));
    at.forEach((one, i) => {
      boxes[i].setAttribute("transform", `translate(${one.x} ${one.y})`);
      const ground = grounds[i];
      ground.setAttribute("x", one.x);
      ground.setAttribute("y", one.y);
      ground.setAttribute("width", one.w);
      ground.setAttribute("height", one.h);
    });
    const ends = [];
    data.boxes.forEach((box, i) => {
      box.devices.forEach((d, n) => {
        const [x, y, w, h] = shapes[i].p.slice(4 * n, 4 * n + 4);
        ends[d] = { x: at[i].x + x, y: at[i].y + y, w, h };
      });
    });
    data.edges.forEach(([a, b], i) => {
      const [path, ...stubs] = route(ends[a], at[boxOf[a]], ends[b], at[boxOf[b]]);
      const drawn = stubs.filter(([box]) => !box.folded).map(([, stub]) => stub);
      outside[i].setAttribute("d", path);
      inside[i].setAttribute("d", drawn.join(""));
      whole[i] = path + stubs.map(([, stub]) => stub).join("");
    });
    height = Math.max(grid.top, ...at.map((one) => one.y + one.h)) + 16;
    width = Math.max(width0, ...at.map((one) => one.x + one.w + 16));
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    setZoom(zoom);
    highlight();
  }

  function setFolded(b, folded) {
    const { drawn } = data.boxes[b];
    if (!folded && drawn && !boxes[b].querySelector(".open")) {
      boxes[b].insertAdjacentHTML("afterbegin", drawn);
      boxes[b].querySelectorAll(".open [data-d]").forEach(note);
      mark();
    }
    boxes[b].classList.toggle("is-folded", folded);
  }

  function fold(b, folded) {
    setFolded(b, folded);
    place();
    const button = boxes[b].querySelector(`${folded ? ".folded" : ".open"} .fold`);
    button.focus({ preventScroll: true });
  }

  function foldAll(folded) {
    boxes.forEach((_, b) => setFolded(b, folded));
    place();
  }

  // Zoom

  function setZoom(to, x = 0, y = 0) {
    // The point x, y of the view stays where it is.
    const before = zoom;
    zoom = Math.min(4, Math.max(0.1, to));
    const left = (view.scrollLeft + x) * (zoom / before) - x;
    const top = (view.scrollTop + y) * (zoom / before) - y;
    svg.setAttribute("width", Math.round(width * zoom));
    svg.setAttribute("height", Math.round(height * zoom));
    view.scrollTo(left, top);
    $("zoom").textContent = `${Math.round(zoom * 100)}%`;
  }

  const fit = () => setZoom(Math.min(1.5, view.clientWidth / width));
  const larger = () => setZoom(zoom * 1.25, view.clientWidth / 2, view.clientHeight / 2);
  const smaller = () => setZoom(zoom / 1.25, view.clientWidth / 2, view.clientHeight / 2);

  view.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      const frame = view.getBoundingClientRect();
      setZoom(
        zoom * Math.exp(-event.deltaY / 400),
        event.clientX - frame.left,
        event.clientY - frame.top,
      );
    },
    { passive: false },
  );

  let drag = null;
  view.addEventListener("pointerdown", (event) => {
    if (event.button || event.pointerType === "touch") return;
    if (event.target.closest("[role=button]")) return;
    drag = [event.clientX + view.scrollLeft, event.clientY + view.scrollTop];
    view.classList.add("drags");
  });
  window.addEventListener("pointermove", (event) => {
    if (drag) view.scrollTo(drag[0] - event.clientX, drag[1] - event.clientY);
  });
  window.addEventListener("pointerup", () => {
    drag = null;
    view.classList.remove("drags");
  });

  // What is selected

  let selected = null;
  let pointed = null;

  function highlight() {
    svg.querySelectorAll(".selected, .far").forEach((one) => {
      one.classList.remove("selected", "far");
    });
    let path = "";
    for (const d of new Set([selected, pointed])) {
      if (d === null) continue;
      if (d === selected) elements[d].forEach((one) => one.classList.add("selected"));
      for (const i of edgesOf[d]) {
        path += whole[i];
        for (const end of data.edges[i])
          if (end !== d) elements[end].forEach((one) => one.classList.add("far"));
      }
    }
    above.setAttribute("d", path);
  }

  function pointAt(event) {
    const one = event.target.closest("[data-d]");
    const d = one ? Number(one.dataset.d) : null;
    if (d === pointed) return;
    pointed = d;
    highlight();
  }
  svg.addEventListener("pointerover", pointAt);
  svg.addEventListener("pointerleave", pointAt);
  svg.addEventListener("focusin", pointAt);

  function scrollTo(element) {
    const frame = view.getBoundingClientRect();
    const at = element.getBoundingClientRect();
    const hidden = about.hidden ? 0 : Math.max(0, frame.right - about.offsetLeft);
    const right = frame.right - hidden;
    if (at.left < frame.left || at.right > right)
      view.scrollLeft += at.left - frame.left - (right - frame.left - at.width) / 2;
    if (at.top < frame.top || at.bottom > frame.bottom)
      view.scrollTop += at.top - frame.top - (frame.height - at.height) / 2;
  }

  // Details

  function make(name, text, ...children) {
    const one = document.createElement(name);
    if (text !== null) one.textContent = text;
    one.append(...children);
    return one;
  }

  function button(text, act, name = "go") {
    const one = make("button", text);
    one.type = "button";
    one.className = name;
    one.addEventListener("click", act);
    return one;
  }

  const isPlain = (value) => value === null || typeof value !== "object";

  function shownValue(value) {
    if (isPlain(value)) return document.createTextNode(String(value));
    if (value.unreadable !== undefined && Object.keys(value).length === 1)
      return document.createTextNode(`? (${value.unreadable})`);
    if (Array.isArray(value)) {
      if (value.every(isPlain)) return document.createTextNode(value.join(", "));
      return tableOf(value);
    }
    const list = make("dl", null);
    for (const [key, one] of Object.entries(value)) {
      if (!isPlain(one) && !Object.keys(one).length) continue;
      list.append(make("dt", key.replaceAll("_", " ")), make("dd", null, shownValue(one)));
    }
    return list;
  }

  function tableOf(records) {
    const keys = [...new Set(records.flatMap((one) => Object.keys(one)))];
    const head = make("tr", null, ...keys.map((key) => make("th", key.replaceAll("_", " "))));
    const rows = records.map((one) =>
      make(
        "tr",
        null,
        ...keys.map((key) => make("td", null, ...(key in one ? [shownValue(one[key])] : []))),
      ),
    );
    return make("table", null, head, ...rows);
  }

  function factsOf(d) {
    const list = make("dl", null);
    data.columns.forEach((name, i) => {
      const text = data.devices[d].facts[i];
      if (text) list.append(make("dt", name.replaceAll("_", " ")), make("dd", text));
    });
    return list;
  }

  function commands(list) {
    return list && list.length ? [make("pre", list.join("\n"))] : [];
  }

  function findingOf(finding) {
    const one = make("article", null, make("h3", null));
    one.className = `finding ${finding.severity}`;
    const severity = make("span", finding.severity === "info" ? "note" : finding.severity);
    severity.className = "severity";
    one.firstChild.append(severity, " ", make("code", finding.rule));
    one.append(make("p", finding.summary));
    if (finding.undecided) one.append(make("p", `undecided: ${finding.undecided}`));
    if (finding.evidence) one.append(shownValue(finding.evidence));
    if (finding.fix)
      one.append(
        make("p", finding.fix_effect ? `this ${finding.fix_effect}:` : "to fix it:"),
        ...commands(finding.fix),
      );
    if (finding.undo)
      one.append(
        make("p", `to undo it, ${finding.undo.effect}:`),
        ...commands(finding.undo.commands),
      );
    if (finding.then)
      one.append(
        make("p", `a native attach would then fail with ${finding.then.errno}: ${finding.then.because}`),
      );
    return one;
  }

  function answerOf(told, start) {
    const one = make("div", null, make("span", start), make("b", told.outcome));
    one.className = "answer";
    if (told.outcome !== "ok") one.lastChild.className = "refused";
    if (told.error) one.append(`: ${told.error}`);
    if (told.message) one.append(make("div", `"${told.message}"`));
    const because = make("p", (told.function ? `${told.function}: ` : "") + told.because);
    because.className = "because";
    one.append(because);
    for (const either of told.either || []) one.append(answerOf(either, "either "));
    if (told.fix)
      one.append(make("p", told.effect ? `this ${told.effect}:` : "what would change it:"));
    one.append(...commands(told.fix));
    if (told.then) one.append(answerOf(told.then, "then "));
    return one;
  }

  let back = null;

  function openAbout(title, where, parts, from) {
    about.replaceChildren(
      button("Close", closeAbout, "close"),
      make("h2", title),
      make("p", where),
      ...parts,
    );
    about.children[2].className = "where";
    about.hidden = false;
    document.body.classList.add("aside");
    about.scrollTop = 0;
    about.setAttribute("aria-label", `details of ${title}`);
    back = from;
    about.focus({ preventScroll: true });
  }

  function closeAbout() {
    about.hidden = true;
    document.body.classList.remove("aside");
    selected = null;
    highlight();
    if (back && back.isConnected) back.focus({ preventScroll: true });
    back = null;
  }

  const nameOf = (d) => `${fact(d, "name")} (${fact(d, "netns_label")})`;

  function openDevice(d, from) {
    const device = data.devices[d];
    selected = d;
    pointed = null;
    const parts = [];
    if (device.peer !== null) {
      const line = make("p", "peer: ");
      line.append(button(nameOf(device.peer), () => go(device.peer, from)));
      parts.push(line);
    }
    const found = device.findings.map((i) => data.findings[i]);
    if (found.length) parts.push(make("h3", "Findings"), ...found.map(findingOf));
    if (device.answers.length) {
      parts.push(make("h3", "What an XDP attach would meet"));
      for (const [mode, ways, i] of device.answers)
        parts.push(answerOf(data.answers[i], ways ? `${mode} (${ways}): ` : `${mode}: `));
    }
    parts.push(make("h3", "Facts"), factsOf(d));
    for (const [key, value] of Object.entries(device.more)) {
      if (!Object.keys(value).length && typeof value === "object") continue;
      parts.push(make("h3", key.replaceAll("_", " ")), shownValue(value));
    }
    const kind = fact(d, "kind");
    openAbout(fact(d, "name"), `${fact(d, "netns_label")}${kind ? `, ${kind}` : ""}`, parts, from);
    highlight();
  }

  function openBox(b, from) {
    const box = data.boxes[b];
    selected = null;
    const list = make("p", null);
    box.devices.forEach((d) => {
      list.append(button(fact(d, "name"), () => go(d, from)), " ");
    });
    openAbout(
      box.label,
      `network namespace, ${box.devices.length} devices`,
      [make("h3", "Facts"), shownValue(box.facts || {}), make("h3", "Devices"), list],
      from,
    );
    highlight();
  }

  function go(d, from = null) {
    // Show a device in the picture, and what is known of it.
    const element = shown(d);
    openDevice(d, from || element);
    if (!element) return;
    const frame = view.getBoundingClientRect();
    if (frame.top < 0 || frame.bottom > window.innerHeight)
      view.scrollIntoView({ block: "nearest" });
    scrollTo(element);
  }

  // Search

  let hits = [];
  let hit = -1;
  let own = null;
  let around = null;

  function searched() {
    if (own) return;
    own = data.devices.map((device) => device.facts.join("\n").toLowerCase());
    around = data.boxes.map((box) => JSON.stringify([box.label, box.facts]).toLowerCase());
  }

  function search() {
    const wanted = $("search").value.trim().toLowerCase();
    hit = -1;
    hits = [];
    if (wanted) {
      searched();
      const order = data.boxes.flatMap((box) => box.devices);
      hits = order.filter((d) => own[d].includes(wanted));
      // Containers and tasks, if no device is called so.
      if (!hits.length) hits = order.filter((d) => around[boxOf[d]].includes(wanted));
    }
    mark();
    $("hits").textContent = wanted ? `${hits.length} found` : "";
    if (hits.length && shown(hits[0])) scrollTo(shown(hits[0]));
  }

  function mark() {
    const wanted = $("search").value.trim();
    const found = new Set(hits);
    elements.forEach((both, d) => {
      both.forEach((one) => one.classList.toggle("found", found.has(d)));
    });
    svg.classList.toggle("searching", wanted !== "");
    document.querySelectorAll("[data-of]").forEach((one) => {
      const of = one.dataset.of.split(" ").map(Number);
      one.classList.toggle("unasked", wanted !== "" && !of.some((d) => found.has(d)));
    });
  }

  // What is long is markup once it is opened.

  function fill(details) {
    const later = details.querySelector(":scope > noscript");
    if (!later) return;
    later.outerHTML = later.textContent;
    mark();
  }
  document.querySelectorAll("details").forEach((details) => {
    details.addEventListener("toggle", () => details.open && fill(details));
  });

  function nextHit() {
    if (!hits.length) return;
    hit = (hit + 1) % hits.length;
    $("hits").textContent = `${hit + 1} of ${hits.length}`;
    const from = $("search");
    go(hits[hit], from);
    from.focus({ preventScroll: true });
  }

  // Clicks and keys

  function act(element) {
    if (element.dataset.d !== undefined) {
      openDevice(Number(element.dataset.d), element);
      return scrollTo(element);
    }
    const b = boxes.indexOf(element.closest(".ns"));
    if (element.classList.contains("fold")) return fold(b, !isFolded(b));
    return openBox(b, element);
  }

  svg.addEventListener("click", (event) => {
    const element = event.target.closest("[role=button]");
    if (element) act(element);
  });

  document.addEventListener("click", (event) => {
    const element = event.target.closest("[data-go]");
    if (element) go(Number(element.dataset.go), element);
  });

  function step(from, by) {
    const all = [...svg.querySelectorAll("[role=button]")].filter(
      (one) => one.getClientRects().length,
    );
    const next = all[all.indexOf(from) + by];
    if (!next) return;
    next.focus({ preventScroll: true });
    scrollTo(next);
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    const types = target.matches("input");
    if (event.key === "Escape") {
      if (!about.hidden) closeAbout();
      else if (types || $("search").value) {
        $("search").value = "";
        search();
      }
      return;
    }
    if (types) {
      if (event.key === "Enter") nextHit();
      return;
    }
    const element = svg.contains(target) ? target.closest("[role=button]") : null;
    if (element && (event.key === "Enter" || event.key === " ")) act(element);
    else if (element && (event.key === "ArrowDown" || event.key === "ArrowRight")) step(element, 1);
    else if (element && (event.key === "ArrowUp" || event.key === "ArrowLeft")) step(element, -1);
    else if (event.key === "/") $("search").focus();
    else if (event.key === "+") larger();
    else if (event.key === "-") smaller();
    else if (event.key === "0") fit();
    else return;
    event.preventDefault();
  });

  svg.addEventListener("focusin", (event) => {
    const element = event.target.closest("[role=button]");
    if (element && element.matches(":focus-visible")) scrollTo(element);
  });

  function showEdges(all) {
    layers.forEach((layer) => layer.classList.toggle("quiet", !all));
    $("edges").setAttribute("aria-pressed", String(all));
  }

  $("search").addEventListener("input", search);
  $("larger").addEventListener("click", larger);
  $("smaller").addEventListener("click", smaller);
  $("fit").addEventListener("click", fit);
  $("fold").addEventListener("click", () => foldAll(true));
  $("unfold").addEventListener("click", () => foldAll(false));
  $("edges").addEventListener("click", () => showEdges(layers[0].classList.contains("quiet")));
  showEdges(!layers[0].classList.contains("quiet"));
  // Paper has no summary to click.
  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach(fill);
    document.querySelectorAll("details").forEach((one) => (one.open = true));
  });
  if (width > view.clientWidth) zoom = Math.max(0.75, view.clientWidth / width);
  place();
})();
