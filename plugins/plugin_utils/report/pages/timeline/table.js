// SPDX-License-Identifier: GPL-3.0-or-later
// The table of records, and the details of the chosen one.
import { $, AXIS, COLOURS, HOST, LANE, make } from "./page.js";
import { data, search } from "./data.js";
import { inView, lanes, order, place, redraw, show, state, timeOf, view } from "./view.js";
import { argumentsOf, cpuOf, grouped, hostOf, initOf, moment, resultOf, threadOf } from "./words.js";

const table = $("records");
const rows = $("rows");
const space = $("space");
let range = [0, 0]; // the part of `state.list` that the table shows
let scrolling = false; // is the scroll bar being set to where the table is

const rowHeight = () => rows.firstElementChild?.offsetHeight || 28;
const room = () => Math.max(1, Math.floor((table.clientHeight - rowHeight()) / rowHeight()));

function row(number) {
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
  const texts = [
    moment(timeOf(record), 1), hostOf(record).name, cpuOf(record), threadOf(record), data.events[data.event[record]],
    initOf(record), argumentsOf(record), resultOf(record),
  ];
  texts.forEach((text, cell) => {
    const shown = one.children[cell];
    shown.textContent = text;
    if (cell === 4) shown.prepend(make("i", { className: `swatch f${Math.min(data.event[record], COLOURS - 1)}` }));
  });
  one.dataset.record = record;
  one.setAttribute("aria-rowindex", at + 2);
  one.setAttribute("aria-selected", record === state.chosen);
  one.title = texts.slice(6).filter(Boolean).join("\n");
}

// Only the rows that can be seen are in the document: the scroll bar says which these are.
export function fill() {
  range = $("in-view").checked ? inView(state.list) : [0, state.list.length];
  const many = range[1] - range[0], here = Math.min(room(), many);
  state.first = Math.max(0, Math.min(state.first, many - here));
  while (rows.children.length < here) rows.append(row(rows.children.length));
  while (rows.children.length > here) rows.lastChild.remove();
  for (let at = 0, number = state.first; at < here; at++, number++) {
    fillRow(rows.children[at], state.list[range[0] + number], number);
  }
  const tall = Math.min(8e6, many * rowHeight());
  if (space.style.height !== `${tall}px`) space.style.height = `${tall}px`;
  const top = many > here ? (state.first / (many - here)) * (table.scrollHeight - table.clientHeight) : 0;
  const was = table.scrollTop;
  if (Math.abs(was - top) > rowHeight() / 2) {
    table.scrollTop = top;
    scrolling = table.scrollTop !== was;
  }
  const current = [...rows.children].find((one) => Number(one.dataset.record) === state.chosen);
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
  state.first = most > 0 ? Math.round((table.scrollTop / most) * (many - room())) : 0;
  redraw();
});

function rowOf(record) {
  const at = search(0, state.list.length, place[record], (index) => place[state.list[index]]);
  return state.list[at] === record ? at : -1;
}

// Make the list of the records that pass anew; the chosen one, where it passes, comes to the middle of the table.
export function relist() {
  state.list = order.filter((at) => state.passes[at]);
  state.first = 0;
  const row = state.chosen >= 0 ? rowOf(state.chosen) : -1;
  if (row >= 0) state.first = Math.max(0, row - Math.floor(room() / 2));
}

// Mark a record in the timeline and in the table, and bring it into view in both.
export function choose(record) {
  state.chosen = record;
  const time = timeOf(record), size = view.to - view.from;
  if (time < view.from || time > view.to) show(time - size / 2, time + size / 2);
  const lane = lanes.find((one) => one.number === data.lane[record]), timeline = $("timeline");
  if (lane.top < timeline.scrollTop + AXIS + HOST || lane.top + LANE > timeline.scrollTop + timeline.clientHeight) {
    timeline.scrollTop = lane.top - timeline.clientHeight / 2;
  }
  range = $("in-view").checked ? inView(state.list) : [0, state.list.length];
  const at = rowOf(record) - range[0];
  if (at >= 0 && (at < state.first || at >= state.first + room())) state.first = at - Math.floor(room() / 2);
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
    ["Function", data.events[data.event[record]]],
    ["Host", host.name],
    ["CPU", cpuOf(record)],
    ["Thread", threadOf(record)],
    ["Time", moment(timeOf(record), 1)],
    ["Trace clock", `${grouped(BigInt(host.first) + BigInt(data.time[record]))} ns`],
    ["In init", initOf(record) || "not recorded"],
    ...shape.ints.map(([name, number]) => [name, wide(data.values[number][rank])]),
    ...shape.texts.map(([name, number]) => [name, data.strings[data.values[number][rank]]]),
  ];
  if (shape.result !== null) pairs.push(["Result", wide(data.values[shape.result][rank])]);
  const shown = (tag, textContent) => make(tag, { textContent });
  $("record").replaceChildren(...pairs.map(([name, text]) => make("div", {}, shown("dt", name), shown("dd", text))));
}

function step(by) {
  const many = range[1] - range[0];
  if (!many) return;
  const at = state.chosen >= 0 && rowOf(state.chosen) >= range[0] ? rowOf(state.chosen) - range[0] + by : state.first;
  choose(state.list[range[0] + Math.max(0, Math.min(many - 1, at))]);
}

table.addEventListener("keydown", (event) => {
  const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: room(), PageUp: -room(), Home: -Infinity, End: Infinity };
  if (!(event.key in moves) || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  if (state.chosen < 0 && Math.abs(moves[event.key]) === Infinity && state.list.length) {
    choose(state.list[event.key === "Home" ? range[0] : range[1] - 1]);
  } else {
    step(moves[event.key]);
  }
});

rows.addEventListener("click", (event) => {
  const one = event.target.closest(".record");
  if (one) choose(Number(one.dataset.record));
});
