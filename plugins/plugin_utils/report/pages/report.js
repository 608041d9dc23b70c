// SPDX-License-Identifier: GPL-3.0-or-later
// What the page cannot do without a script: find, move with the arrow keys, open details over the table.

const find = document.getElementById("find");
const rows = [...document.querySelectorAll("#matrix .row")];
const links = (row) => [...row.querySelectorAll("a")];
const seen = () => rows.filter((row) => !row.hidden);
let current = null; // the link of the table that the Tab key leads to

function choose(link, focus) {
  if (!link) return;
  if (current) current.tabIndex = -1;
  current = link;
  link.tabIndex = 0;
  if (focus) link.focus();
}

function open(target) {
  const dialog = target && target.closest("dialog");
  if (!dialog || dialog.open) return;
  dialog.showModal();
  dialog.scrollTop = 0;
  if (target !== dialog) {
    target.setAttribute("aria-current", "step");
    target.scrollIntoView({ block: "nearest" });
  }
  history.replaceState(null, "", "#" + target.id);
}

function closed(dialog) {
  for (const marked of dialog.querySelectorAll("[aria-current]")) marked.removeAttribute("aria-current");
  history.replaceState(null, "", location.pathname + location.search);
  if (current) current.focus();
}

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("close", () => closed(dialog));
  // The dialog's own content covers it whole, so a click on the dialog itself hits the backdrop.
  dialog.addEventListener("mousedown", (event) => {
    const box = dialog.getBoundingClientRect();
    if (event.target === dialog && event.clientX < box.left) dialog.close();
  });
}

document.getElementById("matrix").addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link) return;
  event.preventDefault();
  choose(link, true);
  open(document.getElementById(link.hash.slice(1)));
});

// The link in the cell below or above, or in the cell nearest to it that has one.
function beside(row, cell) {
  const place = (link) => Math.abs(link.closest("td").cellIndex - cell.cellIndex);
  return links(row).sort((one, other) => place(one) - place(other))[0];
}

function move(key, link) {
  const row = link.closest("tr");
  const own = links(row);
  const near = seen();
  const at = own.indexOf(link);
  if (key === "ArrowRight") return own[at + 1];
  if (key === "ArrowLeft") return own[at - 1];
  if (key === "Home") return own[0];
  if (key === "End") return own[own.length - 1];
  const next = near[near.indexOf(row) + (key === "ArrowDown" ? 1 : -1)];
  return next && beside(next, link.closest("td"));
}

document.getElementById("matrix").addEventListener("keydown", (event) => {
  const link = event.target.closest("a");
  if (!link || !/^(Arrow|Home$|End$)/.test(event.key) || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  choose(move(event.key, link), true);
});

document.getElementById("matrix").addEventListener("focusin", (event) => choose(event.target.closest("a"), false));

const isBad = (row) => !["OK", "not run"].includes(row.dataset.verdict);

function nextBad() {
  const bad = seen().filter(isBad);
  // From the row that has the focus to the next; where none has it, the row that Tab leads to may be the one.
  const from = current ? rows.indexOf(current.closest("tr")) + (document.activeElement === current) : 0;
  const row = bad.find((one) => rows.indexOf(one) >= from) || bad[0];
  if (row) choose(links(row)[0], true);
}

document.getElementById("next").addEventListener("click", nextBad);

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]") || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target === find) {
    if (event.key === "Enter" || event.key === "ArrowDown") {
      event.preventDefault();
      if (seen()[0]) choose(links(seen()[0])[0], true);
    }
  } else if (event.key === "/") {
    event.preventDefault();
    find.focus();
    find.select();
  } else if (event.key === "n") {
    nextBad();
  }
});

function filter() {
  const words = find.value.toLowerCase().split(/\s+/);
  const verdict = document.querySelector("input[name=verdict]:checked").value;
  for (const row of rows) {
    row.hidden = (verdict !== "" && row.dataset.verdict !== verdict) ||
      !words.every((word) => row.dataset.found.includes(word));
  }
  for (const part of document.querySelectorAll("#matrix tbody")) {
    part.hidden = ![...part.querySelectorAll(".row")].some((row) => !row.hidden);
  }
  const near = seen();
  document.getElementById("shown").value = near.length === rows.length ? "" : `${near.length} of ${rows.length} shown`;
  document.getElementById("none").hidden = near.length > 0;
  if (near.length && (!current || current.closest("tr").hidden)) choose(links(near[0])[0], false);
}

find.addEventListener("input", filter);
document.getElementById("tools").addEventListener("change", filter);
document.getElementById("tools").addEventListener("submit", (event) => event.preventDefault());

document.documentElement.classList.add("script");
for (const tool of document.querySelectorAll("#tools, .keys")) tool.hidden = false;
document.getElementById("next").hidden = !rows.some(isBad);
for (const row of rows) for (const link of links(row)) link.tabIndex = -1;
filter();
if (location.hash) {
  const target = document.getElementById(location.hash.slice(1));
  const dialog = target && target.closest("dialog");
  if (dialog) choose(document.querySelector(`#matrix a[data-dialog="${dialog.id}"]`), false);
  open(target);
}
