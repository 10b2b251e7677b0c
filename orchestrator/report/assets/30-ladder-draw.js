// Draws what of the ladder can be seen.
const gutter = 84;

function laneX(actor, width) {
  const n = Math.max(data.actors.length, 1);
  return gutter + ((width - gutter) * (actor + 0.5)) / n;
}

function drawActors(box, width) {
  const svg = draw("svg", { width, height: 46, viewBox: `0 0 ${width} 46`, "aria-hidden": "true" });
  const most = Math.max(Math.floor((width - gutter) / data.actors.length / 7.5), 3);
  data.actors.forEach((a, i) => {
    const x = laneX(i, width);
    svg.append(draw("text", { x, y: 20, "text-anchor": "middle", class: "name" }, short(a.Name, most), draw("title", {}, a.Name)));
    svg.append(draw("text", { x, y: 36, "text-anchor": "middle", class: "role" }, short(roleName(a.Role), most + 2)));
  });
  svg.append(draw("text", { x: 10, y: 36, class: "role" }, "time, s"));
  box.replaceChildren(svg);
}

function roleName(role) {
  return { mn: "mobile node", ha: "home agent", aaa: "AAA server", hss: "subscribers", bsf: "bootstrapping", router: "router", cn: "correspondent" }[role] || role;
}

// arrow draws one crossing: a line, and a head at each of its ends or a cross
// where it was lost on its way.
function arrow(g, x1, ends, y1, y2, gone, dots) {
  const far = ends.reduce((best, x) => (Math.abs(x - x1) > Math.abs(best - x1) ? x : best), ends[0]);
  const stop = gone ? x1 + (far - x1) * gone : far;
  const yStop = gone ? y1 + (y2 - y1) * gone : y2;
  g.append(draw("line", { x1, y1, x2: stop, y2: yStop, class: "way" }));
  if (ends.length > 1) { // to both sides
    const other = ends.reduce((best, x) => ((x - x1) * (far - x1) < 0 && Math.abs(x - x1) > Math.abs(best - x1) ? x : best), x1);
    if (other !== x1) g.append(draw("line", { x1, y1, x2: other, y2, class: "way" }));
  }
  for (const [x, part] of dots || []) g.append(draw("circle", { cx: x, cy: y1 + (y2 - y1) * part, r: 2.4 }));
  if (gone) {
    const d = 6;
    g.append(draw("line", { class: "lost", x1: stop - d, y1: yStop - d, x2: stop + d, y2: yStop + d }));
    g.append(draw("line", { class: "lost", x1: stop - d, y1: yStop + d, x2: stop + d, y2: yStop - d }));
    return;
  }
  for (const x of ends) {
    const s = x > x1 ? -1 : 1;
    const y = x === far ? y2 : y1 + ((y2 - y1) * (x - x1)) / (far - x1 || 1);
    g.append(draw("polygon", { points: `${x},${y} ${x + s * 9},${y - 4} ${x + s * 9},${y + 4}` }));
  }
}

// labelOf says shortly which message it is.
function labelOf(m) {
  const field = (name) => (m.d || []).find((d) => d[0] === name)?.[1];
  const parts = [titleOf(m.n)];
  if (field("seq") !== undefined) parts.push("#" + field("seq"));
  const status = field("status");
  const code = m.n === "registration-reply" ? field("code") : undefined;
  if (code !== undefined && code > 1) parts.push("code " + code);
  if (status !== undefined && status !== "0") parts.push("status " + status);
  if (field("lifetime") === "0" && m.p === "mobility") parts.push("lifetime 0");
  if ((m.n === "binding-update" || m.n === "registration-request") && field("auth")) parts.push(field("auth").toUpperCase());
  if (m.p === "eap" && field("eap-type")) parts.push(field("eap-subtype") || field("eap-type"));
  if (m.p === "diameter" && field("result") && field("result") !== "2001") parts.push(field("name"));
  if (m.n === "ub-request" && field("authorization")) parts.push(field("authorization"));
  if (m.n === "ub-response" && field("code")) parts.push(field("code"));
  if (field("key-material")) parts.push(field("key-material"));
  if (m.x && m.x !== "dropped") parts.push(m.x);
  return parts.join(" · ");
}

