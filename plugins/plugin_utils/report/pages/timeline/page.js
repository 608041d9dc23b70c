// SPDX-License-Identifier: GPL-3.0-or-later
// What every module needs of the document, and the measures of the timeline.

export const AXIS = 28; // CSS pixels, as those that follow
export const HOST = 24;
export const LANE = 22;
export const GAP = 4;
export const COLOURS = 9; // the last one is shared

export const $ = (id) => document.getElementById(id);

export function make(tag, values = {}, ...inside) {
  const made = Object.assign(document.createElement(tag), values);
  made.append(...inside);
  return made;
}
