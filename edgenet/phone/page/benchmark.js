// The benchmark, in a worker: load each file, time all in turn, and send the scores of the evaluation pictures.

import { interleave, quantile, resolution } from "./latency.js";
import { Model, free, start } from "./runtime.js";
import { bytes, send, sendBytes } from "./server.js";
import { toInput } from "./tensor.js";

/**
 * threads: the numbers of threads to measure with, the most last. tell: gets {step, steps, name},
 * {done: 0 to 1, detail}, {variant, threads, median, p90, p99} and {variant, images, agreeing}. Gives the run's id, the
 * measurements and the clock's resolution, as /runs/<id>/finish takes them.
 */
export async function benchmark(bundle, threads, tell) {
  const steps = 2 + threads.length + (bundle.pictures ? 1 : 0);
  let step = 0;
  const begin = name => tell({ step: ++step, steps, name });

  begin("Fetching the models");
  const files = {};
  for (const [number, variant] of bundle.variants.entries()) {
    files[variant.name] = await bytes(variant.file);
    tell({ done: (number + 1) / bundle.variants.length, detail: variant.name });
  }
  const helpers = threads.map(count => (count - 1) * bundle.variants.length).reduce((one, other) => one + other, 0);
  await start(helpers);

  begin("Loading the models");
  const clock = resolution();
  const measurements = {};
  const compiled = count => compileAll(bundle, files, count, (variant, number, load, first) => {
    measurements[variant.name] ??= { load, first, latency: [] };
    tell({ done: number / bundle.variants.length, detail: variant.name });
  });
  let models = await compiled(threads[0]);
  for (const [number, count] of threads.entries()) {
    if (number) {
      Object.values(models).forEach(model => model.delete());
      models = await compiled(count);
    }
    begin(`Latency on ${count} ${count > 1 ? "threads" : "thread"}`);
    const counted = round => tell({ done: round / bundle.rounds, detail: `round ${round} of ${bundle.rounds}` });
    const found = await interleave(models, bundle.rounds, bundle.seconds, clock, counted);
    for (const [name, latency] of Object.entries(found)) {
      measurements[name].latency.push({ threads: count, ...latency });
      const samples = latency.rounds.flat();
      const [median, p90, p99] = [0.5, 0.9, 0.99].map(share => quantile(samples, share));
      tell({ variant: name, threads: count, median, p90, p99 });
    }
  }

  const { id } = await send("/runs", {});
  if (bundle.pictures) {
    begin("Drift against Keras");
    await drift(bundle, models, id, tell);
  }
  return { id, measurements, resolution: clock };
}

/** All variants on `threads` threads, with a picture of noise shown. compiled: told of each, with its seconds. */
async function compileAll(bundle, files, threads, compiled) {
  const models = {};
  const pixels = noise(bundle.batch * bundle.height * bundle.width * bundle.channels);
  for (const [number, variant] of bundle.variants.entries()) {
    const input = toInput(bundle, variant, pixels);
    try {
      const begun = performance.now();
      const model = (models[variant.name] = await Model.compile(files[variant.name], threads));
      const loaded = performance.now();
      model.show(input);
      const outputs = model.run();
      const ended = performance.now();
      free(outputs);
      compiled(variant, number + 1, (loaded - begun) / 1000, (ended - loaded) / 1000);
    } catch (error) {
      throw new Error(`${variant.name}: ${error.message}`);
    }
  }
  return models;
}

/** Send the outputs for all pictures, a chunk after the other; the next one is fetched meanwhile. */
async function drift(bundle, models, id, tell) {
  const chunks = Math.ceil(bundle.pictures / bundle.chunk);
  let next = bytes("/pictures/0");
  for (let chunk = 0; chunk < chunks; chunk++) {
    const pixels = await next;
    if (chunk + 1 < chunks) {
      next = bytes(`/pictures/${chunk + 1}`);
      next.catch(() => {}); // told when its turn comes
    }
    const answers = bundle.variants.map(async variant => {
      const scores = outputs(bundle, variant, models[variant.name], pixels);
      const path = `/runs/${id}/scores/${encodeURIComponent(variant.name)}/${chunk}`;
      tell({ variant: variant.name, ...(await sendBytes(path, scores)) });
    });
    await Promise.all(answers);
    const done = Math.min((chunk + 1) * bundle.chunk, bundle.pictures);
    tell({ done: done / bundle.pictures, detail: `image ${done} of ${bundle.pictures}` });
  }
}

/** The model's outputs for uint8 pictures (n, height, width, channels), as bytes of (n, classes). */
function outputs(bundle, variant, model, pixels) {
  const size = bundle.height * bundle.width * bundle.channels;
  const count = pixels.length / size;
  let scores;
  for (let at = 0; at < count; at += bundle.batch) {
    const some = Math.min(bundle.batch, count - at);
    model.show(toInput(bundle, variant, pixels.subarray(at * size, (at + some) * size)));
    const output = model.output();
    const row = output.length / bundle.batch;
    scores ??= new Uint8Array(count * row);
    scores.set(output.subarray(0, some * row), at * row);
  }
  return scores;
}

/** What every model is shown while it is timed: the same bytes each time, by Marsaglia's xorshift (2003). */
function noise(count) {
  let state = 2463534242;
  return Uint8Array.from({ length: count }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 255;
  });
}
