// The way of the newest click: through which topics it went, and how long each part took.

import { byId, make, session, time } from "./api.js";

const NAMES = { broker: "to the broker", worker: "through the worker", reader: "to the page's reader", browser: "to your browser" };
const LONG = 2000; // ms
let way = null;
let stages = {};
let waiting = 0;

export function know(parts) {
  if (parts.stages_ms && Object.keys(parts.stages_ms).length) stages = parts.stages_ms;
}

export function clicked() { waiting += 1; draw(); }

export function show(found, browserMs = null) {
  way = found && { ...found, browser: browserMs === null ? null : Math.max(0, browserMs - found.total_ms) };
  waiting = 0;
  draw();
}

function draw() {
  const box = byId("way");
  if (!way) {
    box.replaceChildren(make("p", { className: `note${waiting ? " waits" : ""}`, textContent: waiting
      ? waiting === 1 ? "Your click is in the topic, and waits for a worker." : `${waiting} of your clicks are in the topic, and wait for a worker.`
      : "Click a product: here you see where the click goes, and how long each part takes." }));
    return;
  }
  const parts = { ...way.stages, ...(way.browser === null ? {} : { browser: way.browser }) };
  const total = Object.values(parts).reduce((sum, one) => sum + one, 0);
  const bar = make("div", { className: "bar", at: { role: "img", "aria-label": Object.entries(parts).map(([name, value]) => `${NAMES[name]} ${time(value)}`).join(", ") } },
    ...Object.entries(parts).map(([name, value]) => { const one = make("i", { className: name, title: `${NAMES[name]}: ${time(value)}` }); one.style.flexGrow = Math.max(value, total / 200); return one; }));
  const inside = ["wait", "fold", "rank", "confirm"].filter((name) => stages[name] !== undefined).map((name) => `${name} ${stages[name].toFixed(1)}`).join(" · ");
  box.replaceChildren(bar, make("ol", {},
    point("broker", "Your click", way.stages.broker, `${way.click.topic} · partition ${way.click.partition} · offset ${way.click.offset}`, `key ${session.id}`),
    point("worker", `Model ${way.model || "none"}${way.experiment ? `, variant ${way.variant}` : ""}${way.fallback ? ", popular items" : ""}`, way.stages.worker,
      way.stages.worker > LONG ? "the click waited in the topic until a worker had its partition" : way.experiment ? `variant ${way.variant} of ${way.experiment}` : "", ...(inside ? ["mean ms of all clicks just now:", inside] : [])),
    point("reader", "Your list", way.stages.reader, `${way.list.topic} · partition ${way.list.partition} · offset ${way.list.offset}`, `answers clicks up to offset ${way.source}`),
    way.browser === null ? point("browser", "From click to list", total, "by the clock of the page's server")
      : point("browser", "On your screen", way.browser, `${time(total)} from click to list, all in all`)));
}

function point(name, title, value, ...lines) {
  return make("li", { className: `at-${name}` }, make("div", {}, make("b", { textContent: title }), make("span", { className: "ms", textContent: time(value) })),
    ...lines.filter(Boolean).map((line) => make("code", { textContent: line })));
}
