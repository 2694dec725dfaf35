// A card with the results of each variant.

import { megabytes, milliseconds, speedup, threads, whole } from "./numbers.js";

/** An element with a text and children. */
export function element(name, text = "", ...children) {
  const created = document.createElement(name);
  created.textContent = text;
  created.append(...children);
  return created;
}

/** The cards of all variants of a bundle in `container`, without results. counts: the numbers of threads. */
export class VariantCards {
  #cards = {};
  #base;
  #agreement;

  constructor(container, bundle, counts) {
    this.#base = bundle.base;
    this.#agreement = bundle.multi_label ? "images with all labels of Keras" : "top-1 agreement with Keras";
    container.replaceChildren();
    for (const { name, bytes } of bundle.variants) {
      const title = element("h3", "", element("bdi", name), " ", element("small", `${megabytes(bytes)} MB`));
      const head = element("tr", "", ...["ms", "median", "p90", "p99", "speed"].map(text => element("th", text)));
      for (const cell of head.children) cell.scope = "col";
      const rows = Object.fromEntries(counts.map(count => [count, this.#row(count)]));
      const table = element("table", "", element("thead", "", head), element("tbody", "", ...Object.values(rows)));
      table.setAttribute("aria-label", `Latency of ${name}`);
      const agreement = element("p", bundle.images ? `${this.#agreement}: -` : "");
      const card = element("article", "", title, table, agreement);
      card.className = "card";
      card.dataset.variant = name;
      container.append(card);
      this.#cards[name] = { rows, agreement };
    }
  }

  #row(count) {
    const head = element("th", threads(count));
    head.scope = "row";
    return element("tr", "", head, ...Array.from({ length: 4 }, () => element("td", "-")));
  }

  /** Show {variant, threads, median, p90, p99} in seconds, and the speedup if there is one. */
  latency({ variant, threads: count, median, p90, p99, speedup: ratio }) {
    const cells = this.#cards[variant].rows[count]?.querySelectorAll("td");
    if (!cells) return;
    [median, p90, p99].forEach((value, column) => (cells[column].textContent = milliseconds(value)));
    if (ratio) {
      cells[3].replaceChildren(speedup(ratio), element("small", `${ratio.low.toFixed(2)} to ${ratio.high.toFixed(2)}`));
    } else if (variant === this.#base) {
      cells[3].textContent = "1.00x";
    }
  }

  /** Show the fraction of images with the same top class as Keras, or with all labels that Keras gives them. */
  agreement(variant, fraction, images) {
    const of = `of ${whole(images)} image${images === 1 ? "" : "s"}`;
    this.#cards[variant].agreement.textContent = `${this.#agreement}: ${fraction.toFixed(3)} ${of}`;
  }

  /** Show the final results: the variants of the response. */
  finished(variants) {
    for (const { name, agreement, images, latency } of variants) {
      for (const entry of latency) this.latency({ variant: name, ...entry });
      if (images) this.agreement(name, agreement, images);
    }
  }
}

/** A sentence about the fastest variant. */
export function fastestSentence(variants, base) {
  const all = variants.flatMap(variant => variant.latency.map(latency => ({ ...latency, name: variant.name })));
  const best = all.reduce((first, second) => (second.median < first.median ? second : first));
  const time = `${best.name} is the fastest on this phone: ${milliseconds(best.median)} ms with ${threads(best.threads)}`;
  if (!best.speedup) return `${time}.`;
  const significant = best.speedup.low > 1 || best.speedup.high < 1;
  const factor = `${best.speedup.value.toFixed(2)} times as fast as ${base}`;
  return `${time}, ${significant ? factor : `not significantly faster than ${base}`}.`;
}
