// SPDX-License-Identifier: LGPL-2.1-or-later
// Search.

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
