// Where models run, so that the page stays alive. A classic worker: LiteRT.js loads its WebAssembly with importScripts,
// which module workers refuse. Each benchmark and each camera gets a fresh one, and its end frees all memory.
//
// In: {task, number, ...}. Out: {number, result} or {number, error}, and {progress} before.

const tasks = import("./tasks.js");

self.onmessage = async ({ data: { number, task, ...parameters } }) => {
  try {
    const known = await tasks;
    const result = await known[task](parameters, progress => self.postMessage({ progress }));
    self.postMessage({ number, result });
  } catch (error) {
    self.postMessage({ number, error: error?.message || String(error) });
  }
};
