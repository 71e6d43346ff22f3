// Episodes as the server hands them out: asked for in segments, over one WebSocket for a page.

const IN_FLIGHT = 3;
const URGENT = 4; // questions that wait; of a scrubber that is dragged only the last are of interest
const RETRY = 1500; // ms

export class Lost extends Error {} // the connection, not the episode

// Questions and their answers, in order. Connects when it is first asked, and again after a loss.
export class Link {
  constructor(run) {
    this.run = run;
    this.socket = null;
    this.hello = null;
    this.number = 0;
    this.urgent = [];
    this.waiting = [];
    this.flying = new Map();
    this.lostAt = -Infinity;
    this.reason = "the connection to the dashboard was lost";
  }

  // What the server says first: palette, observation, pictures in a segment.
  ready() {
    if (this.hello) return this.hello;
    if (performance.now() < this.lostAt + RETRY) return Promise.reject(new Lost(this.reason));
    const url = new URL("api/stream", location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.searchParams.set("run", this.run);
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.hello = new Promise((resolve, reject) => {
      socket.onmessage = (event) => {
        const hello = JSON.parse(event.data);
        if (hello.error) {
          this.reason = hello.error;
          return;
        }
        socket.onmessage = (next) => this.answer(next.data);
        resolve(hello);
        this.pump();
      };
      socket.onclose = (event) => {
        if (event.reason) this.reason = event.reason;
        reject(new Lost(this.reason));
        if (this.socket === socket) this.drop();
      };
    });
    this.hello.catch(() => {});
    return this.hello;
  }

  // An object, or an ArrayBuffer. An urgent question goes first; null: others took its place.
  async ask(question, urgent = false) {
    await this.ready();
    return new Promise((resolve, reject) => {
      const entry = { question, resolve, reject };
      if (urgent) {
        this.urgent.unshift(entry);
        for (const old of this.urgent.splice(URGENT)) old.resolve(null);
      } else {
        this.waiting.push(entry);
      }
      this.pump();
    });
  }

  pump() {
    while (this.flying.size < IN_FLIGHT && this.socket?.readyState === WebSocket.OPEN) {
      const entry = this.urgent.shift() ?? this.waiting.shift();
      if (!entry) return;
      const ask = (this.number += 1);
      this.flying.set(ask, entry);
      this.socket.send(JSON.stringify({ ask, ...entry.question }));
    }
  }

  answer(data) {
    const text = typeof data === "string";
    const message = text ? JSON.parse(data) : data.slice(4);
    const ask = text ? message.ask : new DataView(data).getUint32(0, true);
    const entry = this.flying.get(ask);
    this.flying.delete(ask);
    if (entry && text && message.error) entry.reject(new Error(message.error));
    else entry?.resolve(message);
    this.pump();
  }

  drop() {
    this.lostAt = performance.now();
    this.socket = this.hello = null;
    const all = [...this.flying.values(), ...this.urgent, ...this.waiting];
    this.flying.clear();
    this.urgent = [];
    this.waiting = [];
    for (const entry of all) entry.reject(new Lost(this.reason));
  }

  // It may be asked again.
  close() {
    const socket = this.socket;
    if (!socket) return;
    this.drop();
    this.lostAt = -Infinity;
    socket.close();
  }
}

async function inflate(data) {
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// One episode. `about` is what the server says of it; `failed` why pictures are missing, if it does.
export class EpisodeStream {
  constructor(link, hello, about, { stride = 1, kept = 8, urgent = false } = {}) {
    Object.assign(this, { link, hello, about, stride, kept, urgent });
    this.frames = about.frames;
    this.segments = new Map(); // by index, the one used last at the end
    this.asked = new Set();
    this.failed = null;
  }

  // The place that is shown for one within 0 to `frames`.
  round(place) {
    const whole = Math.min(Math.max(Math.floor(place), 0), this.frames);
    return whole - (whole % this.stride);
  }

  // The segment that holds a place, and which picture of it that is; null: it is asked for.
  at(place) {
    const number = this.round(place) / this.stride;
    const index = Math.floor(number / this.hello.pictures);
    const segment = this.segments.get(index);
    if (!segment) {
      this.want(index);
      return null;
    }
    this.segments.delete(index);
    this.segments.set(index, segment);
    return { segment, picture: number % this.hello.pictures };
  }

  // What comes after a place, so that it is there in time.
  prepare(place, ahead = 1) {
    const index = Math.floor(this.round(place) / this.stride / this.hello.pictures);
    for (let next = index + 1; next <= index + ahead; next += 1) this.want(next);
  }

  want(index) {
    const last = Math.floor(this.round(this.frames) / this.stride / this.hello.pictures);
    if (index > last || this.segments.has(index) || this.asked.has(index)) return;
    if (this.failed && !(this.failed instanceof Lost)) return;
    this.asked.add(index);
    const question = { key: this.about.key, segment: index, stride: this.stride };
    this.link
      .ask(question, this.urgent)
      .then((data) => data && inflate(data))
      .then((bytes) => {
        if (bytes) this.keep(index, bytes);
        this.failed = null;
      })
      .catch((error) => {
        this.failed = error;
      })
      .finally(() => this.asked.delete(index));
  }

  keep(index, bytes) {
    const { rows, columns } = this.hello.observation;
    const count = bytes.length / (240 * 256 + rows * columns + 1);
    this.segments.set(index, { bytes, count });
    for (const old of this.segments.keys()) {
      if (this.segments.size <= this.kept) break;
      this.segments.delete(old);
    }
  }

  // Bits of the buttons held in the frame that led to a picture.
  static buttons({ segment, picture }) {
    return segment.bytes[segment.bytes.length - segment.count + picture];
  }

  // The number of the decision that the frame at a place belongs to; -1 before the first.
  decision(place) {
    const first = this.about.outputs?.first_frames ?? [];
    let [low, high] = [0, first.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (first[middle] < place) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
