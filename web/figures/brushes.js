// One axis of the parallel coordinates, and what selects on it by pointer, finger and keyboard.
import { textAt } from "./frame.js";
import { numberText, tickText } from "./scale.js";
import { brush } from "./selection.js";
import { set, shape, write } from "./svg.js";

// `axis` has what axesOf() and the layout say: `at` across, `ends` along, `scale`, `isWide`.
export function showAxis(group, axis, state) {
  const kind = axis.kind === "category" ? "category" : "number";
  if (group.kind !== kind || group.named !== axis.name) {
    group.replaceChildren(shape("g", { class: "drawn", "aria-hidden": "true" }), shape("g", {}));
    Object.assign(group, { kind, named: axis.name });
    if (kind === "number") addHandles(group);
  }
  Object.assign(group, { axis, state });
  drawAxis(group.firstChild, axis);
  if (kind === "category") showCategories(group, axis, state);
  else showRange(group, axis, state);
}

// A bar along the axis, of a width across it.
function bar(axis, from, to, wide) {
  const start = Math.min(from, to), length = Math.abs(to - from);
  if (axis.isWide) return { x: axis.at - wide / 2, y: start, width: wide, height: length };
  return { x: start, y: axis.at - wide / 2, width: length, height: wide };
}

function drawAxis(svg, axis) {
  const { isWide, at, scale, ends: [from, to] } = axis;
  const ticks = axis.kind === "category" ? [] : scale.ticks(isWide ? 6 : 5);
  const line = isWide ? { x1: at, x2: at, y1: from, y2: to } : { x1: from, x2: to, y1: at, y2: at };
  const room = isWide ? Math.max(9, Math.floor((axis.ats.length > 1 ? axis.ats[1] - axis.ats[0] : 200) / 7.4)) : 60;
  const name = axis.label.length > room ? axis.label.slice(0, room - 1) + "\u2026" : axis.label;
  const title = isWide ? textAt(at, to - 26, "middle", name, "axis") : textAt(from - 22, at - 15, "start", name, "axis");
  svg.replaceChildren(shape("line", { class: "spine", ...line }), title);
  if (axis.log) svg.append(isWide ? textAt(at, to - 12, "middle", "log", "small") : textAt(to, at - 15, "end", "log", "small"));
  for (const tick of ticks) {
    const place = scale(tick), text = axis.tick ? axis.tick(tick) : tickText(tick);
    svg.append(isWide ? textAt(at + 14, place + 4, "start", text, "on") : textAt(place, at + 20, "middle", text, "on"));
  }
  if (axis.hasNone) {
    const place = from + Math.sign(from - to) * axis.absent;
    svg.append(isWide ? textAt(at + 14, place + 5, "start", "\u2205", "on") : textAt(place, at + 20, "middle", "\u2205", "on"));
  }
}

// -- categories ----------------------------------------------------------------------------------

function showCategories(group, axis, state) {
  const parts = group.lastChild, range = state.brushes.get(axis.name);
  while (parts.children.length > axis.categories.length) parts.lastChild.remove();
  const [from, to] = axis.ends, size = Math.abs(to - from) / axis.categories.length;
  axis.categories.forEach((name, index) => {
    if (!parts.children[index]) parts.append(newCategory(group, index));
    const part = parts.children[index], middle = axis.scale(index), isOn = !range || range.has(index);
    const most = axis.isWide ? 14 : Math.max(3, Math.floor(size / 7));
    set(part, { "aria-label": `${axis.label}: ${name}`, "aria-checked": String(Boolean(range) && isOn), class: "category" + (isOn ? "" : " off") });
    set(part.firstChild, bar(axis, middle - size / 2 + 1, middle + size / 2 - 1, 18));
    const text = part.lastChild;
    set(text, axis.isWide ? { x: axis.at + 14, y: middle + 4, "text-anchor": "start" } : { x: middle, y: axis.at + 22, "text-anchor": "middle" });
    write(text, size < 11 ? "" : name.length > most ? name.slice(0, most - 1) + "\u2026" : name);
  });
}

function newCategory(group, index) {
  const part = set(shape("g", {}, shape("rect"), shape("text", { class: "on" })), { role: "checkbox", tabindex: 0 });
  const toggle = () => {
    const { axis, state } = group, range = new Set(state.brushes.get(axis.name));
    if (!range.delete(index)) range.add(index);
    brush(state, axis.name, range.size ? range : null);
  };
  part.addEventListener("click", toggle);
  part.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") toggle();
    else if (event.key === "Escape") brush(group.state, group.axis.name, null);
    else return;
    event.preventDefault();
  });
  return part;
}

// -- numbers -------------------------------------------------------------------------------------

