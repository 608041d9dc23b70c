// SPDX-License-Identifier: GPL-3.0-or-later
// The timeline and the table of a collection's records. Records are numbers in typed arrays, in the order of lane
// (host, CPU) and time; texts of hosts reach the page as textContent only. timeline_data.py describes the data.
"use strict";

const $ = (id) => document.getElementById(id);
const AXIS = 28, HOST = 24, LANE = 22, GAP = 4, COLUMN = 2, COLOURS = 9; // CSS pixels; the last colour is shared
const LEAST = 50; // nanoseconds: what the view shows at least

function make(tag, values = {}, ...inside) {
  const made = Object.assign(document.createElement(tag), values);
  made.append(...inside);
  return made;
}

// -- the data ----------------------------------------------------------------------------------------

async function inflate(text) {
  const binary = atob(text.trim());
  const packed = new Uint8Array(binary.length);
  for (let at = 0; at < packed.length; at++) packed[at] = binary.charCodeAt(at);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// A column lies as all lowest bytes, then all second bytes...: back to one number after another.
function column(bytes, size, count) {
  if (size === 1) return bytes;
  const whole = new Uint8Array(bytes.length);
  for (let part = 0, from = 0; part < size; part++) {
    for (let at = part; at < whole.length; at += size) whole[at] = bytes[from++];
  }
  return new { 2: Uint16Array, 4: Uint32Array, 8: BigInt64Array }[size](whole.buffer, 0, count);
}

function parse(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let at = 4 + length;
  const columns = head.columns.map(([size, count]) => {
    const bytes = new Uint8Array(buffer, at, size * count);
    at += bytes.length;
    return column(bytes, size, count);
  });
  return { head, columns };
}

// Everything about the records that does not change.
function records({ head, columns }) {
  const [steps, thread, shape, phase] = columns.length ? columns : [new BigInt64Array(), [], [], []];
  const count = thread.length;
  const words = new Uint32Array(steps.buffer, steps.byteOffset, 2 * count);
  const time = new Float64Array(count); // nanoseconds since the first record of the host
  const lane = new Uint16Array(count);
  const event = new Uint16Array(count);
  const rank = new Uint32Array(count); // which of the records of its shape
  const seen = new Uint32Array(head.shapes.length);
  const begins = [0];
  let at = 0;
  head.lanes.forEach(([_host, _cpu, many], number) => {
    for (let now = 0, end = at + many; at < end; at++) {
      now += words[2 * at] + words[2 * at + 1] * 2 ** 32;
      time[at] = now;
      lane[at] = number;
      event[at] = head.shapes[shape[at]].event;
      rank[at] = seen[shape[at]]++;
    }
    begins.push(at);
  });
  return { ...head, values: columns, count, time, lane, event, thread, shape, phase, rank, begins };
}

// -- words for records -------------------------------------------------------------------------------

const large = 2n ** 32n;

function shownNumber(value) {
  if (value < -4095n || value >= large) return "0x" + BigInt.asUintN(64, value).toString(16);
  return value.toString();
}

function argumentsOf(at) {
  const shape = data.shapes[data.shape[at]];
  const rank = data.rank[at];
  const found = shape.ints.map(([name, number]) => `${name}=${shownNumber(data.values[number][rank])}`);
  for (const [name, number] of shape.texts) found.push(`${name}="${data.strings[data.values[number][rank]]}"`);
  return found.join(", ");
}

function resultOf(at) {
  const number = data.shapes[data.shape[at]].result;
  return number === null ? "" : shownNumber(data.values[number][data.rank[at]]);
}

function threadOf(at) {
  const [name, pid] = data.threads[data.thread[at]];
  return name ? `${name}-${pid}` : `(forgotten)-${pid}`;
}

const hostOf = (at) => data.hosts[data.lanes[data.lane[at]][0]];
const cpuOf = (at) => data.lanes[data.lane[at]][1];
const initOf = (at) => ["no", "yes", ""][data.phase[at]];

// A time of the axis with the digits that `step` makes worth showing.
function moment(time, step) {
  const digits = Math.min(9, Math.max(0, 9 - Math.floor(Math.log10(Math.max(step, 1)) + 1e-9)));
  if (!real) return `${(time / 1e9).toFixed(digits)} s`;
  const since = BigInt(data.start) + BigInt(Math.round(time));
  const clock = new Date(Number(since / 1000000000n) * 1000).toISOString().slice(11, 19);
  const part = (since % 1000000000n).toString().padStart(9, "0").slice(0, digits);
  return part ? `${clock}.${part}` : clock;
}

function span(time) {
  for (const [size, unit] of [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]]) {
    if (time >= size) return `${Number((time / size).toPrecision(3))} ${unit}`;
  }
  return `${Math.round(time)} ns`;
}

