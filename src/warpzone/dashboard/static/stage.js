import { Deck, FRAMES_PER_SECOND, gameOf } from "./deck.js";
import { count, make } from "./dom.js";
import { Mind } from "./mind.js";
import { PLANES, SIGHTS, Screen, Sight } from "./picture.js";
import { Tape } from "./tape.js";

/** ms between two changes of what is not the picture while it runs: a page that is laid out anew costs more. */
const WRITTEN = 100;
const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4];

// The one game that is large, with its controls.
export class Stage {
  constructor(element, link) {
    const press = (what, name, key, text = name) =>
      make(
        "button",
        { type: "button", title: `${name} (${key})`, "aria-label": text === name ? null : name, click: () => this.act(what) },
        text,
      );
    this.canvas = make("canvas", { class: "game", tabindex: "0", role: "img", "aria-label": "the game" });
    this.map = make("canvas", { class: "sight", role: "img", "aria-label": "what the agent sees" });
    this.legend = make("figcaption");
    this.trouble = make("p", { class: "trouble", role: "status", hidden: true });
    this.range = make("input", {
      type: "range", class: "seek", min: "0", max: "0", value: "0", step: "1", "aria-label": "place in the episode",
      input: () => this.deck.seek(Number(this.range.value)),
    });
    this.button = press("toggle", "Pause", "Space");
    this.button.classList.add("toggle");
    this.select = make(
      "select",
      { title: "slower, faster (-, +)", change: () => this.pace(Number(this.select.value)) },
      ...SPEEDS.map((speed) => make("option", { value: speed }, `×${speed}`)),
    );
    this.select.value = "1";
    this.time = make("output", { class: "time" });
    this.about = make("p", { class: "about" });
    const mind = make("div", { class: "mind" });
    element.append(
      make(
        "div",
        { class: "show" },
        make("div", { class: "views" }, this.canvas, make("figure", {}, this.map, this.legend)),
        this.trouble,
        this.range,
        make(
          "div",
          { class: "controls", role: "group", "aria-label": "playback" },
          press("start", "to the start", "Home", "❘◂◂"),
          press("back", "one frame back", ",", "◂❘"),
          this.button,
          press("on", "one frame on", ".", "❘▸"),
          make("label", {}, "Speed ", this.select),
          this.time,
        ),
        this.about,
      ),
      mind,
    );
    this.mind = new Mind(mind);
    this.written = 0;
    const options = { stride: 1, kept: 10, urgent: true, onload: (deck) => this.load(deck) };
    this.deck = new Deck(link, options);
  }

  act(what) {
    const { deck } = this;
    if (what === "toggle") deck.toggle();
    else if (what === "back") deck.step(-1);
    else if (what === "on") deck.step(1);
    else if (what === "start") deck.seek(0);
    else if (what === "end") deck.seek(Infinity);
    else deck.seek(deck.place + Number(what) * FRAMES_PER_SECOND);
  }

  pace(speed) {
    this.deck.speed = speed;
    this.select.value = String(speed);
  }

  // Whether the key meant something here.
  key(event) {
    const on = event.target;
    if (event.ctrlKey || event.altKey || event.metaKey || on.matches("select, input:not(.seek)")) return false;
    const presses = on.matches("button, [role=button]") && (event.key === " " || event.key === "Enter");
    if (presses) return false;
    const faster = SPEEDS.indexOf(this.deck.speed) + { "+": 1, "-": -1 }[event.key];
    const acts = { " ": "toggle", k: "toggle", ",": "back", ".": "on", Home: "start", End: "end" };
    const seconds = { ArrowLeft: "-1", ArrowRight: "1" };
    if (event.key in acts) this.act(acts[event.key]);
    else if (event.key in seconds && on !== this.range) this.act(seconds[event.key]);
    else if (faster in SPEEDS) this.pace(SPEEDS[faster]);
    else return false;
    return true;
  }

  open(file) {
    this.deck.playing = true;
    this.mind.load(null);
    this.canvas.removeAttribute("data-place");
    this.shown = null;
    this.deck.open(file);
  }

  load({ tape }) {
    this.screen ??= new Screen(this.canvas, tape.hello);
    if (!this.sight) {
      this.sight = new Sight(this.map, tape.hello);
      const { kind } = tape.hello.sight;
      this.legend.replaceChildren(SIGHTS[kind] ?? "", legend(kind));
    }
    this.mind.load(tape);
    this.range.max = tape.frames;
    this.shown = this.told = null;
    const { about } = tape;
    const parts = [about.level, about.outcome ?? "no end yet", about.player];
    if (about.own === false) parts.push("began within the level");
    if (this.deck.live) parts.unshift(`Game ${about.game ?? gameOf(this.deck.file)}`);
    this.about.textContent = parts.join(" · ");
  }

  tick(now, passed) {
    const found = this.deck.tick(now, passed);
    const { tape, message, playing, place } = this.deck;
    this.trouble.hidden = !message;
    if (this.trouble.textContent !== message) this.trouble.textContent = message;
    const stopped = !playing || (tape && place >= tape.frames && !this.deck.live);
    const label = stopped ? "Play" : "Pause";
    if (this.button.textContent !== label) {
      this.button.textContent = label;
      this.button.title = `${label} (Space)`;
    }
    if (!tape) return;
    const at = tape.round(place);
    if (found && this.shown !== at) {
      this.shown = at;
      this.screen.draw(found);
      this.sight.draw(found);
      this.mind.show(at, Tape.buttons(found));
      this.canvas.dataset.place = at;
    }
    if (stopped || now >= this.written + WRITTEN) {
      if (Number(this.range.value) !== at) this.range.value = at;
      this.write(now, tape.frames);
    }
  }

  /** The place of what is shown, in words and on the curve of values. */
  write(now, frames) {
    const at = this.shown;
    if (at === null || at === this.told) return;
    this.told = at;
    this.written = now;
    this.mind.mark(at);
    this.time.textContent = `frame ${count(at)} of ${count(frames)}`;
    this.range.setAttribute("aria-valuetext", `${(at / FRAMES_PER_SECOND).toFixed(1)} seconds`);
  }
}

function legend(kind) {
  const planes = make("span", { class: "planes" });
  for (const [name, rgb] of kind === "tiles" ? Object.entries(PLANES) : []) {
    const entry = make("span", { class: "plane" }, name);
    entry.style.setProperty("--plane", `rgb(${rgb})`);
    planes.append(entry);
  }
  return planes;
}
