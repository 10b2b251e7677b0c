// Which messages the ladder shows, and how far down each of them is.
const ladder = {
  off: new Set(), // protocols that are not shown
  part: 0, // only of this handover; 0: of all
  whose: -1, // only of this actor; -1: of all
  hops: false,
  scaled: false,
  zoom: 1000, // pixels a second, when to scale
  rows: [],
  height: 0,
};

const rowHeight = 36, hopHeight = 26, markHeight = 24, top = 14;

function touches(m, actor) {
  return m.f === actor || m.t.includes(actor) || m.l.some((h) => h.f === actor || h.t.includes(actor));
}

// layOut makes ladder.rows: messages, marks and, where time jumps, waits.
function layOut() {
  const move = data.moves.find((m) => m.n === ladder.part);
  const wanted = (x) => !ladder.part || x.h === ladder.part || (move && (x.p === "diameter" || x.p === "radius") && x.s >= move.s && x.s <= move.e);
  const rows = data.messages
    .map((m, i) => ({ m, i, s: m.s, e: m.e }))
    .filter((r) => !ladder.off.has(r.m.p) && wanted(r.m) && (ladder.whose < 0 || touches(r.m, ladder.whose)));
  for (const mark of data.marks) {
    if (wanted(mark) && (ladder.whose < 0 || mark.f === ladder.whose)) rows.push({ mark, s: mark.s, e: mark.s });
  }
  rows.sort((a, b) => a.s - b.s || (a.mark ? -1 : 1) - (b.mark ? -1 : 1));
  let y = top, last = null;
  const from = rows.length ? rows[0].s : 0;
  for (const r of rows) {
    if (ladder.scaled) {
      r.y = top + 24 + (r.s - from) * ladder.zoom;
      r.h = Math.max((r.e - r.s) * ladder.zoom, 1);
      y = Math.max(y, r.y + r.h + 30);
      continue;
    }
    if (last !== null && r.s - last > 0.2) {
      r.wait = r.s - last;
      y += 26;
    }
    r.y = y;
    r.h = r.mark ? markHeight : ladder.hops && r.m.l.length > 1 ? 14 + hopHeight * r.m.l.length : rowHeight;
    y += r.h;
    last = r.s;
  }
  ladder.rows = rows;
  ladder.height = y + 16;
}

// firstRow is the first row that may be seen from y on. Rows are in the order of
// y; one that is long may begin above.
function firstRow(y) {
  let low = 0, high = ladder.rows.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (ladder.rows[mid].y < y) low = mid + 1;
    else high = mid;
  }
  return low;
}
