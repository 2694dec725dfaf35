// LiteRT.js: one .tflite file, bytes in and bytes out. For a worker that lives as long as its models.

import { loadLiteRt, supportsFeature } from "/litert/core.js";

const FOLDER = "/litert/wasm/";
let liteRt;
// What the runtime last wrote of errors.
let complaint = "";

/** Which numbers of threads can be used here, of those wanted; and, where there is only one, why. */
export async function possibleThreads(wanted) {
  const cores = navigator.hardwareConcurrency || 1;
  const threads = wanted ?? [1, Math.min(4, cores)];
  const why = !self.crossOriginIsolated
    ? "the page is not isolated; open it over https or localhost"
    : !(await supportsFeature("relaxedSimd")) || !(await supportsFeature("threads"))
      ? "this browser lacks WebAssembly's relaxed SIMD or its threads, and LiteRT.js needs both"
      : cores === 1
        ? "the browser tells of one core"
        : null;
  if (why) return { threads: [1], why };
  const possible = [...new Set(threads)].filter(count => count <= cores).sort((one, other) => one - other);
  return { threads: possible.length ? possible : [1], why: null };
}

/** Load the runtime, once in a worker. helpers: threads, beside this one, that all models will ever need together. */
export async function start(helpers) {
  // LiteRT.js asks for a WebGPU device when it loads, and warns where there is none. Only the CPU is measured here.
  const adapter = { limits: {}, features: new Set(), requestDevice: async () => null };
  define("gpu", { requestAdapter: async () => adapter });
  if (helpers) {
    // It makes a pool of as many threads as there are cores. Beyond those it hangs, waiting for a thread that cannot
    // start before it returns; and each model keeps threads of its own.
    define("hardwareConcurrency", Math.max(helpers, navigator.hardwareConcurrency));
  }
  self.Module = {
    locateFile: name => FOLDER + name,
    // Threads would load this worker's own script.
    mainScriptUrlOrBlob: `${FOLDER}litert_wasm_threaded_internal.js`,
    print: () => {},
    // It writes of what goes well here, too.
    printErr: text => {
      if (/^(ERROR|FATAL)/.test(text)) complaint = text;
    },
  };
  liteRt = await loadLiteRt(FOLDER, { threads: helpers > 0 });
}

function define(name, value) {
  Object.defineProperty(navigator, name, { configurable: true, value });
}

/**
 * A compiled model with its input, on `threads` threads. It calls what LiteRT.js' own CompiledModel and Tensor call:
 * those know no int8 tensors, and make more objects for each inference.
 */
export class Model {
  #compiled;
  #input;
  #model;
  #weights;

  static async compile(bytes, threads) {
    const wasm = liteRt.liteRtWasm;
    const environment = liteRt.getDefaultEnvironment();
    const made = new Model();
    complaint = "";
    try {
      made.#weights = wasm._malloc(bytes.length);
      wasm.HEAPU8.set(bytes, made.#weights);
      made.#model = wasm.loadModel(environment.liteRtEnvironment, made.#weights, bytes.length);
      const cpuOptions = { numThreads: threads };
      const options = { environment, accelerator: "wasm", cpuOptions, gpuOptions: {}, webNNOptions: {} };
      made.#compiled = await wasm.compileModel(environment.liteRtEnvironment, made.#model, options);
      const type = made.#model.getInputTensorType(0, 0);
      const memory = wasm.LiteRtTensorBufferType.HOST_MEMORY;
      made.#input = wasm.LiteRtTensorBuffer.createManaged(environment.liteRtEnvironment, memory, type, type.bytes());
      type.delete();
    } catch (error) {
      throw new Error(`LiteRT.js cannot load it: ${complaint || error.message || error}`);
    }
    return made;
  }

  /** Set the input: the bytes of the whole tensor. */
  show(bytes) {
    const wasm = liteRt.liteRtWasm;
    if (bytes.length !== this.#input.packedSize()) {
      throw new Error(`expected an input of ${this.#input.packedSize()} bytes, found ${bytes.length}`);
    }
    wasm.HEAPU8.set(bytes, this.#input.lock(wasm.LiteRtTensorBufferLockMode.WRITE));
    this.#input.unlock();
  }

  /** One inference on what was last shown. Gives the outputs, to be freed. */
  run() {
    return this.#compiled.run(0, [this.#input]);
  }

  /** Run once. Gives the bytes of the output. */
  output() {
    const wasm = liteRt.liteRtWasm;
    const outputs = this.run();
    const at = outputs[0].lock(wasm.LiteRtTensorBufferLockMode.READ);
    const bytes = wasm.HEAPU8.slice(at, at + outputs[0].packedSize());
    outputs[0].unlock();
    free(outputs);
    return bytes;
  }

  delete() {
    this.#input.delete();
    this.#compiled.delete();
    this.#model.delete();
    liteRt.liteRtWasm._free(this.#weights);
  }
}

export function free(outputs) {
  for (const output of outputs) output.delete();
}
