// The games of a run: a wall of those that are played now, one of them or a kept episode large.

import { about, ask } from "./data.js";
import { make } from "./dom.js";
import { Mind } from "./mind.js";
import { PLANES, Screen, SIGHTS, Sight } from "./picture.js";
import { Link, Lost, Tape } from "./tape.js";

const FRAMES_PER_SECOND = 60.0988;
const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4];
const POLL = 3000; // ms between two looks at what there is
const AGAIN = 2000; // ms until what failed, or has not gone on yet, is tried again
const END = 1200; // ms for which the end of a game is shown before the next
const LOADING = "Loading …";
const LEAD = 60; // frames shown before the first decision, where others led there

// Plays one episode: where it is, and whether it goes on by itself to what the game plays next.
class Deck {
  constructor(link, options) {
    this.link = link;
    this.options = options;
    this.file = null;
    this.tape = null;
    this.place = 0;
    this.playing = true;
    this.speed = 1;
    this.message = "";
    this.endedAt = null;
    this.tries = 0;
    this.retryAt = Infinity;
    this.turn = 0; // of the question that counts
  }

  get live() {
    return this.file !== null && this.file.startsWith("live/");
  }

  async open(file, { onward = false } = {}) {
    const turn = (this.turn += 1);
    if (!onward) Object.assign(this, { file, tape: null, message: LOADING, endedAt: null, tries: 0 });
    this.retryAt = Infinity;
    const before = this.tape;
    try {
      const hello = await this.link.ready();
      const question = { open: file, after: before?.about.key ?? null };
      const about = await this.link.ask(question, this.options.urgent);
      if (turn !== this.turn || about === null) return;
      this.message = "";
      if (before && about.key === before.about.key && !before.failed) {
        this.wait();
        return;
      }
      this.tries = 0;
      const same = before && (about.continues || about.key === before.about.key);
      this.tape = new Tape(this.link, hello, about, this.options);
      this.place = same ? Math.min(this.place, about.frames) : Deck.start(about);
      this.endedAt = null;
      this.options.onload?.(this);
    } catch (error) {
      if (turn !== this.turn) return;
      this.message = error.message;
      if (error instanceof Lost || this.live) this.retryAt = performance.now() + AGAIN;
    }
  }

  static start(about) {
    return about.own === false ? Math.max((about.thoughts?.first_frames[0] ?? 0) - LEAD, 0) : 0;
  }

  // The game has not gone on: after some time it is shown once more.
  wait() {
    this.tries += 1;
    if (this.tries % 3 === 0) {
      this.place = Deck.start(this.tape.about);
      this.endedAt = null;
    } else {
      this.retryAt = performance.now() + AGAIN;
    }
  }

  // Called for each picture of the page; what is to be shown, or null while it is not there.
  tick(now, passed) {
    if (now >= this.retryAt) {
      this.retryAt = Infinity;
      this.open(this.file, { onward: this.tape !== null });
    }
    const tape = this.tape;
    if (!tape) return null;
    if (tape.failed && !(tape.failed instanceof Lost) && this.retryAt === Infinity) {
      this.retryAt = now + AGAIN;
    }
    if (tape.failed) this.message = tape.failed.message;
    else if (this.retryAt === Infinity) this.message = "";
    const ended = this.place >= tape.frames;
    if (this.playing && !ended) {
      const next = Math.min(this.place + (passed * FRAMES_PER_SECOND * this.speed) / 1000, tape.frames);
      if (tape.at(next)) this.place = next;
      tape.prepare(next);
    }
    if (this.playing && ended && this.live) {
      this.endedAt ??= now;
      if (now >= this.endedAt + END && this.retryAt === Infinity) {
        this.endedAt = Infinity;
        this.open(this.file, { onward: true });
      }
    }
    return tape.at(this.place);
  }

  seek(place) {
    if (!this.tape) return;
    this.place = Math.min(Math.max(Math.round(place), 0), this.tape.frames);
    this.endedAt = null;
  }

  // One frame on or back, paused.
  step(frames) {
    this.playing = false;
    this.seek(Math.floor(this.place) + frames);
  }

  toggle() {
    this.playing = !this.playing;
    if (this.playing && this.tape && this.place >= this.tape.frames && !this.live) this.seek(0);
  }
}

// A game of the wall.
class Tile {
  constructor(link, file, choose) {
    this.item = document.createElement("li");
    this.item.innerHTML = `<button type="button" class="tile" aria-pressed="false">
      <span class="views"><canvas class="game"></canvas><canvas class="sight"></canvas></span>
      <span class="caption"></span></button>`;
    this.button = this.item.querySelector("button");
    this.caption = this.item.querySelector(".caption");
    this.button.addEventListener("click", () => choose(file));
    this.seen = true;
    const options = { stride: 4, kept: 3, onload: (deck) => this.load(deck) };
    this.deck = new Deck(link, options);
    this.deck.open(file);
  }

