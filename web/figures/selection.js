// What a viewer has selected, shared by the figures of one study, and facts that several need.
import { metricTick } from "./scale.js";

// options: `trialHref(study, tid)` gives the address of a trial's own page, where there is one.
export function newState(options) {
  return {
    options: options || {},
    brushes: new Map(), // by the axis's name: [low, high], or a Set of category indices
    words: "",
    status: "", // "" for all
    chosen: null, // a tid
    listeners: new Set(),
    cached: null,
    frame: 0,
  };
}

// Tell the figures that the selection has changed, once for each picture that the screen shows.
export function changed(state) {
  state.cached = null;
  if (state.frame) return;
  state.frame = requestAnimationFrame(() => {
    state.frame = 0;
    for (const listen of state.listeners) listen();
  });
}

// Select on an axis: [low, high], a Set of category indices, or null for all.
export function brush(state, name, range) {
  if (range === null) state.brushes.delete(name);
  else state.brushes.set(name, range);
  changed(state);
}

export function choose(state, tid) {
  state.chosen = state.chosen === tid ? null : tid;
  changed(state);
}

const VALUE_AXIS = "the study's metric";

// What a function makes of a study, made once: newer data are another object.
function once(make) {
  const made = new WeakMap();
  return (study) => {
    if (!made.has(study)) made.set(study, make(study));
    return made.get(study);
  };
}

// The axes of parallel coordinates: the hyperparameters, and then the metric. A trial that a user
// enqueued may lie outside the search space.
export const axesOf = once((study) => {
  const { value, params } = study.trials;
  const found = study.parameters.map((parameter) => {
    const column = params[parameter.name] || [], axis = { ...parameter, label: spaced(parameter.name), column };
    if (parameter.kind === "category") return axis;
    const [low, high] = extent([...(bounds(parameter)), ...column]);
    return { ...axis, low, high };
  });
  const [low, high] = metricDomain(study);
  const { name, log } = study.metric;
  found.push({ name: VALUE_AXIS, label: spaced(name), kind: "number", log, low, high, column: value, isMetric: true, tick: (one) => metricTick(study.metric, one) });
  return found;
});

const bounds = ({ low, high }) => (low === null || high === null ? [] : [low, high]);

// From the best to the worst, but what lies far from all others does not squeeze them.
export const metricDomain = once((study) => {
  const { value } = study.trials, { baselines, target, low, high, best } = study.progress, { order } = factsOf(study);
  const typical = order.slice(0, Math.max(2, Math.ceil(order.length * 0.9))).map((row) => value[row]);
  const inner = extent([...typical, target, ...ends(low), ...ends(high), ...ends(best)]), room = 1.6 * (inner[1] - inner[0]);
  let found = inner;
  for (const more of [...baselines.map((one) => [one.value]), value]) {
    const wider = extent([...found, ...more]);
    if (wider[1] - wider[0] <= room) found = wider;
  }
  let [least, most] = found;
  if (study.metric.log) return [least, most];
  const margin = (most - least) * 0.04;
  [least, most] = [least - margin, most + margin];
  return study.metric.unit === "share" ? [Math.max(0, least), Math.min(1, most)] : [least, most];
});

// The extent of numbers, or none of none.
const ends = (numbers) => (numbers.some((number) => number !== null) ? extent(numbers) : []);

export const spaced = (name) => name.replace(/_/g, " ");

// The least and the largest of numbers, where null is none.
export function extent(numbers) {
  let low = Infinity, high = -Infinity;
  for (const number of numbers) {
    if (number === null || number === undefined) continue;
    if (number < low) low = number;
    if (number > high) high = number;
  }
  return low <= high ? [low, high] : [0, 1];
}

function holds(range, value) {
  if (value === null || value === undefined) return false;
  return range instanceof Set ? range.has(value) : value >= range[0] && value <= range[1];
}

// Which trials are selected: a 1 for each row of the columns that all brushes and filters let pass.
export function selected(study, state) {
  const { trials } = study, count = trials.tid.length;
  if (state.cached && state.cached.study === study) return state.cached;
  const mask = new Uint8Array(count).fill(1);
  for (const axis of axesOf(study)) {
    const range = state.brushes.get(axis.name);
    if (!range) continue;
    for (let row = 0; row < count; row++) if (!holds(range, axis.column[row])) mask[row] = 0;
  }
  const words = state.words.toLowerCase().split(/\s+/).filter(Boolean);
  for (let row = 0; row < count; row++) {
    if (!mask[row]) continue;
    if (state.status !== "" && trials.status[row] !== +state.status) mask[row] = 0;
    else if (words.length && !contains(study, row, words)) mask[row] = 0;
  }
  const total = mask.reduce((sum, one) => sum + one, 0);
  state.cached = { study, mask, total, all: total === count };
  return state.cached;
}

function contains(study, row, words) {
  const text = rowText(study, row);
  return words.every((word) => text.includes(word));
}

const textsOf = once(() => []);

// What a trial's row says, in small letters, to search in.
function rowText(study, row) {
  const known = textsOf(study);
  if (known[row] === undefined) {
    const { trials, parameters } = study, device = study.devices[trials.device[row]];
    const parts = ["trial " + trials.tid[row], study.statuses[trials.status[row]], device ? device.name : "", trials.note[row] || ""];
    for (const { name, kind, categories } of parameters) {
      const value = trials.params[name] ? trials.params[name][row] : null;
      if (value !== null && value !== undefined) parts.push(spaced(name) + " " + (kind === "category" ? categories[value] : value));
    }
    known[row] = parts.join(" ").toLowerCase();
  }
  return known[row];
}

// Of a study's trials: `rowOf` by tid; `order`, the measured rows from best to worst; `shade`, the
// fifth that each row's value is in, 4 for the best fifth, 255 for none.
export const factsOf = once((study) => {
  const { tid, value, status } = study.trials;
  const done = study.statuses.indexOf("done"), sign = study.metric.maximise ? -1 : 1;
  const measured = [...tid.keys()].filter((row) => value[row] !== null && value[row] !== undefined);
  // A pruned trial's value is of an early step: it is not ranked with those that are done.
  const order = measured.filter((row) => status[row] === done).sort((a, b) => sign * (value[a] - value[b]));
  const ranked = [...measured].sort((a, b) => sign * (value[a] - value[b]));
  const shade = new Uint8Array(tid.length).fill(255);
  ranked.forEach((row, rank) => { shade[row] = 4 - Math.floor((5 * rank) / ranked.length); });
  return { rowOf: new Map(tid.map((one, row) => [one, row])), order, shade };
});
