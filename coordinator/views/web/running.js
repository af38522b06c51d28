// The trials that run now, each with its curve as it trains, before that of the best.
import { keptFor } from "./figures/frame.js";
import { make, rows, set, shape, write } from "./figures/svg.js";

const WIDTH = 220, HEIGHT = 64, EDGE = 4;

export function showRunning(section, list, studies, trialHref) {
  const several = studies.length > 1;
  const trials = studies.flatMap((study) => (study.running || []).map((trial) => ({ ...trial, of: study })));
  section.hidden = !trials.length;
  const create = () => {
    const curve = set(shape("svg"), { class: "spark", role: "img", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" });
    return make("li", "", make("a", "name"), make("p", "does"), curve, make("p", "quiet where"));
  };
  rows(list, trials, create, (row, trial) => {
    const [link, does, svg, where] = row.children;
    set(write(link, (several ? trial.of.title + ", " : "") + trial.title), { href: trialHref(trial.of.name, trial.key) });
    write(does, trial.does);
    write(where, trial.worker);
    drawCurve(svg, trial);
  });
}

function bestCurve(study) {
  const best = study.curves && study.curves.of.find((curve) => curve.best);
  return best ? best.points : [];
}

function drawCurve(svg, trial) {
  const kept = keptFor(svg, () => ({ now: "" })), best = bestCurve(trial.of);
  const now = JSON.stringify([trial.points, best]);
  if (kept.now === now) return;
  kept.now = now;
  svg.replaceChildren();
  const all = [...trial.points, ...best];
  const last = trial.points[trial.points.length - 1];
  const { metric, curves } = trial.of, step = (curves && curves.step) || "step";
  set(svg, { hidden: last ? null : "", "aria-label": last ? `${metric.name} by ${step}: ${last[1]} at ${step} ${last[0]}` : null });
  if (!last) return;
  const span = (index) => [Math.min(...all.map((point) => point[index])), Math.max(...all.map((point) => point[index]))];
  const place = ([low, high], from, to) => (value) => high > low ? from + (to - from) * (value - low) / (high - low) : (from + to) / 2;
  const x = place(span(0), EDGE, WIDTH - EDGE), y = place(span(1), HEIGHT - EDGE, EDGE);
  const path = (points) => "M" + points.map(([at, value]) => x(at).toFixed(1) + "," + y(value).toFixed(1)).join("L");
  if (best.length) svg.append(shape("path", { d: path(best), class: "beside" }));
  svg.append(shape("path", { d: path(trial.points), class: "now" }));
  // A line of no length with round ends: a circle would be stretched with the plot.
  svg.append(shape("path", { d: path([last]) + "h0", class: "last" }));
}
