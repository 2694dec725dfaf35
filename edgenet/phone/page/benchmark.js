// The benchmark, in a worker: load each file, time all in turn, and send their outputs for the evaluation images.

import { interleave, quantile, resolution } from "./latency.js";
import { Model, free, loadRuntime } from "./runtime.js";
import { fetchBytes, send, sendBytes } from "./server.js";
import { toInput, toPixels } from "./tensor.js";

/**
 * Run the whole benchmark. threads: the numbers of threads, the largest last. report: called with {step, steps, name},
 * {done: 0 to 1, detail}, {variant, threads, median, p90, p99} and {variant, images, agreeing}. Returns the ID of the
 * run, the measurements and the clock's resolution, as in the report to /runs/<id>/finish.
 */
export async function benchmark(bundle, threads, report) {
  const steps = 2 + threads.length + (bundle.images ? 1 : 0);
  let step = 0;
  const beginStep = name => report({ step: ++step, steps, name });

  beginStep("Fetching the models");
  const files = {};
  for (const [number, variant] of bundle.variants.entries()) {
    files[variant.name] = await fetchBytes(variant.file);
    report({ done: (number + 1) / bundle.variants.length, detail: variant.name });
  }
  const workerThreads = threads.map(count => (count - 1) * bundle.variants.length).reduce((sum, count) => sum + count, 0);
  await loadRuntime(workerThreads);

  beginStep("Loading the models");
  const clock = resolution();
  const measurements = {};
  const loadAll = count => compileAll(bundle, files, count, (variant, number, load, first) => {
    measurements[variant.name] ??= { load, first, latency: [] };
    report({ done: number / bundle.variants.length, detail: variant.name });
  });
  let models = await loadAll(threads[0]);
  for (const [number, count] of threads.entries()) {
    if (number) {
      Object.values(models).forEach(model => model.delete());
      models = await loadAll(count);
    }
    beginStep(`Latency on ${count} ${count > 1 ? "threads" : "thread"}`);
    const roundDone = round => report({ done: round / bundle.rounds, detail: `round ${round} of ${bundle.rounds}` });
    const latencies = await interleave(models, bundle.rounds, bundle.seconds, clock, roundDone);
    for (const [name, latency] of Object.entries(latencies)) {
      measurements[name].latency.push({ threads: count, ...latency });
      const samples = latency.rounds.flat();
      const [median, p90, p99] = [0.5, 0.9, 0.99].map(fraction => quantile(samples, fraction));
      report({ variant: name, threads: count, median, p90, p99 });
    }
  }

  const { id } = await send("/runs", {});
  if (bundle.images) {
    beginStep("Drift relative to Keras");
    await sendOutputs(bundle, models, id, report);
  }
  return { id, measurements, resolution: clock };
}

/** Compile all variants, with an image of noise as input. onLoaded: called with each variant and its load times. */
async function compileAll(bundle, files, threads, onLoaded) {
  const models = {};
  const pixels = noise(bundle.batch * bundle.height * bundle.width * bundle.channels);
  for (const [number, variant] of bundle.variants.entries()) {
    const input = toInput(bundle, variant, pixels);
    try {
      const begun = performance.now();
      const model = (models[variant.name] = await Model.compile(files[variant.name], threads));
      const loaded = performance.now();
      model.setInput(input);
      const outputs = model.run();
      const ended = performance.now();
      free(outputs);
      onLoaded(variant, number + 1, (loaded - begun) / 1000, (ended - loaded) / 1000);
    } catch (error) {
      throw new Error(`${variant.name}: ${error.message}`);
    }
  }
  return models;
}

/** Send the outputs for all images, one chunk after the other; the next chunk is fetched meanwhile. */
async function sendOutputs(bundle, models, id, report) {
  const chunks = Math.ceil(bundle.images / bundle.chunk);
  let next = fetchBytes("/images/0");
  for (let chunk = 0; chunk < chunks; chunk++) {
    const pixels = toPixels(bundle, await next);
    if (chunk + 1 < chunks) {
      next = fetchBytes(`/images/${chunk + 1}`);
      next.catch(() => {}); // reported when it is awaited
    }
    const sent = bundle.variants.map(async variant => {
      const scores = outputs(bundle, variant, models[variant.name], pixels);
      const path = `/runs/${id}/scores/${encodeURIComponent(variant.name)}/${chunk}`;
      report({ variant: variant.name, ...(await sendBytes(path, scores)) });
    });
    await Promise.all(sent);
    const done = Math.min((chunk + 1) * bundle.chunk, bundle.images);
    report({ done: done / bundle.images, detail: `image ${done} of ${bundle.images}` });
  }
}

/** The model's outputs for images (n, height, width, channels), as bytes of (n, classes). */
function outputs(bundle, variant, model, pixels) {
  const size = bundle.height * bundle.width * bundle.channels;
  const count = pixels.length / size;
  let scores;
  for (let at = 0; at < count; at += bundle.batch) {
    const images = Math.min(bundle.batch, count - at);
    model.setInput(toInput(bundle, variant, pixels.subarray(at * size, (at + images) * size)));
    const output = model.output();
    const row = output.length / bundle.batch;
    scores ??= new Uint8Array(count * row);
    scores.set(output.subarray(0, images * row), at * row);
  }
  return scores;
}

/** The input of every model while it is timed: the same bytes each time, by Marsaglia's xorshift (2003). */
function noise(count) {
  let state = 2463534242;
  return Uint8Array.from({ length: count }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 255;
  });
}
