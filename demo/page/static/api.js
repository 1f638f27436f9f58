// How the page talks to its server: clicks and buttons by POST, everything else as one stream of events.

const token = document.querySelector('meta[name="page-token"]').content;
const KEY = "nextclick-session";

export const session = { id: remembered() };

function remembered() {
  try {
    const kept = sessionStorage.getItem(KEY);
    if (kept) return kept;
  } catch { /* a browser that keeps nothing */ }
  return forget();
}

function forget() {
  const id = "visitor-" + [...crypto.getRandomValues(new Uint8Array(5))].map((b) => b.toString(16).padStart(2, "0")).join("");
  try { sessionStorage.setItem(KEY, id); } catch { /* as above */ }
  return id;
}

export async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Page-Token": token },
    body: JSON.stringify(body),
  });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.detail || said.title || `the server answers ${answer.status}`);
  return said;
}

// Calls heard[event](data) for each event of the stream; heard.lost() while there is none.
export function listen(heard) {
  let stream;
  const open = () => {
    stream?.close();
    stream = new EventSource(`/events?session=${session.id}`);
    for (const name of ["hello", "stage", "second", "event", "parts", "list", "way", "over"])
      stream.addEventListener(name, (event) => heard[name]?.(JSON.parse(event.data)));
    stream.onerror = () => heard.lost?.();
  };
  open();
  return { again() { session.id = forget(); open(); }, close() { stream.close(); } };
}

// An element with properties, attributes (in `at`) and children.
export function make(tag, { at = {}, ...own } = {}, ...children) {
  const made = Object.assign(document.createElement(tag), own);
  for (const [name, value] of Object.entries(at)) if (value !== undefined && value !== null) made.setAttribute(name, value);
  made.append(...children.filter((one) => one !== null && one !== undefined));
  return made;
}

export const byId = (id) => document.getElementById(id);
export const calm = matchMedia("(prefers-reduced-motion: reduce)");
export const whole = (number) => Math.round(number).toLocaleString("en");
export const percent = (share) => (share === null || share === undefined ? "–" : `${(100 * share).toFixed(1)} %`);
export const signed = (share) => `${share >= 0 ? "+" : "−"}${Math.abs(100 * share).toFixed(1)} %`;
// A number of milliseconds, with the unit that suits it.
export const time = (value) => (value === null || value === undefined ? "–" : value < 10 ? `${value.toFixed(1)} ms` : value < 1000 ? `${whole(value)} ms` : `${(value / 1000).toFixed(value < 10000 ? 1 : 0)} s`);

let fading;
export function toast(text, { command = "", wrong = false } = {}) {
  const box = byId("toast");
  box.replaceChildren(text, ...(command ? [make("code", { textContent: command })] : []));
  box.className = `toast shown${wrong ? " wrong" : ""}`;
  clearTimeout(fading);
  fading = setTimeout(() => box.classList.remove("shown"), wrong ? 9000 : 6000);
}
