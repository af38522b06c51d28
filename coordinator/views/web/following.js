// Follows the store: waits for events, and asks for what changed since the figures that are shown.

const RETRY_MS = 2000;
const PATIENCE_MS = 25000; // the server says something every 10 s
const AWAY = "no connection: the command that serves this page has ended, or this device is offline";
const MOVED = "this page has no access any more: open the address that `hyperhive dashboard` prints";
const FULL = "too many viewers";

class Refused extends Error {}

async function fetched(address) {
  const patience = new AbortController(), timer = setTimeout(() => patience.abort(), PATIENCE_MS);
  try {
    return await fetch(address, { signal: patience.signal });
  } catch {
    throw new Refused(AWAY);
  } finally {
    clearTimeout(timer);
  }
}

async function ask(path, asked) {
  const answer = await fetched(path + "?" + new URLSearchParams(asked));
  if (answer.status === 404 && path === "trial.json") return null;
  if (answer.status === 502) throw new Refused("the store: " + (await answer.text()).trim());
  if (!answer.ok) throw new Refused(answer.status === 503 ? FULL : MOVED);
  return answer.json();
}

// Put the rows of the trials that changed among those that are known.
function merged(known, news) {
  const rowOf = new Map(known.tid.map((tid, row) => [tid, row]));
  const columns = (old, changed) => {
    const column = old.slice();
    news.tid.forEach((tid, row) => { column[rowOf.get(tid)] = changed[row]; });
    return column;
  };
  for (const tid of news.tid) if (!rowOf.has(tid)) rowOf.set(tid, rowOf.size);
  const found = {};
  for (const name in news) if (name !== "params") found[name] = columns(known[name], news[name]);
  found.params = {};
  for (const name in news.params) found.params[name] = columns(known.params[name] || known.tid.map(() => null), news.params[name]);
  return found;
}

// A span is known by its device, its begin and its trial.
function mergedSpans(known, news) {
  const name = (span) => span[0] + " " + span[1] + " " + span[3];
  const spans = new Map(known.spans.map((span) => [name(span), span]));
  for (const span of news.spans) spans.set(name(span), span);
  return { kinds: news.kinds, spans: [...spans.values()].sort((a, b) => a[1] - b[1]) };
}

function updated(known, news) {
  const study = { ...known, ...news };
  if (news.trials) study.trials = merged(known.trials, news.trials);
  if (news.timeline) study.timeline = mergedSpans(known.timeline, news.timeline);
  return study;
}

// `wanted()` is what is looked at, `show(...)` shows it, and `tell(problem, time)` says how old it is.
export function follow({ wanted, show, tell }) {
  const figures = new Map(); // by study: its figures and their revision
  let fleet = null, fleetAt = 0, newest = 0, shownAt = null;
  let events = null, retry = 0, watchdog = 0, asking = false, again = false;

  async function figuresOf(name) {
    const known = figures.get(name);
    if (known && known.revision >= newest) return known.study;
    const answer = await ask("figures.json", known ? { study: name, since: known.revision } : { study: name });
    if (!answer.study) {
      figures.delete(name);
      return null;
    }
    const { study, revision, whole } = answer;
    figures.set(name, { revision, study: whole ? study : updated(known.study, study) });
    return figures.get(name).study;
  }

  async function refresh() {
    if (asking) { again = true; return; }
    asking = true;
    try {
      do {
        again = false;
        await once();
      } while (again);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      lost(error.message);
    } finally {
      asking = false;
    }
  }

  async function once() {
    if (!fleet || fleetAt < newest) {
      const answer = await ask("fleet.json", {});
      fleetAt = answer.revision;
      newest = Math.max(newest, fleetAt);
      if (answer.fleet) fleet = answer.fleet;
      said(answer);
    }
    const asked = wanted(), names = asked.studies.length ? asked.studies : fleet && fleet.newest !== null ? [fleet.newest] : [];
    if (asked.trial !== null) {
      const trial = await ask("trial.json", { study: names[0], trial: asked.trial });
      if (trial) show({ fleet, studies: [], trial });
      else location.hash = "";
      return;
    }
    const studies = (await Promise.all(names.map(figuresOf))).filter(Boolean);
    for (const name of figures.keys()) if (!names.includes(name)) figures.delete(name);
    show({ fleet, studies, trial: null });
  }

  function said({ problem, at }) {
    if (at !== null) shownAt = new Date(at);
    tell(problem && "the store: " + problem, shownAt);
  }

  function lost(problem) {
    close();
    tell(problem, shownAt);
    if (!document.hidden) retry = setTimeout(open, RETRY_MS);
  }

  function close() {
    clearTimeout(retry);
    clearTimeout(watchdog);
    if (events) events.close();
    events = null;
  }

  function heard() {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => lost(AWAY), PATIENCE_MS);
  }

  function open() {
    close();
    events = new EventSource("events");
    events.onmessage = (event) => {
      const news = JSON.parse(event.data);
      heard();
      said(news);
      newest = news.revision;
      refresh();
    };
    // The browser does not tell why: a question does.
    events.onerror = () => {
      close();
      ask("fleet.json", {}).then(() => lost(AWAY), (error) => lost(error.message));
    };
    heard();
    refresh();
  }

  addEventListener("hashchange", refresh);
  // A hidden page does not ask.
  document.addEventListener("visibilitychange", () => document.hidden ? close() : open());
  open();
}
