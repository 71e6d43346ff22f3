// Curves of one run or of several over each other.
import { CURVES } from "./curves.js";
import { count, make, missing, percent } from "./dom.js";

/** Told apart by people who are colour-blind too (Okabe & Ito 2008), as far as both themes allow. */
const COLOURS = ["#0084d1", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#8c6bb1", "#8a8a00"];
const DASHES = ["solid", "dash", "dot", "dashdot"];

let loading = null;
/** plotly takes a while: what needs no charts is shown before. */
function plotly() {
  loading ??= new Promise((resolve) => {
    const load = () => document.head.append(make("script", { src: "static/plotly.min.js", load: resolve }));
    requestAnimationFrame(() => setTimeout(load));
  });
  return loading;
}

/** A text for plotly, which takes some for HTML: links, bold letters, entities. */
const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("%{", "%\u200b{");

/** How the run at `place` of a selection is drawn. */
export const style = (place) => ({
  color: COLOURS[place % COLOURS.length],
  dash: DASHES[Math.floor(place / COLOURS.length) % DASHES.length],
});

/** The mark of a curve in lists and legends. */
export function swatch(place) {
  const { color, dash } = style(place);
  const mark = make("span", { class: `swatch ${dash}`, "aria-hidden": "true" });
  mark.style.color = color;
  return mark;
}

const shown = (value, format) => {
  if (value == null) return missing;
  if (format.endsWith("%")) return percent(value);
  const digits = Number(format.at(-2));
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
};

const last = (values) => values.findLast((value) => value != null);

/** Only what can be seen is drawn; the rest when it comes into view. */
export class Charts {
  constructor(element) {
    this.runs = [];
    this.axis = "step";
    this.observer = new IntersectionObserver((entries) => this.#seen(entries), {
      rootMargin: "200px",
    });
    this.redraw = () => this.#outdate();
    document.addEventListener("theme", this.redraw);
    this.closed = false;
    plotly().then(() => this.runs.length > 0 && !this.closed && this.#outdate());
    const choose = (event) => {
      this.axis = event.target.value;
      this.#outdate();
    };
    const choice = (value, text) =>
      make(
        "label",
        {},
        make("input", { type: "radio", name: "axis", value, checked: value === this.axis, change: choose }),
        text,
      );
    element.append(
      make(
        "fieldset",
        { class: "axis" },
        make("legend", {}, "x axis"),
        choice("step", "agent steps"),
        choice("seconds", "time"),
      ),
    );
    this.note = make("p", { class: "note" });
    const grid = make("div", { class: "charts" });
    element.append(this.note, grid);
    this.figures = CURVES.map((chart) => {
      const plot = make("div", { class: "plot" });
      const value = make("output", { "aria-live": "off" });
      const figure = make(
        "figure",
        { id: `chart-${chart.name}` },
        make("figcaption", {}, make("strong", {}, chart.title), " ", make("small", {}, chart.note), value),
        plot,
      );
      grid.append(figure);
      this.observer.observe(figure);
      return { ...chart, figure, plot, value, visible: false, outdated: false };
    });
  }

  /**
   * Show `runs`, a list of {name, place, data: Curves}. Returns the milliseconds it took, without
   * charts that were drawn for the first time, which comes once.
   */
  show(runs) {
    this.runs = runs;
    const most = Math.max(1, ...runs.map(({ data }) => data.bucket));
    const told = (text) => (run) => (text(run.data) ? `${run.name}: ${text(run.data)}.` : "");
    this.note.textContent = [
      most > 1 ? `A point is the mean of up to ${most} updates${runs.length === 1 ? ", with lowest and highest behind it" : ""}.` : "",
      ...runs.map(told(({ skipped }) => skipped && `${count(skipped)} lines of metrics.jsonl are damaged and left out`)),
      ...runs.map(told(({ dropped }) => dropped && `the last ${count(dropped)} lines of metrics.jsonl are left out: no run is shown that far`)),
      ...runs.map(told(({ problem }) => problem)),
    ]
      .filter(Boolean)
      .join(" ");
    return this.#outdate();
  }

  close() {
    this.closed = true;
    this.observer.disconnect();
    document.removeEventListener("theme", this.redraw);
    for (const { plot } of this.figures) window.Plotly?.purge(plot);
  }

  #seen(entries) {
    for (const entry of entries) {
      const chart = this.figures.find(({ figure }) => figure === entry.target);
      chart.visible = entry.isIntersecting;
      if (chart.visible && chart.outdated) this.#draw(chart);
    }
  }

  #outdate() {
    let spent = 0;
    for (const chart of this.figures) {
      chart.outdated = true;
      if (!chart.visible) continue;
      const begun = performance.now();
      const first = chart.plot.data === undefined;
      this.#draw(chart);
      if (!first) spent += performance.now() - begun;
    }
    return spent;
  }

  #draw(chart) {
    if (!window.Plotly) return;
    chart.outdated = false;
    const css = getComputedStyle(document.documentElement);
    const [ink, line] = ["--ink", "--line"].map((name) => css.getPropertyValue(name).trim());
    const traces = this.runs.flatMap((run) => this.#traces(chart, run));
    const [only] = this.runs;
    chart.value.textContent =
      this.runs.length === 1 ? shown(last(only.data.curves[chart.name]?.mean ?? []), chart.format) : "";
    chart.plot.setAttribute("role", "img");
    chart.plot.setAttribute(
      "aria-label",
      `${chart.title}: ` +
        this.runs
          .map(({ name, data }) => `${name} ${shown(last(data.curves[chart.name]?.mean ?? []), chart.format)} at the end`)
          .join(", "),
    );
    const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true };
    Plotly.react(
      chart.plot,
      traces,
      {
        uirevision: this.axis,
        margin: { l: 44, r: 8, t: 4, b: 30 },
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        font: { color: ink, family: "inherit", size: 12 },
        showlegend: false,
        hovermode: this.runs.length > 4 ? "closest" : "x unified",
        hoverlabel: { bgcolor: css.getPropertyValue("--card").trim(), font: { color: ink } },
        xaxis: {
          ...axis,
          title: { text: this.axis === "step" ? "agent steps" : "minutes of playing and learning", font: { size: 11 } },
          rangemode: "tozero",
        },
        yaxis: {
          ...axis,
          tickformat: chart.ticks,
          ...(chart.name === "clear_rate" ? { range: [-0.02, 1.02] } : {}),
        },
      },
      { responsive: true, displaylogo: false, displayModeBar: false, doubleClick: "reset" },
    );
  }

  #traces(chart, { name, place, data }) {
    const curve = data.curves[chart.name];
    const { color, dash } = style(place);
    const at = (source) =>
      this.axis === "step" ? source.step : source.seconds.map((value) => (value == null ? null : value / 60));
    const traces = [];
    if (curve) {
      const x = at(data);
      if (this.runs.length === 1 && data.bucket > 1) {
        const edge = { x, type: "scatter", mode: "lines", line: { width: 0 }, hoverinfo: "skip" };
        traces.push({ ...edge, y: curve.low });
        traces.push({ ...edge, y: curve.high, fill: "tonexty", fillcolor: `${color}30` });
      }
      traces.push({
        x,
        y: curve.mean,
        type: "scatter",
        mode: x.length > 1 ? "lines" : "markers",
        name: plain(name),
        line: { color, dash, width: 1.6 },
        marker: { color },
        hovertemplate: `%{y:${chart.format}}`,
      });
    }
    if (chart.name === "clear_rate" && data.measured.step.length) {
      traces.push({
        x: at(data.measured),
        y: data.measured.clear_rate,
        type: "scatter",
        mode: "markers",
        name: `${plain(name)}, measured`,
        marker: { color, symbol: "diamond", size: 9, line: { width: 1, color: "#fff" } },
        hovertemplate: "%{y:.1%}",
      });
    }
    return traces;
  }
}
