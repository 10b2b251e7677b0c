// Charts over time: what arrived, what was lost, how long it took.
function niceCeil(x) {
  if (!(x > 0)) return 1;
  const p = 10 ** Math.floor(Math.log10(x));
  return [1, 2, 2.5, 5, 10].map((k) => k * p).find((v) => v >= x * 0.999);
}

// kinds of charts: what a bin's value is, and how it prints.
const rateOf = (f, b) => (f.octets ? (b[1] * 8) / f.w / 1000 : b[0] / f.w);
const number = (x) => (x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2)).replace(/\.0+$/, "");
const plotKinds = [
  { id: "rate", title: (fs) => (fs.some((f) => f.octets) ? "Throughput, kbit/s" : "Packets a second"), height: 150, value: rateOf },
  { id: "lost", title: () => "Packets lost, by the time of sending", height: 90, value: (f, b) => b[2], bars: true, skip: (f) => f.stream },
  { id: "delay", title: (fs) => (fs.some((f) => f.kind === "request") ? "Response time, ms" : "One-way delay, ms: median; shaded up to the longest"), height: 150, value: (f, b) => (b[0] ? b[3] : null), upper: (f, b) => (b[0] ? b[4] : null), skip: (f) => f.stream },
];

function startCharts() {
  const plots = byId("plots"), readout = byId("readout"), select = byId("flow");
  const names = [...new Set(data.flows.map((f) => f.flow))];
  let cursor = null, width = 0, shown = [];

  // frame draws what all charts have: axes from low to high, handovers, the cursor.
  function frame(title, note, h, low, high, flows, labelled) {
    const left = 46, right = 10, head = 24, foot = 20;
    const inner = width - left - right, span = Math.max(data.duration, 0.1);
    const x = (t) => left + (inner * t) / span;
    const y = (v) => head + (h - head - foot) * (1 - (v - low) / (high - low));
    const svg = draw("svg", { class: "chart", width, height: h, viewBox: `0 0 ${width} ${h}`, tabindex: 0, role: "img", "aria-label": `${title}, over ${span.toFixed(1)} s. Values are read with the arrow keys; ${note}.` });
    svg.append(draw("text", { class: "title", x: 0, y: 13 }, title));
    for (const m of data.moves) {
      if (!m.n || !flows.some((f) => f.from === m.node || f.to === m.node)) continue;
      svg.append(draw("rect", { class: "move", x: x(m.s), y: head, width: Math.max(x(m.e) - x(m.s), 1.5), height: h - head - foot }, draw("title", {}, `${m.n}: ${m.node}, ${m.title}`)));
      if (labelled) {
        const label = width / (data.moves.length + 1) > 110 ? `${m.n}  ${m.title}` : String(m.n);
        const end = x(m.s) + label.length * 6 > width;
        svg.append(draw("text", { x: x(m.s) + (end ? -3 : 2), y: head - 3, "text-anchor": end ? "end" : "start" }, label));
      }
    }
    for (const part of [0, 0.5, 1]) {
      svg.append(draw("line", { class: part ? "grid" : "axis", x1: left, x2: width - right, y1: y(low + (high - low) * part), y2: y(low + (high - low) * part) }));
      svg.append(draw("text", { x: left - 6, y: y(low + (high - low) * part) + 4, "text-anchor": "end" }, number(low + (high - low) * part)));
    }
    const step = niceCeil(span / Math.max(Math.floor(inner / 90), 2));
    for (let t = 0; t <= span + 1e-9; t += step) {
      svg.append(draw("text", { x: x(t), y: h - 5, "text-anchor": t + step > span ? "end" : t ? "middle" : "start" }, number(t) + (t + step > span ? " s" : "")));
    }
    const mark = draw("line", { class: "cursor", y1: head, y2: h - foot, visibility: "hidden" });
    svg.append(mark);
    const move = (t) => { cursor = Math.min(Math.max(t, 0), span); read(); };
    svg.addEventListener("pointermove", (e) => move(((e.clientX - svg.getBoundingClientRect().left - left) / inner) * span));
    svg.addEventListener("pointerleave", () => { cursor = null; read(); });
    svg.addEventListener("keydown", (e) => {
      const by = { ArrowRight: 1, ArrowLeft: -1, PageDown: 10, PageUp: -10 }[e.key];
      if (!by) return;
      move((cursor ?? flows[0].s) + by * flows[0].w);
      e.preventDefault();
    });
    shown.push((t) => {
      mark.setAttribute("visibility", t === null ? "hidden" : "visible");
      if (t !== null) { mark.setAttribute("x1", x(t)); mark.setAttribute("x2", x(t)); }
    });
    return { svg, x, y, inner, span };
  }

  function plot(kind, flows) {
    const peak = niceCeil(Math.max(...flows.flatMap((f) => f.bins.map((b) => (kind.upper || kind.value)(f, b) || 0)), kind.bars ? 2 : 0));
    const { svg, x, y, inner, span } = frame(kind.title(flows), "the table below has the totals", kind.height, 0, peak, flows, kind.id === "rate");
    flows.forEach((f, n) => {
      const colour = `var(--flow${n % 2})`;
      let line = "", down = false, area = [], back = [];
      f.bins.forEach((b, i) => {
        const t = f.s + (i + 0.5) * f.w, v = kind.value(f, b);
        if (kind.bars) {
          const bw = Math.max((inner * f.w) / span / flows.length - 0.3, 1.5);
          if (v) svg.append(draw("rect", { x: x(t) - (bw * flows.length) / 2 + n * bw, width: bw, y: y(v), height: y(0) - y(v), fill: colour }));
          return;
        }
        if (v === null) { down = false; return; }
        line += `${down ? "L" : "M"}${x(t).toFixed(1)} ${y(v).toFixed(1)}`;
        down = true;
        if (kind.upper) { area.push(`${x(t).toFixed(1)} ${y(v).toFixed(1)}`); back.unshift(`${x(t).toFixed(1)} ${y(kind.upper(f, b)).toFixed(1)}`); }
      });
      if (area.length) svg.append(draw("path", { class: "area", d: "M" + [...area, ...back].join("L") + "Z", fill: colour }));
      if (line) svg.append(draw("path", { class: "line", d: line, stroke: colour }));
    });
    return svg;
  }

  // What the radios of the flows' mobiles heard: a level holds until the next.
  const heardBy = (flows) => data.signals.filter((s) => flows.some((f) => f.from === s.node || f.to === s.node));
  function signalPlot(flows, signals) {
    const levels = signals.flatMap((s) => s.levels.map((l) => l[1]).filter((v) => v !== null));
    const low = 10 * Math.floor(Math.min(...levels) / 10), high = Math.max(10 * Math.ceil(Math.max(...levels) / 10), low + 10);
    const many = new Set(signals.map((s) => s.node)).size > 1;
    const { svg, x, y, span } = frame("Signal, dBm", "the lines bear the names of the accesses", 150, low, high, flows, false);
    signals.forEach((s, n) => {
      const colour = `var(--signal${n % 4})`;
      let line = "", was = null, best = null;
      for (const [t, v] of s.levels) {
        if (was !== null) line += `H${x(t).toFixed(1)}`;
        if (v !== null) line += `${was === null ? `M${x(t).toFixed(1)} ` : "V"}${y(v).toFixed(1)}`;
        if (v !== null && (best === null || v > best[1])) best = [t, v];
        was = v;
      }
      if (was !== null) line += `H${x(span).toFixed(1)}`;
      svg.append(draw("path", { class: "line", d: line, stroke: colour, "stroke-dasharray": ["none", "7 3", "2 2", "9 3 2 3"][n % 4] }));
      if (best) svg.append(draw("text", { x: Math.min(x(best[0]) + 4, width - 60), y: Math.max(y(best[1]) - 5, 34), style: `fill:${colour}` }, many ? `${s.node} ${s.link}` : s.link));
    });
    return svg;
  }
  function levelAt(s, t) {
    let v = null;
    for (const l of s.levels) if (l[0] <= t) v = l[1];
    return v;
  }

  const current = () => data.flows.filter((f) => f.flow === select.value);
  function read() {
    for (const f of shown) f(cursor);
    const lines = current().map((f, n) => {
      const key = make("span", { class: "key", style: `background:var(--flow${n % 2})` });
      const name = `${f.from || "?"} to ${f.to}`;
      if (cursor === null) return make("span", { style: "margin-right:1.6rem" }, key, name);
      const b = f.bins[Math.floor((cursor - f.s) / f.w)];
      const parts = b ? [`${number(rateOf(f, b))} ${f.octets ? "kbit/s" : "packets/s"}`] : ["nothing"];
      if (b && !f.stream) parts.push(b[2] ? `${b[2]} lost` : "none lost", b[0] ? `delay ${millis(b[3])}, longest ${millis(b[4])}` : "none arrived");
      return make("span", { style: "display:block" }, key, make("b", {}, name), ": " + parts.join(", "));
    });
    const heard = cursor === null ? [] : heardBy(current()).map((s) => [s, levelAt(s, cursor)]).filter((p) => p[1] !== null);
    if (heard.length) lines.push(make("span", { style: "display:block" }, make("b", {}, "signal"), ": " + heard.map(([s, v]) => `${s.link} ${v.toFixed(1)} dBm`).join(", ")));
    readout.replaceChildren(...(cursor === null ? [] : [make("span", { style: "display:block" }, `At ${cursor.toFixed(2)} s`)]), ...lines);
  }
  function again(w) {
    width = w || Math.max(plots.clientWidth, 260);
    shown = [];
    const flows = current();
    const signals = heardBy(flows).filter((s) => s.levels.some((l) => l[1] !== null));
    plots.replaceChildren(...plotKinds.filter((k) => !flows.every((f) => k.skip?.(f))).map((k) => plot(k, flows)), ...(signals.length ? [signalPlot(flows, signals)] : []));
    read();
  }
  for (const n of names) select.append(make("option", {}, n));
  byId("flow-label").hidden = names.length < 2;
  select.addEventListener("change", () => again());
  byId("charts").hidden = false;
  again();
  new ResizeObserver(() => { if (Math.abs(plots.clientWidth - width) > 4) again(); }).observe(plots);
  addEventListener("beforeprint", () => again(640));
  addEventListener("afterprint", () => again());
}
if (byId("charts")) startCharts();
