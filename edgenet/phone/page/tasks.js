// What the page asks of a worker.

import { benchmark as measure } from "./benchmark.js";
import { Model, start } from "./runtime.js";
import { bytes } from "./server.js";
import { softmax, toInput, toScores, top } from "./tensor.js";

let bundle, variant, model;

export function benchmark({ bundle, threads }, tell) {
  return measure(bundle, threads, tell);
}

/** Load a variant for the camera. */
export async function load({ threads, ...parameters }) {
  ({ bundle, variant } = parameters);
  await start(threads - 1);
  model = await Model.compile(await bytes(variant.file), threads);
}

/** The classes of one uint8 picture (height, width, channels), and the seconds of the inference. */
export function classify({ pixels, count }) {
  model.show(toInput(bundle, variant, pixels));
  const begun = performance.now();
  const output = model.output();
  const seconds = (performance.now() - begun) / 1000;
  const scores = toScores(bundle, variant, output);
  const shown = bundle.scores === "logits" ? softmax(scores) : scores;
  return { seconds, best: top(shown, count).map(label => ({ label, score: shown[label] })) };
}
