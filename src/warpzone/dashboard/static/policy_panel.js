// What the agent does and what its policy says: the pad, the value, the probabilities of actions.
import { make, missing } from "./dom.js";

const BUTTONS = { A: 1, B: 2, select: 4, start: 8, up: 16, down: 32, left: 64, right: 128 };
const PAD = `<svg xmlns="http://www.w3.org/2000/svg" class="pad" viewBox="0 0 128 52" role="img" aria-label="Buttons held: none">
  <rect class="body" width="128" height="52" rx="4" /><rect class="face" x="4" y="8" width="120" height="40" rx="2" />
  <rect class="key" x="21" y="23" width="9" height="9" />
  <rect class="key" data-button="up" x="21" y="13" width="9" height="10" rx="1" />
  <rect class="key" data-button="down" x="21" y="32" width="9" height="10" rx="1" />
  <rect class="key" data-button="left" x="11" y="23" width="10" height="9" rx="1" />
  <rect class="key" data-button="right" x="30" y="23" width="10" height="9" rx="1" />
  <rect class="key" data-button="select" x="46" y="29" width="12" height="5" rx="2.5" />
  <rect class="key" data-button="start" x="61" y="29" width="12" height="5" rx="2.5" />
  <circle class="key" data-button="B" cx="88" cy="30" r="8" /><circle class="key" data-button="A" cx="109" cy="30" r="8" />
  <text x="88" y="33.2">B</text><text x="109" y="33.2">A</text>
</svg>`;
const VALUE = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true">
  <line class="zero" x1="0" x2="100" /><polyline /><line class="now" y1="0" y2="30" />
</svg>`;
const LINE = 300; // points of the value's line at the most

function drawing(text) {
  return document.importNode(new DOMParser().parseFromString(text, "image/svg+xml").documentElement, true);
}

export class PolicyPanel {
  constructor(element) {
    this.pad = drawing(PAD);
    this.number = make("output", {}, missing);
    const line = drawing(VALUE);
    [this.zero, this.line, this.now] = line.children;
    this.odds = make("ul", { class: "odds", "aria-label": "probability of each action" });
    element.append(
      this.pad,
      make("div", { class: "value" }, make("div", {}, make("span", {}, "value expected"), this.number), line),
      this.odds,
      make("p", { class: "unknown" }, "The outputs of the policy are not kept with this episode."),
    );
    this.element = element;
    this.rows = [];
    this.stream = null;
  }

  load(stream) {
    this.stream = stream;
    this.shown = null;
    this.held = null;
    const outputs = stream?.about.outputs;
    this.element.classList.toggle("no-outputs", !outputs);
    if (!outputs) return;
    this.draw(outputs, stream.frames);
    if (this.names !== outputs.names.join("|")) {
      this.names = outputs.names.join("|");
      this.rows = outputs.names.map((name) =>
        make(
          "li",
          {},
          make("span", { class: "name" }, name),
          make("span", { class: "bar" }, make("i")),
          make("span", { class: "share" }),
        ),
      );
      this.odds.replaceChildren(...this.rows);
    }
  }

  draw({ values, first_frames: first }, frames) {
    const known = values.filter((value) => value !== null);
    const low = Math.min(0, ...known);
    const high = Math.max(0.01, ...known);
    const y = (value) => (29 - (28 * (value - low)) / (high - low)).toFixed(2);
    const pace = Math.max(1, Math.ceil(values.length / LINE));
    const points = [];
    for (let i = 0; i < values.length; i += pace) {
      if (values[i] !== null) points.push(`${((100 * first[i]) / frames).toFixed(2)},${y(values[i])}`);
    }
    this.line.setAttribute("points", points.join(" "));
    this.zero.setAttribute("y1", y(0));
    this.zero.setAttribute("y2", y(0));
  }

  show(place, held) {
    if (held !== this.held) this.press(held);
    if (!this.stream?.about.outputs) return;
    const decision = this.stream.decision(place);
    if (decision === this.shown) return;
    this.shown = decision;
    const { values, probabilities, actions } = this.stream.about.outputs;
    this.number.textContent = values[decision]?.toFixed(2) ?? missing;
    this.rows.forEach((row, action) => {
      const share = probabilities[decision]?.[action] ?? 0;
      row.classList.toggle("chosen", actions[decision] === action);
      row.querySelector("i").style.width = `${(100 * share).toFixed(1)}%`;
      row.querySelector(".share").textContent = decision < 0 ? missing : `${Math.round(100 * share)} %`;
    });
  }

  /** Marks `place` on the curve of values. */
  mark(place) {
    if (!this.stream?.about.outputs) return;
    const x = ((100 * place) / this.stream.frames).toFixed(2);
    this.now.setAttribute("x1", x);
    this.now.setAttribute("x2", x);
  }

  press(held) {
    this.held = held;
    const names = Object.keys(BUTTONS).filter((name) => held & BUTTONS[name]);
    for (const key of this.pad.querySelectorAll("[data-button]")) {
      key.classList.toggle("lit", names.includes(key.dataset.button));
    }
    this.pad.setAttribute("aria-label", `Buttons held: ${names.join(", ") || "none"}`);
  }
}
