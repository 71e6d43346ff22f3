import { count, make } from "./dom.js";

export const ORDERS = {
  newest: (a, b) => b.step - a.step || b.modified - a.modified,
  best: (a, b) => rank(b) - rank(a) || b.step - a.step,
};

// Clears come first, the quicker ones before.
function rank(episode) {
  return episode.cleared ? 1e9 - episode.frames : (episode.progress ?? -1);
}

const NONE = "None yet: a run keeps the episodes of some games as they end.";

// The episodes that the run kept.
export class EpisodeList {
  constructor(element, choose) {
    const again = () => this.show(this.episodes);
    this.list = make("ol");
    this.none = make("p", { class: "none" }, NONE);
    this.order = make(
      "select",
      { change: again },
      ...Object.keys(ORDERS).map((name) => make("option", { value: name }, `${name} first`)),
    );
    this.only = make("input", { type: "checkbox", change: again });
    element.append(
      make("h3", {}, "Kept episodes"),
      make(
        "div",
        { class: "filters" },
        make("label", {}, "Order ", this.order),
        make("label", {}, this.only, " clears only"),
      ),
      this.none,
      this.list,
    );
    this.choose = choose;
    this.episodes = [];
    this.rows = new Map();
    this.chosen = null;
  }

  show(episodes) {
    this.episodes = episodes;
    const shown = episodes.filter((e) => !this.only.checked || e.cleared);
    shown.sort((a, b) => Boolean(a.error) - Boolean(b.error) || ORDERS[this.order.value](a, b));
    const rows = new Map(shown.map((e) => [e.file, this.rows.get(e.file) ?? this.row(e)]));
    for (const e of shown) this.fill(rows.get(e.file), e);
    const items = [...rows.values()];
    const same = items.length === this.list.children.length && items.every((r, i) => r === this.list.children[i]);
    if (!same) {
      const focused = document.activeElement;
      this.list.replaceChildren(...items);
      if (this.list.contains(focused)) focused.focus({ preventScroll: true });
    }
    this.rows = rows;
    this.none.hidden = shown.length > 0;
    this.none.textContent = episodes.length > 0 ? "No clears among them yet." : NONE;
    this.mark(this.chosen);
  }

  row(episode) {
    const parts = ["step", "level", "end"].map((name) => make("span", { class: name }));
    return make("li", {}, make("button", { type: "button", "data-file": episode.file, click: () => this.choose(episode.file) }, ...parts));
  }

  fill(row, episode) {
    const [step, level, end] = row.firstChild.children;
    step.textContent = episode.error ? episode.file : `step ${count(episode.step)}`;
    level.textContent = episode.level ?? "";
    end.textContent = episode.error ?? episode.outcome ?? "";
    row.className = episode.error ? "bad" : episode.cleared ? "cleared" : "";
  }

  mark(file) {
    this.chosen = file;
    for (const [name, row] of this.rows) row.firstChild.setAttribute("aria-pressed", String(name === file));
  }
}
