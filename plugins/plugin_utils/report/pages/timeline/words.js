// SPDX-License-Identifier: GPL-3.0-or-later
// Words for records, times and numbers.
import { data } from "./data.js";
import { real } from "./view.js";

const large = 2n ** 32n;

function shownNumber(value) {
  if (value < -4095n || value >= large) return "0x" + BigInt.asUintN(64, value).toString(16);
  return value.toString();
}

export function argumentsOf(at) {
  const shape = data.shapes[data.shape[at]];
  const rank = data.rank[at];
  const found = shape.ints.map(([name, number]) => `${name}=${shownNumber(data.values[number][rank])}`);
  for (const [name, number] of shape.texts) found.push(`${name}="${data.strings[data.values[number][rank]]}"`);
  return found.join(", ");
}

export function resultOf(at) {
  const number = data.shapes[data.shape[at]].result;
  return number === null ? "" : shownNumber(data.values[number][data.rank[at]]);
}

export function threadOf(at) {
  const [name, pid] = data.threads[data.thread[at]];
  return name ? `${name}-${pid}` : `(forgotten)-${pid}`;
}

export const hostOf = (at) => data.hosts[data.lanes[data.lane[at]][0]];
export const cpuOf = (at) => data.lanes[data.lane[at]][1];
export const initOf = (at) => ["no", "yes", ""][data.phase[at]];

// A time of the axis with the digits that `step` makes worth showing.
export function moment(time, step) {
  const digits = Math.min(9, Math.max(0, 9 - Math.floor(Math.log10(Math.max(step, 1)) + 1e-9)));
  if (!real) return `${(time / 1e9).toFixed(digits)} s`;
  const since = BigInt(data.start) + BigInt(Math.round(time));
  const clock = new Date(Number(since / 1000000000n) * 1000).toISOString().slice(11, 19);
  const part = (since % 1000000000n).toString().padStart(9, "0").slice(0, digits);
  return part ? `${clock}.${part}` : clock;
}

export function span(time) {
  for (const [size, unit] of [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]]) {
    if (time >= size) return `${Number((time / size).toPrecision(3))} ${unit}`;
  }
  return `${Math.round(time)} ns`;
}

export const grouped = (number) => number.toLocaleString("en");
