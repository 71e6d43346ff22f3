import { Player, FRAMES_PER_SECOND, gameOf } from "./player.js";
import { count, make } from "./dom.js";
import { PolicyPanel } from "./policy_panel.js";
import { PLANES, OBSERVATIONS, Screen, ObservationView } from "./picture.js";
import { EpisodeStream } from "./episode_stream.js";

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
    this.map = make("canvas", { class: "observation", role: "img", "aria-label": "what the agent sees" });
    this.legend = make("figcaption");
    this.trouble = make("p", { class: "trouble", role: "status", hidden: true });
    this.range = make("input", {
      type: "range", class: "seek", min: "0", max: "0", value: "0", step: "1", "aria-label": "place in the episode",
      input: () => this.player.seek(Number(this.range.value)),
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
    const policy = make("div", { class: "policy" });
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
      policy,
    );
    this.policy = new PolicyPanel(policy);
    this.written = 0;
    const options = { stride: 1, kept: 10, urgent: true, onload: (player) => this.load(player) };
    this.player = new Player(link, options);
  }

  act(what) {
    const { player } = this;
    if (what === "toggle") player.toggle();
    else if (what === "back") player.step(-1);
    else if (what === "on") player.step(1);
    else if (what === "start") player.seek(0);
    else if (what === "end") player.seek(Infinity);
    else player.seek(player.place + Number(what) * FRAMES_PER_SECOND);
  }

  pace(speed) {
    this.player.speed = speed;
    this.select.value = String(speed);
  }

  // Whether the key meant something here.
  key(event) {
    const on = event.target;
    if (event.ctrlKey || event.altKey || event.metaKey || on.matches("select, input:not(.seek)")) return false;
    const presses = on.matches("button, [role=button]") && (event.key === " " || event.key === "Enter");
    if (presses) return false;
    const faster = SPEEDS.indexOf(this.player.speed) + { "+": 1, "-": -1 }[event.key];
    const acts = { " ": "toggle", k: "toggle", ",": "back", ".": "on", Home: "start", End: "end" };
    const seconds = { ArrowLeft: "-1", ArrowRight: "1" };
    if (event.key in acts) this.act(acts[event.key]);
    else if (event.key in seconds && on !== this.range) this.act(seconds[event.key]);
    else if (faster in SPEEDS) this.pace(SPEEDS[faster]);
    else return false;
    return true;
  }

  open(file) {
    this.player.playing = true;
    this.policy.load(null);
    this.canvas.removeAttribute("data-place");
    this.shown = null;
    this.player.open(file);
  }

  load({ stream }) {
    this.screen ??= new Screen(this.canvas, stream.hello);
    if (!this.observation) {
      this.observation = new ObservationView(this.map, stream.hello);
      const { kind } = stream.hello.observation;
      this.legend.replaceChildren(OBSERVATIONS[kind] ?? "", legend(kind));
    }
    this.policy.load(stream);
    this.range.max = stream.frames;
    this.shown = this.told = null;
    const { about } = stream;
    const parts = [about.level, about.outcome ?? "no end yet", about.player];
    if (about.own === false) parts.push("began within the level");
    if (this.player.live) parts.unshift(`Game ${about.game ?? gameOf(this.player.file)}`);
    this.about.textContent = parts.join(" · ");
  }

  tick(now, passed) {
    const found = this.player.tick(now, passed);
    const { stream, message, playing, place } = this.player;
    this.trouble.hidden = !message;
    if (this.trouble.textContent !== message) this.trouble.textContent = message;
    const stopped = !playing || (stream && place >= stream.frames && !this.player.live);
    const label = stopped ? "Play" : "Pause";
    if (this.button.textContent !== label) {
      this.button.textContent = label;
      this.button.title = `${label} (Space)`;
    }
    if (!stream) return;
    const at = stream.round(place);
    if (found && this.shown !== at) {
      this.shown = at;
      this.screen.draw(found);
      this.observation.draw(found);
      this.policy.show(at, EpisodeStream.buttons(found));
      this.canvas.dataset.place = at;
    }
    if (stopped || now >= this.written + WRITTEN) {
      if (Number(this.range.value) !== at) this.range.value = at;
      this.write(now, stream.frames);
    }
  }

  /** The place of what is shown, in words and on the curve of values. */
  write(now, frames) {
    const at = this.shown;
    if (at === null || at === this.told) return;
    this.told = at;
    this.written = now;
    this.policy.mark(at);
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
