// Live charts, drawn by hand: a few lines over the last minutes.

import { byId, make, percent, time, whole } from "./api.js";

const KEPT = 150, LEAST = 45; // seconds on display
const HEIGHT = 104, LEFT = 40, FOOT = 20;
let WIDTH = 360;
const KINDS = ["one", "two", "four", "three"];
const series = [];

export function all(found) { series.splice(0, series.length, ...found); draw(); }
export function add(second) { series.push(second); if (series.length > 400) series.shift(); draw(); }

function lines() {
  const last = series.at(-1);
  const rates = last.hits.by_variant;
  const variants = Object.keys(rates);
  const hits = variants.length ? variants.map((name) => [name, (s) => s.hits.by_variant[name] ?? null]) : [["model", (s) => s.hits.model]];
  return [
    { title: "Clicks a second", unit: whole, lines: [["sent", (s) => s.clicks_s, "three"], ["answered", (s) => s.answers_s, "one"]] },
    { title: "Click to list", unit: time, log: true, lines: [["p50", (s) => s.p50, "one"], ["p99", (s) => s.p99, "two"]] },
    { title: "Hit rate", unit: percent, rate: true, lines: [...hits.map(([name, of], at) => [name, of, KINDS[at]]), ["popularity", (s) => s.hits.popularity, "three"]] },
    { title: "Clicks that wait for an answer", unit: whole, least: 10, lines: [["waiting", (s) => s.waiting, "two"]] },
  ];
}

function draw() {
  if (!series.length || byId("drawer").hidden) return;
  WIDTH = byId("charts").clientWidth || WIDTH;
  counts(series.at(-1));
  const shown = series.slice(-KEPT);
  byId("charts").replaceChildren(...lines().map((chart) => figure(chart, shown)));
}

function counts(last) {
  const facts = [["sent", last.clicks], ["answered", last.answered], ["waiting", last.waiting], ["longest wait", last.waiting ? last.oldest_s : null]];
  byId("counts").replaceChildren(...facts.map(([name, value]) => make("div", { className: name === "waiting" && value > 50 ? "waits" : "" }, make("dt", { textContent: name }), make("dd", { textContent: name === "longest wait" ? (value === null ? "–" : value < 1 ? "< 1 s" : `${value.toFixed(1)} s`) : whole(value) }))));
}

function figure(chart, shown) {
  const last = shown.at(-1);
  const keys = chart.lines.map(([name, of, kind]) => make("span", { className: `key ${kind}` }, make("span", { textContent: `${name} ${chart.unit(of(last))}` })));
  const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  picture.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", `${chart.title}: ${chart.lines.map(([name, of]) => `${name} ${chart.unit(of(last))}`).join(", ")}`);
  const values = chart.lines.flatMap(([, of]) => shown.map(of)).filter((one) => one !== null && one !== undefined);
  const scale = chart.log ? logarithmic(values) : linear(values, chart);
  const span = Math.max(LEAST, shown.length);
  picture.append(...scale.rules.flatMap(([value, label]) => rule(scale.y(value), label)), ...chart.lines.map(([, of, kind]) => line(shown, of, kind, scale, span)), ...ends(span));
  return make("figure", { className: "chart" }, make("figcaption", {}, make("b", { textContent: chart.title }), ...keys), picture);
}

const down = (share) => HEIGHT - FOOT - share * (HEIGHT - FOOT - 10);

function linear(values, { rate = false, least = 1e-9, unit }) {
  const high = nice(Math.max(rate ? 0.1 : least, ...values));
  return { y: (value) => down(Math.min(1, value / high)), rules: [0, high / 2, high].map((value) => [value, rate ? `${Math.round(100 * value)} %` : unit(value)]) };
}

function logarithmic(values) {
  const high = Math.max(2, Math.ceil(Math.log10(Math.max(10, ...values))));
  return { y: (value) => down(Math.max(0, Math.log10(Math.max(value, 1))) / high), rules: Array.from({ length: high + 1 }, (_, at) => [10 ** at, at < 3 ? `${10 ** at} ms` : `${10 ** (at - 3)} s`]) };
}

function nice(value) {
  const step = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 4, 5, 6, 8, 10].map((one) => one * step).find((one) => one >= value * 1.02) ?? 10 * step;
}

function rule(y, label) {
  const path = svg("path", { class: "rule", d: `M${LEFT} ${y}H${WIDTH}` });
  const text = svg("text", { x: LEFT - 5, y: y + 3.5, "text-anchor": "end" });
  text.textContent = label;
  return [path, text];
}

// What the ends of the axis are: seconds ago, and now.
function ends(span) {
  const at = (x, anchor, textContent) => Object.assign(svg("text", { x, y: HEIGHT - 4, "text-anchor": anchor }), { textContent });
  return [at(LEFT, "start", `${span} s ago`), at(WIDTH, "end", "now")];
}

function line(shown, of, kind, scale, span) {
  const step = (WIDTH - LEFT) / (span - 1);
  const from = span - shown.length;
  let path = "";
  shown.forEach((one, at) => {
    const value = of(one);
    if (value !== null && value !== undefined) path += `${path && of(shown[at - 1] ?? {}) !== null ? "L" : "M"}${(LEFT + (from + at) * step).toFixed(1)} ${scale.y(value).toFixed(1)}`;
  });
  return svg("path", { class: kind, d: path });
}

function svg(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
