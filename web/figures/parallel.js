// Parallel coordinates: a line for each trial, an axis for each hyperparameter, and brushes.
import { showAxis } from "./brushes.js";
import { clearPlot, fillLegend, frame, hideTooltip, inks, keptFor, newPlot, showTooltip } from "./frame.js";
import { metricText, parameterScale, parameterText } from "./scale.js";
import { axesOf, brush, choose, factsOf, selected } from "./selection.js";
import { button, make, rows, set, shape, write } from "./svg.js";

const LINES = 3000; // drawn at most; the brushes and the table know all trials
const ABSENT = 16; // pixels before the axis's low end, where trials are that have no value there

export function parallel(container, study, state) {
  const kept = keptFor(container, () => newParallel(container));
  const axes = axesOf(study), width = Math.max(200, kept.plot.root.clientWidth);
  Object.assign(kept, { study, state, axes, layout: layoutOf(axes, width) });
  const said = parallelSummary(kept);
  write(kept.summary, said);
  const { context } = clearPlot(kept.plot, kept.layout.height, said);
  if (kept.placed !== study || kept.width !== width) kept.positions = positionsOf(kept);
  Object.assign(kept, { placed: study, width });
  drawTrials(kept, context);
  set(kept.brushes, { width, height: kept.layout.height, viewBox: `0 0 ${width} ${kept.layout.height}` });
  rows(kept.brushes, axes, () => shape("g", { class: "brush" }), (group, axis, number) => {
    const hasNone = axis.column.includes(null);
    showAxis(group, { ...axis, ...kept.layout, at: kept.layout.ats[number], scale: kept.layout.scales[number], hasNone, absent: ABSENT }, state);
  });
  showChips(kept);
  const entries = [["shade s4", "best fifth"], ["shade s2", "middle"], ["shade s0", "worst fifth"], ["thick", "the best trial"]];
  if (axes.some((axis) => axis.column.includes(null))) entries.push(["", "\u2205: has no such value"]);
  const every = Math.ceil(selected(study, state).total / LINES);
  if (every > 1) entries.push(["", `1 of ${every} lines is drawn; brushes select from all`]);
  fillLegend(kept, entries);
}

function newParallel(container) {
  const made = frame(container, "parallel", "Parallel coordinates");
  made.plot = newPlot("");
  made.plot.cursor.remove(); // the axes are what a keyboard reaches
  made.brushes = set(shape("svg"), { class: "brushes", role: "group", "aria-label": "axes: each selects a range" });
  made.plot.root.append(made.brushes);
  made.hint = make("p", "hint", "Drag along an axis to select; the arrow keys move its ends. Press a category. Escape clears an axis.");
  made.chips = make("div", "chips");
  made.count = make("span", "count");
  made.body.append(made.hint, made.plot.root, make("div", "controls", made.count, made.chips));
  made.plot.root.addEventListener("pointermove", (event) => hover(made, event));
  made.plot.root.addEventListener("pointerleave", hideTooltip);
  made.plot.root.addEventListener("click", (event) => {
    const row = event.target === made.brushes ? nearestTrial(made, event) : -1;
    if (row >= 0) choose(made.state, made.study.trials.tid[row]);
  });
  return made;
}

function parallelSummary({ study, axes }) {
  const best = factsOf(study).rowOf.get(study.best), count = study.trials.tid.length.toLocaleString("en");
  const start = `${count} trials over ${axes.length - 1} hyperparameters and the ${axes[axes.length - 1].label}.`;
  if (best === undefined) return start;
  const values = axes.filter((axis) => !axis.isMetric && axis.column[best] !== null).map((axis) => `${axis.label} ${parameterText(axis, axis.column[best])}`);
  return `${start} The best, trial ${study.best}: ${values.join(", ")}.`;
}

// Axes stand side by side, or lie one below the other where they would be too close.
function layoutOf(axes, width) {
  const isWide = width > 480 && (width - 90) / Math.max(1, axes.length - 1) >= 84, count = axes.length;
  const height = isWide ? 420 : 30 + 64 * count;
  const ats = axes.map((_, i) => (isWide ? 44 + (i * (width - 44 - 88)) / Math.max(1, count - 1) : 44 + 64 * i));
  const ends = isWide ? [height - 34, 52] : [26, width - 22];
  const scales = axes.map((axis) => parameterScale(axis, ...ends));
  return { isWide, height, width, ats, scales, ends };
}

// Where each trial crosses each axis: one number for each row and axis, along the axis.
function positionsOf({ study, axes, layout }) {
  const count = study.trials.tid.length, found = axes.map(() => new Float32Array(count));
  const [from, to] = layout.ends, sign = Math.sign(to - from), least = Math.min(from, to), most = Math.max(from, to);
  axes.forEach((axis, number) => {
    const scale = layout.scales[number], place = found[number];
    const spread = axis.kind === "category" ? Math.min(12, (0.5 * (most - least)) / axis.categories.length) : 0;
    for (let row = 0; row < count; row++) {
      const value = axis.column[row];
      if (value === null || value === undefined) place[row] = from - sign * ABSENT;
      else place[row] = Math.max(least, Math.min(most, scale(value))) + spread * (((study.trials.tid[row] * 0.618) % 1) - 0.5);
    }
  });
  return found;
}

