// The page: events of the stream go to the parts that show them.

import { byId, listen } from "./api.js";
import * as charts from "./charts.js";
import * as operator from "./operator.js";
import { load, off } from "./products.js";
import * as shop from "./shop.js";
import * as start from "./start.js";
import * as way from "./way.js";

const wide = matchMedia("(min-width: 1080px)");

function behind(open) {
  byId("drawer").hidden = !open;
  byId("frame").classList.toggle("with-drawer", open);
  byId("behind").setAttribute("aria-expanded", String(open));
}

function stage(found) {
  start.know(found);
  shop.know({ stage: found.stage });
  operator.know({ stage: found.stage });
}

await load();
shop.start();
behind(wide.matches);
byId("behind").onclick = () => {
  const open = byId("drawer").hidden;
  behind(open);
  if (open && !wide.matches) byId("drawer").scrollIntoView();
};

document.addEventListener("clicked", way.clicked);

const stream = listen({
  hello(found) {
    start.know({ lost: false, facts: found.facts, second: found.series.at(-1) ?? null, training: found.parts.training ?? null });
    stage(found);
    shop.know({ popular: found.popular });
    off.clear();
    for (const id of found.off) off.add(id);
    shop.mine(found.mine);
    way.know(found.parts);
    way.show(found.mine.way ?? null);
    charts.all(found.series);
    operator.know({ parts: found.parts, hits: found.series.at(-1)?.hits ?? null, events: [...found.events].reverse() });
    document.documentElement.dataset.ready = "yes";
  },
  stage(found) {
    stage(found);
    shop.know({ popular: found.popular });
    if (found.facts) start.know({ facts: found.facts });
  },
  second(found) {
    start.know({ second: found });
    charts.add(found);
    operator.know({ hits: found.hits });
  },
  parts(found) {
    start.know({ training: found.training });
    way.know(found);
    operator.know({ parts: found });
  },
  event: operator.happened,
  list: shop.listed,
  way(found) {
    const passed = shop.clickedAt() ? performance.now() - shop.clickedAt() : null;
    way.show(found, passed);
    shop.took(passed ?? found.total_ms);
  },
  over() {
    start.know({ lost: true });
    stream.close();
  },
  lost: () => start.know({ lost: true }),
});

byId("fresh").onclick = () => {
  shop.mine({ list: null, clicks: 0 });
  way.show(null);
  stream.again();
};
