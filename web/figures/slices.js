// A slice per hyperparameter: the metric of each trial against the value of one hyperparameter.
import { bottomAxis, clearPlot, dataTable, dots, fillLegend, frame, inks, keptFor, leftAxis, newPlot, setMarks, starPath } from "./frame.js";
import { linearScale, logScale, metricText, metricTick, parameterScale, parameterText, tickText } from "./scale.js";
import { axesOf, choose, factsOf, metricDomain, selected, spaced } from "./selection.js";
import { make, rows, shape, write } from "./svg.js";

export function slices(container, study, state) {
  const kept = keptFor(container, () => {
    const made = frame(container, "slices", "Slices");
    made.grid = make("div", "grid-of-plots");
    made.body.append(made.grid);
    return made;
  });
  const axes = axesOf(study).filter((axis) => !axis.isMetric);
  write(kept.summary, `The ${spaced(study.metric.name)} of each trial against each hyperparameter.`);
  fillLegend(kept, [["dot", "a trial"], ["dot pruned", "pruned"], ["star", "the best"]]);
  rows(kept.grid, axes, newSlice, (cell, axis) => drawSlice(cell, axis, study, state));
  dataTable(kept, "Where the best are, as a table", ["hyperparameter", "searched", "best trial", "best tenth of the trials"], () => axes.map((axis) => sliceLine(study, axis)));
}

function newSlice() {
  const title = make("h4"), plot = newPlot("trials by value"), cell = make("div", "slice", title, plot.root);
  return Object.assign(cell, { heading: title, plot });
}

function drawSlice(cell, axis, study, state) {
  const { trials, metric } = study, { rowOf } = factsOf(study), { plot } = cell;
  write(cell.heading, axis.label + (axis.log ? " (log)" : ""));
  const { width, height, context } = clearPlot(plot, 190, `${spaced(metric.name)} against ${axis.label}`);
  const box = { left: 50, right: width - 12, top: 8, bottom: height - 26 };
  const y = (metric.log ? logScale : linearScale)(...metricDomain(study), box.bottom - 4, box.top + 4);
  const x = parameterScale(axis, box.left + 8, box.right - 8);
  leftAxis(plot.back, y, y.ticks(3).map((tick) => [tick, metricTick(metric, tick)]), box);
  const band = (box.right - box.left) / (axis.kind === "category" ? axis.categories.length : 1), most = Math.max(3, Math.floor(band / 7));
  const named = (tick) => (axis.kind !== "category" ? tickText(tick) : axis.categories[tick].length > most ? axis.categories[tick].slice(0, most - 1) + "\u2026" : axis.categories[tick]);
  const ticks = axis.kind === "category" && band < 12 ? [] : x.ticks(width / 75);
  bottomAxis(plot.back, x, ticks.map((tick) => [tick, named(tick)]), box);
  const marks = sliceMarks(study, axis, x, y, box, Math.min(16, band * 0.5));
  drawSliceDots(context, plot, study, state, marks);
  const best = rowOf.get(study.best), at = marks.rows.indexOf(best);
  if (at >= 0) plot.front.append(shape("path", { class: "star", d: starPath(marks.xs[at], marks.ys[at], 8) }));
  const say = (i) => `trial ${trials.tid[marks.rows[i]]}: ${metricText(metric, trials.value[marks.rows[i]])}\n${axis.label} ${parameterText(axis, axis.column[marks.rows[i]])}`;
  setMarks(plot, { ...marks, say, key: (i) => trials.tid[marks.rows[i]], press: (i) => choose(state, trials.tid[marks.rows[i]]) });
}

// In the order of the axis, as the arrow keys go. Trials without this hyperparameter are left out.
function sliceMarks(study, axis, x, y, box, spread) {
  const { tid, value } = study.trials, { column } = axis, rows = [];
  for (let row = 0; row < tid.length; row++) if (value[row] !== null && column[row] !== null && column[row] !== undefined) rows.push(row);
  rows.sort((a, b) => column[a] - column[b] || tid[a] - tid[b]);
  const aside = axis.kind === "category" ? spread : 0;
  const xs = rows.map((row) => x(column[row]) + aside * (((tid[row] * 0.618) % 1) - 0.5));
  return { rows, xs, ys: rows.map((row) => Math.max(box.top, Math.min(box.bottom, y(value[row])))) };
}

function drawSliceDots(context, plot, study, state, { rows, xs, ys }) {
  const { mask } = selected(study, state), pruned = study.statuses.indexOf("pruned"), { status, tid } = study.trials;
  const [point, grey, text] = inks(plot.root, "--point", "--pruned", "--text"), groups = [[], [], []];
  rows.forEach((row, i) => groups[!mask[row] ? 0 : status[row] === pruned ? 1 : 2].push(i));
  const radius = rows.length > 3000 ? 1.4 : rows.length > 600 ? 1.9 : 3;
  dots(context, grey, 0.15, radius, xs, ys, groups[0]);
  dots(context, grey, 0.5, radius * 0.85, xs, ys, groups[1]);
  dots(context, point, rows.length > 3000 ? 0.45 : 0.75, radius, xs, ys, groups[2]);
  const chosen = rows.findIndex((row) => tid[row] === state.chosen);
  context.strokeStyle = text;
  context.lineWidth = 1.6;
  if (chosen >= 0) context.strokeRect(xs[chosen] - 5, ys[chosen] - 5, 10, 10);
}

function sliceLine(study, axis) {
  const { order, rowOf } = factsOf(study), tenth = order.slice(0, Math.max(1, Math.round(order.length / 10)));
  const values = tenth.map((row) => axis.column[row]).filter((value) => value !== null && value !== undefined);
  const best = rowOf.has(study.best) ? parameterText(axis, axis.column[rowOf.get(study.best)]) : "\u2013";
  if (axis.kind === "category") return [axis.label, axis.categories.join(", "), best, [...new Set(values)].sort((a, b) => a - b).map((value) => axis.categories[value]).join(", ")];
  const text = (low, high) => `${parameterText(axis, low)} to ${parameterText(axis, high)}`;
  return [axis.label, text(axis.low, axis.high), best, values.length ? text(Math.min(...values), Math.max(...values)) : "\u2013"];
}
