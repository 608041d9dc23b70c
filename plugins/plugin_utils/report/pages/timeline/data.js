// SPDX-License-Identifier: GPL-3.0-or-later
// The records of a watch: numbers in typed arrays, in the order of lane (host, CPU) and time.
// timeline_data.py describes the form that they come in.

export let data; // see records()

export async function load(text) {
  data = records(parse(await inflate(text)));
}

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

// The first index of a sorted sequence from `from` to `to` whose value is not less than `wanted`.
export function search(from, to, wanted, value) {
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (value(middle) < wanted) from = middle + 1;
    else to = middle;
  }
  return from;
}

// All records by `time`: lanes are in order, so pairs of sorted parts are merged until one is left.
export function merged(time) {
  let source = Uint32Array.from({ length: data.count }, (_none, at) => at);
  let parts = data.begins.slice();
  while (parts.length > 2) {
    const target = new Uint32Array(data.count);
    const next = [0];
    for (let part = 0; part + 1 < parts.length; part += 2) {
      const middle = parts[part + 1], end = parts[part + 2] ?? middle;
      for (let one = parts[part], other = middle, at = one; at < end; at++) {
        const before = other >= end || (one < middle && time[source[one]] <= time[source[other]]);
        target[at] = before ? source[one++] : source[other++];
      }
      next.push(end);
    }
    source = target;
    parts = next;
  }
  return source;
}
