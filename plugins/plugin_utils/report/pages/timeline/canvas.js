// SPDX-License-Identifier: GPL-3.0-or-later
// The picture of the timeline.
import { $, AXIS, COLOURS, LANE } from "./page.js";
import { data, search } from "./data.js";
import { height, inView, lanes, shift, state, timeOf, view } from "./view.js";
import { grouped, moment, span } from "./words.js";

const COLUMN = 2; // CSS pixels

export const canvas = $("canvas");
const context = canvas.getContext("2d", { willReadFrequently: true });
const colours = {};
let image = null; // marks of the frame: ImageData, reused while the size stays
let cells = new Uint32Array(); // records of the frame by lane, column and colour

export function readColours() {
  const style = getComputedStyle(document.documentElement);
  const probe = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const pixel = (colour) => {
    probe.fillStyle = colour;
    probe.fillRect(0, 0, 1, 1);
    return new Uint32Array(probe.getImageData(0, 0, 1, 1).data.buffer)[0];
  };
  for (const name of ["paper", "line", "ink", "soft", "lost", "lost-paper", "init", "lane", "chosen", "accent"]) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
  colours.marks = Array.from({ length: COLOURS }, (_none, at) => pixel(style.getPropertyValue(`--f${at}`).trim()));
}

// How many records of the view each column of a lane has, by colour.
function gather(lane, columns, base) {
  const { time, event, begins } = data, { passes } = state;
  const from = view.from - shift(lane.host), scale = columns / (view.to - view.from);
  const begin = search(begins[lane.number], begins[lane.number + 1], from, (at) => time[at]);
  for (let at = begin, end = begins[lane.number + 1]; at < end; at++) {
    if (passes[at] === 0) continue;
    const x = ((time[at] - from) * scale) | 0;
    if (x >= columns) break;
    cells[base + x * COLOURS + (event[at] < COLOURS ? event[at] : COLOURS - 1)]++;
  }
}

// Paint the columns of a lane: as high as they have records (logarithm), divided as functions divide them.
function paint(base, columns, top, ratio, most) {
  const pixels = new Uint32Array(image.data.buffer), wide = image.width;
  const full = Math.round(LANE * ratio), bottom = Math.round((top + LANE) * ratio);
  const scale = most > 1 ? 1 / Math.log(most) : 0;
  for (let x = 0; x < columns; x++) {
    const at = base + x * COLOURS;
    let sum = 0;
    for (let colour = 0; colour < COLOURS; colour++) sum += cells[at + colour];
    if (sum === 0) continue;
    const high = most > 1 ? full * (0.4 + 0.6 * Math.log(sum) * scale) : full;
    const left = Math.round(x * COLUMN * ratio), right = Math.min(wide, Math.round((x + 1) * COLUMN * ratio));
    let y = bottom;
    for (let colour = 0; colour < COLOURS; colour++) {
      if (cells[at + colour] === 0) continue;
      const end = Math.max(bottom - full, y - Math.max(1, Math.round((high * cells[at + colour]) / sum)));
      while (y > end) {
        y--;
        if (y >= 0 && y < image.height) pixels.fill(colours.marks[colour], y * wide + left, y * wide + right);
      }
    }
  }
}

const xOf = (time, width) => ((time - view.from) / (view.to - view.from)) * width;

