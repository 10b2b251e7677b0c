// The panel beside the ladder: one message, field by field.
function fieldRow(m, name, text) {
  const words = data.words.fields[name];
  const where = sectionOf(m.n, name);
  return [
    make("dt", {}, make("code", {}, name)),
    make("dd", {}, text || "–", words || where ? make("small", {}, [words, where].filter(Boolean).join(". ")) : null),
  ];
}

function showMessage(i) {
  const panel = byId("panel");
  const m = data.messages[i];
  if (!m) {
    panel.replaceChildren(make("p", { class: "soft" }, "Choose a message to see what is in it."));
    return;
  }
  const list = make("dl", {});
  for (const [name, text] of m.d || []) list.append(...fieldRow(m, name, text));
  const hops = make("table", {}, make("thead", {}, make("tr", {}, ...["link", "sent, s", "took", "frame", ""].map((t, k) => make("th", k ? { scope: "col" } : { class: "w", scope: "col" }, t)))));
  const rows = make("tbody", {});
  for (const h of m.l) {
    rows.append(make("tr", {}, make("th", { class: "w", scope: "row" }, h.n), make("td", {}, seconds(h.s)), make("td", {}, h.x === "dropped" ? "–" : millis((h.e - h.s) * 1000)), make("td", {}, h.c ? String(h.c) : "–"), make("td", { class: "w fate" }, h.x || "")));
  }
  hops.append(rows);
  const rfc = rfcOf(m.n);
  panel.replaceChildren(...[
    make("h3", {}, make("span", { class: "proto", style: `--c: var(--${m.p})`, "aria-hidden": "true" }), titleOf(m.n)),
    make("div", { class: "soft" }, [data.words.protocols[m.p], rfc].filter(Boolean).join(", ")),
    make("p", { style: "margin:.6rem 0 0" }, `${actorName(m.f)} to ${namesOf(m.t)}, at ${seconds(m.s)} s`,
      m.x ? make("span", { class: "fate" }, ` – ${m.x}${m.r ? " (" + m.r + ")" : ""}`) : null),
    make("dl", {}, make("dt", {}, "addresses"), make("dd", {}, `${m.a || "?"} to ${m.b || "?"}`), make("dt", {}, "length"), make("dd", {}, m.o ? m.o + " octets" : "?")),
    (m.d || []).length ? make("h4", {}, "Fields") : null, list,
    make("h4", {}, "Links it crossed; frames as capture.pcapng counts them"), make("div", { class: "wide" }, hops),
  ].filter(Boolean));
}
