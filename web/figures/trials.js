// The table of all trials: sorted, filtered, a page at a time, and downloaded as CSV.
import { csvOf, saveAs } from "./csv.js";
import { frame, keptFor, scrolled } from "./frame.js";
import { counted, metricText, numberText, parameterText, percentText, secondsText } from "./scale.js";
import { axesOf, changed, choose, selected, spaced } from "./selection.js";
import { button, make, rows, set, write } from "./svg.js";

const PAGE = 50;

export function trials(container, study, state) {
  const kept = keptFor(container, () => newTrials(container));
  const columns = columnsOf(study), { mask, total } = selected(study, state);
  Object.assign(kept, { study, state, columns });
  if (!columns.some((column) => column.key === kept.sorted.key)) kept.sorted = { key: "value", up: !study.metric.maximise };
  kept.order = sortedRows(kept, mask);
  kept.page = Math.max(0, Math.min(kept.page, Math.ceil(total / PAGE) - 1));
  const all = study.trials.tid.length.toLocaleString("en"), { key, up } = kept.sorted;
  write(kept.summary, `${total === study.trials.tid.length ? `All ${all} trials` : `${total.toLocaleString("en")} of ${all} trials`}, by ${columns.find((column) => column.key === key).label}, ${up ? "ascending" : "descending"}.`);
  showFilters(kept);
  showHead(kept);
  showRows(kept);
  showPages(kept, total);
}

function newTrials(container) {
  const made = frame(container, "trials", "All trials");
  Object.assign(made, { sorted: { key: "", up: false }, page: 0 });
  made.words = set(make("input"), { type: "search", placeholder: "words", "aria-label": "filter by words: device, category, note", spellcheck: "false" });
  made.words.addEventListener("input", () => refilter(made, { words: made.words.value }));
  made.status = set(make("select"), { "aria-label": "filter by state" });
  made.status.addEventListener("change", () => refilter(made, { status: made.status.value }));
  made.clear = button("", "Clear brushes and filters", () => {
    made.state.brushes.clear();
    refilter(made, { words: "", status: "" });
  });
  made.download = button("", "Download CSV", () => {
    const { study, columns, order } = made;
    saveAs(study.name.replace(/[^\w.-]+/g, "_").slice(0, 60) + ".csv", csvOf(columns, order));
  });
  made.table = make("table", "", make("thead", "", make("tr")), make("tbody"));
  made.before = button("", "Previous", () => turn(made, -1));
  made.after = button("", "Next", () => turn(made, 1));
  made.where = set(make("span", "where"), { role: "status" });
  made.body.append(
    make("div", "controls", made.words, made.status, made.clear, made.download),
    scrolled(made.table, "All trials"),
    set(make("nav", "controls pages", made.before, made.where, made.after), { "aria-label": "pages of trials" }),
  );
  return made;
}

function refilter(kept, change) {
  kept.page = 0;
  Object.assign(kept.state, change);
  changed(kept.state);
}

function turn(kept, by) {
  kept.page += by;
  changed(kept.state);
}

// `of(row)` is the value to sort by and to save, `text(row)` what the table shows.
function columnsOf(study) {
  const { tid, status, value, device, started, seconds, attempts, epochs, pruned_at: prunedAt, note } = study.trials;
  const plain = (key, label, column, text) => ({ key, label, isNumber: true, of: (row) => column[row], text: (row) => (text || numberText)(column[row]) });
  const words = (key, label, of) => ({ key, label, isNumber: false, of, text: (row) => (of(row) === null ? "\u2013" : of(row)) });
  const parameters = axesOf(study).filter((axis) => !axis.isMetric).map((axis) => ({
    key: "params." + axis.name, label: axis.label, saved: axis.name, isNumber: axis.kind !== "category",
    of: (row) => (axis.kind !== "category" ? axis.column[row] : axis.column[row] === null ? null : axis.categories[axis.column[row]]),
    text: (row) => parameterText(axis, axis.column[row]),
  }));
  const found = [
    plain("trial", "trial", tid, String),
    words("state", "state", (row) => study.statuses[status[row]]),
    { ...plain("value", spaced(study.metric.name), value, (one) => metricText(study.metric, one)), saved: study.metric.name },
    ...parameters,
    words("device", "device", (row) => (device[row] === null ? null : study.devices[device[row]].name)),
    { ...plain("started", "started after", started, secondsText), saved: "started_s" },
    { ...plain("seconds", "took", seconds, secondsText), saved: "seconds" },
    plain("attempts", "attempts", attempts),
    plain("epochs", "epochs run", epochs),
    { ...plain("pruned_at", "pruned at", prunedAt, percentText), saved: "pruned_at" },
    words("note", "note", (row) => note[row]),
  ];
  const isKnown = ({ of }) => tid.some((_, row) => of(row) !== null && of(row) !== undefined);
  return found.filter((column) => ["trial", "state", "value"].includes(column.key) || isKnown(column));
}

