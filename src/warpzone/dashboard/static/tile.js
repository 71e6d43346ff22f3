import { Deck, LOADING, gameOf } from "./deck.js";
import { make } from "./dom.js";
import { Screen, Sight } from "./picture.js";

// A game of the wall.
export class Tile {
  constructor(link, file, choose) {
    this.game = make("canvas", { class: "game" });
    this.map = make("canvas", { class: "sight" });
    this.caption = make("span", { class: "caption" });
    this.button = make(
      "button",
      { type: "button", class: "tile", "aria-pressed": "false", click: () => choose(file) },
      make("span", { class: "views" }, this.game, this.map),
      this.caption,
    );
    this.item = make("li", {}, this.button);
    this.seen = true;
    const options = { stride: 4, kept: 3, onload: (deck) => this.load(deck) };
    this.deck = new Deck(link, options);
    this.deck.open(file);
  }

  load({ tape }) {
    this.screen ??= new Screen(this.game, tape.hello);
    this.sight ??= new Sight(this.map, tape.hello);
    this.shown = null;
  }

  tick(now, passed) {
    if (!this.seen) return;
    const found = this.deck.tick(now, passed);
    const { tape, place, message, file } = this.deck;
    const name = tape ? `${tape.about.level} · game ${tape.about.game ?? gameOf(file)}` : file;
    const ended = tape && place >= tape.frames && tape.about.outcome;
    const text = message || (ended ? `${name} · ${tape.about.outcome}` : name);
    if (this.caption.textContent !== text) this.caption.textContent = text;
    this.button.classList.toggle("bad", Boolean(message) && message !== LOADING);
    this.button.classList.toggle("cleared", Boolean(ended && tape.about.cleared));
    if (!found || (this.shown === tape.round(place) && this.from === found.segment)) return;
    this.shown = tape.round(place);
    this.from = found.segment;
    this.screen.draw(found);
    this.sight.draw(found);
    this.button.dataset.place = this.shown;
  }
}
