// The map of a run as a panel, see run.js: asks the server and has map.js draw.

import { make } from "./dom.js";
import { LevelMap } from "./map.js";

const TRACES_EVERY = 10_000; // ms

async function fetched(url) {
  const response = await fetch(url, { headers: { accept: "application/json" } });
  const text = await response.text();
  if (response.ok) return text;
  let told = `${url}: HTTP ${response.status}`;
  try {
    told = JSON.parse(text).error ?? told;
  } catch {
    // no JSON: the status says what there is to say
  }
  throw Object.assign(new Error(told), { told: true });
}

/** A panel of the dashboard: the map of `run`, which `update` brings up to date. */
export function mountMap(element, run) {
  const trouble = make("p", { class: "problem", role: "alert", hidden: true });
  const place = make("div");
  element.append(trouble, place);
  const address = (path, values) => `${path}?${new URLSearchParams(values)}`;
  let question = { run: run.name };
  let before = "";
  let tracesBefore = "";
  let tracedAt = -Infinity;
  let turn = 0;
  let closed = false;
  const map = new LevelMap(
    place,
    (level, strip) => address("api/map/picture", { run: run.name, level, strip, version: version() }),
    (level, last) => {
      question = { run: run.name, level, ...(last ? { last } : {}) };
      tracedAt = -Infinity;
      update();
    },
  );
  let pictures = 0;
  const version = () => pictures;

  async function update() {
    const mine = (turn += 1);
    try {
      const text = await fetched(address("api/map", question));
      if (closed || mine !== turn) return 0;
      const begun = performance.now();
      if (text !== before) {
        const data = JSON.parse(text);
        ({ pictures } = data);
        if (map.data?.level !== data.level) tracesBefore = "";
        map.show(data);
        before = text;
      }
      let spent = performance.now() - begun;
      if (begun - tracedAt >= TRACES_EVERY) {
        tracedAt = begun;
        const level = map.data.level;
        const traces = await fetched(address("api/map/traces", { run: run.name, level }));
        if (closed || mine !== turn) return spent;
        const again = performance.now();
        if (traces !== tracesBefore) map.showTraces(JSON.parse(traces).traces);
        tracesBefore = traces;
        spent += performance.now() - again;
      }
      trouble.hidden = true;
      return spent;
    } catch (error) {
      if (closed || mine !== turn) return 0;
      if (!error.told) throw error; // the server is gone: the page says so
      trouble.textContent = error.message;
      trouble.hidden = false;
      return 0;
    }
  }

  return {
    update,
    close() {
      closed = true;
    },
  };
}