// Trials without a value are last, however the rest is sorted.
function sortedRows({ columns, sorted }, mask) {
  const column = columns.find((one) => one.key === sorted.key), sign = sorted.up ? 1 : -1;
  const picked = [];
  for (let row = 0; row < mask.length; row++) if (mask[row]) picked.push(row);
  const values = Array.from(mask, (_, row) => column.of(row)), isMissing = (value) => value === null || value === undefined;
  const compare = column.isNumber ? (a, b) => a - b : (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  return picked.sort((a, b) => {
    if (isMissing(values[a]) || isMissing(values[b])) return isMissing(values[a]) - isMissing(values[b]) || a - b;
    return sign * compare(values[a], values[b]) || a - b;
  });
}

function showFilters({ words, status, clear, study, state }) {
  if (words.value !== state.words) words.value = state.words;
  rows(status, ["any state", ...study.statuses], () => make("option"), (option, name, number) => {
    write(option, name);
    option.value = number ? String(number - 1) : "";
  });
  status.value = state.status;
  clear.disabled = !state.words && !state.status && !state.brushes.size;
}

function showHead(kept) {
  const { columns, sorted } = kept;
  rows(kept.table.tHead.rows[0], columns, () => set(make("th", "", button("", "", (event) => sortBy(kept, event.currentTarget.dataset.key))), { scope: "col" }), (cell, column) => {
    const isSorted = sorted.key === column.key, sign = isSorted ? (sorted.up ? " \u2191" : " \u2193") : "";
    write(cell.firstChild, column.label + sign);
    cell.firstChild.dataset.key = column.key;
    set(cell, { "aria-sort": isSorted ? (sorted.up ? "ascending" : "descending") : null });
    cell.className = column.isNumber ? "number" : "";
  });
}

function sortBy(kept, key) {
  const isSame = kept.sorted.key === key;
  kept.sorted = { key, up: isSame ? !kept.sorted.up : key !== "value" || !kept.study.metric.maximise };
  kept.page = 0;
  changed(kept.state);
}

function showRows(kept) {
  const { study, state, columns, order, page } = kept, href = state.options.trialHref;
  const create = () => make("tr", "", set(make("th"), { scope: "row" }));
  rows(kept.table.tBodies[0], order.slice(page * PAGE, (page + 1) * PAGE), create, (line, row) => {
    const tid = study.trials.tid[row], head = line.firstChild;
    if (!head.firstChild) head.append(href ? make("a") : button("", "", (event) => choose(kept.state, +event.currentTarget.dataset.tid)));
    write(head.firstChild, tid);
    head.firstChild.dataset.tid = tid;
    set(head.firstChild, href ? { href: href(study, tid) } : { "aria-pressed": String(tid === state.chosen), title: "mark this trial in all figures" });
    line.className = (tid === study.best ? "best" : "") + (tid === state.chosen ? " chosen" : "");
    while (line.children.length > columns.length) line.lastChild.remove();
    while (line.children.length < columns.length) line.append(make("td"));
    columns.slice(1).forEach((column, number) => {
      write(line.children[number + 1], column.text(row));
      line.children[number + 1].className = column.isNumber ? "number" : "";
    });
  });
}

function showPages({ before, after, where, page }, total) {
  const last = Math.min(total, (page + 1) * PAGE), first = total ? page * PAGE + 1 : 0;
  write(where, total ? `${first.toLocaleString("en")} to ${last.toLocaleString("en")} of ${counted(total, "trial")}` : "no trial is selected");
  before.disabled = page === 0;
  after.disabled = last >= total;
}
