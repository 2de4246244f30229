/* A map of points on a canvas: what is drawn, and how it is moved. */

const $ = (id) => document.getElementById(id);
export const GROUPS = 8;

const probe = document.body.appendChild(document.createElement("i"));
probe.hidden = true;
function colour(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

export const atlas = {
  canvas: $("map"), points: null, groups: [], ranked: new Map(), letter: "a", current: -1, box: [[-1, 1], [-1, 1]], x: 0, y: 0, zoom: 1, waiting: false,

  show(points) {
    Object.assign(this, { points, groups: [], current: -1 });
    this.place = new Map(points.id.map((id, number) => [id, number]));
    this.box = [points.x, points.y].map((values) => [Math.min(...values), Math.max(...values)]);
    this.select(-1);
    this.reset();
  },
  get size() {
    return { width: this.canvas.clientWidth, height: this.canvas.clientHeight };
  },
  get scale() {
    const [wide, high] = this.box.map(([low, top]) => Math.max(top - low, 0.05));
    return Math.min(this.size.width / wide, this.size.height / high) * 0.9 * this.zoom;
  },
  at(number) {
    const { width, height } = this.size;
    return [width / 2 + (this.points.x[number] - this.x) * this.scale, height / 2 - (this.points.y[number] - this.y) * this.scale];
  },
  nearest(x, y, within) {
    let best = -1;
    let least = within * within;
    for (let number = 0; number < (this.points?.x.length ?? 0); number += 1) {
      const [px, py] = this.at(number);
      const far = (px - x) ** 2 + (py - y) ** 2;
      if (far <= least) [best, least] = [number, far];
    }
    return best;
  },
  move(dx, dy) {
    const hold = (value) => Math.min(1.1, Math.max(-1.1, value));
    this.x = hold(this.x - dx / this.scale);
    this.y = hold(this.y + dy / this.scale);
    this.draw();
  },
  zoomBy(factor, x = this.size.width / 2, y = this.size.height / 2) {
    const zoom = Math.min(60, Math.max(0.8, this.zoom * factor));
    const [dx, dy] = [x - this.size.width / 2, y - this.size.height / 2];
    const before = this.scale;
    this.zoom = zoom;
    this.x += dx / before - dx / this.scale;
    this.y -= dy / before - dy / this.scale;
    this.draw();
  },
  reset() {
    const [x, y] = this.box.map(([low, top]) => (low + top) / 2);
    Object.assign(this, { x, y, zoom: 1 });
    this.draw();
  },
  select(number) {
    this.current = number;
    $("point").textContent = number < 0 ? "Point at a dot to read it." : this.points.text[number];
    for (const card of document.querySelectorAll(".hit")) card.classList.toggle("near", number >= 0 && card.dataset.id === this.points.id[number]);
    this.draw();
  },
  mark(id) {
    if (this.points) this.select(this.place.get(id) ?? -1);
  },
  draw() {
    if (!this.waiting) requestAnimationFrame(() => this.paint());
    this.waiting = true;
  },
  paint() {
    this.waiting = false;
    const { width, height } = this.size;
    const ratio = devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * ratio)) this.canvas.width = Math.round(width * ratio);
    if (this.canvas.height !== Math.round(height * ratio)) this.canvas.height = Math.round(height * ratio);
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    if (!this.points) return;
    const [dot, page, ink, accent] = ["dot", "panel", "ink", this.letter].map(colour);
    const fills = Array.from({ length: GROUPS }, (_, number) => colour(`g${number}`));
    const radius = Math.min(6, 2.4 * this.zoom ** 0.35);
    const disc = (number, size, fill, line) => {
      const [x, y] = this.at(number);
      if (x < -20 || y < -20 || x > width + 20 || y > height + 20) return;
      pen.beginPath();
      pen.arc(x, y, size, 0, 2 * Math.PI);
      pen.fillStyle = fill;
      pen.fill();
      if (line) pen.stroke();
    };
    pen.globalAlpha = this.ranked.size ? 0.4 : 0.75;
    this.points.x.forEach((_, number) => disc(number, radius, fills[this.groups[number]] ?? dot));
    pen.globalAlpha = 1;
    pen.lineWidth = 1.5;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.font = "700 10px system-ui, sans-serif";
    for (const [id, rank] of [...this.ranked].reverse()) {
      if (!this.place.has(id)) continue;
      pen.strokeStyle = page;
      disc(this.place.get(id), 8.5, accent, true);
      pen.fillStyle = page;
      pen.fillText(rank, ...this.at(this.place.get(id)));
    }
    pen.lineWidth = 2.5;
    pen.strokeStyle = ink;
    if (this.current >= 0) disc(this.current, Math.max(radius, this.ranked.has(this.points.id[this.current]) ? 8.5 : 0) + 2.5, "transparent", true);
  },
};

/** Moves the map by mouse, touch and keys; a point that is picked goes to `pick`. */
export function steer(onpick) {
  const canvas = atlas.canvas;
  const held = new Map();
  let dragged = false;
  const place = (event) => [event.offsetX, event.offsetY];
  const look = () => atlas.select(atlas.nearest(atlas.size.width / 2, atlas.size.height / 2, Infinity));
  const pick = () => atlas.current >= 0 && onpick(atlas.points.text[atlas.current]);
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    held.set(event.pointerId, place(event));
    if (held.size === 1) dragged = false;
  };
  canvas.onpointermove = (event) => {
    const now = place(event);
    const before = held.get(event.pointerId);
    if (!before) return atlas.select(atlas.nearest(...now, 14));
    if (!dragged && held.size === 1 && Math.hypot(now[0] - before[0], now[1] - before[1]) < 4) return undefined;
    dragged = true;
    const others = [...held].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
    if (others.length) {
      const apart = (point) => Math.hypot(point[0] - others[0][0], point[1] - others[0][1]) || 1;
      atlas.zoomBy(apart(now) / apart(before), (now[0] + others[0][0]) / 2, (now[1] + others[0][1]) / 2);
    }
    atlas.move((now[0] - before[0]) / held.size, (now[1] - before[1]) / held.size);
    held.set(event.pointerId, now);
    return undefined;
  };
  canvas.onpointerup = (event) => {
    held.delete(event.pointerId);
    if (dragged) return;
    atlas.select(atlas.nearest(...place(event), event.pointerType === "mouse" ? 14 : 24));
    pick();
  };
  canvas.onpointercancel = (event) => held.delete(event.pointerId);
  canvas.onpointerleave = () => held.size || atlas.select(-1);
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    atlas.zoomBy(Math.exp(-event.deltaY / 400), ...place(event));
  }, { passive: false });
  const step = () => Math.min(atlas.size.width, atlas.size.height) / 12;
  const keys = {
    ArrowLeft: () => atlas.move(step(), 0), ArrowRight: () => atlas.move(-step(), 0),
    ArrowUp: () => atlas.move(0, step()), ArrowDown: () => atlas.move(0, -step()),
    "+": () => atlas.zoomBy(1.4), "=": () => atlas.zoomBy(1.4), "-": () => atlas.zoomBy(1 / 1.4), 0: () => atlas.reset(),
  };
  canvas.onkeydown = (event) => {
    if (event.key === "Enter") pick();
    else if (keys[event.key] && !event.ctrlKey && !event.metaKey) {
      keys[event.key]();
      look();
    } else return;
    event.preventDefault();
  };
  $("in").onclick = () => atlas.zoomBy(1.6);
  $("out").onclick = () => atlas.zoomBy(1 / 1.6);
  $("reset").onclick = () => atlas.reset();
  new ResizeObserver(() => atlas.draw()).observe(canvas);
}