const grouped = (number) => number.toLocaleString("en");

// -- state -------------------------------------------------------------------------------------------

let data; // records()
let real = false; // does the axis show real time, or the time since each host's first record
let lanes = []; // what is drawn: {number, host, cpu, top, losses}
let height = 0; // of all lanes
let limits = { from: 0, to: 1 };
let view = { from: 0, to: 1 };
let order = new Uint32Array(); // all records by the time of the axis
let place = new Uint32Array(); // where a record is in `order`
let passes = new Uint8Array(); // does a record pass the filter
let list = new Uint32Array(); // the records of the table
let first = 0; // the row of `list` that the table shows on top
let chosen = -1;
let colours = {};

const shift = (host) => (real ? data.hosts[host].shift ?? 0 : 0);
const timeOf = (at) => data.time[at] + shift(data.lanes[data.lane[at]][0]);

// The first index of a sorted sequence from `from` to `to` whose value is not less than `wanted`.
function search(from, to, wanted, value) {
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (value(middle) < wanted) from = middle + 1;
    else to = middle;
  }
  return from;
}

// All records by time: lanes are in order, so pairs of sorted parts are merged until one is left.
function merged() {
  let source = Uint32Array.from({ length: data.count }, (_none, at) => at);
  let parts = data.begins.slice();
  const time = new Float64Array(data.count);
  for (let at = 0; at < data.count; at++) time[at] = timeOf(at);
  while (parts.length > 2) {
    const target = new Uint32Array(data.count);
    const next = [0];
    for (let part = 0; part + 1 < parts.length; part += 2) {
      const middle = parts[part + 1], end = parts[part + 2] ?? middle;
      for (let one = parts[part], other = middle, at = one; at < end; at++) {
        target[at] = other >= end || (one < middle && time[source[one]] <= time[source[other]]) ? source[one++] : source[other++];
      }
      next.push(end);
    }
    source = target;
    parts = next;
  }
  return source;
}

function setAxis() {
  order = merged();
  place = new Uint32Array(data.count);
  order.forEach((record, at) => { place[record] = at; });
  const ends = data.hosts.flatMap((host, number) => [shift(number), shift(number) + host.span]);
  for (const [host, _cpu, from, to] of data.losses) ends.push(from + shift(host), to + shift(host));
  const from = ends.length ? Math.min(...ends) : 0;
  const to = Math.max(from + 1000, ...ends);
  limits = { from: from - (to - from) * 0.01, to: to + (to - from) * 0.01 };
  view = { ...limits };
}

function layLanes() {
  lanes = [];
  height = AXIS + GAP;
  data.hosts.forEach((host, number) => {
    host.top = height;
    height += HOST;
    const own = data.lanes.map(([of, cpu], lane) => ({ lane, of, cpu })).filter(({ of }) => of === number);
    for (const { lane, cpu } of own.sort((one, other) => one.cpu - other.cpu)) {
      const losses = data.losses.filter(([of, at]) => of === number && at === cpu);
      lanes.push({ number: lane, host: number, cpu, top: height, losses });
      height += LANE + GAP;
    }
    host.bottom = height;
    height += GAP;
  });
}

// -- moving ------------------------------------------------------------------------------------------

