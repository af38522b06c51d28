// Draws all figures of one study or more, and draws them again when their data changes.
import { artifacts } from "./artifacts.js";
import { again } from "./again.js";
import { classification } from "./classification.js";
import { comparison } from "./comparison.js";
import { curves } from "./curves.js";
import { devices } from "./devices.js";
import { hideTooltip } from "./frame.js";
import { importance } from "./importance.js";
import { notes } from "./notes.js";
import { parallel } from "./parallel.js";
import { progress } from "./progress.js";
import { newState } from "./selection.js";
import { sentence } from "./sentence.js";
import { slices } from "./slices.js";
import { make } from "./svg.js";
import { timeline } from "./timeline.js";
import { trials } from "./trials.js";

// In the order of the document. "follows": it shows the selection, and is drawn again with it.
const FIGURES = [
  { draws: sentence },
  { draws: progress, follows: true },
  { draws: parallel, follows: true },
  { draws: slices, follows: true },
  { draws: importance, half: true },
  { draws: curves, half: true, follows: true },
  { draws: timeline, follows: true },
  { draws: devices },
  { draws: classification },
  { draws: artifacts },
  { draws: notes },
  { draws: trials, follows: true },
  { draws: again },
];

let shown = null;

// Draw the whole document into `root`. `figures` is the JSON; `options.trialHref(study, tid)` gives
// the address of a trial's own page, `options.without` the names of figures that are not wanted.
export function draw(root, figures, options) {
  root.classList.add("figures");
  root.replaceChildren();
  shown = { root, options: options || {}, figures, studies: new Map(), parts: [], waiting: [], timer: 0 };
  watch(shown);
  update(figures);
}

// Show newer data: brushes, sorting and focus stay.
export function update(figures) {
  shown.figures = figures;
  const names = figures.studies.map((study) => study.name);
  if (names.join("\n") !== [...shown.studies.keys()].join("\n")) build(figures);
  for (const study of figures.studies) shown.studies.get(study.name).study = study;
  redraw(() => true);
}

function build(figures) {
  const { root, options, studies } = shown;
  root.replaceChildren();
  studies.clear();
  shown.parts = [];
  const several = figures.studies.length > 1;
  if (several) {
    const part = make("div", "part");
    root.append(part);
    shown.parts.push({ container: part, draws: () => comparison(part, shown.figures) });
  }
  for (const study of figures.studies) {
    const state = newState(options), entry = { study, state };
    studies.set(study.name, entry);
    const column = make("section", "study");
    root.append(column);
    for (const { draws, half, follows } of FIGURES) {
      if ((options.without || []).includes(draws.name)) continue;
      const container = make("div", half ? "part half" : "part");
      column.append(container);
      shown.parts.push({ container, state, follows, draws: () => draws(container, entry.study, state) });
    }
    state.listeners.add(() => redraw((part) => part.state === state && part.follows));
  }
}

// What is in view is drawn at once, the rest part by part: the page answers meanwhile.
function redraw(wanted) {
  const { parts } = shown;
  shown.waiting = parts.filter((part) => shown.waiting.includes(part) || wanted(part));
  // Each that is drawn moves those below it, so the next one's place is asked for after that.
  shown.waiting = shown.waiting.filter((part) => {
    if (!isInView(part)) return true;
    part.draws();
    return false;
  });
  later();
}

function isInView({ container }) {
  const box = container.getBoundingClientRect();
  return box.top < innerHeight && box.bottom >= 0;
}

function later() {
  if (shown.timer || !shown.waiting.length) return;
  shown.timer = setTimeout(() => {
    shown.timer = 0;
    const part = shown.waiting.shift();
    if (part) part.draws();
    later();
  });
}

// Draw now what still waits.
export function drawAll() {
  while (shown.waiting.length) shown.waiting.shift().draws();
}

function watch(one) {
  let width = 0;
  new ResizeObserver(() => {
    if (shown !== one || one.root.clientWidth === width) return;
    const isFirst = width === 0;
    width = one.root.clientWidth;
    hideTooltip();
    if (!isFirst) redraw(() => true);
  }).observe(one.root);
  // A canvas has the colours that it was drawn with.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown === one && redraw(() => true));
  addEventListener("beforeprint", () => shown === one && forPaper(one, true));
  addEventListener("afterprint", () => shown === one && forPaper(one, false));
}

// On paper all is open, and black on white.
function forPaper(one, isPaper) {
  document.documentElement.classList.toggle("for-paper", isPaper);
  for (const details of one.root.querySelectorAll("details")) {
    if (isPaper) {
      details.dataset.was = details.open;
      details.open = true;
      if (details.fill) details.fill();
    } else details.open = details.dataset.was === "true";
  }
  redraw(() => true);
  drawAll();
}
