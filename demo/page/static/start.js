// How far the demo's start is, and what it is doing now.

import { byId, make, time, whole } from "./api.js";

const STEPS = [
  ["broker", "Broker", "stands in for Kafka"],
  ["log", "Shop's log", "what shoppers did so far"],
  ["training", "First model", "learns from the log"],
  ["worker", "Worker", "takes clicks, makes lists"],
  ["shopping", "Shoppers", "click, and so can you"],
];
const DOES = { // steps of a cycle, as the trainer's /health names them
  read: "reads the clicks", needs: "gets ready to learn", train: "gets ready to learn", validate: "is validated", afterwards: "counts what follows what", export: "becomes a graph, which is checked",
  gate: "is judged beside baselines", refit: "learns what was held out", publish: "is published: workers fetch it",
};
const BEFORE = new Set(["", "read", "items", "needs", "codes", "train"]); // before weights are learned
const state = { stage: "", stages: {}, now: 0, at: performance.now(), facts: {}, training: null, second: null, lost: false };

export function know(more) {
  Object.assign(state, more);
  if (more.now !== undefined) state.at = performance.now();
  draw();
}

setInterval(draw, 500);

const seconds = () => state.now + (performance.now() - state.at) / 1000;

function draw() {
  const at = STEPS.findIndex(([name]) => name === state.stage);
  const box = byId("start");
  const since = seconds() - (state.stages.shopping ?? Infinity);
  box.hidden = state.stage === "closing" || (state.stage === "shopping" && since > 12);
  if (!box.hidden) byId("steps").replaceChildren(...STEPS.map((step, number) => row(step, number, at)));
  status(at);
}

function row([name, title, words], number, at) {
  const kind = number < at || (number === at && name === "shopping") ? "done" : number === at ? "now" : "later";
  const next = STEPS[number + 1]?.[0];
  const begun = state.stages[name];
  const ended = next ? state.stages[next] : undefined;
  const timed = begun !== undefined && name !== "shopping" && kind !== "later";
  const took = timed ? `${Math.max(0, (ended ?? seconds()) - begun).toFixed(kind === "done" ? 1 : 0)} s` : "";
  const detail = name === "log" && state.facts.clicks ? `${whole(state.facts.clicks)} clicks`
    : name === "training" && kind === "now" ? training().split(",")[0] : words;
  const share = name === "training" && kind === "now" ? progress() : null;
  return make("li", { className: `step ${kind}`, at: kind === "now" ? { "aria-current": "step" } : {} },
    make("b", { textContent: title }), make("span", { textContent: [took, detail].filter(Boolean).join(" · ") }),
    share === null ? null : make("progress", { max: 1, value: share, at: { "aria-label": "How far the training is" } }));
}

export function training() {
  const now = state.training;
  if (!now?.cycle) return "the trainer starts";
  const got = now.progress;
  if (got?.done >= 1) return "has learned, is validated";
  if (got) return `${whole(100 * got.done)} %, loss ${got.loss?.toFixed(2) ?? "–"}, ${whole(got.sessions_per_s)} sessions/s`;
  const [step, ...words] = (now.step ?? "").split(": ");
  return DOES[step] ?? (words.length ? words.join(": ").slice(0, 70) : "gets ready to learn");
}

export function progress() {
  const now = state.training;
  return now?.progress ? now.progress.done : BEFORE.has((now?.step ?? "").split(":")[0]) ? 0 : 1;
}

function status(at) {
  const box = byId("status");
  const [dot, text] = box.children;
  const set = (kind, words) => { dot.className = `dot ${kind}`; if (text.textContent !== words) text.textContent = words; };
  if (state.lost) return set("bad", "the demo has ended, or does not answer");
  if (state.stage === "closing") return set("busy", "ends: the last clicks are answered");
  if (state.stage === "shopping") return set("good", state.second ? `live · ${whole(state.second.clicks_s)} clicks/s · answered in ${time(state.second.p50)}` : "live");
  return set("busy", at < 0 ? "starts" : `${STEPS[at][1].toLowerCase()}: ${at === 2 ? training() : STEPS[at][2]}`);
}
