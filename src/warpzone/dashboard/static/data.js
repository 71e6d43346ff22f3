// What the server tells, asked again and again, but never more than the machine can well spare:
// it trains.

const INTERVAL = 2000;
const LONGEST = 15000;
/** A page draws at the most for this share of the time (the browser adds twice that) … */
const SHARE = 0.005;
/** … after so many milliseconds that are free, for who comes to see something begin. */
const FREE = 1000;

const tags = new Map();

/** The JSON at `url`; with `changed`, null where it is as it was the last time. */
export async function ask(url, { changed = false } = {}) {
  const response = await fetch(url, { headers: { accept: "application/json" } });
  const tag = response.headers.get("etag");
  const body = await response.json().catch(() => ({ error: `${url}: HTTP ${response.status}` }));
  if (!response.ok) {
    throw Object.assign(new Error(body.error ?? `HTTP ${response.status}`), { told: true });
  }
  if (changed && tag !== null && tags.get(url) === tag) return null;
  tags.set(url, tag);
  return body;
}

/** `/api/x` with the names of runs. */
export const about = (path, ...names) =>
  `${path}?${new URLSearchParams(names.map((name) => ["run", name]))}`;

/**
 * Calls `action` now and again, not while the page is hidden. `again()` calls it at once, `stop()`
 * ends it. What it throws goes to `failed`; null there: all is well.
 */
export function repeat(action, failed) {
  let timer = null;
  let busy = false;
  let asked = false;
  let stopped = false;
  let free = FREE;
  async function go() {
    clearTimeout(timer);
    if (stopped) return;
    if (busy) {
      asked = true;
      return;
    }
    busy = true;
    asked = false;
    let drawing = 0;
    try {
      drawing = (await action()) ?? 0;
      if (!stopped) failed(null);
    } catch (error) {
      if (!stopped) failed(error);
    }
    busy = false;
    if (stopped || (document.hidden && !asked)) return;
    const due = Math.max(drawing - free, 0) / SHARE;
    free = Math.max(free - drawing, 0);
    timer = setTimeout(go, asked ? 0 : Math.min(LONGEST, Math.max(INTERVAL, due)));
  }
  const seen = () => (document.hidden ? clearTimeout(timer) : go());
  document.addEventListener("visibilitychange", seen);
  go();
  return {
    again: go,
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    },
  };
}

/** The curves of a run, which grow. */
export class Curves {
  constructor(name) {
    this.name = name;
    this.token = "";
    this.revision = 0;
    this.forget();
  }

  forget() {
    this.step = [];
    this.seconds = [];
    this.curves = {};
    this.measured = { step: [], seconds: [], clear_rate: [] };
    this.updates = 0;
    this.bucket = 1;
    this.skipped = 0;
    this.dropped = 0;
    this.problem = null;
  }

  /** Take in what was added; true if anything was. */
  async refresh() {
    const answer = await ask(`${about("api/curves", this.name)}&after=${this.token}`);
    const same =
      answer.token === this.token &&
      answer.updates === this.updates &&
      answer.measured.step.length === this.measured.step.length &&
      answer.skipped === this.skipped &&
      answer.problem === this.problem;
    if (same) return false;
    const first = answer.first;
    if (first === 0) this.forget();
    const lay = (old, added) => [...old.slice(0, first), ...added];
    this.step = lay(this.step, answer.step);
    this.seconds = lay(this.seconds, answer.seconds);
    for (const [name, { mean, low, high }] of Object.entries(answer.curves)) {
      const old = this.curves[name] ?? { mean: [], low: [], high: [] };
      this.curves[name] = {
        mean: lay(old.mean, mean),
        low: lay(old.low, low),
        high: lay(old.high, high),
      };
    }
    this.measured = answer.measured;
    this.updates = answer.updates;
    this.bucket = answer.bucket;
    this.skipped = answer.skipped;
    this.dropped = answer.dropped;
    this.problem = answer.problem;
    this.token = answer.token;
    this.revision += 1;
    return true;
  }
}
