// Calls of a worker.

/** Start a new worker. progress: called with what a task reports. */
export function openWorker(progress = () => {}) {
  const worker = new Worker("/page/worker.js");
  const waiting = new Map();
  let last = 0, closed = false;
  const fail = message => {
    for (const { reject } of waiting.values()) reject(new Error(message));
    waiting.clear();
  };
  worker.onmessage = ({ data }) => {
    if (data.progress) return progress(data.progress);
    const call = waiting.get(data.number);
    waiting.delete(data.number);
    if (data.error === undefined) call?.resolve(data.result);
    else call?.reject(new Error(data.error));
  };
  worker.onerror = event => {
    event.preventDefault();
    fail(
      event.message
        ? `The models could not be run: ${event.message}`
        : "The worker that runs the models cannot be loaded. Is `edgenet serve` still running?",
    );
  };
  return {
    /** Run a task and return its result. transfer: buffers that are moved, not copied. */
    call(task, parameters, transfer = []) {
      if (closed) return Promise.reject(new Error(STOPPED));
      return new Promise((resolve, reject) => {
        waiting.set(++last, { resolve, reject });
        worker.postMessage({ number: last, task, ...parameters }, transfer);
      });
    },
    /** End the worker. Running calls fail with the message STOPPED. */
    close() {
      closed = true;
      worker.terminate();
      fail(STOPPED);
    },
  };
}

export const STOPPED = "stopped";
