// The games of a run: a wall of those that are played now, one of them or a kept episode large.
import { about, ask } from "./data.js";
import { make } from "./dom.js";
import { ORDERS, EpisodeList } from "./episode_list.js";
import { Stage } from "./stage.js";
import { Link } from "./episode_stream.js";
import { Tile } from "./tile.js";

const POLL = 3000; // ms between two looks at what there is
/** ms between two pictures of the wall: drawn all at once, since each time costs a part of a core. */
const WALL = 1000 / 15;

// A panel of a run, see run.js.
export function mountGames(element, run) {
  const { name } = run;
  addStyle();
  element.classList.add("games");
  const trouble = make("p", { class: "trouble", role: "status", hidden: true });
  const wall = make("ul", { class: "wall" });
  const title = make("h3");
  const none = make("p", { class: "none", hidden: true });
  const large = make("section", { class: "stage", "aria-label": "the chosen game" });
  const kept = make("section", { class: "episodes" });
  element.append(trouble, make("section", { class: "now" }, title, none, wall), large, kept);
  const link = new Link(name);
  const stage = new Stage(large, link);
  const list = new EpisodeList(kept, choose);
  const tiles = new Map();
  let [chosen, closed, asked, last, frame, behind] = [null, false, -Infinity, null, 0, 0];
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
    list.mark(file);
    for (const [at, tile] of tiles) tile.button.setAttribute("aria-pressed", String(at === file));
  }

  async function update(now = run) {
    run = now;
    title.textContent = run.state === "running" ? "Playing now" : "Played last";
    if (closed || document.hidden || performance.now() < asked + POLL / 3) return;
    asked = performance.now();
    try {
      const found = await ask(about("api/episodes", name));
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
    list.show(episodes);
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
    behind += passed;
    if (behind < WALL - 2 && passed > 0) return; // a picture of the page may come a bit early
    for (const tile of tiles.values()) tile.tick(now, behind);
    behind = 0;
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
  const href = new URL("games.css", import.meta.url).href;
  if (document.querySelector(`link[href="${href}"]`)) return;
  document.head.append(make("link", { rel: "stylesheet", href }));
}