function resize(width, tall, ratio) {
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(tall * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(tall * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${tall}px`;
    image = null;
  }
  image ??= context.createImageData(canvas.width, canvas.height);
  new Uint32Array(image.data.buffer).fill(0);
}

// Returns how many records the highest mark stands for.
function drawMarks(seen, columns, scrolled, ratio) {
  const size = columns * COLOURS;
  if (cells.length < seen.length * size) cells = new Uint32Array(seen.length * size);
  else cells.fill(0);
  seen.forEach((lane, at) => gather(lane, columns, at * size));
  const most = tallest(seen.length * size);
  seen.forEach((lane, at) => paint(at * size, columns, lane.top - scrolled, ratio, most));
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.putImageData(image, 0, 0);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return most;
}

export function draw() {
  const width = $("stage").clientWidth, tall = Math.min(height, $("timeline").clientHeight), ratio = devicePixelRatio;
  if (!width || !tall) return;
  resize(width, tall, ratio);
  const scrolled = $("timeline").scrollTop, columns = Math.ceil(width / COLUMN);
  const seen = lanes.filter((lane) => lane.top + LANE > scrolled + AXIS && lane.top < scrolled + tall);
  const most = drawMarks(seen, columns, scrolled, ratio);
  drawBehind(seen, width, tall, scrolled);
  drawOver(seen, width, scrolled);
  drawAxis(width);
  tell(most, seen.length ? (view.to - view.from) / columns : 0);
}

function tallest(end) {
  let most = 0;
  for (let at = 0; at < end; at += COLOURS) {
    let sum = 0;
    for (let colour = 0; colour < COLOURS; colour++) sum += cells[at + colour];
    if (sum > most) most = sum;
  }
  return most;
}

// Where a time of a host is drawn: `least` pixels to each side of its middle, or more.
function spanOn(host, from, to, width, least) {
  const [left, middle, right] = [from, (from + to) / 2, to].map((time) => xOf(time + shift(host), width));
  return [Math.min(left, middle - least), Math.max(right, middle + least)];
}

// Where an init is drawn: never narrower than 8 pixels, and no width at all outside of the view.
function initOn(host, from, to, width) {
  const [left, right] = spanOn(host, from, to, width, 4);
  return right < 0 || left > width ? [0, 0] : [Math.max(0, left), Math.min(width, right)];
}

function drawBehind(seen, width, tall, scrolled) {
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = colours.init;
  for (const [number, host] of data.hosts.entries()) {
    for (const [from, to] of host.inits) {
      const [left, right] = initOn(number, from, to, width);
      context.fillRect(left, host.top - scrolled + 2, right - left, host.bottom - host.top - 2);
    }
  }
  context.fillStyle = colours.lane;
  for (const lane of seen) context.fillRect(0, lane.top - scrolled, width, LANE);
  context.fillStyle = colours.paper;
  context.fillRect(0, 0, width, tall);
  context.globalCompositeOperation = "source-over";
}

function drawOver(seen, width, scrolled) {
  context.font = '11px system-ui, "Liberation Sans", sans-serif';
  context.textBaseline = "middle";
  context.fillStyle = colours.soft;
  for (const [number, host] of data.hosts.entries()) {
    let free = 0;
    for (const [from, to] of host.inits) {
      const [left, right] = initOn(number, from, to, width);
      const at = right - left < 30 ? right + 3 : left + 4;
      if (right <= left || at < free) continue;
      context.fillText("init", at, host.top - scrolled + 13);
      free = at + 24;
    }
  }
  for (const lane of seen) for (const loss of lane.losses) drawLoss(loss, lane, width, lane.top - scrolled);
  if (state.chosen >= 0) drawChosen(width, scrolled);
}

// Loss: a red box with its number where there is room, else with a cross; never narrower than 10 pixels.
function drawLoss([host, _cpu, from, to, lost], lane, width, top) {
  const [left, right] = spanOn(host, from, to, width, 5);
  if (right < 0 || left > width) return;
  const begin = Math.max(-4, left), end = Math.min(width + 4, right);
  context.fillStyle = colours["lost-paper"];
  context.fillRect(begin, top, end - begin, LANE);
  context.strokeStyle = context.fillStyle = colours.lost;
  context.lineWidth = 2;
  context.strokeRect(begin + 1, top + 1, end - begin - 2, LANE - 2);
  const text = lost ? `${grouped(lost)} lost` : "lost", size = context.measureText(text).width;
  if (end - begin > size + 12) {
    context.fillText(text, (Math.max(0, begin) + Math.min(width, end) - size) / 2, top + LANE / 2 + 0.5);
    return;
  }
  context.beginPath();
  for (const way of [-1, 1]) {
    context.moveTo((begin + end) / 2 - 3, top + LANE / 2 - 3 * way);
    context.lineTo((begin + end) / 2 + 3, top + LANE / 2 + 3 * way);
  }
  context.stroke();
}

function drawChosen(width, scrolled) {
  const lane = lanes.find((one) => one.number === data.lane[state.chosen]);
  const x = Math.round(xOf(timeOf(state.chosen), width)), top = lane.top - scrolled;
  if (x < -8 || x > width + 8) return;
  context.strokeStyle = context.fillStyle = colours.chosen;
  context.lineWidth = 2;
  context.strokeRect(x - 4, top - 1, 9, LANE + 2);
  context.beginPath();
  context.moveTo(x + 0.5, top - 2);
  context.lineTo(x - 5, top - 9);
  context.lineTo(x + 6, top - 9);
  context.fill();
}

function drawAxis(width) {
  context.fillStyle = colours.paper;
  context.fillRect(0, 0, width, AXIS);
  context.font = '11px system-ui, "Liberation Sans", sans-serif';
  context.textBaseline = "middle";
  const rough = ((view.to - view.from) * 130) / width;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, power * [1, 2, 5, 10].find((times) => times * power >= rough));
  context.fillStyle = colours.line;
  context.fillRect(0, AXIS - 1, width, 1);
  for (let time = Math.ceil(view.from / step) * step; time <= view.to; time += step) {
    const x = xOf(time, width), text = moment(time, step), size = context.measureText(text).width;
    context.fillStyle = colours.soft;
    context.fillRect(Math.round(x), AXIS - 6, 1, 5);
    if (x - size / 2 > 2 && x + size / 2 < width - 2) context.fillText(text, x - size / 2, AXIS / 2 - 2);
  }
}

function tell(most, column) {
  const [begin, end] = inView(state.list);
  const range = $("range"), digits = (view.to - view.from) / 1000;
  const tall = most > 1 ? `; the highest mark stands for ${grouped(most)} in ${span(column)}` : "";
  const records = `${grouped(end - begin)} of ${grouped(data.count)} records`;
  range.value = `${moment(view.from, digits)} to ${moment(view.to, digits)}: ${records}${tall}`;
  Object.assign(range.dataset, { from: view.from, to: view.to, records: end - begin });
}