function drawTrials(kept, context) {
  const { study, state, plot } = kept, { mask, all, total } = selected(study, state), { shade, rowOf } = factsOf(study);
  const groups = [[], [], [], [], []], away = [];
  for (let row = 0; row < mask.length; row++) {
    if (!mask[row]) away.push(row);
    else if (shade[row] < 5) groups[shade[row]].push(row);
  }
  const [faint, best, text, ...shades] = inks(plot.root, "--faint", "--best", "--text", "--s0", "--s1", "--s2", "--s3", "--s4");
  context.lineJoin = "round";
  if (!all) drawPolylines(kept, context, thinned(away, away.length), faint, 0.5, 1);
  const alpha = Math.max(0.15, Math.min(0.8, 14 / Math.sqrt(Math.min(total, LINES) + 1)));
  groups.forEach((group, number) => drawPolylines(kept, context, thinned(group, total), shades[number], alpha, total > 300 ? 1 : 1.4));
  const first = rowOf.get(study.best), chosen = rowOf.get(state.chosen);
  if (first !== undefined && mask[first]) drawPolylines(kept, context, [first], best, 1, 3.5);
  if (chosen !== undefined) drawPolylines(kept, context, [chosen], text, 1, 3);
}

// An even sample where lines are too many to be told apart.
const thinned = (picked, of) => (of > LINES ? picked.filter((_, i) => i % Math.ceil(of / LINES) === 0) : picked);

// One path for a few lines at a time: a path of thousands that cross takes far longer.
function drawPolylines({ positions, layout }, context, picked, colour, alpha, width) {
  const { ats, isWide } = layout, axes = ats.length;
  Object.assign(context, { strokeStyle: colour, globalAlpha: alpha, lineWidth: width });
  for (let start = 0; start < picked.length; start += 16) {
    context.beginPath();
    for (let i = start; i < Math.min(start + 16, picked.length); i++) {
      for (let axis = 0; axis < axes; axis++) {
        const along = positions[axis][picked[i]], x = isWide ? ats[axis] : along, y = isWide ? along : ats[axis];
        if (axis) context.lineTo(x, y);
        else context.moveTo(x, y);
      }
    }
    context.stroke();
  }
  context.globalAlpha = 1;
}

function nearestTrial({ plot, study, state, positions, layout }, event) {
  const box = plot.root.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  const [across, along] = layout.isWide ? [x, y] : [y, x], { ats } = layout, { mask } = selected(study, state);
  const next = ats.findIndex((at) => at >= across);
  if (next < 1) return -1;
  const share = (across - ats[next - 1]) / (ats[next] - ats[next - 1]), before = positions[next - 1], after = positions[next];
  let found = -1, least = 6;
  for (let row = 0; row < mask.length; row++) {
    const distance = Math.abs(before[row] + share * (after[row] - before[row]) - along);
    if (mask[row] && distance < least) [found, least] = [row, distance];
  }
  return found;
}

function hover(kept, event) {
  const row = event.buttons || event.target !== kept.brushes ? -1 : nearestTrial(kept, event);
  if (row < 0) hideTooltip();
  else showTooltip(trialText(kept.study, kept.axes, row), event.clientX, event.clientY);
}

export function trialText(study, axes, row) {
  const { tid, value, status } = study.trials;
  const lines = axes.filter((axis) => !axis.isMetric && axis.column[row] !== null).map((axis) => `${axis.label} ${parameterText(axis, axis.column[row])}`);
  return [`trial ${tid[row]}: ${value[row] === null ? study.statuses[status[row]] : metricText(study.metric, value[row])}`, ...lines].join("\n");
}

function showChips({ chips, count, study, state, axes }) {
  const { total, all } = selected(study, state), of = study.trials.tid.length.toLocaleString("en");
  set(count, { role: all ? null : "status" }); // what runs adds trials all the time
  write(count, all ? `all ${of} trials` : `${total.toLocaleString("en")} of ${of} trials selected`);
  const brushed = axes.filter((axis) => state.brushes.has(axis.name));
  const texts = brushed.map((axis) => `${axis.label} ${rangeText(study, axis, state.brushes.get(axis.name))}`);
  chips.hidden = !brushed.length;
  rows(chips, texts, () => button("chip", "", (event) => clear(event.currentTarget)), (chip, text, number) => {
    write(chip, text + " \u00d7");
    set(chip, { "aria-label": "clear " + text });
    chip.clears = () => brush(state, brushed[number].name, null);
  });
}

const clear = (chip) => chip.clears();

export function rangeText(study, axis, range) {
  if (range instanceof Set) return [...range].sort((a, b) => a - b).map((index) => axis.categories[index]).join(", ");
  const [low, high] = range, text = (value) => (axis.isMetric ? metricText(study.metric, value) : parameterText(axis, shortened(value)));
  if (low === -Infinity) return "up to " + text(high);
  return high === Infinity ? "from " + text(low) : `${text(low)} to ${text(high)}`;
}

const shortened = (value) => +value.toPrecision(4);
