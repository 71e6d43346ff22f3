// One run, in panels. A panel is {id, title, mount(element, run)}; `mount` returns
// {update(run), close()}. `run` is an entry of /api/runs.
import { Charts } from "./charts.js";
import { resultsTable } from "./compare.js";
import { Curves, about, ask } from "./data.js";
import { count, make, moveWithArrows, percent } from "./dom.js";
import { mountMap } from "./map_panel.js";
import { mountGames } from "./games.js";
import { ago, state } from "./runs.js";

export const PANELS = [
  { id: "curves", title: "Curves", mount: mountCurves },
  { id: "games", title: "Games", mount: mountGames },
  { id: "map", title: "Map", mount: mountMap },
  { id: "results", title: "Results", mount: mountResults },
  { id: "settings", title: "Settings", mount: mountSettings },
];

function mountCurves(element, run) {
  const data = new Curves(run.name);
  const charts = new Charts(element);
  let closed = false;
  return {
    async update() {
      const changed = await data.refresh();
      return changed && !closed ? charts.show([{ name: run.name, place: 0, data }]) : 0;
    },
    close() {
      closed = true;
      charts.close();
    },
  };
}

function mountResults(element, run) {
  return {
    async update() {
      const answer = await ask(about("api/compare", run.name));
      element.replaceChildren(resultsTable(answer.results, false));
    },
    close() {},
  };
}

function mountSettings(element, run) {
  let shown = false;
  return {
    async update() {
      if (shown) return; // they do not change
      const settings = await ask(about("api/config", run.name));
      shown = true;
      element.replaceChildren(
        make(
          "table",
          { class: "settings" },
          make(
            "tbody",
            {},
            ...Object.entries(settings).map(([name, value]) =>
              make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value)),
            ),
          ),
        ),
      );
    },
    close() {},
  };
}

/** The page of a run: what it is, and one of the panels. */
export class RunPage {
  constructor(element, run, chosen) {
    this.run = run;
    this.facts = make("dl", { class: "facts" });
    this.problems = make("p", { class: "problem", hidden: true });
    this.tabs = PANELS.map((panel) =>
      make(
        "button",
        {
          type: "button",
          role: "tab",
          id: `tab-${panel.id}`,
          "aria-controls": "panel",
          click: () => this.open(panel.id),
        },
        panel.title,
      ),
    );
    this.panel = make("div", { role: "tabpanel", id: "panel", tabindex: "0" });
    element.append(
      make("h2", {}, run.name),
      this.facts,
      this.problems,
      make(
        "div",
        {
          role: "tablist",
          "aria-label": "what is shown of the run",
          keydown: (event) => moveWithArrows(event, this.tabs, { sideways: true })?.click(),
        },
        ...this.tabs,
      ),
      this.panel,
    );
    this.#tell();
    this.open(PANELS.some(({ id }) => id === chosen) ? chosen : PANELS[0].id);
  }

  open(id) {
    if (this.id === id) return;
    this.mounted?.close();
    this.id = id;
    this.tabs.forEach((tab, index) => {
      const here = PANELS[index].id === id;
      tab.setAttribute("aria-selected", String(here));
      tab.tabIndex = here ? 0 : -1;
    });
    this.panel.setAttribute("aria-labelledby", `tab-${id}`);
    this.panel.replaceChildren();
    history.replaceState(null, "", `#/run/${encodeURIComponent(this.run.name)}?panel=${id}`);
    this.mounted = PANELS.find((panel) => panel.id === id).mount(this.panel, this.run);
    this.opened?.();
  }

  /** Returns the milliseconds that drawing took. */
  async update(run) {
    this.run = run;
    this.#tell();
    return this.mounted.update(run);
  }

  close() {
    this.mounted.close();
  }

  #tell() {
    const { run } = this;
    const fact = (name, ...value) => make("div", {}, make("dt", {}, name), make("dd", {}, ...value));
    const of = run.total_steps == null ? "" : ` of ${count(run.total_steps)}`;
    this.facts.replaceChildren(
      fact("state", state(run)),
      fact(run.levels.length === 1 ? "level" : "levels", run.levels.join(", ") || "–"),
      fact("preset", run.preset ?? "–"),
      fact("seed", count(run.seed)),
      fact("steps", `${count(run.step)}${of}`),
      fact("best measured", percent(run.best)),
      fact("last news", ago(run.updated)),
    );
    const problems = run.error ? [`failed: ${run.error}`, ...run.problems] : run.problems;
    this.problems.textContent = problems.join("; ");
    this.problems.hidden = problems.length === 0;
  }
}
