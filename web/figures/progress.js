// The best so far, with the noise of its measurement and the baselines.
import { bottomAxis, clearPlot, crossPath, dataTable, dots, fillLegend, frame, inks, keptFor, leftAxis, newPlot, setMarks, starPath, textAt } from "./frame.js";
import { linearScale, logScale, metricText, metricTick, tickText } from "./scale.js";
import { choose, extent, factsOf, metricDomain, selected, spaced } from "./selection.js";
import { shape, write } from "./svg.js";

export function progress(container, study, state) {
  const kept = keptFor(container, () => {
    const made = frame(container, "progress", "Best so far");
    made.plot = newPlot("trials in order");
    made.body.append(made.plot.root);
    return made;
  });
  const said = progressSummary(study);
  write(kept.summary, said);
  const { width, height, context } = clearPlot(kept.plot, 320, said);
  const box = { left: 58, right: width - 14, top: 24, bottom: height - 44 };
  const { trials } = study, last = Math.max(1, ...extent(trials.tid));
  const x = linearScale(0, last, box.left + 8, box.right - 8, true);
  const domain = metricDomain(study), y = (study.metric.log ? logScale : linearScale)(...domain, box.bottom - 6, box.top + 4);
  const { back } = kept.plot, ticks = y.ticks(5).map((tick) => [tick, metricTick(study.metric, tick)]);
  leftAxis(back, y, ticks, box, spaced(study.metric.name));
  bottomAxis(back, x, x.ticks(width / 90).map((tick) => [tick, tickText(tick)]), box, "trial");
  drawBand(back, study.progress, x, y, box);
  const marks = progressMarks(study, x, y, box);
  drawMarks(context, kept.plot, study, state, marks);
  drawLines(kept.plot.front, study, x, y, box);
  const label = (i) => progressText(study, marks.rows[i]);
  setMarks(kept.plot, { ...marks, say: label, key: (i) => trials.tid[marks.rows[i]], press: (i) => choose(state, trials.tid[marks.rows[i]]) });
  showLegend(kept, study, marks, domain);
  dataTable(kept, "Improvements as a table", ["trial", "best so far", "noise from", "to"], () => improvements(study));
}

function progressSummary(study) {
  const { best, tid, noise, baselines, target } = study.progress, now = best.length ? best[best.length - 1] : null;
  if (now === null) return "No result yet.";
  const parts = [`After ${study.trials.tid.length.toLocaleString("en")} trials the best ${spaced(study.metric.name)} is ${metricText(study.metric, now)} (trial ${study.best}).`];
  if (baselines.length) parts.push("Baselines: " + baselines.map((one) => one.name + " " + metricText(study.metric, one.value)).join(", ") + ".");
  if (target !== null && target !== undefined) parts.push("Target: " + metricText(study.metric, target) + ".");
  if (noise) parts.push(noise);
  return parts.join(" ");
}

function progressMarks(study, x, y, box) {
  const { tid, value, status } = study.trials, failed = [study.statuses.indexOf("failed"), study.statuses.indexOf("diverged")];
  const rows = [], xs = [], ys = [];
  const order = [...tid.keys()].sort((a, b) => tid[a] - tid[b]);
  for (const row of order) {
    const isBad = failed.includes(status[row]);
    if (value[row] === null && !isBad) continue;
    rows.push(row);
    xs.push(x(tid[row]));
    ys.push(isBad || value[row] === null ? box.bottom - 7 : Math.max(box.top, Math.min(box.bottom, y(value[row]))));
  }
  return { rows, xs, ys };
}

function drawMarks(context, plot, study, state, { rows, xs, ys }) {
  const { status, tid } = study.trials, { mask } = selected(study, state);
  const [point, pruned, bad, text] = inks(plot.root, "--point", "--pruned", "--bad", "--text");
  const groups = { done: [], pruned: [], bad: [], away: [] };
  rows.forEach((row, i) => {
    const name = study.statuses[status[row]];
    const group = name === "failed" || name === "diverged" ? "bad" : name === "pruned" ? "pruned" : "done";
    groups[mask[row] ? group : "away"].push(i);
  });
  const radius = rows.length > 3000 ? 1.6 : rows.length > 600 ? 2.2 : 3.6;
  dots(context, pruned, 0.18, radius * 0.8, xs, ys, groups.away);
  dots(context, pruned, 0.55, radius * 0.8, xs, ys, groups.pruned);
  dots(context, point, rows.length > 3000 ? 0.5 : 0.8, radius, xs, ys, groups.done);
  context.strokeStyle = bad;
  context.lineWidth = 1.6;
  context.stroke(new Path2D(groups.bad.map((i) => crossPath(xs[i], ys[i], 3.5)).join("")));
  const chosen = rows.findIndex((row) => tid[row] === state.chosen);
  if (chosen >= 0) {
    context.strokeStyle = text;
    context.strokeRect(xs[chosen] - 6, ys[chosen] - 6, 12, 12);
  }
}

