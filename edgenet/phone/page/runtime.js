// Runs a .tflite file with LiteRT.js: bytes in, bytes out. For a worker that is closed with its models.

import { loadLiteRt, supportsFeature } from "/litert/core.js";

const FOLDER = "/litert/wasm/";
let liteRt;
// The last error that the runtime printed.
let lastError = "";

/** The numbers of threads that this browser can use, of those wanted; and the reason if there is only one. */
export async function possibleThreads(wanted) {
  const cores = navigator.hardwareConcurrency || 1;
  const threads = wanted ?? [1, Math.min(4, cores)];
  const reason = !self.crossOriginIsolated
    ? "the page is not isolated; open it over https or on localhost"
    : !(await supportsFeature("relaxedSimd")) || !(await supportsFeature("threads"))
      ? "this browser does not support WebAssembly threads with relaxed SIMD, which LiteRT.js needs"
      : cores === 1
        ? "the browser reports one core"
        : null;
  if (reason) return { threads: [1], reason };
  const possible = [...new Set(threads)].filter(count => count <= cores).sort((first, second) => first - second);
  return { threads: possible.length ? possible : [1], reason: null };
}

/** Load the runtime, once in a worker. workerThreads: threads of all models together, in addition to this one. */
export async function loadRuntime(workerThreads) {
  // LiteRT.js asks for a WebGPU device when it loads, and warns where there is none. Only the CPU is measured here.
  const adapter = { limits: {}, features: new Set(), requestDevice: async () => null };
  define("gpu", { requestAdapter: async () => adapter });
  if (workerThreads) {
    // It creates a pool with one thread per core. With more threads than that it hangs, waiting for a thread that can
    // only start after it returns; and each model has its own threads.
    define("hardwareConcurrency", Math.max(workerThreads, navigator.hardwareConcurrency));
  }
  self.Module = {
    locateFile: name => FOLDER + name,
    // Without this, threads would load the script of this worker.
    mainScriptUrlOrBlob: `${FOLDER}litert_wasm_threaded_internal.js`,
    print: () => {},
    // Messages that are not errors are printed here, too.
    printErr: text => {
      if (/^(ERROR|FATAL)/.test(text)) lastError = text;
    },
  };
  liteRt = await loadLiteRt(FOLDER, { threads: workerThreads > 0 });
}

function define(name, value) {
  Object.defineProperty(navigator, name, { configurable: true, value });
}

/**
 * A compiled model with its input. It uses the functions below LiteRT.js' CompiledModel and Tensor, which do not support
 * int8 tensors and create more objects for each inference.
 */
export class Model {
  #compiled;
  #input;
  #model;
  #weights;

  static async compile(bytes, threads) {
    const wasm = liteRt.liteRtWasm;
    const environment = liteRt.getDefaultEnvironment();
    const compiled = new Model();
    lastError = "";
    try {
      compiled.#weights = wasm._malloc(bytes.length);
      wasm.HEAPU8.set(bytes, compiled.#weights);
      compiled.#model = wasm.loadModel(environment.liteRtEnvironment, compiled.#weights, bytes.length);
      const cpuOptions = { numThreads: threads };
      const options = { environment, accelerator: "wasm", cpuOptions, gpuOptions: {}, webNNOptions: {} };
      compiled.#compiled = await wasm.compileModel(environment.liteRtEnvironment, compiled.#model, options);
      const type = compiled.#model.getInputTensorType(0, 0);
      const memory = wasm.LiteRtTensorBufferType.HOST_MEMORY;
      compiled.#input = wasm.LiteRtTensorBuffer.createManaged(environment.liteRtEnvironment, memory, type, type.bytes());
      type.delete();
    } catch (error) {
      throw new Error(`LiteRT.js cannot load it: ${lastError || error.message || error}`);
    }
    return compiled;
  }

  /** Set the input: the bytes of the whole tensor. */
  setInput(bytes) {
    const wasm = liteRt.liteRtWasm;
    if (bytes.length !== this.#input.packedSize()) {
      throw new Error(`expected an input of ${this.#input.packedSize()} bytes, got ${bytes.length}`);
    }
    wasm.HEAPU8.set(bytes, this.#input.lock(wasm.LiteRtTensorBufferLockMode.WRITE));
    this.#input.unlock();
  }

  /** Run one inference on the current input. Returns the outputs, which the caller frees. */
  run() {
    return this.#compiled.run(0, [this.#input]);
  }

  /** Run one inference. Returns the bytes of the output. */
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
