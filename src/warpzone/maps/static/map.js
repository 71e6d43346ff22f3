// The level as one long picture, with a heat map of where episodes ended and traces of stored ones.
// It draws what it is given and asks nobody: the dashboard's panel feeds it, and a report holds it.

import { make } from "./dom.js";

const ZOOMS = [["fit", "whole level"], ["1", "1×"], ["1.5", "1.5×"], ["2", "2×"], ["3", "3×"]];
const LAST = [["", "all"], ["1000", "the last 1,000"], ["100", "the last 100"]];
const WORST = 12; // rows of the table of places

const number = (value) => value.toLocaleString("en");
const SVG = "http://www.w3.org/2000/svg";

function draw(tag, properties, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function choice(label, options, chosen, changed) {
  const select = make(
    "select",
    { change: (event) => changed(event.target.value) },
    ...options.map(([value, text]) => make("option", { value, selected: value === chosen }, text)),
  );
  return make("label", {}, `${label} `, select);
}

function check(label, checked, changed) {
  const box = make("input", { type: "checkbox", checked, change: () => changed(box.checked) });
  return make("label", {}, box, label);
}

/** Of a count, a colour of `heat`; the square root tells few from very few. */
const shade = (count, most, heat) =>
  heat[Math.min(Math.floor(Math.sqrt(count / most) * heat.length), heat.length - 1)];

/** Sums of `cells`, [strip, column, row, kind, count], by what `key` makes of one. */
function sums(cells, key) {
  const result = new Map();
  for (const cell of cells) {
    const name = key(cell);
    result.set(name, (result.get(name) ?? 0) + cell[4]);
  }
  return result;
}

// One strip: picture, heat, traces, bars.
class Strip {
  constructor(map, strip, url) {
    this.map = map;
    this.strip = strip;
    this.columns = Math.ceil(strip.width / map.data.cell);
    this.rows = Math.ceil(strip.height / map.data.cell);
    this.heat = make("canvas", { width: this.columns, height: this.rows, role: "img" });
    this.traces = draw("svg", {
      class: "traces",
      viewBox: `0 0 ${strip.width} ${strip.height}`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
    });
    this.bars = draw("svg", {
      class: "bars",
      viewBox: `0 0 ${strip.width} 1`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
    });
    this.mark = make("div", { class: "mark", hidden: true });
    this.stage = make(
      "div",
      {
        class: "stage",
        pointermove: (event) => this.tell(event),
        pointerleave: () => (this.told.textContent = ""),
      },
      make("img", { src: url, alt: "", width: strip.width, height: strip.height, draggable: "false" }),
      this.heat,
      this.traces,
      this.mark,
    );
    this.scroller = make(
      "div",
      { class: "scroller", tabindex: "0", role: "region", "aria-label": `${strip.title}, scrolls sideways` },
      make("div", { class: "inner" }, this.stage, this.bars),
    );
    this.count = make("span", { class: "note" });
    this.told = make("output", { "aria-live": "off" });
    this.element = make(
      "figure",
      { class: "strip", "data-strip": strip.number },
      make("figcaption", {}, make("b", {}, strip.title), this.count, this.told),
      this.scroller,
    );
  }

  zoom(zoom) {
    const { width, height } = this.strip;
    const longest = Math.max(...this.map.data.strips.map((strip) => strip.width));
    const inner = this.scroller.firstChild;
    const all = zoom === "fit";
    inner.style.width = all ? `${(100 * width) / longest}%` : `${width * Number(zoom)}px`;
    this.stage.style.aspectRatio = `${width} / ${height}`;
  }

  /** `cells`: those of this strip that are wanted; `most`: in any cell. */
  show(cells, most, all) {
    const { heat, kinds, cell } = this.map.data;
    this.sums = sums(cells, ([, column, row]) => row * this.columns + column);
    this.cells = cells;
    // A pixel for each cell: far too small to be worth the graphics card.
    const context = this.heat.getContext("2d", { willReadFrequently: true });
    context.clearRect(0, 0, this.columns, this.rows);
    for (const [place, count] of this.sums) {
      context.fillStyle = shade(count, most, heat);
      context.fillRect(place % this.columns, Math.floor(place / this.columns), 1, 1);
    }
    const shown = cells.reduce((sum, [, , , , count]) => sum + count, 0);
    this.heat.setAttribute("aria-label", `heat map of ${number(shown)} ends of episodes`);
    this.count.textContent = all ? `${number(shown)} of ${number(all)} ends here` : "no ends here";
    const high = Math.max(1, ...sums(cells, ([, column]) => column).values());
    const tops = new Map();
    const bars = [...sums(cells, ([, column, , kind]) => column * 100 + kind)].sort(([a], [b]) => a - b);
    this.bars.toggleAttribute("hidden", cells.length === 0);
    this.bars.replaceChildren(
      ...bars.map(([key, count]) => {
        const [column, kind] = [Math.floor(key / 100), key % 100];
        const top = (tops.get(column) ?? 1) - count / high;
        tops.set(column, top);
        const place = { x: column * cell + 1, y: top, width: cell - 2, height: count / high };
        return draw("rect", { ...place, fill: kinds[kind].colour });
      }),
    );
  }

  showTraces(traces) {
    this.traces.replaceChildren(
      ...[...traces].reverse().flatMap((trace) =>
        trace.lines
          .filter(([strip]) => strip === this.strip.number)
          .map(([, points]) => draw("polyline", { points: points.join(" "), stroke: trace.colour })),
      ),
    );
  }

  tell(event) {
    const box = this.stage.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * this.columns);
    const row = Math.floor(((event.clientY - box.top) / box.height) * this.rows);
    this.told.textContent = this.words(column, row);
  }

  words(column, row) {
    const { kinds, cell } = this.map.data;
    const here = this.cells.filter(([, x, y]) => x === column && y === row);
    const x = this.strip.left + column * cell;
    const parts = here.map(([, , , kind, count]) => `${kinds[kind].text} ${number(count)}`);
    return `x ${number(x)} px${parts.length ? `: ${parts.join(", ")}` : ""}`;
  }

  /** Scroll to a cell and point at it. */
  point(column, row) {
    const { style } = this.mark;
    this.mark.hidden = false;
    style.left = `${(100 * column) / this.columns}%`;
    style.top = `${(100 * row) / this.rows}%`;
    style.width = `${100 / this.columns}%`;
    style.height = `${100 / this.rows}%`;
    const middle = ((column + 0.5) / this.columns) * this.stage.clientWidth;
    this.scroller.scrollLeft = middle - this.scroller.clientWidth / 2;
    this.scroller.focus({ preventScroll: true });
    this.element.scrollIntoView({ block: "nearest" });
    this.told.textContent = this.words(column, row);
  }
}