function drawBand(svg, { tid, low, high }, x, y, box) {
  const upper = [], lower = [];
  tid.forEach((one, i) => {
    if (!low.length || low[i] === null || high[i] === null) return;
    const end = i + 1 < tid.length ? x(tid[i + 1]) : box.right - 8;
    const inside = (value) => Math.max(box.top, Math.min(box.bottom, y(value))).toFixed(1);
    upper.push(`${x(one).toFixed(1)},${inside(high[i])}H${end.toFixed(1)}`);
    lower.push(`${end.toFixed(1)},${inside(low[i])}H${x(one).toFixed(1)}`);
  });
  if (upper.length) svg.append(shape("path", { class: "band", d: "M" + [...upper, ...lower.reverse()].join("L") + "Z" }));
}

function drawLines(svg, study, x, y, box) {
  const { tid, best, baselines, target } = study.progress, now = best.length ? best[best.length - 1] : null, texts = [];
  const line = (value, kind, text) => {
    const wanted = y(value), place = Math.max(box.top, Math.min(box.bottom, wanted));
    const beyond = wanted > box.bottom ? " \u2193" : wanted < box.top ? " \u2191" : "";
    // Above its line, or below it if the best so far ends there.
    const isUnder = now !== null && y(now) <= place && y(now) > place - 24;
    svg.append(shape("line", { class: kind, x1: box.left, x2: box.right, y1: place, y2: place }));
    texts.push(textAt(box.right - 4, place + (isUnder ? 15 : -5), "end", text + beyond, "on"));
  };
  for (const { name, value } of baselines) line(value, "baseline", name + " " + metricText(study.metric, value));
  if (target !== null && target !== undefined) line(target, "target", "target " + metricText(study.metric, target));
  svg.append(shape("path", { class: "best-line", d: bestPath(tid, best, x, y, box.right - 8) }), ...texts);
  const { rowOf } = factsOf(study), row = rowOf.get(study.best);
  if (row !== undefined) svg.append(shape("path", { class: "star", d: starPath(x(study.best), y(study.trials.value[row]), 10) }));
}

// The steps of the best so far; only its changes are drawn.
export function bestPath(tids, best, x, y, end) {
  let path = "", before = null;
  tids.forEach((tid, i) => {
    if (best[i] === null || best[i] === before) return;
    path += before === null ? `M${x(tid).toFixed(1)},${y(best[i]).toFixed(1)}` : `H${x(tid).toFixed(1)}V${y(best[i]).toFixed(1)}`;
    before = best[i];
  });
  return path && path + "H" + end.toFixed(1);
}

function showLegend(kept, study, { rows }, domain) {
  const { value, status } = study.trials, has = (...names) => rows.some((row) => names.includes(study.statuses[status[row]]));
  const entries = [["dot", "a trial"]];
  if (has("pruned")) entries.push(["dot pruned", "pruned, at the value that it had"]);
  if (has("failed", "diverged")) entries.push(["cross", "failed or diverged"]);
  entries.push(["line", "best so far"], ["star", "the best"]);
  if (study.progress.noise) entries.push(["area", "noise"]);
  if (study.progress.baselines.length) entries.push(["dashes", "baseline"]);
  const beyond = rows.filter((row) => value[row] !== null && (value[row] < domain[0] || value[row] > domain[1])).length;
  if (beyond) entries.push(["", `${beyond.toLocaleString("en")} beyond the axis ${beyond === 1 ? "is" : "are"} at its edge`]);
  fillLegend(kept, entries);
}

// What a tooltip says of a trial.
export function progressText(study, row) {
  const { tid, value, status, note } = study.trials, name = study.statuses[status[row]];
  const lines = [`trial ${tid[row]}: ${value[row] === null ? name : metricText(study.metric, value[row]) + (name === "done" ? "" : ", " + name)}`];
  if (note[row]) lines.push(note[row]);
  return lines.join("\n");
}

function improvements(study) {
  const { tid, best, low, high } = study.progress, text = (value) => metricText(study.metric, value);
  return tid.map((one, i) => i).filter((i) => best[i] !== null && (i === 0 || best[i] !== best[i - 1]))
    .map((i) => [tid[i], text(best[i]), text(low[i]), text(high[i])]);
}
