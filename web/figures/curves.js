// Learning curves: of the best, of a sample of the others, and of those that run; pruned ones marked.
import { bottomAxis, clearPlot, crossPath, dataTable, fillLegend, frame, keptFor, leftAxis, newPlot, setMarks, starPath } from "./frame.js";
import { linearScale, logScale, metricText, metricTick, tickText } from "./scale.js";
import { choose, extent, spaced } from "./selection.js";
import { shape, write } from "./svg.js";

export function curves(container, study, state) {
  const kept = keptFor(container, () => {
    const made = frame(container, "curves", "Learning curves");
    made.plot = newPlot("curves");
    made.body.append(made.plot.root);
    return made;
  });
  const { of, step, metric: name } = study.curves, curvesShown = of.filter((curve) => curve.points.length);
  const metric = { ...study.metric, name }, said = curvesSummary(study, curvesShown, metric);
  write(kept.summary, said);
  kept.body.hidden = !curvesShown.length;
  if (!curvesShown.length) return;
  const { width, height } = clearPlot(kept.plot, 300, said), box = { left: 58, right: width - 14, top: 24, bottom: height - 44 };
  const points = curvesShown.flatMap((curve) => curve.points);
  const x = linearScale(Math.min(0, ...extent(points.map((point) => point[0]))), extent(points.map((point) => point[0]))[1], box.left + 4, box.right - 10, true);
  const y = (metric.log ? logScale : linearScale)(...curvesDomain(points, metric), box.bottom - 4, box.top + 6);
  leftAxis(kept.plot.back, y, y.ticks(5).map((tick) => [tick, metricTick(metric, tick)]), box, spaced(name));
  bottomAxis(kept.plot.back, x, x.ticks(width / 80).map((tick) => [tick, tickText(tick)]), box, step);
  const place = ([at, value]) => [x(at), Math.max(box.top, Math.min(box.bottom, y(value)))];
  const inOrder = [...curvesShown].sort((a, b) => a.best - b.best);
  for (const curve of inOrder) drawCurve(kept.plot.front, study, curve, place, curve.tid === state.chosen);
  const ends = curvesShown.map((curve) => place(curve.points[curve.points.length - 1]));
  const say = (i) => curveText(study, curvesShown[i], metric, step);
  setMarks(kept.plot, { xs: ends.map((end) => end[0]), ys: ends.map((end) => end[1]), say, key: (i) => curvesShown[i].tid, press: (i) => choose(state, curvesShown[i].tid), find: nearCurve(curvesShown, place) });
  const has = (name) => curvesShown.some((curve) => study.statuses[curve.state] === name);
  fillLegend(kept, [["line", "the best"], ...(has("done") ? [["line other", "done"]] : []), ...(has("pruned") ? [["cross grey", "pruned here"]] : []), ...(has("running") ? [["line runs", "running"]] : [])]);
  dataTable(kept, "Curves as a table", ["trial", "state", step + "s", "first", "best", "last"], () => curvesShown.map((curve) => curveLine(study, curve, metric)));
}

const stateOf = (study, curve) => (curve.best ? "best" : study.statuses[curve.state]);

function curvesSummary(study, shown, metric) {
  const best = shown.find((curve) => curve.best), pruned = shown.filter((curve) => study.statuses[curve.state] === "pruned").length;
  if (!shown.length) return "No trial has reported values as it trained.";
  const parts = [`Curves of ${shown.length} of ${study.trials.tid.length.toLocaleString("en")} trials, ${pruned} of them pruned.`];
  if (best) parts.push(`The best, trial ${best.tid}, went from ${metricText(metric, best.points[0][1])} to ${metricText(metric, best.points[best.points.length - 1][1])} in ${best.points.length} ${study.curves.step}s.`);
  return parts.join(" ");
}

// The worst twentieth of the points does not squeeze the rest.
function curvesDomain(points, metric) {
  const sign = metric.maximise ? -1 : 1, values = points.map((point) => point[1]).sort((a, b) => sign * (a - b));
  return extent(values.slice(0, Math.max(2, Math.ceil(values.length * 0.95))));
}

function drawCurve(svg, study, curve, place, isChosen) {
  const places = curve.points.map(place), [x, y] = places[places.length - 1], kind = stateOf(study, curve);
  const path = "M" + places.map((one) => one.map((pixel) => pixel.toFixed(1)).join(",")).join("L") + (places.length === 1 ? "h0.1" : "");
  svg.append(shape("path", { class: `curve ${kind}` + (isChosen ? " chosen" : ""), d: path }));
  if (kind === "best") svg.append(shape("path", { class: "star", d: starPath(x, y, 8) }));
  if (kind === "pruned") svg.append(shape("path", { class: "cross grey", d: crossPath(x, y, 3.2) }));
  if (kind === "failed" || kind === "diverged") svg.append(shape("path", { class: "cross", d: crossPath(x, y, 3.5) }));
}

function curveText(study, curve, metric, step) {
  const [at, value] = curve.points[curve.points.length - 1], name = study.statuses[curve.state];
  return `trial ${curve.tid}${curve.best ? ", the best" : ""}: ${name}\n${step} ${at}: ${metricText(metric, value)}`;
}

function nearCurve(shown, place) {
  const places = shown.map((curve) => curve.points.map(place));
  return (x, y) => {
    let found = -1, least = 24 ** 2;
    places.forEach((points, i) => {
      for (const [px, py] of points) {
        const distance = (px - x) ** 2 + (py - y) ** 2;
        if (distance < least) [found, least] = [i, distance];
      }
    });
    return found;
  };
}

function curveLine(study, { tid, points, state }, metric) {
  const values = points.map((point) => point[1]), best = metric.maximise ? Math.max(...values) : Math.min(...values), text = (value) => metricText(metric, value);
  return [tid, study.statuses[state], points[points.length - 1][0], text(values[0]), text(best), text(values[values.length - 1])];
}