/**
 * Draws what `/api/map` and `/api/map/traces` tell. `picture(level, strip)` is the address of a
 * strip's picture; `ask(level, last)` is called when another level is wanted, or, where `grows`,
 * only the last ends.
 */
export class LevelMap {
  constructor(element, picture, ask, grows = true) {
    this.element = element;
    this.picture = picture;
    this.ask = ask;
    this.grows = grows;
    this.quiet = false;
    this.zoom = window.innerWidth < 700 ? "1" : "1.5";
    this.hidden = new Set(["cleared"]);
    this.heat = true;
    this.traced = true;
    this.last = "";
    this.traces = [];
    this.strips = [];
    this.tools = make("div", { class: "tools" });
    this.kinds = make("fieldset", { class: "kinds" });
    this.legend = make("p", { class: "legend note" });
    this.notes = make("p", { class: "note" });
    this.body = make("div");
    this.table = make("tbody");
    this.places = make(
      "details",
      {},
      make("summary", {}, "The worst places"),
      make(
        "table",
        {},
        make("thead", {}, make("tr", {}, ...["place", "ends", "by"].map((t) => make("th", { scope: "col" }, t)))),
        this.table,
      ),
    );
    this.element.classList.add("map");
    this.element.append(this.tools, this.kinds, this.legend, this.body, this.notes, this.places);
  }

  show(data) {
    const other = this.data?.level !== data.level;
    const levels = String(this.data?.levels) !== String(data.levels);
    this.data = data;
    if (other || levels) this.#showTools();
    if (other) {
      this.traces = [];
      this.strips = data.strips.map(
        (strip) => new Strip(this, strip, this.picture(data.level, strip.number)),
      );
      this.body.replaceChildren(...this.strips.map((strip) => strip.element));
      this.#zoom();
    }
    this.#showKinds();
    this.#showHeat();
  }

  showTraces(traces) {
    this.traces = traces;
    this.strips.forEach((strip) => strip.showTraces(this.traced ? traces : []));
    this.#showQuiet();
    this.#showNotes();
  }

