// Tables of several runs: settings that differ, and measured clear rates by level.
import { make, percent } from "./dom.js";

/** Settings that are not the same in all runs. */
export function differencesTable({ runs, differences }) {
  if (runs.length < 2) return make("p", { class: "note" }, "Choose two runs or more to see how their settings differ.");
  if (differences.length === 0) return make("p", { class: "note" }, "These runs have the same settings.");
  return scrolling(
    "settings that differ",
    make(
      "table",
      { class: "differences" },
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "setting"), ...runs.map((name) => make("th", { scope: "col" }, name)))),
      make(
        "tbody",
        {},
        ...differences.map(({ name, values }) =>
          make("tr", {}, make("th", { scope: "row" }, name), ...values.map((value) => make("td", {}, value))),
        ),
      ),
    ),
  );
}

/** Clear rates of the 32 levels; those that nobody measured only where `all` is wanted. */
export function resultsTable({ columns, rows }, all) {
  const measured = rows.filter(({ cells }) => cells.some(Boolean));
  if (measured.length === 0 && !all) {
    return make("p", { class: "note" }, "Nothing is measured yet: that happens when training episodes go well, and at the end.");
  }
  return scrolling(
    "measured clear rates by level",
    make(
      "table",
      { class: "results" },
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "level"), ...columns.map((name) => make("th", { scope: "col" }, name)))),
      make(
        "tbody",
        {},
        ...(all ? rows : measured).map(({ level, cells }) =>
          make("tr", {}, make("th", { scope: "row" }, level), ...cells.map(resultCell)),
        ),
      ),
    ),
  );
}

function resultCell(cell) {
  if (!cell) return make("td", { class: "none" }, "–");
  const interval = cell.low == null ? "" : `${percent(cell.low)} – ${percent(cell.high)}`;
  const detail = cell.final ? interval : "in training";
  const title = `${cell.run}${cell.episodes == null ? "" : `, ${cell.episodes} episodes`}`;
  const element = make("td", { title }, percent(cell.clear_rate), " ", make("small", {}, detail));
  element.style.setProperty("--rate", cell.clear_rate);
  return element;
}

/** A wide table scrolls by itself, with the keyboard too. */
const scrolling = (label, table) => make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table);