function addHandles(group) {
  const hit = shape("rect", { class: "hit" }), range = shape("rect", { class: "range" });
  group.handles = [0, 1].map((end) => {
    const handle = set(shape("rect"), { class: "handle", role: "slider", tabindex: 0, rx: 3 });
    handle.addEventListener("keydown", (event) => press(group, end, event));
    return handle;
  });
  group.range = range;
  group.hit = hit;
  group.lastChild.append(hit, range, ...group.handles);
  group.lastChild.addEventListener("pointerdown", (event) => drag(group, event));
}

function showRange(group, axis, state) {
  const [low, high] = ofBrush(axis, state), { ends } = axis, places = [low, high].map((value) => Math.max(Math.min(...ends), Math.min(Math.max(...ends), axis.scale(value))));
  const isBrushed = state.brushes.has(axis.name);
  set(group.hit, bar(axis, ends[0], ends[1], axis.isWide ? 30 : 26));
  set(group.range, { ...bar(axis, ...places, 14), class: isBrushed ? "range" : "range none" });
  group.handles.forEach((handle, end) => {
    const outward = Math.sign(ends[1] - ends[0]) * (end ? 6 : -6);
    set(handle, { ...bar(axis, places[end], places[end] + outward, 22), class: isBrushed ? "handle set" : "handle" });
    const value = [low, high][end];
    set(handle, {
      "aria-label": `${axis.label}: ${end ? "highest" : "lowest"} selected`,
      "aria-valuemin": axis.low, "aria-valuemax": axis.high, "aria-valuenow": value,
      "aria-valuetext": axis.tick ? axis.tick(value) : numberText(+value.toPrecision(4)),
    });
  });
}

// The selected range in the bounds of the axis.
function ofBrush(axis, state) {
  const [low, high] = state.brushes.get(axis.name) || [-Infinity, Infinity];
  return [Math.max(low, axis.low), Math.min(high, axis.high)];
}

// An end of the range that is the axis's end selects what lies beyond it too.
function select({ axis, state }, low, high) {
  if (low > high) [low, high] = [high, low];
  if (axis.kind === "integer") [low, high] = [Math.ceil(low - 0.5), Math.floor(high + 0.5)];
  const range = [low <= axis.low ? -Infinity : low, high >= axis.high ? Infinity : high];
  brush(state, axis.name, range[0] === -Infinity && range[1] === Infinity ? null : range);
}

const MOVES = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 5, PageDown: -5, Home: -1000, End: 1000 };

function press(group, end, event) {
  const { axis, state } = group, range = ofBrush(axis, state);
  if (event.key === "Escape" || event.key === "Delete") brush(state, axis.name, null);
  else if (event.key in MOVES) {
    const [from, to] = axis.ends, step = ((to - from) / 50) * MOVES[event.key];
    let value = axis.scale.invert(axis.scale(range[end]) + step);
    if (axis.kind === "integer" && Math.abs(value - range[end]) < 1) value = range[end] + Math.sign(MOVES[event.key]);
    value = Math.max(axis.low, Math.min(axis.high, value));
    range[end] = end ? Math.max(range[0], value) : Math.min(range[1], value);
    select(group, ...range);
  } else return;
  event.preventDefault();
}

// Drag a new range, an end of the range, or all of it.
function drag(group, event) {
  if (event.button) return;
  const { axis, state } = group, surface = group.ownerSVGElement;
  const along = ({ clientX, clientY }) => {
    const box = surface.getBoundingClientRect(), [from, to] = [Math.min(...axis.ends), Math.max(...axis.ends)];
    return Math.max(from, Math.min(to, axis.isWide ? clientY - box.top : clientX - box.left));
  };
  const start = along(event), before = ofBrush(axis, state).map((value) => axis.scale(value));
  const end = group.handles.indexOf(event.target), isMoved = event.target === group.range && state.brushes.has(axis.name);
  const move = (next) => {
    const now = along(next), value = axis.scale.invert;
    if (isMoved) select(group, ...before.map((place) => value(place + now - start)));
    else if (end >= 0) select(group, value(now), value(before[1 - end]));
    else if (Math.abs(now - start) > 3) select(group, value(start), value(now));
  };
  const stop = (last) => {
    group.lastChild.removeEventListener("pointermove", move);
    if (end < 0 && last.type === "pointerup" && Math.abs(along(last) - start) <= 3) brush(state, axis.name, null);
  };
  group.lastChild.setPointerCapture(event.pointerId);
  group.lastChild.addEventListener("pointermove", move);
  group.lastChild.addEventListener("pointerup", stop, { once: true });
  group.lastChild.addEventListener("pointercancel", stop, { once: true });
  event.preventDefault();
  if (end >= 0) event.target.focus();
}