function drawMessage(r, width, origin) {
  const m = r.m;
  const g = draw("g", {
    class: "msg" + (m.x === "dropped" ? " gone" : "") + (r.i === chosen.on ? " on" : "") + (r.i === chosen.over ? " over" : ""),
    style: `--c: var(--${m.p})`, id: "msg-" + r.i, role: "option", "aria-selected": String(r.i === chosen.on), "data-i": r.i,
    "aria-label": `${seconds(m.s)} s: ${labelOf(m)}, from ${actorName(m.f)} to ${namesOf(m.t)}${m.x ? ", " + m.x : ""}`,
  });
  const y = r.y - origin;
  const x1 = laneX(m.f, width);
  const xs = (list) => (list.filter((i) => i >= 0 && i !== m.f).map((i) => laneX(i, width)));
  let ends = xs(m.t);
  if (!ends.length) ends = [x1 + 40];
  g.append(draw("rect", { class: "hit", x: 0, y: ladder.scaled ? y - 9 : y, width, height: ladder.scaled ? 18 + r.h : r.h }));
  const crossing = m.l.length;
  if (ladder.scaled) {
    const dots = m.l.slice(1).map((h) => [laneX(h.f, width), (h.s - m.s) / (m.e - m.s || 1)]);
    arrow(g, x1, ends, y, y + r.h, m.x === "dropped" ? 0.5 : 0, ladder.hops ? dots : null);
  } else if (ladder.hops && crossing > 1) {
    m.l.forEach((h, i) => {
      const hx = laneX(h.f, width), hy = y + 26 + i * hopHeight;
      let to = h.t.filter((t) => t >= 0 && t !== h.f).map((t) => laneX(t, width));
      if (!to.length) to = [i + 1 < crossing ? laneX(m.l[i + 1].f, width) : ends[0]];
      arrow(g, hx, to, hy, hy, h.x === "dropped" ? 0.5 : 0);
      g.append(draw("text", { class: "label wait", x: (hx + to[0]) / 2, y: hy + 12, "text-anchor": "middle" }, h.n));
    });
  } else {
    const gone = m.x === "dropped" ? Math.min((crossing - 0.5) / Math.max(crossing, 1.4), 0.75) : 0;
    arrow(g, x1, ends, y + 24, y + 24, gone);
  }
  g.append(draw("text", { class: "when", x: 10, y: ladder.scaled ? y + 4 : y + 28 }, m.s.toFixed(4)));
  if (!r.mute) {
    const label = labelOf(m);
    const wide = label.length * 6.3;
    const far = ends.reduce((b, x) => (Math.abs(x - x1) > Math.abs(b - x1) ? x : b), ends[0]);
    const x = Math.min(Math.max((x1 + far) / 2, gutter + wide / 2), width - wide / 2 - 6);
    g.append(draw("text", { class: "label", x, y: ladder.scaled ? labelY(r) - origin : y + 16, "text-anchor": "middle" }, label));
  }
  return g;
}

function drawMark(r, width, origin) {
  const y = r.y - origin + (ladder.scaled ? 0 : markHeight / 2);
  const x = laneX(r.mark.f, width);
  const text = actorName(r.mark.f) + " " + short(r.mark.n, 70);
  const wide = text.length * 6 + 16;
  const after = x + 10 + wide < width;
  const g = draw("g", {},
    draw("line", { class: "markline", x1: gutter, y1: y, x2: width, y2: y }),
    draw("circle", { cx: x, cy: y, r: 3.5, fill: "var(--soft)" }));
  if (!r.mute) g.append(draw("text", { class: "mark label", x: after ? x + 9 : x - 9, y: y + 4, "text-anchor": after ? "start" : "end" }, text));
  if (!ladder.scaled) g.append(draw("text", { class: "when", x: 10, y: y + 4 }, r.s.toFixed(4)));
  return g;
}

// labelY is where a label stands when time is to scale.
const labelY = (r) => (r.mark ? r.y : r.y + r.h / 2 - 7);

// muteLabels leaves out labels that would lie on one another: those of messages
// stand before those of marks, that of the chosen message before all.
function muteLabels() {
  const room = 14, taken = new Map(); // by height in units of room
  for (const pass of [(r) => r.i === chosen.on, (r) => r.m && r.i !== chosen.on, (r) => r.mark]) {
    for (const r of ladder.rows.filter(pass)) {
      const y = labelY(r), k = Math.floor(y / room);
      r.mute = [k - 1, k, k + 1].some((n) => taken.has(n) && Math.abs(taken.get(n) - y) < room);
      if (!r.mute) taken.set(k, y);
    }
  }
}

// drawLanes draws the rows between two heights.
function drawLanes(box, width, from, to) {
  const svg = draw("svg", { width, height: to - from, viewBox: `0 0 ${width} ${to - from}`, style: `top:${from}px` });
  data.actors.forEach((a, i) => {
    const x = laneX(i, width);
    svg.append(draw("line", { class: "life", x1: x, x2: x, y1: 0, y2: to - from }));
  });
  if (ladder.scaled) muteLabels();
  for (let i = Math.max(firstRow(from - 2000) - 2, 0); i < ladder.rows.length && ladder.rows[i].y < to; i++) {
    const r = ladder.rows[i];
    if (!ladder.scaled) r.mute = false;
    if (r.y + r.h + 30 < from) continue;
    if (r.wait && !ladder.scaled) {
      svg.append(draw("text", { class: "wait", x: 10, y: r.y - from - 8 }, "⋮"));
      svg.append(draw("text", { class: "wait", x: 24, y: r.y - from - 9 }, millis(r.wait * 1000) + " later"));
    }
    svg.append(r.mark ? drawMark(r, width, from) : drawMessage(r, width, from));
  }
  box.querySelector("svg")?.remove();
  box.append(svg);
}
