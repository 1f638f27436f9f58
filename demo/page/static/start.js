// How far the demo's start is, and what it is doing now.

import { byId, make, ms, whole } from "./api.js";

const STEPS = [
  ["broker", "Broker", "Kafka's stand-in, in this process"],
  ["log", "The shop's log", "simulated: what shoppers did so far"],
  ["training", "First model", "the trainer learns from the log"],
  ["worker", "Worker", "loads the model, joins its group"],
  ["shopping", "Shoppers", "click by themselves; so can you"],
];
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
  const took = begun !== undefined ? `${Math.max(0, (ended ?? seconds()) - begun).toFixed(kind === "done" ? 1 : 0)} s` : "";
  const detail = name === "log" && state.facts.clicks ? `${whole(state.facts.clicks)} clicks of ${whole(state.facts.sessions)} sessions`
    : name === "training" && kind === "now" ? training() : words;
  const share = name === "training" && kind === "now" ? progress() : null;
  return make("li", { className: `step ${kind}`, at: kind === "now" ? { "aria-current": "step" } : {} },
    make("b", { textContent: title }), [detail, name === "shopping" || kind === "later" ? "" : took].filter(Boolean).join(" · "),
    share === null ? null : make("progress", { max: 1, value: share, at: { "aria-label": "of the training's time, at most" } }));
}

export function training() {
  const now = state.training;
  if (!now) return "the trainer starts";
  const got = now.progress;
  const gate = /^(gate|publish|refit): (.*)/s.exec(now.step ?? "");
  if (gate) return gate[1] === "publish" ? "published: it comes into service" : gate[2].slice(0, 70);
  if (got?.step) return `step ${whole(got.step)}, loss ${got.loss?.toFixed(2) ?? "–"}, ${whole(got.sessions_per_s ?? 0)} sessions/s`;
  return now.cycle ? "reads the log and gets ready" : "the trainer starts";
}

export function progress() {
  const got = state.training?.progress;
  if (/^(gate|publish)/.test(state.training?.step ?? "")) return 1;
  return got?.limit_s ? Math.min(1, got.seconds / got.limit_s) : 0;
}

function status(at) {
  const box = byId("status");
  const [dot, text] = box.children;
  const set = (kind, words) => { dot.className = `dot ${kind}`; if (text.textContent !== words) text.textContent = words; };
  if (state.lost) return set("bad", "the demo has ended, or does not answer");
  if (state.stage === "closing") return set("busy", "ends: the last clicks are answered");
  if (state.stage === "shopping") return set("good", state.second ? `live · ${whole(state.second.clicks_s)} clicks/s · answered in ${ms(state.second.p50)} ms` : "live");
  return set("busy", at < 0 ? "starts" : `${STEPS[at][1].toLowerCase()}: ${at === 2 ? training() : STEPS[at][2]}`);
}
