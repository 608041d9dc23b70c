// SPDX-License-Identifier: GPL-3.0-or-later
// Pointer and keys in the timeline.
import { $, AXIS, GAP, LANE } from "./page.js";
import { data, search } from "./data.js";
import { inView, lanes, limits, pan, redraw, shift, show, state, timeOf, toInit, view, whole, zoom } from "./view.js";
import { argumentsOf, hostOf, moment, resultOf, threadOf } from "./words.js";
import { canvas } from "./canvas.js";
import { choose } from "./table.js";

const timeline = $("timeline");
const tip = $("tip");
let held = null; // where a drag began
const widthOf = () => $("stage").clientWidth;
const timeAt = (x) => view.from + (x / widthOf()) * (view.to - view.from);

function laneAt(y) {
  const inside = y + timeline.scrollTop;
  if (y < AXIS) return undefined;
  return lanes.find((lane) => inside >= lane.top - GAP / 2 && inside < lane.top + LANE + GAP / 2);
}

// The record of a lane that is nearest to a time, of those that pass the filter; -1 where none is within `reach`.
function nearest(lane, time, reach) {
  const at = time - shift(lane.host), end = data.begins[lane.number + 1], begin = data.begins[lane.number];
  const middle = search(begin, end, at, (index) => data.time[index]), { passes } = state;
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
  const result = resultOf(record), phase = data.phase[record] === 1 ? ", in init" : "";
  return [
    `${data.events[data.event[record]]} · ${moment(timeOf(record), 1)}${phase}`,
    `${hostOf(record).name} CPU ${lane.cpu} · ${threadOf(record)}`,
    argumentsOf(record) + (result && ` → ${result}`),
  ].join("\n");
}

function showTip(event) {
  const lane = laneAt(event.offsetY), text = lane ? tipText(lane, event.offsetX) : "";
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8))}px`;
  const below = event.clientY + 18 + tip.offsetHeight <= innerHeight;
  tip.style.top = `${event.clientY + (below ? 18 : -8 - tip.offsetHeight)}px`;
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
  const time = (view.from + view.to) / 2, [begin, end] = inView(state.list);
  if (begin === end) return;
  const at = search(begin, end, time, (index) => timeOf(state.list[index]));
  const before = at > begin && (at === end || time - timeOf(state.list[at - 1]) < timeOf(state.list[at]) - time);
  choose(state.list[before ? at - 1 : at]);
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
