// SPDX-License-Identifier: LGPL-2.1-or-later
// All that is known of a device or a namespace.

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
    list.append(make("dt", key), make("dd", null, shownValue(one)));
  }
  return list;
}

function tableOf(records) {
  const keys = [...new Set(records.flatMap((one) => Object.keys(one)))];
  const head = make("tr", null, ...keys.map((key) => make("th", key)));
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
    if (text) list.append(make("dt", name), make("dd", text));
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
  scrollTo(element);
  const at = element.getBoundingClientRect();
  if (at.top < 0 || at.bottom > window.innerHeight)
    element.scrollIntoView({ block: "center" });
}
