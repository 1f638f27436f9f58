// The operator's part: models, experiment, workers, items that are switched off, and what happened.

import { byId, make, percent, post, signed, toast, whole } from "./api.js";
import { off, words } from "./products.js";
import { progress, training } from "./start.js";

const state = { parts: null, hits: null, events: [], busy: new Set(), stage: "", drawn: {} };
const chosen = { control: "", challenger: "" };

export function know(more) {
  Object.assign(state, more);
  draw();
  if (more.events) log();
}

export function happened(event) {
  state.events = [event, ...state.events].slice(0, 30);
  log();
}

async function act(name, given, key = name) {
  if (state.busy.has(key)) return;
  state.busy.add(key);
  draw();
  try {
    const done = await post(`/actions/${name}`, given);
    toast(done.text, done);
  } catch (error) {
    toast(error.message, { wrong: true });
  } finally {
    state.busy.delete(key);
    draw();
  }
}

function button(text, name, given = {}, { kind = "plain small", key = name, disabled = false, label } = {}) {
  return make("button", { type: "button", className: kind, textContent: state.busy.has(key) ? "…" : text, disabled: disabled || state.busy.has(key), onclick: () => act(name, given, key), at: { "data-key": key + JSON.stringify(given), "aria-label": label } });
}

// Draws a part anew where it has changed, and leaves the focus on the button that had it.
function put(id, facts, content) {
  const seen = JSON.stringify(facts);
  if (state.drawn[id] === seen) return;
  const box = byId(id);
  if (box.contains(document.activeElement) && document.activeElement.tagName === "SELECT") return;
  state.drawn[id] = seen;
  const held = box.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  box.replaceChildren(...content().filter(Boolean));
  if (held) [...box.querySelectorAll("[data-key]")].find((one) => one.dataset.key === held)?.focus({ preventScroll: true });
}

function draw() {
  const busy = [...state.busy];
  const parts = state.parts ?? { workers: [], registry: { versions: [] }, experiments: [] };
  const line = parts.training?.cycle ? [training(), progress()] : null;
  put("models", [parts.registry, line, busy, Boolean(parts.training)], () => models(parts, line));
  put("experiment", [parts.registry.versions.map((one) => one.version), parts.registry.live, parts.experiments, state.hits, busy], () => experiment(parts));
  put("workers", [parts.workers, busy, state.stage], () => workers(parts.workers));
  put("off", [...off], switchedOff);
}

function models({ registry, training: trainer }, line) {
  const known = registry.versions.map((one) => make("div", { className: "row" },
    make("span", { className: "grow" }, make("b", { textContent: `Model ${one.version}` }),
      make("small", { textContent: one.error ?? `recall@20 ${one.recall?.toFixed(3)} on sessions it had not seen · ${one.mode || "by hand"}` })),
    one.version === registry.live ? make("span", { className: "badge", textContent: "live" })
      : button("Make live", "promote", { version: one.version }, { key: `promote-${one.version}`, label: `Make model ${one.version} live` })));
  const now = line && make("div", { className: "training" }, `A training runs: ${line[0]}`, make("progress", { max: 1, value: line[1], at: { "aria-label": "of the training's time" } }));
  return [now, ...(known.length ? known : [make("p", { className: "note", textContent: "None yet: the trainer makes the first from the shop's log." })]),
    make("div", { className: "actions" }, button("Train now", "train", {}, { kind: "small", disabled: !trainer || Boolean(line) || !known.length }),
      button("Roll back", "rollback", {}, { disabled: !registry.back }))];
}

