// Who did what when: a row for each device, a bar for each attempt of a trial.
import { bottomAxis, clearPlot, dataTable, fillLegend, frame, inks, keptFor, newPlot, setMarks, textAt } from "./frame.js";
import { counted, linearScale, secondsText, timeTicks } from "./scale.js";
import { choose } from "./selection.js";
import { shape, write } from "./svg.js";

const KIND_TEXTS = { run: "trial", pruned: "pruned", failed: "failed", lost: "lost, and tried again", copy: "second copy", refit: "refit", repeat: "repeat", baseline: "baseline", teacher: "teacher", paused: "device paused" };

export function timeline(container, study, state) {
  const kept = keptFor(container, () => {
    const made = frame(container, "timeline", "Timeline by device");
    made.plot = newPlot("attempts, device by device");
    made.body.append(made.plot.root);
    return made;
  });
  const { spans, kinds } = study.timeline, end = endOf(study), said = timelineSummary(study, end);
  write(kept.summary, said);
  kept.body.hidden = !spans.length;
  if (!spans.length) return;
  const lanes = lanesOf(study, end), narrow = kept.plot.root.clientWidth < 560;
  const size = lanes.count > 60 ? 7 : lanes.count > 24 ? 11 : 18, gap = narrow ? 22 : 8;
  const height = 12 + lanes.count * size + lanes.devices.length * gap + 44;
  const { width, context } = clearPlot(kept.plot, height, said), left = narrow ? 8 : Math.min(190, 24 + 7 * Math.max(...lanes.devices.map((one) => study.devices[one.device].name.length)));
  const box = { left, right: width - 14, top: 6, bottom: height - 44 }, x = linearScale(0, end, box.left, box.right);
  bottomAxis(kept.plot.back, x, timeTicks(x, width / 100), box, "since the study began", true);
  drawLanes(kept.plot, study, lanes, { box, size, gap, narrow });
  const marks = spans.map((span, i) => ({ span, i, start: x(span[1]), stop: Math.max(x(span[1]) + 1.5, x(span[2] === null ? end : span[2])), y: lanes.ys[i] }));
  drawSpans(context, kept.plot, study, state, marks, size);
  marks.sort((a, b) => a.span[0] - b.span[0] || a.span[1] - b.span[1]);
  const find = (px, py) => findSpan(marks, px, py, size);
  setMarks(kept.plot, {
    xs: marks.map((mark) => (mark.start + mark.stop) / 2), ys: marks.map((mark) => mark.y + size / 2), find,
    say: (i) => spanText(study, marks[i].span, end), key: (i) => marks[i].span.slice(0, 2).join(" "),
    press: (i) => marks[i].span[3] !== null && choose(state, marks[i].span[3]),
  });
  const used = kinds.map((_, kind) => spans.filter((span) => span[4] === kind).length);
  fillLegend(kept, kinds.map((kind, i) => [`span ${kind}`, `${KIND_TEXTS[kind] || kind} (${used[i].toLocaleString("en")})`]).filter((_, i) => used[i]));
  dataTable(kept, "Devices' times as a table", ["device", ...kinds.filter((_, i) => used[i]).map((kind) => KIND_TEXTS[kind] || kind), "busy", "paused"], () => timelineLines(study, end, used));
}

function endOf(study) {
  const stops = study.timeline.spans.map((span) => (span[2] === null ? span[1] : span[2]));
  return stops.reduce((most, stop) => Math.max(most, stop), study.seconds || 1);
}

function timelineSummary(study, end) {
  const { spans, kinds } = study.timeline, count = (kind) => spans.filter((span) => kinds[span[4]] === kind).length;
  if (!spans.length) return "No device has begun a trial.";
  const parts = [counted(spans.length - count("paused"), "attempt")];
  if (count("lost")) parts.push(count("lost") + " lost");
  if (count("failed")) parts.push(count("failed") + " failed");
  if (count("copy")) parts.push(counted(count("copy"), "second copy", "second copies"));
  if (count("paused")) parts.push(counted(count("paused"), "pause"));
  const devices = new Set(spans.map((span) => span[0])).size;
  return `${parts.join(", ")}, on ${counted(devices, "device")} in ${secondsText(end)}.`;
}

// A device that does several things at once has several lanes; its pauses lie behind all of them.
function lanesOf(study, end) {
  const { spans, kinds } = study.timeline, paused = kinds.indexOf("paused"), lanes = new Array(spans.length).fill(0), byDevice = new Map();
  const order = spans.map((_, i) => i).sort((a, b) => spans[a][1] - spans[b][1]);
  for (const i of order) {
    const [device, start, stop, , kind] = spans[i];
    if (!byDevice.has(device)) byDevice.set(device, []);
    if (kind === paused) continue;
    const free = byDevice.get(device);
    let lane = free.findIndex((until) => until <= start + 1e-6);
    if (lane < 0) lane = free.push(0) - 1;
    free[lane] = stop === null ? end : stop;
    lanes[i] = lane;
  }
  const devices = [...byDevice.keys()].sort((a, b) => a - b).map((device) => ({ device, lanes: Math.max(1, byDevice.get(device).length) }));
  return { lanes, devices, count: devices.reduce((sum, one) => sum + one.lanes, 0), ys: [] };
}

