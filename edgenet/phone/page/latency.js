// Latency: seconds of one inference, in interleaved rounds, every sample kept; as edgenet/benchmarking/latency.py does it.

import { free } from "./runtime.js";

const WARMUP_SECONDS = 0.2;
const WARMUP_COUNT = 1000;
// Samples of one turn.
const FEWEST = 5, MOST = 100;
// At the start of each turn, the caches hold the neighbour's weights: not counted.
const COLD_SECONDS = 0.01, COLD_COUNT = 10;
// A reading of the clock is late by up to one step, so a difference of two is wrong by up to one: 2 % of so many.
const STEPS = 50;
const CHANGES = 25;

/** The step of the browser's clock, in seconds: 5 us where the page is isolated, up to 1 ms elsewhere. */
export function resolution() {
  const steps = [];
  for (let last = performance.now(); steps.length < CHANGES; ) {
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

/** Run for a while. Gives the seconds of an inference: the mean of the fastest series that the clock can tell. */
function warmUp(model, step) {
  let fastest = Infinity;
  for (let count = 1, spent = 0; ; count *= 2) {
    const seconds = time(model, 1, count)[0] * count;
    spent += seconds;
    const last = spent >= WARMUP_SECONDS || count >= WARMUP_COUNT;
    if (seconds >= STEPS * step || (last && fastest === Infinity)) fastest = Math.min(fastest, seconds / count);
    if (last) return Math.max(fastest, 1e-9);
  }
}

/**
 * Time all models in turn, `rounds` times over, so that whatever slows the phone meets all of them alike; each round
 * begins with another one. models: of each name. step: the clock's, in seconds. counted: told how many rounds are done.
 * Gives, for each name, {per_sample, rounds: samples in seconds, an array for each round}.
 */
export async function interleave(models, rounds, seconds, step, counted) {
  const names = Object.keys(models);
  const plans = {};
  // Browsers compile WebAssembly a second time, to faster code, while it runs: the first series tell too much.
  for (const name of names) {
    warmUp(models[name], step);
    await breathe();
  }
  for (const name of names) {
    const typical = warmUp(models[name], step);
    const perSample = Math.max(1, Math.ceil((STEPS * step) / typical));
    plans[name] = {
      perSample,
      count: Math.round(Math.min(Math.max(seconds / typical / perSample, FEWEST), MOST)),
      cold: Math.round(Math.min(Math.max(COLD_SECONDS / typical, 1), COLD_COUNT)),
    };
    await breathe();
  }
  const found = Object.fromEntries(names.map(name => [name, { per_sample: plans[name].perSample, rounds: [] }]));
  for (let round = 0; round < rounds; round++) {
    const turn = round % names.length;
    for (const name of [...names.slice(turn), ...names.slice(0, turn)]) {
      const { perSample, count, cold } = plans[name];
      await breathe();
      time(models[name], cold, 1);
      found[name].rounds.push(time(models[name], count, perSample).map(sample => Number(sample.toFixed(9))));
    }
    counted(round + 1);
  }
  return found;
}

/** Let the worker's events through. */
function breathe() {
  return new Promise(resolve => setTimeout(resolve, 0));
}

/** Linear between ranks. */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  return sorted[below] + (place - below) * (sorted[Math.min(below + 1, sorted.length - 1)] - sorted[below]);
}
