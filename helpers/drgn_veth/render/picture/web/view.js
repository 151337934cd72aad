// SPDX-License-Identifier: LGPL-2.1-or-later
// Zoom, and what is selected or pointed at.

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
// Not of the picture: with such a listener, it would get the focus itself.
view.addEventListener("focusin", pointAt);

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
