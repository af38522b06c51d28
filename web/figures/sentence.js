// The study in a few lines: the best, its test, what it cost.
import { keptFor } from "./frame.js";
import { counted, secondsText } from "./scale.js";
import { make, rows, set, write } from "./svg.js";

// In the order of the bar. Those that were pruned or diverged are done too.
const COUNTS = ["done", "pruned", "diverged", "failed", "running", "waiting"];
const OF_DONE = ["pruned", "diverged"];

export function sentence(container, study) {
  const kept = keptFor(container, () => {
    const title = make("h2"), tag = make("span", "tag"), when = make("p", "quiet"), lines = make("ul", "lines");
    const bar = set(make("div", "counts"), { role: "img" }), counts = make("ul", "legend");
    const head = make("div", "head", title, tag);
    container.append(make("div", "sentence", head, lines, bar, counts, when));
    return { title, tag, lines, bar, counts, when };
  });
  write(kept.title, study.title || study.name);
  write(kept.tag, study.state);
  rows(kept.lines, study.sentence, () => make("li"), write);
  showCounts(kept, study.counts);
  const parts = [];
  if (study.started) parts.push("started " + new Date(study.started).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }));
  if (study.seconds !== null) parts.push((study.is_open ? "running for " : "took ") + secondsText(study.seconds));
  if (study.devices.length) parts.push(counted(study.devices.length, "device"));
  write(kept.when, parts.join(" \u00b7 "));
}

function showCounts(kept, counts) {
  const known = COUNTS.filter((name) => counts[name]);
  const inFull = { ...counts, done: counts.done - counts.pruned - counts.diverged };
  const total = Math.max(counts.budget || 0, known.reduce((sum, name) => sum + inFull[name], 0));
  const texts = known.map((name) => {
    const count = counts[name].toLocaleString("en") + (name === "done" && counts.budget ? " of " + counts.budget.toLocaleString("en") : "");
    return `${count} ${OF_DONE.includes(name) ? "of these " : ""}${name}`;
  });
  set(kept.bar, { "aria-label": texts.join(", ") || "no trial yet" });
  kept.bar.hidden = !total;
  rows(kept.bar, known, () => make("span"), (part, name) => {
    part.className = "fill " + name;
    part.style.width = (100 * inFull[name]) / total + "%";
  });
  rows(kept.counts, known, () => make("li", "", set(make("i"), { "aria-hidden": "true" }), make("span")), (item, name, number) => {
    item.firstChild.className = "sign fill " + name;
    write(item.lastChild, texts[number]);
  });
}
