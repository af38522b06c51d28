// What all figures have in common: title, summary, legend, data, a plot with its tooltip.
import { button, fillTable, ink, make, newId, set, shape, write } from "./svg.js";

const kept = new WeakMap();

// What a figure keeps between two calls for the same container.
export function keptFor(container, create) {
  if (!kept.has(container)) kept.set(container, create());
  return kept.get(container);
}

// A figure: a heading, a sentence that says what it shows, its body, and its data as a table.
export function frame(container, name, title) {
  const id = newId();
  const heading = set(make("h3", "", title), { id });
  const summary = make("p", "summary"), body = make("div", "body"), legend = make("ul", "legend");
  legend.hidden = true;
  const figure = set(make("figure", "figure " + name, heading, summary, legend, body), { "aria-labelledby": id });
  container.append(figure);
  return { figure, heading, summary, legend, body, details: null };
}

// The data of a figure, in a table that opens. The lines are made when it is open.
export function dataTable(kept, title, headings, lines) {
  if (!kept.details) {
    const table = make("table"), scroll = scrolled(table, title);
    kept.details = make("details", "data", make("summary", "", title), scroll);
    kept.details.table = table;
    kept.details.addEventListener("toggle", () => kept.details.fill());
    kept.figure.append(kept.details);
  }
  kept.details.fill = () => { if (kept.details.open) fillTable(kept.details.table, headings, lines()); };
  kept.details.fill();
}

// What may be wider than the page scrolls, also by keyboard.
export function scrolled(content, name) {
  return set(make("div", "scroll", content), { tabindex: 0, role: "region", "aria-label": name });
}

// Entries are [sign's class, text]: the same signs as in the plot, never a colour alone.
export function fillLegend(kept, entries) {
  const now = JSON.stringify(entries);
  if (kept.legend.dataset.now === now) return;
  kept.legend.dataset.now = now;
  kept.legend.hidden = !entries.length;
  kept.legend.replaceChildren(...entries.map(([kind, text]) => make("li", "", set(make("i", "sign " + kind), { "aria-hidden": "true" }), text)));
}

// -- the tooltip ---------------------------------------------------------------------------------

let tooltip = null;

export function showTooltip(text, x, y) {
  if (!tooltip) {
    tooltip = set(make("div", "tooltip"), { "aria-hidden": "true" });
    document.body.append(tooltip);
  }
  tooltip.replaceChildren(...text.split("\n").map((line) => make("div", "", line)));
  tooltip.hidden = false;
  const { offsetWidth: width, offsetHeight: height } = tooltip, room = document.documentElement.clientWidth;
  tooltip.style.left = Math.max(4, Math.min(room - width - 4, x + 14)) + scrollX + "px";
  tooltip.style.top = (y - height - 12 < 0 ? y + 18 : y - height - 12) + scrollY + "px";
}

export function hideTooltip() {
  if (tooltip) tooltip.hidden = true;
}

// -- the plot ------------------------------------------------------------------------------------

// Axes below, a canvas for marks that may be thousands, lines above, and a cursor. The cursor is a
// slider over the marks: pointer, finger and arrow keys find the same texts.
export function newPlot(label) {
  const back = set(shape("svg"), { class: "back", role: "img" }), canvas = make("canvas");
  const front = set(shape("svg"), { class: "front", "aria-hidden": "true" });
  const cursor = set(make("div", "cursor"), { role: "slider", tabindex: 0, "aria-label": label });
  set(canvas, { "aria-hidden": "true" });
  const root = make("div", "plot", back, canvas, front, cursor);
  const plot = { root, back, canvas, front, cursor, marks: null, at: -1, key: null };
  listen(plot);
  return plot;
}

// Give the plot its size and empty it. Returns its width and the canvas's context, in CSS pixels.
export function clearPlot(plot, height, said) {
  const width = Math.max(200, plot.root.clientWidth || 600), { canvas } = plot;
  const ratio = Math.min(3, Math.max(document.documentElement.classList.contains("for-paper") ? 2 : 1, devicePixelRatio || 1));
  for (const svg of [plot.back, plot.front]) {
    set(svg, { width, height, viewBox: `0 0 ${width} ${height}` });
    svg.replaceChildren();
  }
  set(plot.back, { "aria-label": said });
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = width + "px";
  canvas.style.height = plot.root.style.height = height + "px";
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return { width, height, context };
}

// The marks of a plot, in the order of the arrow keys: `xs` and `ys` in pixels, `say(i)` the text of
// one, `key(i)` what it is called, to find it again, and `press(i)` for Enter and a click, or null.
export function setMarks(plot, marks) {
  plot.marks = marks;
  const count = marks.xs.length;
  plot.cursor.hidden = !count;
  set(plot.cursor, { "aria-valuemin": 0, "aria-valuemax": Math.max(0, count - 1) });
  let at = -1;
  if (plot.key !== null) for (let i = 0; i < count && at < 0; i++) if (marks.key(i) === plot.key) at = i;
  point(plot, at, document.activeElement === plot.cursor && at >= 0);
}

function point(plot, at, isShown) {
  const { marks, cursor } = plot;
  plot.at = at;
  plot.key = at < 0 ? null : marks.key(at);
  if (plot.ring) plot.ring.remove();
  plot.ring = null;
  const text = at < 0 ? "none: press an arrow key" : marks.say(at);
  set(cursor, { "aria-valuenow": Math.max(0, at), "aria-valuetext": text.replace(/\n/g, ", ") });
  if (at < 0 || !isShown) return;
  plot.ring = shape("circle", { class: "ring", cx: marks.xs[at], cy: marks.ys[at], r: 7 });
  plot.front.append(plot.ring);
  const box = plot.root.getBoundingClientRect();
  showTooltip(text, box.left + marks.xs[at], box.top + marks.ys[at]);
}

