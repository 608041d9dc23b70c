// SPDX-License-Identifier: GPL-3.0-or-later
// Which time and which lanes are in view, the axis of time, and moving along it.
import { $, AXIS, GAP, HOST, LANE } from "./page.js";
import { data, merged, search } from "./data.js";

const LEAST = 50; // nanoseconds: what the view shows at least

export let real = false; // does the axis show real time, or the time since each host's first record
export let lanes = []; // what is drawn: {number, host, cpu, top, losses}
export let height = 0; // of all lanes
export let limits = { from: 0, to: 1 };
export let view = { from: 0, to: 1 };
export let order = new Uint32Array(); // all records by the time of the axis
export let place = new Uint32Array(); // where a record is in `order`

// What the filter, the table and the pointer change.
export const state = {
  passes: new Uint8Array(), // does a record pass the filter
  list: new Uint32Array(), // the records of the table
  first: 0, // the row of `list` that the table shows on top
  chosen: -1,
};

// Functions that draw: redraw() calls them.
export const painters = [];

export const shift = (host) => (real ? data.hosts[host].shift ?? 0 : 0);
export const timeOf = (at) => data.time[at] + shift(data.lanes[data.lane[at]][0]);

export function setAxis(on) {
  real = on;
  const time = new Float64Array(data.count);
  for (let at = 0; at < data.count; at++) time[at] = timeOf(at);
  order = merged(time);
  place = new Uint32Array(data.count);
  order.forEach((record, at) => { place[record] = at; });
  const ends = data.hosts.flatMap((host, number) => [shift(number), shift(number) + host.span]);
  for (const [host, _cpu, from, to] of data.losses) ends.push(from + shift(host), to + shift(host));
  const from = ends.length ? Math.min(...ends) : 0;
  const to = Math.max(from + 1000, ...ends);
  limits = { from: from - (to - from) * 0.01, to: to + (to - from) * 0.01 };
  view = { ...limits };
}

export function layLanes() {
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

let waiting = false;

export function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    for (const paint of painters) paint();
  });
}

export function show(from, to) {
  const most = limits.to - limits.from;
  const size = Math.min(most, Math.max(LEAST, to - from));
  const start = Math.min(limits.to - size, Math.max(limits.from, (from + to - size) / 2));
  view = { from: start, to: start + size };
  if ($("in-view").checked) state.first = 0;
  redraw();
  announce();
}

export function zoom(factor, at = (view.from + view.to) / 2) {
  const size = Math.min(limits.to - limits.from, Math.max(LEAST, (view.to - view.from) * factor));
  const share = (at - view.from) / (view.to - view.from);
  show(at - size * share, at + size * (1 - share));
}

export const pan = (part) => show(view.from + (view.to - view.from) * part, view.to + (view.to - view.from) * part);
export const whole = () => show(limits.from, limits.to);

export function toInit() {
  const shifted = (times, host) => times.map((time) => time + shift(host));
  const all = data.hosts.flatMap(({ inits }, host) => inits.map((times) => shifted(times, host)));
  if (!all.length) return;
  const from = Math.min(...all.map(([begin]) => begin)), to = Math.max(...all.map(([_begin, end]) => end));
  show(from - (to - from) * 0.05, to + (to - from) * 0.05);
}

let telling;

export function announce() {
  clearTimeout(telling);
  telling = setTimeout(() => { $("said").textContent = $("range").value; }, 500);
}

// The part of a list of records that is in view.
export function inView(of) {
  const begin = search(0, of.length, view.from, (at) => timeOf(of[at]));
  return [begin, search(begin, of.length, view.to, (at) => timeOf(of[at]))];
}
