// Several studies side by side: their best so far in one chart, and a column for each.
import { bottomAxis, clearPlot, fillLegend, frame, keptFor, leftAxis, newPlot, scrolled, setMarks, textAt } from "./frame.js";
import { counted, linearScale, logScale, metricText, metricTick, parameterText, percentText, secondsText, tickText } from "./scale.js";
import { axesOf, extent, factsOf, metricDomain, spaced } from "./selection.js";
import { bestPath } from "./progress.js";
import { make, rows, set, shape, write } from "./svg.js";

export function comparison(container, figures) {
  const kept = keptFor(container, () => {
    const made = frame(container, "comparison", "Compared");
    made.plot = newPlot("studies");
    made.table = make("table", "", make("thead", "", make("tr")), make("tbody"));
    made.body.append(made.plot.root, scrolled(made.table, "The studies side by side"));
    return made;
  });
  const { studies } = figures, names = new Set(studies.map((study) => study.metric.name));
  const said = studies.map((study) => `${study.title || study.name}: ${lastBest(study)}`).join("; ") + ".";
  write(kept.summary, names.size > 1 ? said + " They have different metrics: their lines are not comparable." : said);
  showComparedBest(kept, studies, said);
  fillLegend(kept, studies.map((study, i) => ["line c" + (i % 6), study.title || study.name]));
  const lines = comparedLines(studies);
  rows(kept.table.tHead.rows[0], ["", ...studies.map((study) => study.title || study.name)], () => set(make("th"), { scope: "col" }), write);
  rows(kept.table.tBodies[0], lines, () => make("tr", "", set(make("th"), { scope: "row" })), (line, [name, ...texts]) => {
    write(line.firstChild, name);
    while (line.children.length > texts.length + 1) line.lastChild.remove();
    while (line.children.length < texts.length + 1) line.append(make("td"));
    texts.forEach((text, i) => write(line.children[i + 1], text));
  });
}

const lastBest = ({ progress: { best }, metric }) => metricText(metric, best.length ? best[best.length - 1] : null);

// The best so far ends with the last trial that was measured to its end.
const lastTrial = (study) => extent(study.trials.tid)[1];

function showComparedBest({ plot }, studies, said) {
  const { metric } = studies[0], { width, height } = clearPlot(plot, 320, said);
  const box = { left: 58, right: width - 14, top: 24, bottom: height - 44 };
  const x = linearScale(0, Math.max(...studies.map((study) => lastTrial(study))), box.left + 4, box.right - 8, true);
  const domain = extent(studies.flatMap(metricDomain)), y = (metric.log ? logScale : linearScale)(...domain, box.bottom - 4, box.top + 6);
  leftAxis(plot.back, y, y.ticks(5).map((tick) => [tick, metricTick(metric, tick)]), box, spaced(metric.name));
  bottomAxis(plot.back, x, x.ticks(width / 90).map((tick) => [tick, tickText(tick)]), box, "trial");
  const ends = [];
  studies.forEach((study, i) => {
    const { tid, best } = study.progress, now = best[best.length - 1], end = x(lastTrial(study));
    if (now === undefined || now === null) return;
    plot.front.append(shape("path", { class: "compared c" + (i % 6), d: bestPath(tid, best, x, y, end) }));
    plot.front.append(textAt(end - 2, y(now) - 6, "end", metricText(study.metric, now), "on"));
    ends.push({ study, x: end, y: y(now) });
  });
  const say = (i) => `${ends[i].study.title || ends[i].study.name}\nbest ${lastBest(ends[i].study)} after ${counted(ends[i].study.trials.tid.length, "trial")}`;
  setMarks(plot, { xs: ends.map((end) => end.x), ys: ends.map((end) => end.y), say, key: (i) => ends[i].study.name, press: null });
}

function comparedLines(studies) {
  const hours = (study) => study.devices.reduce((sum, device) => sum + (device.hours || 0), 0).toFixed(2) + " h";
  const lines = [
    ["state", ...studies.map((study) => study.state || (study.is_open ? "searching" : "ended"))],
    ["metric", ...studies.map((study) => spaced(study.metric.name))],
    ["best", ...studies.map(lastBest)],
    ["test", ...studies.map((study) => (study.classification ? study.classification.accuracy.map(percentText) : null)).map((test) => (test ? `${test[1]} (${test[0]} to ${test[2]})` : "\u2013"))],
    ["done", ...studies.map((study) => study.counts.done.toLocaleString("en"))],
    ["pruned", ...studies.map((study) => study.counts.pruned.toLocaleString("en"))],
    ["failed", ...studies.map((study) => (study.counts.failed + study.counts.diverged).toLocaleString("en"))],
    ["devices", ...studies.map((study) => String(study.devices.length))],
    ["devices' hours", ...studies.map(hours)],
    ["length", ...studies.map((study) => secondsText(study.seconds))],
  ];
  const names = [...new Set(studies.flatMap((study) => study.parameters.map((parameter) => parameter.name)))];
  for (const name of names) lines.push([spaced(name) + " of the best", ...studies.map((study) => bestValue(study, name))]);
  return lines;
}

function bestValue(study, name) {
  const axis = axesOf(study).find((one) => one.name === name && !one.isMetric), row = factsOf(study).rowOf.get(study.best);
  return axis && row !== undefined ? parameterText(axis, axis.column[row]) : "\u2013";
}