function leave(plot) {
  if (plot.ring) plot.ring.remove();
  plot.ring = null;
  hideTooltip();
}

function nearest(plot, event) {
  const box = plot.root.getBoundingClientRect(), { xs, ys, reach } = plot.marks;
  const x = event.clientX - box.left, y = event.clientY - box.top;
  if (plot.marks.find) return plot.marks.find(x, y);
  let found = -1, least = (reach || 30) ** 2;
  for (let i = 0; i < xs.length; i++) {
    const distance = (xs[i] - x) ** 2 + (ys[i] - y) ** 2;
    if (distance < least) [found, least] = [i, distance];
  }
  return found;
}

const STEPS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity };

function listen(plot) {
  const { cursor } = plot;
  const over = (event) => {
    const found = nearest(plot, event);
    if (found < 0) leave(plot);
    else if (found !== plot.at || !plot.ring) point(plot, found, true);
  };
  cursor.addEventListener("pointermove", over);
  cursor.addEventListener("pointerdown", over);
  cursor.addEventListener("pointerleave", () => leave(plot));
  cursor.addEventListener("click", (event) => {
    const found = event.detail ? nearest(plot, event) : plot.at;
    if (found >= 0 && plot.marks.press) plot.marks.press(found);
  });
  cursor.addEventListener("focus", () => { if (cursor.matches(":focus-visible") && plot.at >= 0) point(plot, plot.at, true); });
  cursor.addEventListener("blur", () => leave(plot));
  cursor.addEventListener("keydown", (event) => {
    const count = plot.marks.xs.length;
    if (event.key === "Escape") leave(plot);
    else if ((event.key === "Enter" || event.key === " ") && plot.at >= 0 && plot.marks.press) plot.marks.press(plot.at);
    else if (event.key in STEPS && count) point(plot, Math.max(0, Math.min(count - 1, plot.at + STEPS[event.key] || 0)), true);
    else return;
    event.preventDefault();
  });
}

// -- axes ----------------------------------------------------------------------------------------

export function textAt(x, y, anchor, text, kind) {
  return shape("text", { x, y, "text-anchor": anchor, class: kind || null }, String(text));
}

// An axis at the left: [value, text] for each tick.
export function leftAxis(svg, scale, ticks, box, title) {
  for (const [value, text] of ticks) {
    const y = scale(value);
    svg.append(shape("line", { class: "grid", x1: box.left, x2: box.right, y1: y, y2: y }), textAt(box.left - 7, y + 4, "end", text));
  }
  if (title) svg.append(textAt(2, box.top - 9, "start", title, "axis"));
}

export function bottomAxis(svg, scale, ticks, box, title, withGrid) {
  svg.append(shape("line", { class: "base", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
  ticks.forEach(([value, text], number) => {
    const x = scale(value), isLast = number === ticks.length - 1 && x > box.right - 25;
    if (withGrid) svg.append(shape("line", { class: "grid", x1: x, x2: x, y1: box.top, y2: box.bottom }));
    svg.append(shape("line", { class: "base", x1: x, x2: x, y1: box.bottom, y2: box.bottom + 4 }));
    const isFirst = x < 16;
    svg.append(textAt(isLast ? Math.min(x, box.right) + 8 : isFirst ? 2 : x, box.bottom + 18, isLast ? "end" : isFirst ? "start" : "middle", text));
  });
  if (title) svg.append(textAt((box.left + box.right) / 2, box.bottom + 36, "middle", title, "axis"));
}

// A star for the best, a cross for what failed.
export const starPath = (x, y, size) => "M" + Array.from({ length: 10 }, (_, corner) => {
  const radius = corner % 2 ? size * 0.42 : size, angle = (Math.PI * corner) / 5;
  return (x + radius * Math.sin(angle)).toFixed(1) + "," + (y - radius * Math.cos(angle)).toFixed(1);
}).join("L") + "Z";

export const crossPath = (x, y, size) => `M${(x - size).toFixed(1)},${(y - size).toFixed(1)}l${2 * size},${2 * size}m0,${-2 * size}l${-2 * size},${2 * size}`;

// Draw dots of one colour; small ones are squares, which a canvas draws many times as fast.
export function dots(context, colour, opacity, radius, xs, ys, picked) {
  context.fillStyle = colour;
  context.globalAlpha = opacity;
  if (picked.length > 1500) {
    for (const i of picked) context.fillRect(xs[i] - radius + 0.5, ys[i] - radius + 0.5, 2 * radius - 1, 2 * radius - 1);
  } else {
    for (const i of picked) {
      context.beginPath();
      context.arc(xs[i], ys[i], radius, 0, 7);
      context.fill();
    }
  }
  context.globalAlpha = 1;
}

export function inks(node, ...names) {
  return names.map((name) => ink(node, name));
}

// A text with a button that copies it.
export function copied(name, text) {
  const code = make("code", "", text), said = set(make("span", "said"), { role: "status" });
  const press = async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      write(said, "copied");
    } catch {
      // Without the right to the clipboard the text is selected, for Ctrl-C.
      getSelection().selectAllChildren(code);
      write(said, "selected: press Ctrl-C");
    }
    setTimeout(() => write(said, ""), 3000);
  };
  const copy = set(button("copy", "Copy", press), { "aria-label": "Copy " + name });
  return make("div", "copied", make("div", "bar", copy, said), scrolled(make("pre", "", code), name));
}
