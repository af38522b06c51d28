"use strict";
// Everything that comes from the store is written as text, never as HTML.
const EVERY_MS = 2000;
const PATIENCE_MS = 15000;
const element = (id) => document.getElementById(id);

function write(node, text) {
  // An unchanged text is not written again, because a screen reader would read it again.
  if (node.textContent !== (text || "")) node.textContent = text || "";
}

function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

function rows(list, items, create, fill) {
  // Rows are reused, so that the focus is not lost.
  while (list.children.length > items.length) list.lastChild.remove();
  items.forEach((item, number) => {
    if (!list.children[number]) list.append(create());
    fill(list.children[number], item);
  });
}

const part = (row, name) => row.querySelector("." + name);

function showStudies(studies, shown) {
  element("others").hidden = studies.length < 2;
  const create = () => make("li", "", make("a", "name"), " ", make("span", "tag"), make("p", "quiet counts"));
  rows(element("studies"), studies, create, (row, study) => {
    const link = part(row, "name");
    write(link, study.shown);
    link.setAttribute("href", "#=" + encodeURIComponent(study.name));
    if (study.name === shown) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
    write(part(row, "tag"), study.state);
    write(part(row, "counts"), study.best ? study.counts + "; " + study.best : study.counts);
  });
}

function showWorkers(fleet) {
  element("fleet").hidden = !fleet.workers.length && !fleet.waiting;
  write(element("no-worker"), fleet.waiting);
  const create = () => {
    const head = make("div", "head", make("span", "name"), make("span", "quiet heard"));
    return make("li", "", head, make("p", "quiet device"), make("p", "does"));
  };
  rows(element("workers"), fleet.workers, create, (row, worker) => {
    for (const name of ["name", "device", "does", "heard"]) write(part(row, name), worker[name]);
    row.classList.toggle("silent", worker.silent);
  });
}

function showTexts(section, list, texts) {
  element(section).hidden = !texts.length;
  rows(element(list), texts, () => make("li"), write);
}

function showStudy(study) {
  write(element("name"), study ? study.shown : "no study yet");
  write(element("phase"), study && study.state);
  element("details").hidden = !study;
  showTexts("failed", "failures", study ? study.failures : []);
  if (!study) return;
  element("bar").hidden = !study.budget;
  element("bar").max = study.budget;
  element("bar").value = study.ended;
  write(element("counts"), [study.counts, study.others, study.left].filter(Boolean).join("; "));
  const best = study.best;
  write(element("best"), best
    ? "best so far " + best.outcome + " (" + best.named + ")"
    : "no result yet");
  const worth = study.repeats ? ["repeats: " + study.repeats] : [];
  if (study.untuned) worth.push("untuned " + study.untuned);
  if (study.usual) worth.push("usual settings " + study.usual);
  if (study.tuned) worth.push("three numbers tuned " + study.tuned);
  if (study.test) worth.push("test " + study.test);
  write(element("worth"), worth.join(", "));
  const create = () => make("tr", "", make("td"), make("td"), make("td"));
  rows(element("top"), study.top, create, (row, trial) => {
    [trial.trial, trial.outcome, trial.hyperparameters].forEach((text, column) => {
      write(row.children[column], String(text));
    });
  });
}

// -- the chart -----------------------------------------------------------------------------------

const BASELINES = [
  ["untuned", "\u2504", "untuned"],
  ["usual", "\u2508", "usual settings"],
  ["tuned", "\u2508", "three numbers tuned"],
];
const MARGIN = { left: 48, right: 14, top: 14, bottom: 40 };

function shape(tag, className, attributes, said) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  if (className) node.setAttribute("class", className);
  for (const name in attributes) node.setAttribute(name, attributes[name]);
  if (said) {
    const title = shape("title");
    title.textContent = said;
    node.append(title);
  }
  return node;
}

function label(x, y, anchor, text) {
  const node = shape("text", "", { x, y, "text-anchor": anchor });
  node.textContent = text;
  return node;
}

// As common/wording.py writes it: only all of it is 100 %.
const percent = (share) => (share >= 1 ? "100" : Math.min(100 * share, 99.9).toFixed(1)) + " %";
const star = (x, y) => "M" + Array.from({ length: 10 }, (_, corner) => {
  const radius = corner % 2 ? 4 : 10, angle = Math.PI * corner / 5;
  return (x + radius * Math.sin(angle)).toFixed(1) + "," + (y - radius * Math.cos(angle)).toFixed(1);
}).join("L") + "Z";

function axes(chart, scale, least, last, width, height) {
  for (let tick = 0; tick <= 4; tick++) {
    const share = least + (1 - least) * tick / 4, y = scale.y(share);
    chart.append(shape("line", "grid", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }));
    chart.append(label(MARGIN.left - 8, y + 4, "end", +(100 * share).toFixed(1) + " %"));
  }
  const wanted = Math.max(2, Math.floor(width / 90));
  const step = [1, 2, 5].flatMap((n) => [0, 1, 2, 3, 4, 5].map((zeros) => n * 10 ** zeros))
    .sort((a, b) => a - b).find((n) => last / n <= wanted) || last;
  for (let tid = 0; tid <= last; tid += step) chart.append(label(scale.x(tid), height - 22, "middle", tid));
  chart.append(label((MARGIN.left + width - MARGIN.right) / 2, height - 4, "middle", "trial"));
}

