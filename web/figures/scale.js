// Scales from values to pixels and back, their ticks, and how values are written.

const NICE = [1, 2, 5, 10];

function linearTicks(low, high, wanted, whole) {
  const rough = (high - low) / Math.max(1, wanted), power = 10 ** Math.floor(Math.log10(rough));
  let step = power * NICE.find((nice) => nice * power >= rough * 0.999);
  if (whole) step = Math.max(1, Math.round(step));
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) found.push(+(n * step).toPrecision(12));
  return found;
}

function logTicks(low, high, wanted) {
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
  const few = last - first <= 2 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil((last - first) / Math.max(1, wanted)));
  const found = [];
  for (let power = first; power <= last; power += every) {
    for (const nice of few) {
      const tick = +(nice * 10 ** power).toPrecision(12);
      if (tick >= low * 0.9999 && tick <= high * 1.0001) found.push(tick);
    }
  }
  return found.length > 1 ? found : [low, high];
}

// A scale is a function from a value to a pixel, with `invert`, `ticks(wanted)`, `low` and `high`.
export function linearScale(low, high, from, to, whole) {
  if (!(high > low)) [low, high] = [low - (Math.abs(low) || 1) / 2, low + (Math.abs(low) || 1) / 2];
  const scale = (value) => from + ((value - low) / (high - low)) * (to - from);
  scale.invert = (pixel) => low + ((pixel - from) / (to - from)) * (high - low);
  scale.ticks = (wanted) => linearTicks(low, high, wanted, whole);
  return Object.assign(scale, { low, high, from, to });
}

export function logScale(low, high, from, to) {
  if (!(low > 0)) return linearScale(low, high, from, to);
  if (!(high > low)) [low, high] = [low / 2, low * 2];
  const start = Math.log(low), span = Math.log(high) - start;
  const scale = (value) => from + ((Math.log(value) - start) / span) * (to - from);
  scale.invert = (pixel) => Math.exp(start + ((pixel - from) / (to - from)) * span);
  scale.ticks = (wanted) => logTicks(low, high, wanted);
  return Object.assign(scale, { low, high, from, to });
}

// Categories are numbered from 0; each has the middle of its part of the axis.
export function bandScale(count, from, to) {
  const scale = (index) => from + ((index + 0.5) / Math.max(1, count)) * (to - from);
  scale.invert = (pixel) => Math.max(0, Math.min(count - 1, Math.floor(((pixel - from) / (to - from)) * count)));
  scale.ticks = () => Array.from({ length: count }, (_, index) => index);
  return Object.assign(scale, { low: 0, high: count - 1, from, to });
}

// The scale of a hyperparameter.
export function parameterScale(parameter, from, to) {
  if (parameter.kind === "category") return bandScale(parameter.categories.length, from, to);
  if (parameter.log) return logScale(parameter.low, parameter.high, from, to);
  return linearScale(parameter.low, parameter.high, from, to, parameter.kind === "integer");
}

// At most six digits, as the report's numbers have.
export function numberText(value) {
  if (value === null || value === undefined) return "\u2013";
  const rounded = +value.toPrecision(6);
  const size = Math.abs(rounded);
  if (size >= 10000 && size < 1e15) return rounded.toLocaleString("en", { maximumFractionDigits: 2 });
  return String(rounded).replace("e+", "e");
}

// A tick has few digits.
export const tickText = (value) => {
  const size = Math.abs(value);
  if (size && (size < 0.001 || size >= 1e6)) return value.toExponential().replace("e+", "e");
  return size >= 10000 ? value / 1000 + "k" : String(+value.toPrecision(6));
};

// As common/wording.py writes it: only all of it is 100 %.
export const percentText = (share) =>
  share === null || share === undefined ? "\u2013" : (share >= 1 ? "100" : Math.min(100 * share, 99.9).toFixed(1)) + " %";

// A value of the study's metric.
export function metricText(metric, value) {
  if (value === null || value === undefined) return "\u2013";
  return metric.unit === "share" ? percentText(value) : numberText(value);
}

export function metricTick(metric, value) {
  return metric.unit === "share" ? +(100 * value).toPrecision(4) + " %" : tickText(value);
}

export function parameterText(parameter, value) {
  if (value === null || value === undefined) return "\u2013";
  return parameter.kind === "category" ? parameter.categories[value] : numberText(value);
}

export function secondsText(seconds) {
  if (seconds === null || seconds === undefined) return "\u2013";
  if (seconds < 10) return +seconds.toPrecision(2) + " s";
  if (seconds < 90) return Math.round(seconds) + " s";
  if (seconds < 5400) return Math.round(seconds / 60) + " min";
  return seconds < 172800 ? +(seconds / 3600).toFixed(1) + " h" : +(seconds / 86400).toFixed(1) + " days";
}

// Ticks of a time axis are round numbers of its unit.
export function timeTicks(scale, wanted) {
  const unit = scale.high < 180 ? 1 : scale.high < 7200 ? 60 : scale.high < 259200 ? 3600 : 86400;
  const name = { 1: "s", 60: "min", 3600: "h", 86400: "days" }[unit];
  return linearTicks(scale.low / unit, scale.high / unit, wanted, unit < 3600).map((tick) => [tick * unit, tick + " " + name]);
}

export function bytesText(bytes) {
  if (bytes < 1000) return bytes + " bytes";
  return bytes < 1e6 ? Math.round(bytes / 1000) + " kB" : +(bytes / 1e6).toFixed(1) + " MB";
}

export const counted = (count, word, plural) => count.toLocaleString("en") + " " + (count === 1 ? word : plural || word + "s");
