// How much each hyperparameter matters, or why that is not said.
import { frame, keptFor } from "./frame.js";
import { counted, percentText } from "./scale.js";
import { spaced } from "./selection.js";
import { make, rows, set, write } from "./svg.js";

export function importance(container, study) {
  const kept = keptFor(container, () => {
    const made = frame(container, "importance", "Importance");
    made.list = make("ol", "bars");
    made.body.append(made.list);
    return made;
  });
  const { shares, trials: count, problem } = study.importance;
  const sorted = problem ? [] : [...shares].sort((a, b) => b.share - a.share);
  const [first] = sorted;
  write(kept.summary, problem ? problem[0].toUpperCase() + problem.slice(1) + "." : (first
    ? `${spaced(first.name)} decides most about which trials are among the best: ${percentText(first.share)} of the importance (PED-ANOVA of ${counted(count, "trial")}).`
    : "No importance is known."));
  rows(kept.list, sorted, newBar, (item, { name, share }) => fillBar(item, spaced(name), percentText(share), share / (first.share || 1)));
}

export function newBar() {
  return make("li", "", make("span", "name"), set(make("span", "track", make("span", "fill")), { "aria-hidden": "true" }), make("span", "value"));
}

// A bar of a list: its length is a share of the longest.
export function fillBar(item, name, text, share) {
  const [label, track, value] = item.children;
  write(label, name);
  track.firstChild.style.width = Math.max(0, 100 * share).toFixed(2) + "%";
  write(value, text);
}
