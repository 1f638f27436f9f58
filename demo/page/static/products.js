// Products: what the catalogue says of them, and the card that shows one.

import { make } from "./api.js";

export const products = { all: new Map(), categories: [], order: [] };
export const off = new Set(); // items that were switched off here

export async function load() {
  const said = await (await fetch("/products.json")).json();
  products.categories = said.categories;
  for (const [id, category, brand, price, form] of said.items)
    products.all.set(id, {
      id, category, price, name: said.categories[category], brand: said.brands[brand],
      picture: `/pictures/${category}-${brand}-${form}.svg`,
    });
  products.order = [...products.all.keys()];
}

export const euros = (price) => `${price.toFixed(2)} €`;

export const words = (id) => {
  const found = products.all.get(id);
  return found ? `${found.name}, ${found.brand}, ${euros(found.price)}` : id;
};

export function picture(id, size) {
  const found = products.all.get(id);
  return make("img", { src: found ? found.picture : "/static/mark.svg", alt: "", width: size, height: size, decoding: "async" });
}

// One product. place: in the list, from 1; move: what to say of where it was.
export function card(id, { place = 0, move = "", tag = "li" } = {}) {
  const found = products.all.get(id);
  const gone = off.has(id);
  const name = found ? found.name : id;
  const open = make("button", { className: "open", type: "button", at: { "data-item": id, "aria-label": `${place ? `${place}. ` : ""}${words(id)}` } },
    make("span", { className: "sight" }, picture(id, 96)),
    make("span", { className: "name", textContent: name }),
    make("span", { className: "rest", textContent: found ? found.brand : "new in the shop" }),
    make("span", { className: "price", textContent: found ? euros(found.price) : "–" }));
  const toggle = make("button", {
    className: "switch", type: "button", title: gone ? "Switch on again" : "Switch off: it leaves everybody's lists",
    at: { "data-switch": id, "aria-label": `${gone ? "Switch on again" : "Switch off"}: ${words(id)}` },
  }, icon(gone ? "M5 9a6 6 0 1 1 1 5M5 15v-5h5" : "M10 3v7M6 5a6 6 0 1 0 8 0"));
  return make(tag, { className: `card${gone ? " gone" : ""}`, at: { "data-id": id } }, open,
    place ? make("span", { className: "place", textContent: place, at: { "aria-hidden": "true" } }) : null,
    move ? make("span", { className: "move", textContent: move, at: { "aria-hidden": "true" } }) : null,
    toggle);
}

function icon(path) {
  const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  picture.setAttribute("viewBox", "0 0 20 20");
  picture.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  picture.append(line);
  return picture;
}

export const bone = () => make("li", { className: "card bone", at: { "aria-hidden": "true" } }, make("span", { className: "open" }));
