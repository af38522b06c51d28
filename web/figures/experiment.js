// An experiment with algorithms: for each number of workers and budget, curves and a table.
import { bottomAxis, clearPlot, dataTable, fillLegend, frame, keptFor, leftAxis, newPlot, scrolled, setMarks } from "./frame.js";
import { linearScale, logScale, metricTick, numberText, secondsText, tickText } from "./scale.js";
import { extent } from "./selection.js";
import { fillTable, make, shape, write } from "./svg.js";

// Draw the whole page into `root`. `experiment` is what experiments/experiment.py makes.
export function drawExperiment(root, experiment) {
  root.classList.add("figures");
  const parts = experiment.groups.map((group) => {
    const part = make("div", "part");
    root.append(part);
    return () => drawGroup(part, experiment, group);
  });
  const drawParts = () => parts.forEach((one) => one());
  drawParts();
  let width = root.clientWidth;
  new ResizeObserver(() => {
    if (root.clientWidth === width) return;
    width = root.clientWidth;
    drawParts();
  }).observe(root);
}

// Algorithms may differ by less than a tenth of a per cent.
const lossText = (metric, loss) => (metric.unit === "share" ? (100 * loss).toFixed(2) + " %" : numberText(+loss.toPrecision(4)));

const many = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

function drawGroup(container, experiment, group) {
  const kept = keptFor(container, () => {
    const made = frame(container, "experiment", `${many(group.workers, "worker")}, ${many(group.trials, "trial")}`);
    made.plot = newPlot("algorithms, from the best");
    made.table = make("table");
    made.body.append(made.plot.root, scrolled(made.table, "The algorithms side by side"));
    return made;
  });
  // Each has its colour by its name, the same in all groups.
  const names = [...new Set(experiment.groups.flatMap((one) => one.rows.map((row) => row.algorithm)))].sort();
  const colour = (row) => "c" + (names.indexOf(row.algorithm) % 10), metric = { unit: experiment.is_share ? "share" : null };
  const best = group.rows[0];
  const said = `Mean ${experiment.measure} of the best so far; a whisker is the 95 % interval at the end. Best: ${best.algorithm}, ${lossText(metric, best.mean)}.`;
  write(kept.summary, said);
  fillLegend(kept, group.rows.map((row) => ["line " + colour(row), row.algorithm]));
  drawMeans(kept.plot, experiment, group, { metric, colour, said });
  const target = "time to " + lossText(metric, group.target);
  fillTable(kept.table, ["algorithm", "seeds", experiment.measure, "95 % interval", "rank", target, "whole search", "suggestion"], group.rows.map((row) => lineOf(row, metric)));
  const points = () => group.rows.flatMap((row) => row.curve.map(([ended, ...values]) => [row.algorithm, ended, ...values.map((value) => lossText(metric, value))]));
  dataTable(kept, "Curves as a table", ["algorithm", "trials", "mean", "low", "high"], points);
}

function lineOf(row, metric) {
  const interval = row.low === null ? "\u2013" : `${lossText(metric, row.low)} to ${lossText(metric, row.high)}`;
  const time = row.time === null ? "not reached" : secondsText(row.time);
  return [row.algorithm, row.seeds, lossText(metric, row.mean), interval, row.rank === null ? "\u2013" : row.rank.toFixed(1), time, secondsText(row.seconds), row.milliseconds === null ? "\u2013" : numberText(+row.milliseconds.toPrecision(2)) + " ms"];
}

function drawMeans(plot, experiment, group, { metric, colour, said }) {
  const { width, height } = clearPlot(plot, 340, said), box = { left: 62, right: width - 14, top: 24, bottom: height - 44 };
  const curves = group.rows.map((row) => row.curve), values = curves.flatMap((curve) => curve.map((point) => point[1]));
  const least = Math.min(...values.filter((value) => value > 0)), [, most] = extent(values);
  // Of a regret all values are positive, but for noise: on a logarithmic axis the late ones differ.
  const isLog = experiment.minimum !== null && least < most / 20, low = isLog ? least : extent(values)[0];
  const x = linearScale(0, group.trials, box.left + 4, box.right - 8 - 6 * curves.length, true);
  const y = (isLog ? logScale : linearScale)(low, most, box.bottom - 6, box.top + 6);
  const inside = (value) => Math.max(box.top, Math.min(box.bottom, y(Math.max(value, isLog ? least : value))));
  leftAxis(plot.back, y, y.ticks(5).map((tick) => [tick, metricTick(metric, tick)]), box, experiment.measure);
  bottomAxis(plot.back, x, x.ticks(width / 90).map((tick) => [tick, tickText(tick)]), box, "trials that have ended");
  const ends = group.rows.map((row, number) => {
    const path = "M" + row.curve.map(([ended, mean]) => `${x(ended).toFixed(1)},${inside(mean).toFixed(1)}`).join("L");
    const at = x(group.trials) + 4 + 6 * number, place = inside(row.mean);
    plot.front.append(shape("path", { class: "compared " + colour(row), d: path }));
    if (row.low !== null) plot.front.append(shape("line", { class: "compared whisker " + colour(row), x1: at, x2: at, y1: inside(row.low), y2: inside(row.high) }));
    return { x: at, y: place };
  });
  const say = (i) => [group.rows[i].algorithm, ...lineOf(group.rows[i], metric).slice(2, 4)].join("\n");
  setMarks(plot, { xs: ends.map((end) => end.x), ys: ends.map((end) => end.y), say, key: (i) => group.rows[i].algorithm, press: null });
}
