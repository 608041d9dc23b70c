// SPDX-License-Identifier: GPL-3.0-or-later
// The timeline and the table of a watch. Texts of hosts reach the page as textContent only.
import { $, AXIS, GAP, make } from "./page.js";
import { data, load } from "./data.js";
import { announce, height, lanes, layLanes, painters, pan, real, redraw, setAxis, shift, show } from "./view.js";
import { state, toInit, whole, zoom } from "./view.js";
import { draw, readColours } from "./canvas.js";
import { fill, relist } from "./table.js";
import { buildFilter } from "./filter.js";
import "./pointer.js";

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
    const textContent = host.note && ` · ${host.note}`;
    const made = make("div", { className: `host ${host.look}`, title: host.name + textContent },
      sign(host.look), ` ${host.name}`, make("span", { className: "word", textContent }));
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
  const day = () => new Date(Number(BigInt(data.start) / 1000000n)).toISOString().slice(0, 10);
  $("corner").textContent = real ? `UTC ${day()}` : "Since the first record";
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
}

function buildLosses() {
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
  const tools = {
    in: () => zoom(0.5), out: () => zoom(2), left: () => pan(-0.25), right: () => pan(0.25), whole, "to-init": toInit,
  };
  for (const [id, tool] of Object.entries(tools)) $(id).addEventListener("click", tool);
  $("to-init").hidden = !data.hosts.some((host) => host.inits.length);
  $("axis").hidden = data.start === null;
  $("axis").addEventListener("change", () => {
    setAxis(document.querySelector("input[name=axis]:checked").value === "real");
    relist();
    corner();
    redraw();
    announce();
  });
  $("in-view").addEventListener("change", () => {
    state.first = 0;
    redraw();
  });
}

async function begin() {
  await load($("data").textContent);
  $("data").remove();
  state.passes = new Uint8Array(data.count).fill(1);
  layLanes();
  setAxis(data.start !== null && data.hosts.filter((host) => host.shift !== null).length > 1);
  document.querySelector(`input[name=axis][value=${real ? "real" : "first"}]`).checked = true;
  relist();
  buildFilter();
  $("look").hidden = false;
  buildNames();
  buildAccounts();
  buildLosses();
  buildTools();
  corner();
  painters.push(draw, fill);
  const again = () => {
    readColours();
    redraw();
  };
  for (const query of ["(prefers-color-scheme: dark)", "print"]) matchMedia(query).addEventListener("change", again);
  new ResizeObserver(redraw).observe($("timeline"));
  again();
}

begin().catch((error) => {
  const needs = "It needs DecompressionStream (Chromium 80, Firefox 113, Safari 16.4).";
  $("failed").textContent = `The records cannot be shown by this browser: ${error.message}. ${needs}`;
  $("failed").hidden = false;
});
