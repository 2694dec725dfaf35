// The tasks of a worker.

import { benchmark as measure } from "./benchmark.js";
import { Model, loadRuntime } from "./runtime.js";
import { fetchBytes } from "./server.js";
import { rank, softmax, toInput, toScores } from "./tensor.js";

let bundle, variant, model;

export function benchmark({ bundle, threads }, report) {
  return measure(bundle, threads, report);
}

/** Load a variant for the camera. */
export async function load({ threads, ...parameters }) {
  ({ bundle, variant } = parameters);
  await loadRuntime(threads - 1);
  model = await Model.compile(await fetchBytes(variant.file), threads);
}

/** Classify one image (height, width, channels), as `toInput` takes it. Returns the best classes, and the seconds of the inference. */
export function classify({ pixels, count }) {
  model.setInput(toInput(bundle, variant, pixels));
  const begun = performance.now();
  const output = model.output();
  const seconds = (performance.now() - begun) / 1000;
  const scores = toScores(bundle, variant, output);
  const probabilities = bundle.scores === "logits" ? softmax(scores) : scores;
  return { seconds, best: rank(probabilities, count).map(label => ({ label, score: probabilities[label] })) };
}
