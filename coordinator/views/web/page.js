// The live page: it follows the store, and shows a study, several side by side, or one trial.
import { actions } from "./actions.js";
import { draw, update } from "./figures/figures.js";
import { write } from "./figures/svg.js";
import { showFleet } from "./fleet.js";
import "./model.js";
import { follow } from "./following.js";
import { showRunning } from "./running.js";
import { showTrial } from "./trial.js";

const element = (id) => document.getElementById(id);

// -- what is looked at: the part of the address behind "#" ---------------------------------------

export const studyHref = (...names) => "#" + new URLSearchParams(names.map((name) => ["study", name]));
export const trialHref = (study, trial) => "#" + new URLSearchParams([["study", study], ["trial", trial]]);

function wanted() {
  const asked = new URLSearchParams(location.hash.slice(1));
  return { studies: [...new Set(asked.getAll("study"))], trial: asked.get("trial") };
}

// -- showing it ----------------------------------------------------------------------------------

let drawn = null;

// Others listen to "shown" on the document, which tells what is looked at.
function showContent({ studies, trial }) {
  element("running").hidden = element("figures").hidden = trial !== null;
  element("trial").hidden = trial === null;
  if (trial !== null) showTrial(element("trial"), trial, studyHref(trial.study));
  else if (studies.length) {
    const figures = { version: 1, studies };
    showRunning(element("running"), element("running-trials"), studies, trialHref);
    if (drawn) update(figures);
    else draw(element("figures"), figures, { trialHref });
    drawn = figures;
  }
  element("view").hidden = trial !== null || studies.length > 0;
  if (!studies.length) write(element("view"), "no study yet");
  document.dispatchEvent(new CustomEvent("shown", { detail: { studies, trial } }));
}

function show({ fleet, studies, trial }) {
  if (fleet) {
    write(element("where"), "studies on " + fleet.address);
    showFleet(fleet, studies.map((study) => study.name), studyHref, trialHref);
  }
  const about = trial ? trial.title : studies.map((study) => study.title).join(", ");
  const line = fleet && studies.length === 1 ? fleet.studies.find((study) => study.name === studies[0].name) : null;
  document.title = (about ? about + (line && !trial ? ": " + line.counts : "") + " \u2013 " : "") + "hyperhive";
  if (fleet) showContent({ studies, trial });
}

function tell(problem, shownAt) {
  const at = shownAt && shownAt.toLocaleTimeString("en-GB");
  write(element("problem"), problem && problem + (at ? "; this page shows what was there at " + at : "") + ", and goes on by itself");
  write(element("asof"), at && "as of " + at);
}

// The address says what is looked at, so a link to a place of the page must not change it.
for (const link of document.querySelectorAll(".skip, .narrow")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const place = document.querySelector(link.getAttribute("href"));
    place.focus();
    place.scrollIntoView();
  });
}

actions(element("actions"));
follow({ wanted, show, tell });