function drawLanes(plot, study, lanes, { box, size, gap, narrow }) {
  const { spans } = study.timeline, tops = new Map();
  let y = box.top;
  for (const { device, lanes: count } of lanes.devices) {
    const name = study.devices[device].name, most = narrow ? 40 : 24, text = name.length > most ? name.slice(0, most - 1) + "\u2026" : name;
    if (narrow) y += gap - 4;
    tops.set(device, y);
    plot.back.append(narrow ? textAt(box.left, y - 4, "start", text) : textAt(box.left - 10, y + (count * size) / 2 + 4, "end", text));
    plot.back.append(shape("rect", { class: "lane", x: box.left, y, width: box.right - box.left, height: count * size }));
    y += count * size + (narrow ? 4 : gap);
  }
  lanes.ys = spans.map((span, i) => tops.get(span[0]) + lanes.lanes[i] * size);
}

function drawSpans(context, plot, study, state, marks, size) {
  const { kinds } = study.timeline, colours = inks(plot.root, ...kinds.map((kind) => "--k-" + kind)), [text, card] = inks(plot.root, "--text", "--card");
  const isPause = (mark) => kinds[mark.span[4]] === "paused";
  for (const mark of [...marks.filter(isPause), ...marks.filter((one) => !isPause(one))]) {
    const { span, start, stop, y } = mark, kind = kinds[span[4]], width = stop - start;
    const gap = width > 5 ? 1 : width > 2.5 ? 0.5 : 0;
    context.fillStyle = colours[span[4]];
    if (kind === "lost") hatched(context, start, y + 1, width - gap, size - 2, colours[span[4]]);
    else context.fillRect(start, kind === "paused" ? y + size * 0.35 : y + 1, Math.max(1, width - gap), kind === "paused" ? size * 0.3 : size - 2);
    if (width < 22 || size < 15 || kind === "paused") mark.short = true;
    if (span[3] !== null && span[3] === state.chosen) {
      Object.assign(context, { strokeStyle: text, lineWidth: 2 });
      context.strokeRect(start, y + 1, Math.max(2, width), size - 2);
    }
    if (mark.short) continue;
    context.fillStyle = kind === "lost" ? text : card;
    context.font = "11px system-ui, sans-serif";
    const name = span[3] === null ? KIND_TEXTS[kind] || kind : String(span[3]);
    if (context.measureText(name).width < width - 6) context.fillText(name, start + 3, y + size - 5);
  }
}

// What was lost has no filled bar: it gave no result.
function hatched(context, x, y, width, height, colour) {
  context.save();
  context.beginPath();
  context.rect(x, y, Math.max(1.5, width), height);
  context.clip();
  Object.assign(context, { strokeStyle: colour, lineWidth: 1.5 });
  context.strokeRect(x + 0.5, y + 0.5, Math.max(0.5, width - 1), height - 1);
  context.beginPath();
  for (let at = x - height; at < x + width; at += 6) {
    context.moveTo(at, y + height);
    context.lineTo(at + height, y);
  }
  context.stroke();
  context.restore();
}

function findSpan(marks, x, y, size) {
  let found = -1, least = 8;
  marks.forEach((mark, i) => {
    const distance = Math.max(0, mark.start - x, x - mark.stop);
    if (y >= mark.y && y < mark.y + size && distance < least) [found, least] = [i, distance];
  });
  return found;
}

function spanText(study, [device, start, stop, tid, kind], end) {
  const { timeline, devices } = study, name = timeline.kinds[kind];
  const what = tid === null ? KIND_TEXTS[name] || name : `trial ${tid}: ${name === "run" ? (stop === null ? "running" : "done") : KIND_TEXTS[name] || name}`;
  return `${what}\n${devices[device].name}\nfrom ${secondsText(start)}, for ${secondsText((stop === null ? end : stop) - start)}${stop === null ? " so far" : ""}`;
}

function timelineLines(study, end, used) {
  const { spans, kinds } = study.timeline;
  return [...new Set(spans.map((span) => span[0]))].sort((a, b) => a - b).map((device) => {
    const own = spans.filter((span) => span[0] === device), time = (some) => secondsText(some.reduce((sum, span) => sum + (span[2] === null ? end : span[2]) - span[1], 0));
    const counts = kinds.map((_, kind) => own.filter((span) => span[4] === kind).length).filter((_, kind) => used[kind]);
    return [study.devices[device].name, ...counts, time(own.filter((span) => kinds[span[4]] !== "paused")), time(own.filter((span) => kinds[span[4]] === "paused"))];
  });
}
