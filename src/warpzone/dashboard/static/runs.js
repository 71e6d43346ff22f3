// The list of runs: sortable, filtered, with a box in each row that puts the run among the compared.
import { count, make, missing, moveWithArrows, percent } from "./dom.js";
import { swatch } from "./charts.js";

/** Seconds without news after which a running run is called silent. */
const SILENT = 600;
/** The states that look like something; others are words. */
const STATES = ["starting", "running", "silent", "interrupted", "finished", "failed", "damaged"];

const levels = (run) => (run.levels.length > 3 ? `${run.levels.length} levels` : run.levels.join(", "));
const COLUMNS = [
  { id: "name", title: "run", value: (run) => run.name },
  { id: "state", title: "state", value: (run) => run.state },
  { id: "level", title: "level", value: levels },
  { id: "preset", title: "preset", value: (run) => run.preset ?? missing },
  { id: "seed", title: "seed", value: (run) => run.seed, text: (run) => count(run.seed), numeric: true },
  { id: "step", title: "steps", value: (run) => run.step, text: (run) => count(run.step), numeric: true },
  { id: "best", title: "best", value: (run) => run.best, text: (run) => percent(run.best), numeric: true },
  { id: "updated", title: "last news", value: (run) => run.updated, text: (run) => ago(run.updated), numeric: true },
];

export function ago(time) {
  if (time == null) return missing;
  const seconds = Math.max(0, Date.now() / 1000 - time);
  if (seconds < 90) return "now";
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} d ago`;
}

/** The state as a mark with a word. */
export function state(run) {
  const silent = ["running", "starting"].includes(run.state) && Date.now() / 1000 - run.updated > SILENT;
  const word = silent ? "silent" : run.state;
  return make("span", { class: STATES.includes(word) ? `state ${word}` : "state other", title: silent ? `said nothing since ${ago(run.updated)}` : null }, word);
}

const order = (a, b) => {
  if (a == null || b == null) return (a == null) - (b == null);
  return typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
};

export class RunList {
  /** `changed(selected)` is called with the names that are chosen, in the order of choosing. */
  constructor(element, changed) {
    this.changed = changed;
    this.selected = [];
    this.rows = new Map();
    this.runs = [];
    this.sort = { id: "updated", down: true };
    this.filter = make("input", {
      type: "search",
      "aria-label": "filter runs by name, level, preset or state",
      placeholder: "filter",
      input: () => this.#arrange(),
    });
    this.heads = new Map(
      COLUMNS.map((column) => [
        column.id,
        make(
          "th",
          { scope: "col", class: column.numeric ? "number" : "" },
          make("button", { type: "button", click: () => this.#sortBy(column) }, column.title),
        ),
      ]),
    );
    this.body = make("tbody", { keydown: (event) => this.#key(event) });
    this.count = make("p", { class: "note", "aria-live": "polite" });
    element.append(
      make(
        "div",
        { class: "tools" },
        this.filter,
        make("button", { type: "button", click: () => this.#choose(this.#listed().map((run) => run.name)) }, "all"),
        make("button", { type: "button", click: () => this.#choose([]) }, "none"),
      ),
      this.count,
      make(
        "table",
        { class: "runs" },
        make("thead", {}, make("tr", {}, make("th", { scope: "col" }, make("span", { class: "unseen" }, "compare")), ...this.heads.values())),
        this.body,
      ),
    );
  }

  /** Show these runs, as `/api/runs` has them. */
  show(runs) {
    this.runs = runs;
    const there = new Set(runs.map((run) => run.name));
    for (const [name, row] of this.rows) {
      if (!there.has(name)) {
        row.element.remove();
        this.rows.delete(name);
      }
    }
    for (const run of runs) this.#fill(run);
    this.#arrange();
  }

  select(names) {
    this.selected = names;
    this.#mark();
  }

  #fill(run) {
    let row = this.rows.get(run.name);
    if (!row) {
      const box = make("input", {
        type: "checkbox",
        "aria-label": `compare ${run.name}`,
        change: () => this.#toggle(run.name),
      });
      const mark = make("span", { class: "mark" });
      const cells = COLUMNS.map((column) =>
        make("td", { class: `${column.id}${column.numeric ? " number" : ""}`, "data-title": column.title }),
      );
      cells[0].append(make("a", { href: `#/run/${encodeURIComponent(run.name)}` }, run.name));
      const problems = make("p", { class: "problem", hidden: true });
      cells[0].append(problems);
      row = { box, mark, cells, problems, element: make("tr", {}, make("td", { class: "choose" }, make("label", {}, box, mark)), ...cells) };
      this.rows.set(run.name, row);
    }
    const problem = run.error ? [`failed: ${run.error}`, ...run.problems] : run.problems;
    row.problems.textContent = problem.join("; ");
    row.problems.hidden = problem.length === 0;
    row.cells[1].replaceChildren(state(run));
    COLUMNS.slice(2).forEach((column, index) => {
      const text = (column.text ?? column.value)(run);
      const cell = row.cells[index + 2];
      if (cell.textContent !== text) cell.textContent = text;
    });
  }

  #listed() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const column = COLUMNS.find(({ id }) => id === this.sort.id);
    const way = this.sort.down ? -1 : 1;
    return this.runs
      .filter((run) => {
        const text = [run.name, run.state, run.preset, ...run.levels].join(" ").toLowerCase();
        return words.every((word) => text.includes(word));
      })
      .sort((a, b) => {
        const [x, y] = [column.value(a), column.value(b)];
        // What is not known comes last, whichever way.
        return (x == null || y == null ? order(x, y) : way * order(x, y)) || order(a.name, b.name);
      });
  }

  #arrange() {
    const listed = this.#listed();
    const wanted = listed.map((run) => this.rows.get(run.name).element);
    const current = [...this.body.children];
    if (wanted.length !== current.length || wanted.some((row, index) => row !== current[index])) {
      const focused = document.activeElement;
      this.body.replaceChildren(...wanted);
      if (focused && this.body.contains(focused)) focused.focus({ preventScroll: true });
    }
    for (const [id, head] of this.heads) {
      const ways = this.sort.down ? "descending" : "ascending";
      head.setAttribute("aria-sort", id === this.sort.id ? ways : "none");
    }
    this.#mark();
  }

  #mark() {
    for (const [name, row] of this.rows) {
      const place = this.selected.indexOf(name);
      row.box.checked = place >= 0;
      row.element.classList.toggle("chosen", place >= 0);
      row.mark.replaceChildren(...(place >= 0 ? [swatch(place)] : []));
    }
    const listed = this.body.children.length;
    const of = listed < this.runs.length ? `${listed} of ${this.runs.length}` : listed;
    const text = `${of} runs, ${this.selected.length} compared`;
    if (this.count.textContent !== text) this.count.textContent = text;
  }

  #sortBy({ id, numeric }) {
    this.sort = { id, down: id === this.sort.id ? !this.sort.down : Boolean(numeric) };
    this.#arrange();
  }

  #toggle(name) {
    const without = this.selected.filter((other) => other !== name);
    this.#choose(without.length < this.selected.length ? without : [...this.selected, name]);
  }

  #choose(names) {
    this.selected = names;
    this.#mark();
    this.changed(names);
  }

  #key(event) {
    const selector = document.activeElement?.tagName === "A" ? "td.name a" : "td.choose input";
    moveWithArrows(event, [...this.body.querySelectorAll(selector)]);
  }
}