let waiting = false;

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    draw();
    fill();
  });
}

function show(from, to) {
  const most = limits.to - limits.from;
  const size = Math.min(most, Math.max(LEAST, to - from));
  const start = Math.min(limits.to - size, Math.max(limits.from, (from + to - size) / 2));
  view = { from: start, to: start + size };
  if ($("in-view").checked) first = 0;
  redraw();
  announce();
}

function zoom(factor, at = (view.from + view.to) / 2) {
  const size = Math.min(limits.to - limits.from, Math.max(LEAST, (view.to - view.from) * factor));
  const share = (at - view.from) / (view.to - view.from);
  show(at - size * share, at + size * (1 - share));
}

const pan = (part) => show(view.from + (view.to - view.from) * part, view.to + (view.to - view.from) * part);
const whole = () => show(limits.from, limits.to);

function toInit() {
  const all = data.hosts.flatMap((host, number) => host.inits.map(([from, to]) => [from + shift(number), to + shift(number)]));
  if (!all.length) return;
  const from = Math.min(...all.map(([begin]) => begin)), to = Math.max(...all.map(([_begin, end]) => end));
  show(from - (to - from) * 0.05, to + (to - from) * 0.05);
}

let telling;

function announce() {
  clearTimeout(telling);
  telling = setTimeout(() => { $("said").textContent = $("range").value; }, 500);
}

// -- drawing -----------------------------------------------------------------------------------------

const canvas = $("canvas"), context = canvas.getContext("2d", { willReadFrequently: true });
let image = null; // marks of the frame: ImageData, reused while the size stays
let cells = new Uint32Array(); // records of the frame by lane, column and colour

