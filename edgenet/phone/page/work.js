// A worker, and what it is asked.

/** Start a fresh worker. progress: told what a task says before it ends. */
export function open(progress = () => {}) {
  const worker = new Worker("/page/worker.js");
  const waiting = new Map();
  let last = 0, closed = false;
  const fail = message => {
    for (const { reject } of waiting.values()) reject(new Error(message));
    waiting.clear();
  };
  worker.onmessage = ({ data }) => {
    if (data.progress) return progress(data.progress);
    const asked = waiting.get(data.number);
    waiting.delete(data.number);
    if (data.error === undefined) asked?.resolve(data.result);
    else asked?.reject(new Error(data.error));
  };
  worker.onerror = event => {
    event.preventDefault();
    fail(
      event.message
        ? `What runs the models failed: ${event.message}`
        : "What runs the models cannot be loaded; is `edgenet serve` still running?",
    );
  };
  return {
    /** What the task gives. transfer: buffers that go over without a copy. */
    ask(task, parameters, transfer = []) {
      if (closed) return Promise.reject(new Error(STOPPED));
      return new Promise((resolve, reject) => {
        waiting.set(++last, { resolve, reject });
        worker.postMessage({ number: last, task, ...parameters }, transfer);
      });
    },
    /** End it, whatever it does; who waits learns that it was stopped. */
    close() {
      closed = true;
      worker.terminate();
      fail(STOPPED);
    },
  };
}

export const STOPPED = "stopped";
