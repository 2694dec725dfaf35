// The table of the variants: a card for each.

import { megabytes, milliseconds, speed, threads, whole } from "./numbers.js";

/** An element with a text and children. */
export function element(name, text = "", ...children) {
  const made = document.createElement(name);
  made.textContent = text;
  made.append(...children);
  return made;
}

/** Shows all variants of a bundle in `place`, with nothing measured yet. counts: the numbers of threads. */
export class Variants {
  #cards = {};
  #base;

  constructor(place, bundle, counts) {
    this.#base = bundle.base;
    place.replaceChildren();
    for (const { name, bytes } of bundle.variants) {
      const title = element("h3", "", element("bdi", name), " ", element("small", `${megabytes(bytes)} MB`));
      const head = element("tr", "", ...["ms", "median", "p90", "p99", "speed"].map(text => element("th", text)));
      for (const cell of head.children) cell.scope = "col";
      const rows = Object.fromEntries(counts.map(count => [count, this.#row(count)]));
      const table = element("table", "", element("thead", "", head), element("tbody", "", ...Object.values(rows)));
      table.setAttribute("aria-label", `Latency of ${name}`);
      const agreement = element("p", bundle.pictures ? "agreement with Keras: -" : "");
      const card = element("article", "", title, table, agreement);
      card.className = "card";
      card.dataset.variant = name;
      place.append(card);
      this.#cards[name] = { rows, agreement };
    }
  }

  #row(count) {
    const head = element("th", threads(count));
    head.scope = "row";
    return element("tr", "", head, ...Array.from({ length: 4 }, () => element("td", "-")));
  }

  /** {variant, threads, median, p90, p99}, in seconds, and speed where it is known. */
  latency({ variant, threads: count, median, p90, p99, speed: ratio }) {
    const cells = this.#cards[variant].rows[count]?.querySelectorAll("td");
    if (!cells) return;
    [median, p90, p99].forEach((value, place) => (cells[place].textContent = milliseconds(value)));
    if (ratio) {
      cells[3].replaceChildren(speed(ratio), element("small", `${ratio.low.toFixed(2)} to ${ratio.high.toFixed(2)}`));
    } else if (variant === this.#base) {
      cells[3].textContent = "1.00x";
    }
  }

  /** The share of images with Keras' class. */
  agreement(variant, share, images) {
    const of = `of ${whole(images)} image${images === 1 ? "" : "s"}`;
    this.#cards[variant].agreement.textContent = `agreement with Keras: ${share.toFixed(3)} ${of}`;
  }

  /** All that the laptop found: its variants. */
  finished(variants) {
    for (const { name, agreement, images, latency } of variants) {
      for (const one of latency) this.latency({ variant: name, ...one });
      if (images) this.agreement(name, agreement, images);
    }
  }
}

/** One sentence of the fastest. */
export function fastest(variants, base) {
  const all = variants.flatMap(variant => variant.latency.map(latency => ({ ...latency, name: variant.name })));
  const best = all.reduce((one, other) => (other.median < one.median ? other : one));
  const time = `${best.name} is the fastest here: ${milliseconds(best.median)} ms on ${threads(best.threads)}`;
  if (!best.speed) return `${time}.`;
  const sure = best.speed.low > 1 || best.speed.high < 1;
  const times = `${best.speed.value.toFixed(2)} times as fast as ${base}`;
  return `${time}, ${sure ? times : `but not surely faster than ${base}`}.`;
}
