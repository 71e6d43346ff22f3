// The page: the list of runs with comparisons, or one run. It follows the address after `#`.
import { Charts, swatch } from "./charts.js";
import { differencesTable, resultsTable } from "./compare.js";
import { Curves, about, ask, repeat } from "./data.js";
import { make } from "./dom.js";
import { RunPage } from "./run.js";
import { RunList } from "./runs.js";

/** Curves over each other at the most: more cannot be told apart. */
const MOST_CURVES = 24;
/** Runs that are compared when nobody has chosen. */
const AT_FIRST = 5;
/** Levels measured up to which those without a result are left out. */
const FEW_LEVELS = 8;

const main = document.getElementById("main");
const trouble = document.getElementById("trouble");
let known = null;
let page = null;

function tell(error) {
  const text =
    error === null
      ? ""
      : error.told
        ? error.message
        : "The dashboard does not answer: it has ended, or the machine is busy. This page goes on trying.";
  if (trouble.textContent !== text) trouble.textContent = text;
  trouble.hidden = text === "";
  if (error && !error.told && !(error instanceof TypeError && /fetch/i.test(error.message))) {
    throw error; // a fault of this page, for its log
  }
}

async function refresh() {
  const answer = await ask("api/runs", { changed: known !== null });
  if (answer) {
    known = answer;
    document.getElementById("folder").textContent = known.folder;
  }
  const drawing = await page.update(known);
  if (known.problem) throw Object.assign(new Error(known.problem), { told: true });
  return drawing;
}

/** Nothing there yet. */
function emptyPage() {
  if (known === null) {
    main.append(make("p", { class: "note" }, "Reading the runs …"));
    return {
      async update(answer) {
        route();
        return page.update(answer);
      },
      close() {},
    };
  }
  main.append(
    make("h2", {}, "No runs yet"),
    make("p", {}, "Start a training in a terminal, and it shows here by itself:"),
    make("pre", {}, make("code", {}, "warpzone train 1-1")),
    make("p", { class: "note" }, "It writes to runs/ unless --out names another directory; this page shows the folder named above."),
  );
  return {
    async update({ runs }) {
      if (runs.length > 0) route();
    },
    close() {},
  };
}

