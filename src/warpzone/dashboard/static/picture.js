// Draws what a person sees and what an agent sees, of one picture of a segment.

export const PLANES = {
  solid: [150, 150, 158],
  block: [224, 142, 60],
  item: [250, 220, 70],
  goal: [70, 200, 110],
  enemy: [235, 70, 60],
  hazard: [215, 80, 215],
  platform: [80, 190, 225],
  mario: [255, 255, 255],
};
const BEHIND = [16, 18, 28];
const PLANE_ROWS = 13;

export const OBSERVATIONS = {
  tiles: "The agent sees a map of the tiles around Mario",
  pixels: "The agent sees a grey picture",
  ram: "The agent sees the 2,048 bytes of RAM",
  rgb: "The agent sees this very picture",
  none: "",
};

// Bytes of red, green, blue as a canvas has them in one number.
function colour(red, green, blue) {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

export function table(hello) {
  const rgb = Uint8Array.from(atob(hello.palette), (letter) => letter.charCodeAt(0));
  return Uint32Array.from({ length: 64 }, (_, i) => colour(...rgb.subarray(3 * i, 3 * i + 3)));
}

class Canvas {
  constructor(canvas, width, height) {
    canvas.width = width;
    canvas.height = height;
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.image = this.context.createImageData(width, height);
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  show() {
    this.context.putImageData(this.image, 0, 0);
  }
}

export class Screen extends Canvas {
  constructor(canvas, hello) {
    super(canvas, 256, 240);
    this.table = table(hello);
  }

  draw({ segment: { bytes, count }, picture }) {
    const { pixels, table: colours } = this;
    let to = 0;
    for (let y = 0; y < 240; y += 1) {
      let from = (y * count + picture) * 256;
      for (const end = from + 256; from < end; from += 1, to += 1) pixels[to] = colours[bytes[from]];
    }
    this.show();
  }
}

// Nothing is drawn where the agent sees what people see.
export class ObservationView extends Canvas {
  constructor(canvas, hello) {
    const { kind, rows, columns } = hello.observation;
    const shown = kind === "tiles" ? PLANE_ROWS : rows;
    super(canvas, columns || 1, shown || 1);
    canvas.hidden = !rows;
    canvas.dataset.kind = kind;
    Object.assign(this, { kind, rows, columns, shown });
    this.planes = hello.planes.map((name) => PLANES[name] ?? [200, 200, 200]);
  }

  draw({ segment: { bytes, count }, picture }) {
    if (!this.rows) return;
    const { pixels, columns, shown } = this;
    const value = (row, column) =>
      bytes[240 * count * 256 + (row * count + picture) * columns + column];
    for (let row = 0; row < shown; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        const at = row * columns + column;
        pixels[at] =
          this.kind === "tiles"
            ? this.tile((plane) => value(plane * shown + row, column))
            : colour(value(row, column), value(row, column), value(row, column));
      }
    }
    this.show();
  }

  // The last plane that has something; its value, which tells the kind, is the brightness.
  tile(value) {
    for (let plane = this.planes.length - 1; plane >= 0; plane -= 1) {
      const share = value(plane) / 255;
      if (share) return colour(...this.planes[plane].map((c) => Math.round(c * (0.4 + 0.6 * share))));
    }
    return colour(...BEHIND);
  }
}
