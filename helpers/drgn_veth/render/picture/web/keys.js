// SPDX-License-Identifier: LGPL-2.1-or-later
// Clicks and keys, and the start.

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

view.addEventListener("focusin", (event) => {
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
measure();
if (width > view.clientWidth) setZoom(Math.max(0.75, view.clientWidth / width));

// report.html#veth0 is about a device.
function follow() {
  let name = location.hash.slice(1);
  try {
    name = decodeURIComponent(name);
  } catch {
    // It is as it is.
  }
  if (!name || $(name)) return;
  const d = data.boxes.flatMap((box) => box.devices).find((one) => fact(one, "name") === name);
  if (d !== undefined) go(d);
}
window.addEventListener("hashchange", follow);
follow();
