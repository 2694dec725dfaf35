// Latency: seconds of one inference in interleaved rounds, with all samples, like edgenet/benchmarking/latency.py.

import { free } from "./runtime.js";

const WARMUP_SECONDS = 0.2;
const WARMUP_COUNT = 1000;
// Samples of one turn.
const MIN_SAMPLES = 5, MAX_SAMPLES = 100;
// Inferences at the start of each turn, when the caches hold another model's weights, are not counted.
const COLD_SECONDS = 0.01, COLD_COUNT = 10;
// A difference of two clock readings is wrong by up to one step of the clock: by at most 2% for a sample of this length.
const MIN_STEPS = 50;
// Clock steps that its resolution is measured on.
const CLOCK_STEPS = 25;

/** The step of the browser's clock, in seconds: 5 us if the page is isolated, up to 1 ms otherwise. */
export function resolution() {
  const steps = [];
  for (let last = performance.now(); steps.length < CLOCK_STEPS; ) {
    const now = performance.now();
    if (now > last) steps.push(now - last);
    last = now;
  }
  return quantile(steps, 0.5) / 1000;
}

/** Seconds of each of `count` samples, each the mean of `perSample` inferences in a row. */
function time(model, count, perSample) {
  const samples = [];
  for (let sample = 0; sample < count; sample++) {
    const outputs = [];
    const begun = performance.now();
    for (let number = 0; number < perSample; number++) outputs.push(model.run());
    const ended = performance.now();
    outputs.forEach(free);
    samples.push((ended - begun) / 1000 / perSample);
  }
  return samples;
}

/** Run for a while. Returns the seconds of one inference: the mean of the fastest series that the clock can resolve. */
function warmUp(model, step) {
  let fastest = Infinity;
  for (let count = 1, spent = 0; ; count *= 2) {
    const seconds = time(model, 1, count)[0] * count;
    spent += seconds;
    const last = spent >= WARMUP_SECONDS || count >= WARMUP_COUNT;
    if (seconds >= MIN_STEPS * step || (last && fastest === Infinity)) fastest = Math.min(fastest, seconds / count);
    if (last) return Math.max(fastest, 1e-9);
  }
}

/**
 * Time all models in turn, `rounds` times, so that whatever slows the phone affects all of them; each round starts with
 * another model. models: by name. step: of the clock, in seconds. onRound: called with the number of finished rounds.
 * Returns, for each name, {per_sample, rounds: samples in seconds, an array for each round}.
 */
export async function interleave(models, rounds, seconds, step, onRound) {
  const names = Object.keys(models);
  const plans = {};
  // Browsers compile WebAssembly a second time, to faster code, while it runs: the first series take too long.
  for (const name of names) {
    warmUp(models[name], step);
    await yieldToEvents();
  }
  for (const name of names) {
    const typical = warmUp(models[name], step);
    const perSample = Math.max(1, Math.ceil((MIN_STEPS * step) / typical));
    plans[name] = {
      perSample,
      count: Math.round(Math.min(Math.max(seconds / typical / perSample, MIN_SAMPLES), MAX_SAMPLES)),
      cold: Math.round(Math.min(Math.max(COLD_SECONDS / typical, 1), COLD_COUNT)),
    };
    await yieldToEvents();
  }
  const latencies = Object.fromEntries(names.map(name => [name, { per_sample: plans[name].perSample, rounds: [] }]));
  for (let round = 0; round < rounds; round++) {
    const turn = round % names.length;
    for (const name of [...names.slice(turn), ...names.slice(0, turn)]) {
      const { perSample, count, cold } = plans[name];
      await yieldToEvents();
      time(models[name], cold, 1);
      latencies[name].rounds.push(time(models[name], count, perSample).map(sample => Number(sample.toFixed(9))));
    }
    onRound(round + 1);
  }
  return latencies;
}

/** Let the worker handle its events. */
function yieldToEvents() {
  return new Promise(resolve => setTimeout(resolve, 0));
}

/** A quantile, linear between ranks. */
export function quantile(values, fraction) {
  const sorted = Float64Array.from(values).sort();
  const rank = fraction * (sorted.length - 1);
  const below = Math.floor(rank);
  return sorted[below] + (rank - below) * (sorted[Math.min(below + 1, sorted.length - 1)] - sorted[below]);
}
