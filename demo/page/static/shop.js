// The shop: the list that is next for you, what you clicked, and all products by category.

import { byId, calm, make, post, session, time, toast } from "./api.js";
import { bone, card, off, picture, products, words } from "./products.js";

const SHOWN = 12; // of a list on a phone, where it scrolls; else whole rows
const NARROW = matchMedia("(max-width: 620px)");
const STEP = 24;
const shop = { popular: [], list: null, trail: [], category: -1, count: STEP, clickedAt: 0, waits: 0, stage: "" };

export const clickedAt = () => shop.clickedAt;

export function start() {
  for (const [number, name] of [[-1, "all"], ...products.categories.map((one, at) => [at, one])])
    byId("chips").append(make("button", { type: "button", textContent: name, onclick: () => choose(number), at: { "aria-pressed": String(number === shop.category), "data-category": number } }));
  byId("more").onclick = () => { shop.count += STEP; grid(); };
  document.addEventListener("click", (event) => {
    const item = event.target.closest("[data-item]")?.dataset.item;
    const other = event.target.closest("[data-switch]")?.dataset.switch;
    if (other) toggle(other);
    else if (item) click(item);
  });
  let columns = room();
  new ResizeObserver(() => {
    if (columns === room()) return;
    columns = room();
    rail();
    grid();
  }).observe(byId("rail"));
  grid();
  rail();
  trail();
}

const columnsOf = (id) => getComputedStyle(byId(id)).gridTemplateColumns.split(" ").length;

// How many cards are seen: two rows of five or more, or three of fewer.
function room() {
  const columns = columnsOf("rail");
  return NARROW.matches || columns < 3 ? SHOWN : columns * (columns < 5 ? 3 : 2);
}

function choose(number) {
  shop.category = number;
  shop.count = STEP;
  for (const chip of byId("chips").children) chip.setAttribute("aria-pressed", String(Number(chip.dataset.category) === number));
  grid();
}

function grid() {
  const popular = new Set(shop.popular);
  const found = [...shop.popular, ...products.order.filter((id) => !popular.has(id))]
    .filter((id) => products.all.has(id) && (shop.category < 0 || products.all.get(id).category === shop.category));
  const held = document.activeElement?.closest("#grid [data-id]")?.dataset.id;
  const count = Math.ceil(shop.count / columnsOf("grid")) * columnsOf("grid"); // whole rows
  byId("grid").replaceChildren(...found.slice(0, count).map((id) => card(id)));
  if (held) byId("grid").querySelector(`[data-id="${CSS.escape(held)}"] .open`)?.focus();
  byId("more").parentElement.hidden = found.length <= count;
}

export function know({ popular, stage }) {
  if (stage) shop.stage = stage;
  if (popular?.length && !shop.popular.length) {
    shop.popular = popular;
    grid();
  }
  if (!shop.list) rail();
}

async function click(item) {
  shop.clickedAt = performance.now();
  shop.waits += 1;
  document.dispatchEvent(new Event("clicked"));
  const hit = shop.list?.items.some(([id]) => id === item) ?? false;
  shop.trail = [{ item, hit }, ...shop.trail].slice(0, 12);
  trail();
  rail();
  try {
    await post("/clicks", { session: session.id, item });
  } catch (error) {
    shop.waits -= 1;
    toast(error.message, { wrong: true });
  }
}

async function toggle(item) {
  const available = off.has(item);
  try {
    if (available) off.delete(item);
    else off.add(item);
    redraw();
    const done = await post("/actions/item", { item, available });
    toast(done.text, done);
  } catch (error) {
    if (available) off.add(item);
    else off.delete(item);
    redraw();
    toast(error.message, { wrong: true });
  }
}

export function redraw() {
  grid();
  rail();
  document.dispatchEvent(new Event("switched"));
}

export function mine({ list, clicks }) {
  shop.list = list ?? null;
  shop.waits = 0;
  if (!clicks) shop.trail = [];
  trail();
  rail();
}

export function listed(list) {
  shop.list = list;
  shop.waits = 0;
  rail(true);
  const shown = room();
  const fresh = list.items.slice(0, shown).filter(([, , before]) => !before || before > shown).length;
  byId("said").textContent = list.items.length
    ? `New list by model ${list.model || "none"}: first ${words(list.items[0][0])}. ${fresh} of ${Math.min(shown, list.items.length)} are new.`
    : "The list is empty: no model serves yet.";
}

function trail() {
  const hint = shop.stage === "shopping" || shop.stage === "" ? "Click any product: the list becomes yours, from the first click on."
    : "Click already, if you like: clicks wait in the topic until a worker is there.";
  byId("trail").replaceChildren(...(shop.trail.length
    ? shop.trail.map(({ item, hit }) => make("li", { className: hit ? "hit" : "", title: words(item) + (hit ? ", which was in your list" : "") }, picture(item, 36), make("span", { className: "unseen", textContent: words(item) + (hit ? ", was in your list" : "") })))
    : [make("li", { className: "hint", textContent: hint })]));
}

function rail(moves = false) {
  const box = byId("rail");
  const ids = shop.list?.items.length ? shop.list.items : shop.popular.map((id) => [id, 0, 0]);
  byId("next-title").textContent = shop.list?.items.length || !ids.length ? "Next for you" : "Popular now";
  why();
  if (!ids.length) return box.replaceChildren(...Array.from({ length: room() }, bone));
  const before = new Map([...box.children].map((one) => [one.dataset.id, one.getBoundingClientRect()]));
  const held = document.activeElement?.closest("#rail [data-id]")?.dataset.id;
  box.replaceChildren(...ids.slice(0, room()).map(([id, , was], at) => card(id, { place: at + 1, move: moves || shop.list ? moved(was, at + 1) : "" })));
  if (held) (box.querySelector(`[data-id="${CSS.escape(held)}"] .open`) ?? box.querySelector(".open"))?.focus({ preventScroll: true });
  if (moves && !calm.matches) glide(box, before);
}

const moved = (was, now) => (shop.list?.first ? "" : !was ? "new" : was > now ? `↑ ${was - now}` : "");

function glide(box, before) {
  for (const one of box.children) {
    const from = before.get(one.dataset.id);
    const to = one.getBoundingClientRect();
    const frames = from
      ? [{ transform: `translate(${from.left - to.left}px, ${from.top - to.top}px)` }, { transform: "none" }]
      : [{ opacity: 0, transform: "scale(.92)" }, { opacity: 1, transform: "none" }];
    one.animate(frames, { duration: 380, easing: "cubic-bezier(.2, .8, .2, 1)" });
  }
}

function why() {
  const box = byId("next-why");
  const list = shop.list;
  if (shop.waits && !list) return box.replaceChildren(shop.stage === "shopping" ? "on its way…" : `${shop.waits === 1 ? "your click waits in the topic, and is" : `${shop.waits} of your clicks wait in the topic, and are`} answered as soon as a worker serves`);
  if (!list) return box.replaceChildren(shop.popular.length ? "what most shoppers clicked, the same for everybody" : "");
  const variant = list.experiment ? [" · variant ", make("b", { textContent: list.variant })] : [];
  const by = list.fallback ? ["popular items: the model knows none of these"] : ["by model ", make("b", { textContent: list.model })];
  return box.replaceChildren(...by, ...variant, " · ", make("span", { id: "took" }, shop.took ?? ""));
}

export function took(total) {
  shop.took = `${time(total)} from click to list`;
  const box = byId("took");
  if (box) box.textContent = shop.took;
}
