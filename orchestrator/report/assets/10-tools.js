"use strict";
// What the other scripts share. Text from packets goes into the page by
// textContent and setAttribute only, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

function make(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes || {})) e.setAttribute(k, v);
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

function draw(tag, attributes, ...children) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [k, v] of Object.entries(attributes || {})) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

const titleOf = (name) => (data.words.messages[name] || {}).title || name;
const rfcOf = (name) => (data.words.messages[name] || {}).rfc || "";
const sectionOf = (message, field) =>
  data.words.sections[message + "/" + field] || data.words.sections["*/" + field] || rfcOf(message);
const actorName = (i) => (i >= 0 && data.actors[i] ? data.actors[i].Name : "?");
const namesOf = (list) => (list.length > 4 ? list.length + " nodes" : list.map(actorName).join(", ") || "?");

// seconds prints a time of the run, millis a length of time.
const seconds = (s) => s.toFixed(6).replace(/(\.\d{3})(\d{3})$/, "$1 $2");
function millis(ms) {
  if (ms >= 1000) return (ms / 1000).toFixed(2) + " s";
  if (ms >= 100) return ms.toFixed(0) + " ms";
  return ms.toFixed(ms >= 10 ? 1 : 2) + " ms";
}
const short = (text, most) => (text.length > most ? text.slice(0, most - 1) + "…" : text);
