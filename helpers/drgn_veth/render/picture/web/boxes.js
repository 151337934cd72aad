// SPDX-License-Identifier: LGPL-2.1-or-later
// The parts of the script are joined in page.py, in one function.
// What there is, where it is, and folding.

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

function measure() {
  // Where boxes are now, and the paths of the edges.
  const shapes = data.boxes.map((box, i) => (isFolded(i) ? box.folded : box.open));
  const packed = pack(shapes.map((shape) => [shape.k, shape.h]));
  const at = packed.map(([c, y], i) => ({
    x: 16 + c * (grid.width + grid.gapX),
    y: grid.top + y,
    w: boxWidth(shapes[i].k),
    h: shapes[i].h,
    folded: isFolded(i),
  }));
  const ends = [];
  data.boxes.forEach((box, i) => {
    box.devices.forEach((d, n) => {
      const [x, y, w, h] = shapes[i].p.slice(4 * n, 4 * n + 4);
      ends[d] = { x: at[i].x + x, y: at[i].y + y, w, h };
    });
  });
  const paths = data.edges.map(([a, b], i) => {
    const [path, ...stubs] = route(ends[a], at[boxOf[a]], ends[b], at[boxOf[b]]);
    whole[i] = path + stubs.map(([, stub]) => stub).join("");
    const drawn = stubs.filter(([box]) => !box.folded).map(([, stub]) => stub);
    return [path, drawn.join("")];
  });
  return [at, paths];
}

function place() {
  const [at, paths] = measure();
  at.forEach((one, i) => {
    boxes[i].setAttribute("transform", `translate(${one.x} ${one.y})`);
    const ground = grounds[i];
    ground.setAttribute("x", one.x);
    ground.setAttribute("y", one.y);
    ground.setAttribute("width", one.w);
    ground.setAttribute("height", one.h);
  });
  paths.forEach(([path, drawn], i) => {
    outside[i].setAttribute("d", path);
    inside[i].setAttribute("d", drawn);
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
