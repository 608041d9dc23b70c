// SPDX-License-Identifier: GPL-3.0-or-later
// Which records pass, and the tools that say so.
import { $, COLOURS, make } from "./page.js";
import { data } from "./data.js";
import { redraw, state } from "./view.js";
import { argumentsOf, grouped, resultOf } from "./words.js";
import { relist } from "./table.js";

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
  const is = (wanted, number) => wanted === "" || number === Number(wanted);
  const ofLane = data.lanes.map(([of, number]) => is(host, of) && is(cpu, number));
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
  state.passes = next;
  relist();
  document.documentElement.dataset.filter = "done";
  redraw();
}

function shownEvents() {
  const on = boxes().map((box, at) => [box.checked, at]).filter(([checked]) => checked).map(([_checked, at]) => at);
  $("of-event").value = on.length === 1 ? on[0] : on.length === boxes().length ? "" : "some";
}

function buildChoices() {
  const option = (value, text, more = {}) => make("option", { value, textContent: text, ...more });
  $("of-event").append(option("", "all functions"), option("some", "some functions", { hidden: true }),
    ...data.events.map((name, at) => option(at, name)));
  $("of-host").append(option("", "all hosts"), ...data.hosts.map((host, at) => option(at, host.name)));
  const cpus = [...new Set(data.lanes.map(([_host, cpu]) => cpu))].sort((one, other) => one - other);
  $("of-cpu").append(option("", "all CPUs"), ...cpus.map((cpu) => option(cpu, `CPU ${cpu}`)));
}

function buildLegend() {
  const counts = new Uint32Array(data.events.length);
  for (const event of data.event) counts[event]++;
  $("legend").append(...data.events.map((name, at) => {
    const box = make("input", { type: "checkbox", checked: true, value: at });
    const count = make("small", { textContent: grouped(counts[at]) });
    const className = `f${Math.min(at, COLOURS - 1)}`;
    return make("label", { className }, box, make("i", { className: "swatch" }), name, count);
  }));
  for (const [there, name, text] of [[data.hosts.some((host) => host.inits.length), "is-init", "init of the target"],
    [data.losses.length > 0, "is-lost", "lost"]]) {
    const className = `sample ${name}`;
    if (there) $("legend").append(make("label", { className }, make("i", { className: "swatch" }), text));
  }
}

export function buildFilter() {
  buildChoices();
  buildLegend();
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
}