function draw(content) {
  const chart = element("chart");
  chart.setAttribute("aria-label", content.text);
  chart.replaceChildren();
  const width = chart.clientWidth, height = chart.clientHeight;
  const shares = content.points.map((point) => point[1]);
  const baselines = BASELINES.filter(([key]) => content[key] !== null);
  shares.push(...baselines.map(([key]) => content[key]));
  // The axis starts at a round value below all points.
  const least = [0.9, 0.8, 0.5].find((bound) => shares.length && Math.min(...shares) >= bound) || 0;
  const scale = {
    x: (tid) => MARGIN.left + 10 + (width - MARGIN.left - MARGIN.right - 20) * tid / Math.max(1, content.last),
    y: (share) => height - MARGIN.bottom - (height - MARGIN.top - MARGIN.bottom) * (share - least) / (1 - least),
  };
  axes(chart, scale, least, content.last, width, height);
  for (const [key] of baselines) {
    const y = scale.y(content[key]);
    chart.append(shape("line", key, { x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }));
  }
  for (const tid of content.bad) {
    const x = scale.x(tid), y = height - MARGIN.bottom - 6;
    const cross = "M" + (x - 4) + "," + (y - 4) + "l8,8m0,-8l-8,8";
    chart.append(shape("path", "bad", { d: cross }, "trial " + tid + ": diverged or failed"));
  }
  let steps = "", best = -1;
  for (const [tid, share] of content.points) {
    const circle = { cx: scale.x(tid), cy: scale.y(share), r: 4 };
    chart.append(shape("circle", "point", circle, "trial " + tid + ": " + percent(share)));
    best = Math.max(best, share);
    steps += steps ? "H" + scale.x(tid) + "V" + scale.y(best) : "M" + scale.x(tid) + "," + scale.y(best);
  }
  chart.append(shape("path", "steps", { d: steps }));
  if (content.best) chart.append(shape("path", "star", { d: star(scale.x(content.best[0]), scale.y(content.best[1])) }));
}

function legend(content) {
  const of = content.together > 1 ? "the best of " + content.together + " trials" : "a trial";
  const entries = [["point", "\u25cf", of], ["steps", "\u2501", "best so far"], ["star", "\u2605", "the best"]];
  if (content.bad.length) entries.push(["bad", "\u2715", "diverged or failed"]);
  for (const [key, sign, name] of BASELINES) if (content[key] !== null) entries.push([key, sign, name]);
  rows(element("legend"), entries, () => make("span", "", make("b"), make("i")), (row, [kind, sign, text]) => {
    row.firstChild.className = kind;
    row.firstChild.setAttribute("aria-hidden", "true");
    write(row.firstChild, sign);
    write(row.lastChild, " " + text);
  });
}

let drawn = "", chartContent = null;

function showChart(content) {
  chartContent = content;
  const now = JSON.stringify(content) + element("chart").clientWidth;
  if (now === drawn) return;
  drawn = now;
  draw(content);
  legend(content);
}

new ResizeObserver(() => chartContent && showChart(chartContent)).observe(element("chart"));

// -- asking --------------------------------------------------------------------------------------

function show(answer) {
  const fleet = answer.fleet;
  const old = fleet && answer.problem ? "; the rest of the page is from before that" : "";
  write(element("problem"), answer.problem && "the store: " + answer.problem + old + "; this page goes on by itself when it is back");
  if (!fleet) return;
  write(element("where"), "studies on " + fleet.address);
  write(element("asof"), "as of " + new Date(Date.now() - 1000 * answer.age).toLocaleTimeString());
  document.title = (fleet.study ? fleet.study.shown + ": " + fleet.study.counts + " \u2013 " : "") + "hyperhive";
  showStudies(fleet.studies, fleet.study && fleet.study.name);
  showStudy(fleet.study);
  showWorkers(fleet);
  showTexts("incidents", "incident-lines", fleet.incidents);
  if (fleet.study) showChart(fleet.study.chart);
}

const AWAY = "no connection: `hyperhive dashboard` has ended, or this device is offline; asking again";
const MOVED = "this address is no longer the dashboard's: open the one that `hyperhive dashboard` prints";
let timer = 0, asking = false, again = false;

async function answered() {
  // Returns the answer and a problem; one of them is empty.
  const query = location.hash.startsWith("#=") ? "?study=" + location.hash.slice(2) : "";
  const patience = new AbortController();
  const timeout = setTimeout(() => patience.abort(), PATIENCE_MS);
  try {
    const response = await fetch("fleet.json" + query, { signal: patience.signal });
    if (response.ok) return [await response.json(), ""];
    return [null, response.status === 403 ? MOVED : "too many viewers; asking again"];
  } catch {
    return [null, AWAY];
  } finally {
    clearTimeout(timeout);
  }
}

async function ask() {
  if (asking) { again = true; return; }
  clearTimeout(timer);
  asking = true;
  const [answer, problem] = await answered();
  asking = false;
  // A hidden page does not ask.
  if (!document.hidden) timer = setTimeout(ask, again ? 0 : EVERY_MS);
  again = false;
  if (answer) show(answer);
  else write(element("problem"), problem);
}

addEventListener("hashchange", ask);
document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
ask();
