// What is beside the figures: workers, studies, and what went wrong.
import { make, rows, set, write } from "./figures/svg.js";

const MANY = 8;
const element = (id) => document.getElementById(id);
const part = (row, name) => row.querySelector("." + name);
const compared = new Set();
let again = () => {};

export function showFleet(fleet, shown, studyHref, trialHref) {
  again = () => showFleet(fleet, shown, studyHref, trialHref);
  showWorkers(fleet, trialHref);
  showStudies(fleet.studies, shown, studyHref);
  element("incidents").hidden = !fleet.incidents.length;
  rows(element("incident-lines"), fleet.incidents, () => make("li"), write);
}

function found(input, items, text) {
  // A filter is there when there is much to filter.
  input.hidden = items.length <= MANY;
  const words = input.hidden ? [] : input.value.toLowerCase().split(/\s+/);
  return items.filter((item) => words.every((word) => text(item).toLowerCase().includes(word)));
}

function showWorkers(fleet, trialHref) {
  element("fleet").hidden = !fleet.workers.length && !fleet.waiting;
  write(element("no-worker"), fleet.waiting);
  const workers = found(element("find-worker"), fleet.workers, (worker) => [worker.name, worker.device, worker.does, worker.state].join(" "));
  const create = () => {
    const head = make("div", "head", make("span", "name"), make("span", "tag"));
    return make("li", "", head, make("p", "quiet device"), make("p", "does"), make("p", "quiet heard"));
  };
  rows(element("workers"), workers, create, (row, worker) => {
    for (const name of ["name", "device", "heard"]) write(part(row, name), worker[name]);
    write(part(row, "tag"), worker.state);
    part(row, "tag").className = "tag " + worker.state;
    set(row, { "data-worker": worker.name });
    const does = part(row, "does");
    if (worker.trial === null) return write(does, worker.does);
    if (!does.firstElementChild) does.replaceChildren(make("a"));
    set(write(does.firstElementChild, worker.does), { href: trialHref(worker.study, worker.key) });
  });
}

function showStudies(studies, shown, studyHref) {
  element("others").hidden = !studies.length;
  const create = () => {
    const box = set(make("input"), { type: "checkbox" });
    box.addEventListener("change", () => {
      if (box.checked) compared.add(box.value);
      else compared.delete(box.value);
      again();
    });
    const head = make("div", "head", make("label", "", box, " ", make("a", "name")), make("span", "tag"));
    return make("li", "", head, make("p", "quiet line"));
  };
  for (const name of compared) if (!studies.some((study) => study.name === name)) compared.delete(name);
  const listed = found(element("find-study"), studies, (study) => study.shown + " " + study.state);
  rows(element("studies"), listed, create, (row, study) => {
    const link = part(row, "name"), box = row.querySelector("input");
    set(write(link, study.shown), { href: studyHref(study.name), "aria-current": shown.includes(study.name) ? "true" : null });
    box.value = study.name;
    box.checked = compared.has(study.name);
    box.hidden = studies.length < 2;
    set(box, { "aria-label": "Compare " + study.shown });
    write(part(row, "tag"), study.state);
    write(part(row, "line"), [study.counts, study.others, study.left, study.best].filter(Boolean).join("; "));
  });
  const button = element("compare");
  button.hidden = studies.length < 2;
  button.disabled = compared.size < 2;
  write(button, compared.size < 2 ? "Compare: choose two or more" : "Compare " + compared.size + " studies");
  button.onclick = () => { location.hash = studyHref(...studies.map((study) => study.name).filter((name) => compared.has(name))); };
}

for (const id of ["find-worker", "find-study"]) element(id).addEventListener("input", () => again());