function experiment({ registry, experiments }) {
  const running = experiments[0];
  if (running) return runs(running);
  const versions = registry.versions.map((one) => one.version);
  if (versions.length < 2) return [make("p", { className: "note", textContent: "Two models are needed to compare: train now makes another, from the clicks since the first." })];
  const pick = (name, first) => {
    if (!versions.includes(chosen[name])) chosen[name] = first;
    const box = make("select", { onchange: (event) => { chosen[name] = event.target.value; draw(); }, at: { "aria-label": name } }, ...versions.map((one) => make("option", { value: one, textContent: `model ${one}`, selected: one === chosen[name] })));
    return make("label", {}, `${name} `, box);
  };
  return [make("p", { className: "note", textContent: "Half of all sessions get the one, half the other, by a hash of the session. Yours too: be a new shopper to change sides." }),
    make("div", { className: "actions" }, pick("control", versions.at(-1)), pick("challenger", versions[0])),
    make("div", { className: "actions" }, make("button", { type: "button", className: "small", textContent: state.busy.has("experiment-start") ? "…" : "Start the experiment", disabled: state.busy.has("experiment-start"), onclick: () => act("experiment-start", { ...chosen }), at: { "data-key": "experiment-start" } }))];
}

function runs(one) {
  const hits = state.hits ?? { by_variant: {} };
  const rows = one.variants.map((variant) => make("div", { className: "row" },
    make("span", { className: "grow" }, make("b", { textContent: variant.variant ?? variant.name }), make("small", { textContent: `model ${variant.version || "live"}` })),
    make("span", { textContent: percent(hits.by_variant[variant.variant ?? variant.name]) })));
  const interval = hits.interval ? ` (95 %: ${signed(hits.interval[0])} to ${signed(hits.interval[1])})` : ", too few sessions for an interval yet";
  const uplift = hits.uplift === null || hits.uplift === undefined ? "The first lists are on their way to be clicked." : `The challenger has ${signed(hits.uplift)} hits${interval}.`;
  const last = one.variants.at(-1);
  return [make("p", { className: "note", textContent: `${one.experiment}${one.in_force ? "" : ", not yet in force: its models are loaded"}` }), ...rows, make("p", { className: "note", textContent: uplift }),
    make("div", { className: "actions" }, button("Stop", "experiment-stop", { name: one.experiment }, { key: "stop" }),
      button(`Stop, ${last.variant ?? last.name} for all`, "experiment-stop", { name: one.experiment, promote: last.variant ?? last.name }, { key: "stop-promote" }))];
}

function workers(found) {
  if (!found.length) return [make("p", { className: "note", textContent: "A worker starts as soon as there is a model." })];
  return [...found.map((one) => {
    const held = one.partitions ?? [];
    const lag = Object.values(one.lag ?? {}).reduce((sum, more) => sum + more, 0);
    const words = one.serving === undefined ? "starts" : held.length ? `${one.model ? `model ${one.model}` : one.serving}${lag > 20 ? `, ${whole(lag)} clicks behind` : ""}` : "joins the group";
    return make("div", { className: "row" }, make("i", { className: `dot ${one.ready ? "good" : "busy"}` }),
      make("span", { className: "grow" }, make("b", { textContent: `Worker ${one.number + 1}` }),
        make("small", { textContent: `process ${one.pid}, ${words}${one.killed ? `, killed ${one.killed}×` : ""}` })),
      make("span", { className: "parts", title: "partitions", at: { "aria-label": `partitions ${held.join(", ") || "none"}` } }, ...held.map((number) => make("i", { textContent: number }))),
      button("Kill", "kill", { worker: one.number }, { kind: "warn small", key: `kill-${one.number}`, disabled: state.stage !== "shopping", label: `Kill worker ${one.number + 1} by SIGKILL` }));
  }), make("p", { className: "note", textContent: "Kill it by SIGKILL: clicks wait in the topic until another process has its partitions, and are answered then. Sent is answered plus waiting, all the while: nothing is lost." })];
}

function switchedOff() {
  if (!off.size) return [make("p", { className: "note", textContent: "Nothing. Each card has “switch off”: the item leaves everybody's lists within two seconds." })];
  return [...off].map((id) => make("div", { className: "row" }, make("span", { className: "grow", textContent: words(id) }),
    make("button", { type: "button", className: "plain small", textContent: "Back on", at: { "data-switch": id, "aria-label": `Switch on again: ${words(id)}` } })));
}

function log() {
  byId("quiet").hidden = state.events.length > 0;
  byId("log").replaceChildren(...state.events.map((one) => make("li", { className: one.kind }, make("time", { textContent: `${one.at.toFixed(0)} s` }), make("span", { textContent: one.text }))));
}

document.addEventListener("switched", draw);
