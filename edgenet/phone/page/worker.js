// Runs models, so that the page stays responsive. A classic worker, since LiteRT.js loads its WebAssembly with
// importScripts, which module workers do not have. Each benchmark and each camera has its own, and ending it frees all
// memory.
//
// Receives {task, number, ...}. Sends {progress}, and then {number, result} or {number, error}.

const tasks = import("./tasks.js");

self.onmessage = async ({ data: { number, task, ...parameters } }) => {
  try {
    const functions = await tasks;
    const result = await functions[task](parameters, progress => self.postMessage({ progress }));
    self.postMessage({ number, result });
  } catch (error) {
    self.postMessage({ number, error: error?.message || String(error) });
  }
};
