import { Player, LOADING, gameOf } from "./player.js";
import { make } from "./dom.js";
import { Screen, ObservationView } from "./picture.js";

// A game of the wall.
export class Tile {
  constructor(link, file, choose) {
    this.game = make("canvas", { class: "game" });
    this.map = make("canvas", { class: "observation" });
    this.caption = make("span", { class: "caption" });
    this.button = make(
      "button",
      { type: "button", class: "tile", "aria-pressed": "false", click: () => choose(file) },
      make("span", { class: "views" }, this.game, this.map),
      this.caption,
    );
    this.item = make("li", {}, this.button);
    this.seen = true;
    const options = { stride: 4, kept: 3, onload: (player) => this.load(player) };
    this.player = new Player(link, options);
    this.player.open(file);
  }

  load({ stream }) {
    this.screen ??= new Screen(this.game, stream.hello);
    this.observation ??= new ObservationView(this.map, stream.hello);
    this.shown = null;
  }

  tick(now, passed) {
    if (!this.seen) return;
    const found = this.player.tick(now, passed);
    const { stream, place, message, file } = this.player;
    const name = stream ? `${stream.about.level} · game ${stream.about.game ?? gameOf(file)}` : file;
    const ended = stream && place >= stream.frames && stream.about.outcome;
    const text = message || (ended ? `${name} · ${stream.about.outcome}` : name);
    if (this.caption.textContent !== text) this.caption.textContent = text;
    this.button.classList.toggle("bad", Boolean(message) && message !== LOADING);
    this.button.classList.toggle("cleared", Boolean(ended && stream.about.cleared));
    if (!found || (this.shown === stream.round(place) && this.from === found.segment)) return;
    this.shown = stream.round(place);
    this.from = found.segment;
    this.screen.draw(found);
    this.observation.draw(found);
    this.button.dataset.place = this.shown;
  }
}
