// What people have written about the study and its trials.
import { frame, keptFor } from "./frame.js";
import { counted } from "./scale.js";
import { make, rows, write } from "./svg.js";

export function notes(container, study) {
  container.hidden = !study.notes.length;
  if (container.hidden) return;
  const kept = keptFor(container, () => {
    const made = frame(container, "notes", "Notes");
    made.list = make("ul", "plain");
    made.body.append(made.list);
    return made;
  });
  write(kept.summary, counted(study.notes.length, "note") + ".");
  rows(kept.list, study.notes, () => make("li", "", make("span", "quiet"), make("p")), (item, { trial, text, by, at }) => {
    const when = at ? new Date(at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }) : "";
    write(item.firstChild, [trial === null ? "the study" : "trial " + trial, by, when].filter(Boolean).join(" \u00b7 "));
    write(item.lastChild, text);
  });
}
