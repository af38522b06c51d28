// A trial's own page: what it ran with, its curves, its attempts, its log, and what it left.
import { bottomAxis, clearPlot, keptFor, leftAxis, newPlot, setMarks } from "./figures/frame.js";
import { bytesText, linearScale, numberText, tickText } from "./figures/scale.js";
import { fillTable, make, rows, set, shape, write } from "./figures/svg.js";

const HEIGHT = 220;
const local = (time) => (time ? new Date(time).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" }) : "\u2013");

function part(root, title, ...children) {
  const section = make("section", "", make("h3", "", title), ...children);
  root.append(section);
  return section;
}

function scrolled(table, name) {
  return set(make("div", "scroll", table), { tabindex: 0, role: "region", "aria-label": name });
}

function created(root) {
  const back = make("a", "", "all figures of the study"), title = make("h2"), does = make("p", "does"), where = make("p", "quiet");
  root.append(make("header", "", back, title, does, where), set(make("div"), { id: "trial-actions" }));
  const curves = make("div", "curves");
  const kept = { back, title, does, where, curves, plots: new Map() };
  kept.curvesPart = part(root, "Curves", curves);
  for (const [name, heading] of [["chosen", "Hyperparameters"], ["attempts", "Attempts"], ["config", "Configuration"]]) {
    kept[name] = make("table");
    kept[name + "Part"] = part(root, heading, scrolled(kept[name], heading));
  }
  kept.lines = make("ol", "log");
  kept.linesPart = part(root, "Log", scrolled(kept.lines, "Log"));
  kept.files = make("ul", "files");
  kept.filesPart = part(root, "Artifacts", kept.files);
  kept.notes = make("ul", "");
  kept.notesPart = part(root, "Notes", kept.notes);
  return kept;
}

export function showTrial(root, trial, studyHref) {
  const kept = keptFor(root, () => created(root));
  set(kept.back, { href: studyHref });
  write(kept.title, trial.title);
  write(kept.does, trial.does);
  const times = [trial.began && "began " + local(trial.began), trial.ended && "ended " + local(trial.ended)];
  write(kept.where, [trial.worker, trial.device, ...times].filter(Boolean).join(" \u00b7 "));
  showCurves(kept, trial);
  fillTable(kept.chosen, ["name", "value"], trial.chosen);
  fillTable(kept.config, ["name", "value"], trial.config);
  kept.chosenPart.hidden = !trial.chosen.length;
  kept.configPart.hidden = !trial.config.length;
  kept.attemptsPart.hidden = !trial.attempts.length;
  fillTable(kept.attempts, ["worker", "device", "began", "ended", ""], trial.attempts.map((attempt) => [
    attempt.worker, attempt.device, local(attempt.began), local(attempt.ended),
    [attempt.copy && "second copy", attempt.how].filter(Boolean).join(", "),
  ]));
  kept.linesPart.hidden = !trial.lines.length;
  rows(kept.lines, trial.lines, () => make("li"), (line, { at, text }) => write(line, (at ? local(at) + "  " : "") + text));
  showFiles(kept, trial.artifacts);
  kept.notesPart.hidden = !trial.notes.length;
  rows(kept.notes, trial.notes, () => make("li", "", make("p"), make("p", "quiet")), (row, note) => {
    write(row.firstChild, note.text);
    write(row.lastChild, [note.by, local(note.at)].filter(Boolean).join(", "));
  });
}

function showFiles(kept, artifacts) {
  kept.filesPart.hidden = !artifacts.length;
  rows(kept.files, artifacts, () => make("li", "", make("p")), (row, { name, bytes, image }) => {
    write(row.firstChild, name + ", " + bytesText(bytes));
    if (!image) return row.querySelectorAll("img").forEach((old) => old.remove());
    const shown = row.querySelector("img") || row.appendChild(make("img"));
    set(shown, { src: image, alt: name });
  });
}

// A plot for each number that the trial reported.
function showCurves(kept, trial) {
  kept.curvesPart.hidden = !trial.series.length;
  for (const [name, made] of kept.plots) {
    if (trial.series.some((one) => one.name === name)) continue;
    made.root.remove();
    kept.plots.delete(name);
  }
  for (const series of trial.series) {
    if (!kept.plots.has(series.name)) {
      const plot = newPlot(series.name), root = make("figure", "figure", make("figcaption", "", series.name), plot.root);
      kept.curves.append(root);
      kept.plots.set(series.name, { plot, root });
    }
    drawSeries(kept.plots.get(series.name).plot, series, trial.step);
  }
}

function drawSeries(plot, { name, points }, step) {
  const values = points.map((point) => point[1]), steps = points.map((point) => point[0]);
  const last = points[points.length - 1];
  const said = `${name} by ${step}: ${points.length} values from ${numberText(Math.min(...values))} to ${numberText(Math.max(...values))}, the last ${numberText(last[1])} at ${step} ${last[0]}.`;
  const { width, height } = clearPlot(plot, HEIGHT, said);
  const box = { left: 58, right: width - 14, top: 14, bottom: height - 44 };
  const x = linearScale(Math.min(...steps), Math.max(...steps), box.left + 8, box.right - 8);
  const y = linearScale(Math.min(...values), Math.max(...values), box.bottom - 6, box.top + 4);
  leftAxis(plot.back, y, y.ticks(4).map((tick) => [tick, tickText(tick)]), box);
  bottomAxis(plot.back, x, x.ticks(width / 90).map((tick) => [tick, tickText(tick)]), box, step);
  const xs = steps.map(x), ys = values.map(y);
  plot.front.append(shape("path", { class: "curve best", d: "M" + xs.map((at, i) => at.toFixed(1) + "," + ys[i].toFixed(1)).join("L") + "h0.1" }));
  setMarks(plot, { xs, ys, say: (i) => `${step} ${steps[i]}: ${numberText(values[i])}`, key: (i) => steps[i] });
}