  load({ tape }) {
    this.screen ??= new Screen(this.item.querySelector(".game"), tape.hello);
    this.sight ??= new Sight(this.item.querySelector(".sight"), tape.hello);
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

function gameOf(file) {
  return Number(/(\d+)\.json$/.exec(file)?.[1] ?? 0);
}

// The one game that is large, with its controls.
class Stage {
  constructor(element, link) {
    element.innerHTML = `
      <div class="show">
        <div class="views"><canvas class="game" tabindex="0" role="img" aria-label="The game"></canvas>
          <figure><canvas class="sight" role="img" aria-label="What the agent sees"></canvas><figcaption></figcaption></figure></div>
        <p class="trouble" role="status" hidden></p>
        <input type="range" class="seek" min="0" max="0" value="0" step="1" aria-label="Place in the episode" />
        <div class="controls" role="group" aria-label="Playback">
          <button type="button" data-do="start" title="To the start (Home)" aria-label="To the start">❘◂◂</button>
          <button type="button" data-do="back" title="One frame back (,)" aria-label="One frame back">◂❘</button>
          <button type="button" data-do="toggle" title="Pause or play (Space)">Pause</button>
          <button type="button" data-do="on" title="One frame on (.)" aria-label="One frame on">❘▸</button>
          <label>Speed <select title="Slower, faster (-, +)">${SPEEDS.map((s) => `<option value="${s}">×${s}</option>`).join("")}</select></label>
          <output class="time"></output></div>
        <p class="about"></p>
      </div>
      <div class="mind"></div>`;
    const find = (selector) => element.querySelector(selector);
    this.element = element;
    this.canvas = find(".game");
    this.range = find(".seek");
    this.time = find(".time");
    this.about = find(".about");
    this.trouble = find(".trouble");
    this.button = find("[data-do=toggle]");
    this.select = find("select");
    this.mind = new Mind(find(".mind"));
    const options = { stride: 1, kept: 10, urgent: true, onload: (deck) => this.load(deck) };
    this.deck = new Deck(link, options);
    this.range.addEventListener("input", () => this.deck.seek(Number(this.range.value)));
    this.select.value = "1";
    this.select.addEventListener("change", () => this.pace(Number(this.select.value)));
    for (const button of element.querySelectorAll("[data-do]")) {
      button.addEventListener("click", () => this.act(button.dataset.do));
    }
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
      this.sight = new Sight(this.element.querySelector(".sight"), tape.hello);
      const { kind } = tape.hello.sight;
      this.element.querySelector("figcaption").replaceChildren(SIGHTS[kind] ?? "", legend(kind));
    }
    this.mind.load(tape);
    this.range.max = tape.frames;
    this.shown = null;
    const { about } = tape;
    const parts = [about.level, about.outcome ?? "still going on", about.player];
    if (about.own === false) parts.push("began within the level");
    if (this.deck.live) parts.unshift(`Game ${about.game ?? gameOf(this.deck.file)} now`);
    this.about.textContent = parts.join(" · ");
  }

  tick(now, passed) {
    const found = this.deck.tick(now, passed);
    const { tape, message, playing, place } = this.deck;
    this.trouble.hidden = !message;
    if (this.trouble.textContent !== message) this.trouble.textContent = message;
    const stopped = !playing || (tape && place >= tape.frames && !this.deck.live);
    const label = stopped ? "Play" : "Pause";
    if (this.button.textContent !== label) this.button.textContent = label;
    if (!tape) return;
    const at = tape.round(place);
    if (Number(this.range.value) !== at) this.range.value = at;
    if (!found || this.shown === at) return;
    this.shown = at;
    this.screen.draw(found);
    this.sight.draw(found);
    this.mind.show(at, Tape.buttons(found));
    this.time.textContent = `frame ${at.toLocaleString("en")} of ${tape.frames.toLocaleString("en")}`;
    this.range.setAttribute("aria-valuetext", `${(at / FRAMES_PER_SECOND).toFixed(1)} seconds`);
    this.canvas.dataset.place = at;
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

const ORDERS = {
  newest: (a, b) => b.step - a.step || b.modified - a.modified,
  best: (a, b) => rank(b) - rank(a) || b.step - a.step,
};

// Clears come first, the quicker ones before.
function rank(episode) {
  return episode.cleared ? 1e9 - episode.frames : (episode.progress ?? -1);
}

// The episodes that the run kept.
class Shelf {
  constructor(element, choose) {
    element.innerHTML = `<h3>Kept episodes</h3>
      <div class="filters"><label>Order <select><option value="newest">newest first</option><option value="best">best first</option></select></label>
      <label><input type="checkbox" /> clears only</label></div>
      <p class="none">None yet: a run keeps the episodes of some games as they end.</p><ol></ol>`;
    this.list = element.querySelector("ol");
    this.none = element.querySelector(".none");
    this.order = element.querySelector("select");
    this.only = element.querySelector("input");
    this.order.addEventListener("change", () => this.show(this.episodes));
    this.only.addEventListener("change", () => this.show(this.episodes));
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
    this.none.textContent =
      episodes.length > 0 ? "No clears among them yet." : "None yet: a run keeps the episodes of some games as they end.";
    this.mark(this.chosen);
  }

  row(episode) {
    const row = document.createElement("li");
    row.innerHTML = `<button type="button"><span class="step"></span><span class="level"></span><span class="end"></span></button>`;
    row.firstChild.addEventListener("click", () => this.choose(episode.file));
    return row;
  }

  fill(row, episode) {
    const [step, level, end] = row.firstChild.children;
    step.textContent = episode.error ? episode.file : `step ${(episode.step ?? 0).toLocaleString("en")}`;
    level.textContent = episode.level ?? "";
    end.textContent = episode.error ?? episode.outcome ?? "";
    row.className = episode.error ? "bad" : episode.cleared ? "cleared" : "";
  }

  mark(file) {
    this.chosen = file;
    for (const [name, row] of this.rows) row.firstChild.setAttribute("aria-pressed", String(name === file));
  }
}

// A panel of a run, see run.js.
export function mountGames(element, { name }) {
  addStyle();
  element.classList.add("games");
  element.innerHTML = `<p class="trouble" role="status" hidden></p>
    <section class="now"><h3>Playing now</h3><p class="none" hidden></p><ul class="wall"></ul></section>
    <section class="stage" aria-label="The chosen game"></section>
    <section class="shelf"></section>`;
  const find = (selector) => element.querySelector(selector);
  const [trouble, wall, none] = [find(".trouble"), find(".wall"), find(".now .none")];
  const link = new Link(name);
  const stage = new Stage(find(".stage"), link);
  const shelf = new Shelf(find(".shelf"), choose);
  const tiles = new Map();
  let [chosen, closed, asked, last, frame] = [null, false, -Infinity, null, 0];
  const onScreen = new Set();
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      isIntersecting ? onScreen.add(target) : onScreen.delete(target);
    }
    for (const tile of tiles.values()) tile.seen = onScreen.has(tile.item);
    wake();
  });
  watcher.observe(element);