function readColours() {
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

// How many records of the view each column of a lane has, by colour; returns how many these are.
function gather(lane, columns, base) {
  const { time, event, begins } = data;
  const from = view.from - shift(lane.host), scale = columns / (view.to - view.from);
  const begin = search(begins[lane.number], begins[lane.number + 1], from, (at) => time[at]);
  let found = 0;
  for (let at = begin, end = begins[lane.number + 1]; at < end; at++) {
    if (passes[at] === 0) continue;
    const x = ((time[at] - from) * scale) | 0;
    if (x >= columns) break;
    cells[base + x * COLOURS + (event[at] < COLOURS ? event[at] : COLOURS - 1)]++;
    found++;
  }
  return found;
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

function draw() {
  const timeline = $("timeline"), stage = $("stage");
  const width = stage.clientWidth, tall = Math.min(height, timeline.clientHeight), ratio = devicePixelRatio;
  if (!width || !tall) return;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(tall * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(tall * ratio);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${tall}px`;
    image = null;
  }
  image ??= context.createImageData(canvas.width, canvas.height);
  new Uint32Array(image.data.buffer).fill(0);
  const scrolled = timeline.scrollTop;
  const seen = lanes.filter((lane) => lane.top + LANE > scrolled + AXIS && lane.top < scrolled + tall);
  const columns = Math.ceil(width / COLUMN);
  const size = columns * COLOURS;
  if (cells.length < seen.length * size) cells = new Uint32Array(seen.length * size);
  else cells.fill(0);
  seen.forEach((lane, at) => gather(lane, columns, at * size));
  const most = seen.length ? tallest(seen.length * size) : 0;
  seen.forEach((lane, at) => paint(at * size, columns, lane.top - scrolled, ratio, most));
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.putImageData(image, 0, 0);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  drawBehind(seen, width, tall, scrolled);
  drawOver(seen, width, scrolled);
  drawAxis(width, tall);
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

// Where an init is drawn: never narrower than 8 pixels, and no width at all outside of the view.
function initOn(host, from, to, width) {
  const middle = xOf((from + to) / 2 + shift(host), width);
  const left = Math.min(xOf(from + shift(host), width), middle - 4), right = Math.max(xOf(to + shift(host), width), middle + 4);
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
  if (chosen >= 0) drawChosen(width, scrolled);
}

// Loss: a red box with its number where there is room, else with a cross; never narrower than 10 pixels.
function drawLoss([host, _cpu, from, to, lost], lane, width, top) {
  const middle = xOf((from + to) / 2 + shift(host), width);
  const left = Math.min(xOf(from + shift(host), width), middle - 5), right = Math.max(xOf(to + shift(host), width), middle + 5);
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
  const lane = lanes.find((one) => one.number === data.lane[chosen]);
  const x = Math.round(xOf(timeOf(chosen), width)), top = lane.top - scrolled;
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

function inView(of) {
  const begin = search(0, of.length, view.from, (at) => timeOf(of[at]));
  return [begin, search(begin, of.length, view.to, (at) => timeOf(of[at]))];
}

function tell(most, column) {
  const [begin, end] = inView(list);
  const size = view.to - view.from, range = $("range");
  const tall = most > 1 ? `; the highest mark stands for ${grouped(most)} in ${span(column)}` : "";
  range.value = `${moment(view.from, size / 1000)} to ${moment(view.to, size / 1000)}: ${grouped(end - begin)} of ${grouped(data.count)} records${tall}`;
  Object.assign(range.dataset, { from: view.from, to: view.to, records: end - begin });
}

// -- the table ---------------------------------------------------------------------------------------

const table = $("records"), rows = $("rows"), space = $("space");
let range = [0, 0]; // the part of `list` that the table shows
let scrolling = false; // is the scroll bar being set to where the table is

const rowHeight = () => rows.firstElementChild?.offsetHeight || 28;
const room = () => Math.max(1, Math.floor((table.clientHeight - rowHeight()) / rowHeight()));

function row(at, number) {
  const one = make("div", { className: "record", id: `row-${number}` });
  one.setAttribute("role", "row");
  for (let cell = 0; cell < 8; cell++) {
    const made = make("span");
    made.setAttribute("role", "gridcell");
    one.append(made);
  }
  return one;
}

function fillRow(one, record, at) {
  const name = data.events[data.event[record]];
  const texts = [moment(timeOf(record), 1), hostOf(record).name, cpuOf(record), threadOf(record), name, initOf(record), argumentsOf(record), resultOf(record)];
  texts.forEach((text, cell) => {
    const shown = one.children[cell];
    shown.textContent = text;
    if (cell === 4) shown.prepend(make("i", { className: `swatch f${Math.min(data.event[record], COLOURS - 1)}` }));
  });
  one.dataset.record = record;
  one.setAttribute("aria-rowindex", at + 2);
  one.setAttribute("aria-selected", record === chosen);
  one.title = texts.slice(6).filter(Boolean).join("\n");
}

// Only the rows that can be seen are in the document: the scroll bar says which these are.
function fill() {
  range = $("in-view").checked ? inView(list) : [0, list.length];
  const many = range[1] - range[0], here = Math.min(room(), many);
  first = Math.max(0, Math.min(first, many - here));
  while (rows.children.length < here) rows.append(row(0, rows.children.length));
  while (rows.children.length > here) rows.lastChild.remove();
  for (let at = 0; at < here; at++) fillRow(rows.children[at], list[range[0] + first + at], first + at);
  const tall = Math.min(8e6, many * rowHeight());
  if (space.style.height !== `${tall}px`) space.style.height = `${tall}px`;
  const top = many > here ? (first / (many - here)) * (table.scrollHeight - table.clientHeight) : 0;
  const was = table.scrollTop;
  if (Math.abs(was - top) > rowHeight() / 2) {
    table.scrollTop = top;
    scrolling = table.scrollTop !== was;
  }
  const current = [...rows.children].find((one) => Number(one.dataset.record) === chosen);
  if (current) table.setAttribute("aria-activedescendant", current.id);
  else table.removeAttribute("aria-activedescendant");
  table.setAttribute("aria-rowcount", many + 1);
  const from = $("in-view").checked ? " of the time in view" : "";
  $("shown").value = `${grouped(many)} of ${grouped(data.count)} records${from}`;
}

table.addEventListener("scroll", () => {
  if (scrolling) {
    scrolling = false;
    return;
  }
  const many = range[1] - range[0], most = table.scrollHeight - table.clientHeight;
  first = most > 0 ? Math.round((table.scrollTop / most) * (many - room())) : 0;
  redraw();
});

const rowOf = (record) => {
  const at = search(0, list.length, place[record], (index) => place[list[index]]);
  return list[at] === record ? at : -1;
};

// Mark a record in the timeline and in the table, and bring it into view in both.
function choose(record) {
  chosen = record;
  const time = timeOf(record), size = view.to - view.from;
  if (time < view.from || time > view.to) show(time - size / 2, time + size / 2);
  const lane = lanes.find((one) => one.number === data.lane[record]), timeline = $("timeline");
  if (lane.top < timeline.scrollTop + AXIS + HOST || lane.top + LANE > timeline.scrollTop + timeline.clientHeight) {
    timeline.scrollTop = lane.top - timeline.clientHeight / 2;
  }
  range = $("in-view").checked ? inView(list) : [0, list.length];
  const at = rowOf(record) - range[0];
  if (at >= 0 && (at < first || at >= first + room())) first = at - Math.floor(room() / 2);
  describe(record);
  redraw();
}

function describe(record) {
  const shape = data.shapes[data.shape[record]], rank = data.rank[record], host = hostOf(record);
  const wide = (value) => {
    const hex = "0x" + BigInt.asUintN(64, value).toString(16);
    return value > 9n || value < 0n ? `${value} = ${hex}` : `${value}`;
  };
  const pairs = [
    ["Function", data.events[data.event[record]]], ["Host", host.name], ["CPU", cpuOf(record)], ["Thread", threadOf(record)],
    ["Time", moment(timeOf(record), 1)], ["Trace clock", `${grouped(BigInt(host.first) + BigInt(data.time[record]))} ns`],
    ["In init", initOf(record) || "not recorded"],
    ...shape.ints.map(([name, number]) => [name, wide(data.values[number][rank])]),
    ...shape.texts.map(([name, number]) => [name, data.strings[data.values[number][rank]]]),
  ];
  if (shape.result !== null) pairs.push(["Result", wide(data.values[shape.result][rank])]);
  $("record").replaceChildren(...pairs.map(([name, text]) => make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: text }))));
}

function step(by) {
  const many = range[1] - range[0];
  if (!many) return;
  const at = chosen >= 0 && rowOf(chosen) >= range[0] ? rowOf(chosen) - range[0] + by : first;
  choose(list[range[0] + Math.max(0, Math.min(many - 1, at))]);
}

table.addEventListener("keydown", (event) => {
  const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: room(), PageUp: -room(), Home: -Infinity, End: Infinity };
  if (!(event.key in moves) || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  if (chosen < 0 && Math.abs(moves[event.key]) === Infinity && list.length) {
    choose(list[event.key === "Home" ? range[0] : range[1] - 1]);
  } else {
    step(moves[event.key]);
  }
});

rows.addEventListener("click", (event) => {
  const one = event.target.closest(".record");
  if (one) choose(Number(one.dataset.record));
});

// -- the filter --------------------------------------------------------------------------------------

let filtering = 0;
const boxes = () => [...$("legend").querySelectorAll("input")];
const pause = () => new Promise((done) => { setTimeout(done); });

function wantedThreads(text) {
  const wanted = text.trim().toLowerCase();
  return data.threads.map(([name, pid]) => !wanted || `${name || "(forgotten)"}-${pid}`.toLowerCase().includes(wanted));
}

// What passes: a test for one record; texts of arguments are made only where the rest passes and a text is asked for.
function test() {
  const events = boxes().map((box) => box.checked), host = $("of-host").value, cpu = $("of-cpu").value;
  const ofLane = data.lanes.map(([of, number]) => (host === "" || of === Number(host)) && (cpu === "" || number === Number(cpu)));
  const threads = wantedThreads($("of-thread").value), text = $("of-text").value.trim().toLowerCase();
  return (at) => events[data.event[at]] && ofLane[data.lane[at]] && threads[data.thread[at]] &&
    (!text || argumentsOf(at).toLowerCase().includes(text) || resultOf(at).includes(text));
}

// Looks through all records, 12 ms at a time, so that the page stays alive; a newer filter ends an older one.
async function filter() {
  const mine = ++filtering, passing = test(), next = new Uint8Array(data.count);
  document.documentElement.dataset.filter = "runs";
  for (let at = 0, stop = performance.now() + 12; at < data.count; at++) {
    next[at] = passing(at) ? 1 : 0;
    if (at % 512 === 511 && performance.now() > stop) {
      await pause();
      if (mine !== filtering) return;
      stop = performance.now() + 12;
    }
  }
  passes = next;
  relist();
  document.documentElement.dataset.filter = "done";
  redraw();
}

function relist() {
  list = order.filter((at) => passes[at]);
  first = 0;
  if (chosen >= 0 && rowOf(chosen) >= 0) first = Math.max(0, rowOf(chosen) - Math.floor(room() / 2));
}

function shownEvents() {
  const on = boxes().map((box, at) => [box.checked, at]).filter(([checked]) => checked).map(([_checked, at]) => at);
  $("of-event").value = on.length === 1 ? on[0] : on.length === boxes().length ? "" : "some";
}

// -- building the page -------------------------------------------------------------------------------

function buildFilter() {
  const option = (value, text) => make("option", { value, textContent: text });
  $("of-event").append(option("", "all functions"), make("option", { value: "some", textContent: "some functions", hidden: true }),
    ...data.events.map((name, at) => option(at, name)));
  $("of-host").append(option("", "all hosts"), ...data.hosts.map((host, at) => option(at, host.name)));
  const cpus = [...new Set(data.lanes.map(([_host, cpu]) => cpu))].sort((one, other) => one - other);
  $("of-cpu").append(option("", "all CPUs"), ...cpus.map((cpu) => option(cpu, `CPU ${cpu}`)));
  const counts = new Uint32Array(data.events.length);
  for (const event of data.event) counts[event]++;
  $("legend").append(...data.events.map((name, at) => {
    const box = make("input", { type: "checkbox", checked: true, value: at });
    const label = make("label", { className: `f${Math.min(at, COLOURS - 1)}` }, box, make("i", { className: "swatch" }), name);
    label.append(make("small", { textContent: grouped(counts[at]) }));
    return label;
  }));
  for (const [there, name, text] of [[data.hosts.some((host) => host.inits.length), "is-init", "init of the target"],
    [data.losses.length > 0, "is-lost", "lost"]]) {
    if (there) $("legend").append(make("label", { className: `sample ${name}` }, make("i", { className: "swatch" }), text));
  }
}

function sign(look) {
  const name = "http://www.w3.org/2000/svg", made = document.createElementNS(name, "svg");
  made.setAttribute("class", "sign");
  made.append(document.createElementNS(name, "use"));
  made.firstChild.setAttribute("href", `#sign-${look}`);
  return made;
}

function buildNames() {
  const names = $("names");
  names.style.height = `${height}px`;
  for (const host of data.hosts) {
    const text = host.note && ` · ${host.note}`;
    const made = make("div", { className: `host ${host.look}`, title: host.name + text }, sign(host.look), ` ${host.name}`);
    made.append(make("span", { className: "word", textContent: text }));
    made.style.top = `${host.top}px`;
    names.append(made);
  }
  for (const lane of lanes) {
    const empty = data.begins[lane.number + 1] === data.begins[lane.number] ? ", no records" : "";
    const lost = lane.losses.length ? ", loss" : "";
    const made = make("div", { className: `lane${lost && " lossy"}`, textContent: `CPU ${lane.cpu}${empty}${lost}` });
    made.style.top = `${lane.top}px`;
    names.append(made);
  }
}

function corner() {
  $("corner").textContent = real ? `UTC ${new Date(Number(BigInt(data.start) / 1000000n)).toISOString().slice(0, 10)}` : "Since the first record";
}

function buildAccounts() {
  for (const part of document.querySelectorAll("#accounts tbody")) {
    const button = part.querySelector("button.more");
    if (!button) continue;
    const open = (on) => {
      button.setAttribute("aria-expanded", on);
      for (const cpu of part.querySelectorAll(".cpu")) cpu.hidden = !on;
    };
    button.hidden = false;
    button.addEventListener("click", () => open(button.getAttribute("aria-expanded") !== "true"));
    open(false);
    addEventListener("beforeprint", () => open(true));
  }
  const buttons = document.querySelectorAll("#losses button");
  data.losses.forEach(([host, _cpu, from, to], at) => {
    buttons[at].hidden = false;
    buttons[at].addEventListener("click", () => {
      const room = Math.max(1e4, to - from);
      show(from + shift(host) - room, to + shift(host) + room);
      $("timeline").scrollTop = data.hosts[host].top - AXIS - GAP;
      $("timeline").focus();
    });
  });
}

function buildTools() {
  const tools = { in: () => zoom(0.5), out: () => zoom(2), left: () => pan(-0.25), right: () => pan(0.25), whole, "to-init": toInit };
  for (const [id, tool] of Object.entries(tools)) $(id).addEventListener("click", tool);
  $("to-init").hidden = !data.hosts.some((host) => host.inits.length);
  $("axis").hidden = data.start === null;
  $("axis").addEventListener("change", () => {
    real = document.querySelector("input[name=axis]:checked").value === "real";
    setAxis();
    relist();
    corner();
    redraw();
    announce();
  });
  $("filter").addEventListener("submit", (event) => event.preventDefault());
  $("filter").addEventListener("input", (event) => {
    if (event.target.id === "of-event") {
      for (const box of boxes()) box.checked = event.target.value === "" || event.target.value === box.value;
    }
    filter();
  });
  $("filter").addEventListener("reset", () => setTimeout(() => {
    for (const box of boxes()) box.checked = true;
    filter();
  }));
  $("legend").addEventListener("change", () => {
    shownEvents();
    filter();
  });
  $("in-view").addEventListener("change", () => {
    first = 0;
    redraw();
  });
}

// -- pointer and keys in the timeline ----------------------------------------------------------------

const timeline = $("timeline"), tip = $("tip");
let held = null; // where a drag began
const widthOf = () => $("stage").clientWidth;
const timeAt = (x) => view.from + (x / widthOf()) * (view.to - view.from);

function laneAt(y) {
  const inside = y + timeline.scrollTop;
  return y < AXIS ? undefined : lanes.find((lane) => inside >= lane.top - GAP / 2 && inside < lane.top + LANE + GAP / 2);
}

// The record of a lane that is nearest to a time, of those that pass the filter; -1 where none is within `reach`.
function nearest(lane, time, reach) {
  const at = time - shift(lane.host), end = data.begins[lane.number + 1], begin = data.begins[lane.number];
  const middle = search(begin, end, at, (index) => data.time[index]);
  let right = middle, left = middle - 1;
  while (right < end && !passes[right] && data.time[right] - at <= reach) right++;
  while (left >= begin && !passes[left] && at - data.time[left] <= reach) left--;
  const after = right < end && passes[right] ? data.time[right] - at : Infinity;
  const before = left >= begin && passes[left] ? at - data.time[left] : Infinity;
  if (Math.min(after, before) > reach) return -1;
  return after < before ? right : left;
}

function tipText(lane, x) {
  const reach = ((view.to - view.from) / widthOf()) * 5, time = timeAt(x);
  const loss = lane.losses.find(([host, _cpu, from, to]) => {
    const left = from + shift(host);
    return time >= left - reach && time <= to + shift(host) + reach;
  });
  if (loss) return `${data.hosts[lane.host].name} CPU ${lane.cpu}\n${loss[5]}`;
  const record = nearest(lane, time, reach);
  if (record < 0) return "";
  const name = data.events[data.event[record]], result = resultOf(record);
  const phase = data.phase[record] === 1 ? ", in init" : "";
  return `${name} · ${moment(timeOf(record), 1)}${phase}\n${hostOf(record).name} CPU ${lane.cpu} · ${threadOf(record)}\n${argumentsOf(record)}${result && ` → ${result}`}`;
}

function showTip(event) {
  const lane = laneAt(event.offsetY), text = lane ? tipText(lane, event.offsetX) : "";
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${event.clientY + 18 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 8 : event.clientY + 18}px`;
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  held = { x: event.offsetX, from: view.from, to: view.to, moved: false };
  canvas.setPointerCapture(event.pointerId);
});

canvas.addEventListener("pointermove", (event) => {
  if (!held) {
    showTip(event);
    return;
  }
  const by = ((event.offsetX - held.x) / widthOf()) * (held.to - held.from);
  if (Math.abs(event.offsetX - held.x) > 3) held.moved = true;
  if (!held.moved) return;
  canvas.classList.add("held");
  tip.hidden = true;
  show(held.from - by, held.to - by);
});

canvas.addEventListener("pointerup", (event) => {
  const lane = laneAt(event.offsetY);
  if (held && !held.moved && lane) {
    const record = nearest(lane, timeAt(event.offsetX), ((view.to - view.from) / widthOf()) * 8);
    if (record >= 0) choose(record);
  }
  held = null;
  canvas.classList.remove("held");
});

canvas.addEventListener("pointercancel", () => { held = null; });
canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
canvas.addEventListener("dblclick", (event) => zoom(0.25, timeAt(event.offsetX)));

canvas.addEventListener("wheel", (event) => {
  if (!event.ctrlKey && !event.metaKey && document.activeElement !== timeline) return;
  event.preventDefault();
  tip.hidden = true;
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan((event.deltaX || event.deltaY) / 1000);
  else zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY * 0.002))), timeAt(event.offsetX));
}, { passive: false });

timeline.addEventListener("scroll", redraw);

function chooseMiddle() {
  const time = (view.from + view.to) / 2, [begin, end] = inView(list);
  if (begin === end) return;
  const at = search(begin, end, time, (index) => timeOf(list[index]));
  const before = at > begin && (at === end || time - timeOf(list[at - 1]) < timeOf(list[at]) - time);
  choose(list[before ? at - 1 : at]);
}

timeline.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const size = view.to - view.from;
  const does = {
    "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: whole, i: toInit, Enter: chooseMiddle,
    ArrowLeft: () => pan(-0.1), ArrowRight: () => pan(0.1), Home: () => show(limits.from, limits.from + size),
    End: () => show(limits.to - size, limits.to),
  }[event.key];
  if (!does) return;
  event.preventDefault();
  does();
});

// -- beginning ---------------------------------------------------------------------------------------

async function begin() {
  data = records(parse(await inflate($("data").textContent)));
  $("data").remove();
  passes = new Uint8Array(data.count).fill(1);
  layLanes();
  real = data.start !== null && data.hosts.filter((host) => host.shift !== null).length > 1;
  document.querySelector(`input[name=axis][value=${real ? "real" : "first"}]`).checked = true;
  setAxis();
  relist();
  buildFilter();
  $("look").hidden = false;
  buildNames();
  buildAccounts();
  buildTools();
  corner();
  const again = () => {
    readColours();
    redraw();
  };
  for (const query of ["(prefers-color-scheme: dark)", "print"]) matchMedia(query).addEventListener("change", again);
  new ResizeObserver(redraw).observe(timeline);
  again();
}

begin().catch((error) => {
  $("failed").textContent = `The records cannot be shown by this browser: ${error.message}. It needs DecompressionStream (Chromium 80, Firefox 113, Safari 16.4).`;
  $("failed").hidden = false;
});