  #showTools() {
    const levels = this.data.levels ?? [];
    const wanted = (level) => this.ask(level, this.last);
    this.tools.replaceChildren(
      ...(levels.length > 1
        ? [choice("Level", levels.map((name) => [name, name]), this.data.level, wanted)]
        : []),
      ...(this.grows
        ? [
            choice("Ends", LAST, this.last, (last) => {
              this.last = last;
              wanted(this.data.level);
            }),
          ]
        : []),
      choice("Size", ZOOMS, this.zoom, (zoom) => {
        this.zoom = zoom;
        this.#zoom();
      }),
      check("heat map", this.heat, (on) => {
        this.heat = on;
        this.#showHeat();
      }),
      check("traces", this.traced, (on) => {
        this.traced = on;
        this.showTraces(this.traces);
      }),
      this.data.strips.length > 1
        ? check("places where nothing was seen", this.quiet, (on) => {
            this.quiet = on;
            this.#showQuiet();
          })
        : "",
    );
  }

  /** Places behind pipes are left out as long as nothing is known of them. */
  #showQuiet() {
    for (const strip of this.strips.slice(1)) {
      const { number } = strip.strip;
      const seen =
        this.data.cells.some(([at]) => at === number) ||
        this.traces.some((trace) => trace.lines.some(([at]) => at === number));
      strip.element.hidden = !seen && !this.quiet;
    }
  }

  #showKinds() {
    const counts = sums(this.data.cells, ([, , , kind]) => kind);
    const boxes = [...this.kinds.querySelectorAll("label")];
    const names = this.data.kinds.filter((_, kind) => counts.has(kind)).map(({ name }) => name);
    if (String(boxes.map((box) => box.dataset.kind)) !== String(names)) {
      this.kinds.replaceChildren(
        make("legend", {}, "Ended"),
        ...this.data.kinds.map((kind, index) => {
          if (!counts.has(index)) return "";
          const label = check("", !this.hidden.has(kind.name), (on) => {
            this.hidden[on ? "delete" : "add"](kind.name);
            this.#showHeat();
          });
          const swatch = make("span", { class: "swatch" });
          swatch.style.background = kind.colour;
          label.dataset.kind = kind.name;
          label.append(swatch, `${kind.text} `, make("b"));
          return label;
        }),
      );
    }
    for (const label of this.kinds.querySelectorAll("label")) {
      const index = this.data.kinds.findIndex(({ name }) => name === label.dataset.kind);
      label.querySelector("b").textContent = number(counts.get(index) ?? 0);
    }
    this.kinds.hidden = names.length === 0;
  }

  #showHeat() {
    const { cells, kinds, heat } = this.data;
    const wanted = this.heat ? cells.filter(([, , , kind]) => !this.hidden.has(kinds[kind].name)) : [];
    const places = sums(wanted, ([strip, column, row]) => `${strip} ${column} ${row}`);
    const most = Math.max(1, ...places.values());
    this.element.classList.toggle("hot", wanted.length > 0);
    for (const strip of this.strips) {
      const mine = ([at]) => at === strip.strip.number;
      const all = cells.filter(mine).reduce((sum, [, , , , count]) => sum + count, 0);
      strip.show(wanted.filter(mine), most, all);
    }
    const ramp = heat.map((colour) => {
      const box = make("span", { class: "swatch" });
      box.style.background = colour;
      return box;
    });
    this.legend.replaceChildren("1 end in 16×16 px ", ...ramp, ` ${number(most)}`);
    this.legend.hidden = wanted.length === 0;
    this.#showPlaces(wanted, places);
    this.#showQuiet();
    this.#showNotes();
  }

  #showPlaces(wanted, places) {
    const worst = [...places].sort(([, a], [, b]) => b - a).slice(0, WORST);
    this.places.hidden = worst.length === 0;
    const rows = worst.map(([key, count]) => {
      const [at, column, row] = key.split(" ").map(Number);
      const strip = this.strips[at];
      const x = strip.strip.left + column * this.data.cell;
      const by = wanted
        .filter(([s, c, r]) => s === at && c === column && r === row)
        .map(([, , , kind, n]) => `${this.data.kinds[kind].text} ${number(n)}`);
      const go = make("button", { type: "button", click: () => strip.point(column, row) }, `x ${number(x)} px`);
      const place = at ? make("span", { class: "note" }, ` ${strip.strip.title}`) : null;
      return [make("td", {}, go, place), make("td", { class: "number" }, number(count)), make("td", {}, by.join(", "))];
    });
    // Focus stays where it is while numbers change.
    while (this.table.rows.length > rows.length) this.table.lastChild.remove();
    rows.forEach((cells, index) => {
      const old = this.table.rows[index];
      const text = cells.map((cell) => cell.textContent).join("|");
      if (old?.dataset.text === text) return;
      const row = make("tr", { "data-text": text }, ...cells);
      const focused = old?.contains(document.activeElement);
      if (old) old.replaceWith(row);
      else this.table.append(row);
      if (focused) row.querySelector("button").focus();
    });
  }

  #showNotes() {
    const { ends, unplaced, unclear, skipped, problem } = this.data;
    const cleared = this.traces.filter((trace) => trace.cleared).length;
    const said = [
      problem ? `${problem}.` : null,
      ends ? null : "No episode has ended in this level yet, as far as the run tells.",
      this.traces.length && this.traced
        ? `${this.traces.length} lines: the newest stored episodes, green where the level was cleared (${cleared}).`
        : null,
      unclear
        ? "The run tells the area and x, not which of the places: where they overlap, the first is taken."
        : null,
      unplaced ? `${number(unplaced)} ended at places that are not in the picture.` : null,
      skipped ? `${number(skipped)} lines about ends of episodes made no sense and are left out.` : null,
    ];
    const text = said.filter(Boolean).join(" ");
    if (this.notes.textContent !== text) this.notes.textContent = text;
  }

  #zoom() {
    this.strips.forEach((strip) => strip.zoom(this.zoom));
  }
}
