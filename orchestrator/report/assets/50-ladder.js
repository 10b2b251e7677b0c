// The ladder's controls, its scrolling, and choosing a message in it.
const chosen = { on: -1, over: -1 };

function startLadder() {
  const lanes = byId("lanes"), tall = lanes.querySelector(".tall"), actors = byId("actors");
  let drawn = [0, 0], waiting = false, width = 0;

  function paint(whole) {
    const from = whole ? 0 : Math.max(lanes.scrollTop - 600, 0);
    const to = whole ? ladder.height : Math.min(lanes.scrollTop + lanes.clientHeight + 600, ladder.height);
    drawn = [from, to];
    drawLanes(tall, width, from, Math.max(to, from + 1));
    lanes.setAttribute("aria-activedescendant", chosen.on >= 0 ? "msg-" + chosen.on : "");
  }
  function again() {
    width = Math.max(lanes.clientWidth, 300);
    layOut();
    tall.style.height = ladder.height + "px";
    drawActors(actors, width);
    paint();
    const n = ladder.rows.filter((r) => r.m).length;
    byId("ladder-count").textContent = n === data.messages.length ? `${n} messages.` : `${n} of ${data.messages.length} messages are shown.`;
  }
  lanes.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      if (lanes.scrollTop < drawn[0] + 100 && drawn[0] > 0 || lanes.scrollTop + lanes.clientHeight > drawn[1] - 100 && drawn[1] < ladder.height) paint();
    });
  });

  function choose(i, follow) {
    chosen.on = i;
    showMessage(i);
    const row = ladder.rows.find((r) => r.i === i);
    if (row && follow) {
      if (row.y < lanes.scrollTop + 20) lanes.scrollTop = row.y - 40;
      else if (row.y + 60 > lanes.scrollTop + lanes.clientHeight) lanes.scrollTop = row.y + 80 - lanes.clientHeight;
    }
    paint();
  }
  const under = (e) => Number(e.target.closest?.(".msg")?.dataset.i ?? -1);
  lanes.addEventListener("pointerover", (e) => {
    const i = under(e);
    if (i === chosen.over) return;
    tall.querySelector(".msg.over")?.classList.remove("over");
    chosen.over = i;
    showMessage(i < 0 ? chosen.on : i);
    byId("msg-" + i)?.classList.add("over");
  });
  lanes.addEventListener("pointerleave", () => {
    tall.querySelector(".msg.over")?.classList.remove("over");
    chosen.over = -1;
    showMessage(chosen.on);
  });
  lanes.addEventListener("click", (e) => {
    const i = under(e);
    if (i >= 0) choose(i === chosen.on ? -1 : i);
  });
  lanes.addEventListener("keydown", (e) => {
    const all = ladder.rows.filter((r) => r.m);
    const at = all.findIndex((r) => r.i === chosen.on);
    const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? 0 : at - 1, PageDown: at + 10, PageUp: at - 10, Home: 0, End: all.length - 1 }[e.key];
    if (e.key === "Escape") choose(-1);
    else if (to === undefined || !all.length) return;
    else choose(all[Math.min(Math.max(to, 0), all.length - 1)].i, true);
    e.preventDefault();
  });

  for (const p of data.protocols) {
    const n = data.messages.filter((m) => m.p === p).length;
    if (!n) continue;
    const box = make("input", { type: "checkbox", checked: "" });
    box.addEventListener("change", () => {
      if (box.checked) ladder.off.delete(p);
      else ladder.off.add(p);
      again();
    });
    byId("protocols").append(make("label", { class: "chip", style: `--c: var(--${p})` }, box, `${data.words.protocols[p]} (${n})`));
  }
  byId("part").append(make("option", { value: 0 }, "the whole run"));
  for (const m of data.moves.filter((m) => m.n)) byId("part").append(make("option", { value: m.n }, `${m.n}: ${m.node}, ${m.title}`));
  byId("whose").append(make("option", { value: -1 }, "every node"));
  data.actors.forEach((a, i) => byId("whose").append(make("option", { value: i }, "only " + a.Name)));
  const set = (id, f) => byId(id).addEventListener("change", (e) => {
    f(e.target);
    lanes.scrollTop = 0;
    again();
  });
  set("part", (t) => (ladder.part = Number(t.value)));
  set("whose", (t) => (ladder.whose = Number(t.value)));
  set("hops", (t) => (ladder.hops = t.checked));
  set("scaled", (t) => { ladder.scaled = t.checked; byId("zoom-label").hidden = !t.checked; });
  set("zoom", (t) => (ladder.zoom = Number(t.value)));

  // On paper all is drawn, as far as a person would turn pages.
  const printed = 500;
  let screen = null;
  addEventListener("beforeprint", () => {
    screen = { scaled: ladder.scaled };
    ladder.scaled = false;
    again();
    if (ladder.rows.length > printed) {
      byId("ladder-count").textContent = `The first ${printed} of ${ladder.rows.length} lines.`;
      ladder.height = ladder.rows[printed].y;
      tall.style.height = ladder.height + "px";
    }
    width = 680;
    drawActors(actors, width);
    paint(true);
  });
  addEventListener("afterprint", () => { Object.assign(ladder, screen); again(); });

  byId("ladder").hidden = false;
  lanes.parentElement.style.minWidth = Math.max(576, gutter + data.actors.length * 72) + "px"; // else the names would not be told apart
  chosen.on = Math.max(data.messages.findIndex((m) => m.n === "binding-update" || m.n === "registration-request"), 0); // so that the panel shows what it is for
  showMessage(chosen.on);
  again();
  new ResizeObserver(() => { if (Math.abs(lanes.clientWidth - width) > 4) again(); }).observe(lanes);
}
if (byId("ladder")) startLadder();
