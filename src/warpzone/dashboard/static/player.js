// One episode being played, on the wall or large.
import { Lost, EpisodeStream } from "./episode_stream.js";

export const FRAMES_PER_SECOND = 60.0988;
export const LOADING = "Loading …";
const AGAIN = 2000; // ms until what failed, or has not gone on yet, is tried again
const END = 1200; // ms for which the end of a game is shown before the next
const LEAD = 60; // frames shown before the first decision, where others led there

// The number of a watched game by its file.
export function gameOf(file) {
  return Number(/(\d+)\.json$/.exec(file)?.[1] ?? 0);
}

// Plays one episode: where it is, and whether it goes on by itself to what the game plays next.
export class Player {
  constructor(link, options) {
    this.link = link;
    this.options = options;
    this.file = null;
    this.stream = null;
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
    if (!onward) Object.assign(this, { file, stream: null, message: LOADING, endedAt: null, tries: 0 });
    this.retryAt = Infinity;
    const before = this.stream;
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
      this.stream = new EpisodeStream(this.link, hello, about, this.options);
      this.place = same ? Math.min(this.place, about.frames) : Player.start(about);
      this.endedAt = null;
      this.options.onload?.(this);
    } catch (error) {
      if (turn !== this.turn) return;
      this.message = error.message;
      if (error instanceof Lost || this.live) this.retryAt = performance.now() + AGAIN;
    }
  }

  static start(about) {
    return about.own === false ? Math.max((about.outputs?.first_frames[0] ?? 0) - LEAD, 0) : 0;
  }

  // The game has not gone on: after some time it is shown once more.
  wait() {
    this.tries += 1;
    if (this.tries % 3 === 0) {
      this.place = Player.start(this.stream.about);
      this.endedAt = null;
    } else {
      this.retryAt = performance.now() + AGAIN;
    }
  }

  // Called for each picture of the page; what is to be shown, or null while it is not there.
  tick(now, passed) {
    if (now >= this.retryAt) {
      this.retryAt = Infinity;
      this.open(this.file, { onward: this.stream !== null });
    }
    const stream = this.stream;
    if (!stream) return null;
    if (stream.failed && !(stream.failed instanceof Lost) && this.retryAt === Infinity) {
      this.retryAt = now + AGAIN;
    }
    if (stream.failed) this.message = stream.failed.message;
    else if (this.retryAt === Infinity) this.message = "";
    const ended = this.place >= stream.frames;
    if (this.playing && !ended) {
      const next = Math.min(this.place + (passed * FRAMES_PER_SECOND * this.speed) / 1000, stream.frames);
      if (stream.at(next)) this.place = next;
      stream.prepare(next);
    }
    if (this.playing && ended && this.live) {
      this.endedAt ??= now;
      if (now >= this.endedAt + END && this.retryAt === Infinity) {
        this.endedAt = Infinity;
        this.open(this.file, { onward: true });
      }
    }
    return stream.at(this.place);
  }

  seek(place) {
    if (!this.stream) return;
    this.place = Math.min(Math.max(Math.round(place), 0), this.stream.frames);
    this.endedAt = null;
  }

  // One frame on or back, paused.
  step(frames) {
    this.playing = false;
    this.seek(Math.floor(this.place) + frames);
  }

  toggle() {
    this.playing = !this.playing;
    if (this.playing && this.stream && this.place >= this.stream.frames && !this.live) this.seek(0);
  }
}