  function choose(file) {
    chosen = file;
    stage.open(file);
    shelf.mark(file);
    for (const [at, tile] of tiles) tile.button.setAttribute("aria-pressed", String(at === file));
  }

  async function update() {
    if (closed || document.hidden || performance.now() < asked + POLL / 3) return;
    asked = performance.now();
    try {
      const found = await ask(about("/api/episodes", name));
      if (!closed) show(found);
      trouble.hidden = true;
    } catch (error) {
      trouble.hidden = false;
      trouble.textContent = error.told ? error.message : "The dashboard does not answer.";
    }
  }

  function show({ live, episodes }) {
    for (const { file } of live) {
      if (tiles.has(file)) continue;
      const tile = new Tile(link, file, choose);
      tiles.set(file, tile);
      wall.append(tile.item);
      watcher.observe(tile.item);
    }
    for (const [file, tile] of tiles) {
      if (live.some((game) => game.file === file)) continue;
      watcher.unobserve(tile.item);
      tile.item.remove();
      tiles.delete(file);
    }
    none.hidden = live.length > 0;
    none.textContent = episodes.length
      ? "This run shows no games of its own."
      : "This run has no games to show: it was not asked to keep any, or an older version wrote it.";
    element.classList.toggle("empty", !live.length && !episodes.length);
    shelf.show(episodes);
    if (chosen === null && live.length + episodes.length) {
      choose((live[0] ?? [...episodes].sort(ORDERS.newest)[0]).file);
    }
  }

  // Only while somebody can see it.
  function wake() {
    const awake = !closed && !document.hidden && onScreen.has(element);
    if (awake && !frame) {
      last = null;
      frame = requestAnimationFrame(tick);
      update();
    } else if (!awake) {
      cancelAnimationFrame(frame);
      frame = 0;
      link.close();
    }
  }

  function tick(now) {
    frame = requestAnimationFrame(tick);
    const passed = last === null ? 0 : Math.min(now - last, 250);
    last = now;
    if (chosen !== null) stage.tick(now, passed);
    for (const tile of tiles.values()) tile.tick(now, passed);
  }

  function press(event) {
    if (chosen !== null && stage.key(event)) event.preventDefault();
  }

  element.addEventListener("keydown", press);
  document.addEventListener("visibilitychange", wake);
  const timer = setInterval(() => onScreen.has(element) && update(), POLL);
  update();

  return {
    update,
    close() {
      closed = true;
      clearInterval(timer);
      watcher.disconnect();
      document.removeEventListener("visibilitychange", wake);
      element.removeEventListener("keydown", press);
      wake();
      element.classList.remove("games", "empty");
      element.replaceChildren();
    },
  };
}

function addStyle() {
  const href = new URL("player.css", import.meta.url).href;
  if (document.querySelector(`link[href="${href}"]`)) return;
  const sheet = document.createElement("link");
  sheet.rel = "stylesheet";
  sheet.href = href;
  document.head.append(sheet);
}