function overviewPage(query) {
  const side = make("section", { class: "list", "aria-labelledby": "runs-title" }, make("h2", { id: "runs-title" }, "Runs"));
  const legend = make("ul", { class: "legend", "aria-label": "runs compared" });
  const curvesAt = make("section", { "aria-labelledby": "curves-title" }, make("h2", { id: "curves-title" }, "Curves"), legend);
  const differencesAt = make("div");
  const resultsAt = make("div");
  const all = make("input", { type: "checkbox", change: () => showResults() });
  main.append(
    make(
      "div",
      { class: "overview" },
      side,
      make(
        "div",
        { class: "compared" },
        curvesAt,
        make("section", { "aria-labelledby": "differences-title" }, make("h2", { id: "differences-title" }, "Settings that differ"), differencesAt),
        make(
          "section",
          { "aria-labelledby": "results-title" },
          make("h2", { id: "results-title" }, "Measured clear rates"),
          make("label", { class: "all" }, all, "all 32 levels"),
          resultsAt,
        ),
      ),
    ),
  );
  const charts = new Charts(curvesAt);
  const curves = new Map();
  let selected = query.getAll("run");
  let compared = null;
  let drawn = "";
  let asked = "";
  let touched = false;
  all.addEventListener("change", () => (touched = true));

  const list = new RunList(side, (names) => {
    selected = names;
    history.replaceState(null, "", `#/?${new URLSearchParams(names.map((name) => ["run", name]))}`);
    showLegend();
    loop.again();
  });

  function showLegend() {
    legend.replaceChildren(
      ...selected.slice(0, MOST_CURVES).map((name, place) =>
        make("li", {}, swatch(place), make("a", { href: `#/run/${encodeURIComponent(name)}` }, name)),
      ),
      ...(selected.length > MOST_CURVES
        ? [make("li", { class: "note" }, `and ${selected.length - MOST_CURVES} that are not drawn: more than ${MOST_CURVES} curves cannot be told apart`)]
        : []),
    );
  }

  function showResults() {
    if (compared) resultsAt.replaceChildren(resultsTable(compared.results, all.checked));
  }

  async function compare() {
    if (selected.length === 0) {
      compared = null;
      differencesAt.replaceChildren(make("p", { class: "note" }, "Choose runs in the list."));
      resultsAt.replaceChildren();
      return;
    }
    const answer = await ask(about("api/compare", ...selected));
    if (JSON.stringify(answer) === JSON.stringify(compared)) return;
    compared = answer;
    differencesAt.replaceChildren(differencesTable(compared));
    const measured = compared.results.rows.filter(({ cells }) => cells.some(Boolean)).length;
    if (!touched) all.checked = measured > FEW_LEVELS;
    showResults();
  }

  let closed = false;
  return {
    async update({ runs }) {
      if (runs.length === 0) {
        route();
        return 0;
      }
      const there = new Map(runs.map((run) => [run.name, run]));
      selected = selected.filter((name) => there.has(name));
      if (selected.length === 0 && drawn === "" && query.size === 0) {
        const newest = [...runs].sort((a, b) => (b.updated ?? 0) - (a.updated ?? 0));
        selected = newest.filter((run) => run.state !== "damaged").slice(0, AT_FIRST).map((run) => run.name);
      }
      list.show(runs);
      list.select(selected);
      showLegend();
      const chosen = selected.slice(0, MOST_CURVES).map((name, place) => {
        if (!curves.has(name)) curves.set(name, new Curves(name));
        return { name, place, data: curves.get(name) };
      });
      // What has ended does not change: it is asked for once, and when the list says otherwise.
      await Promise.all(
        chosen.map(async ({ name, data }) => {
          const stamp = JSON.stringify(there.get(name));
          if (data.stamp === stamp && there.get(name).state !== "running") return;
          await data.refresh();
          data.stamp = stamp;
        }),
      );
      if (closed) return 0;
      const state = JSON.stringify(chosen.map(({ name, data }) => [name, data.revision]));
      const spent = state === drawn ? 0 : charts.show(chosen);
      drawn = state;
      const facts = JSON.stringify([
        selected.map((name) => [there.get(name).state, there.get(name).best, there.get(name).problems]),
        chosen.map(({ data }) => data.measured.step.length),
        selected,
      ]);
      if (facts !== asked) await compare();
      asked = facts;
      return spent;
    },
    close() {
      closed = true;
      charts.close();
    },
  };
}

function runPage(name, query) {
  const back = make("p", {}, make("a", { href: "#/" }, "← all runs"));
  const place = make("div");
  main.append(back, place);
  let shown = null;
  return {
    async update({ runs }) {
      const run = runs.find((other) => other.name === name);
      if (!run) {
        shown?.close();
        shown = null;
        place.replaceChildren(make("h2", {}, name), make("p", { class: "note" }, "There is no run of that name here now. It shows as soon as there is."));
        return 0;
      }
      if (!shown) {
        place.replaceChildren();
        shown = new RunPage(place, run, query.get("panel"));
        shown.opened = () => loop.again();
      }
      return (await shown.update(run)) ?? 0;
    },
    close() {
      shown?.close();
    },
  };
}

/** What an address means; one that somebody has typed may mean nothing. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function route() {
  const [path, query = ""] = location.hash.slice(1).split("?");
  const found = path.match(/^\/run\/(.+)$/);
  page?.close();
  main.replaceChildren();
  if (found) page = runPage(decoded(found[1]), new URLSearchParams(query));
  else if (known && known.runs.length > 0) page = overviewPage(new URLSearchParams(query));
  else page = emptyPage();
  loop?.again();
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address says which page this is
  main.focus();
});
let loop = null;
route();
loop = repeat(refresh, tell);
addEventListener("hashchange", route);
