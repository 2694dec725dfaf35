// The camera: classifies one frame after the other.

import { TOP, showAnswer, showFrame, showInput } from "./answer.js";
import { PixelReader } from "./images.js";
import { milliseconds } from "./numbers.js";
import { cut } from "./resample.js";
import { openWorker } from "./work.js";

// The median time and the frame rate are those of the last frames.
const RECENT_FRAMES = 15;

const find = id => document.getElementById(id);

/** The camera until `stop`. onEnd: called with a sentence when it ends by itself. */
export class Camera {
  #bundle;
  #worker;
  #stream;
  #stopped = false;
  #onEnd;

  /** Throws an Error with a sentence for the user. */
  static async start(bundle, variant, threads, onEnd) {
    const camera = new Camera();
    camera.#bundle = bundle;
    camera.#onEnd = onEnd;
    try {
      camera.#stream = await stream();
      camera.#worker = openWorker();
      for (const track of camera.#stream.getTracks()) {
        track.onended = () => camera.#end("The camera was disconnected. Start it again.");
      }
      const video = find("video");
      video.srcObject = camera.#stream;
      await Promise.all([video.play(), camera.#worker.call("load", { bundle, variant, threads })]);
    } catch (error) {
      camera.stop();
      throw error;
    }
    camera.#classifyFrames();
    return camera;
  }

  stop() {
    this.#stopped = true;
    for (const track of this.#stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    find("video").srcObject = null;
    this.#worker?.close();
  }

  #end(sentence) {
    if (this.#stopped) return;
    this.stop();
    this.#onEnd(sentence);
  }

  async #classifyFrames() {
    const bundle = this.#bundle, video = find("video"), reader = new PixelReader();
    const seconds = [], moments = [];
    try {
      while (!this.#stopped) {
        await nextFrame(video);
        const { videoWidth: width, videoHeight: height } = video;
        if (this.#stopped || !width) continue;
        showFrame(cut(bundle, height, width), height, width);
        const pixels = reader.read(video, height, width, bundle);
        showInput(bundle, pixels);
        const result = await this.#worker.call("classify", { pixels, count: TOP }, [pixels.buffer]);
        seconds.push(result.seconds);
        moments.push(performance.now());
        if (seconds.length > RECENT_FRAMES) seconds.shift();
        if (moments.length > RECENT_FRAMES) moments.shift();
        if (!this.#stopped) showAnswer(bundle, result.best, numbers(seconds, moments));
      }
    } catch (error) {
      this.#end(error.message);
    }
  }
}

/** The median time of an inference, and the frame rate. */
function numbers(seconds, moments) {
  const typical = [...seconds].sort((first, second) => first - second)[seconds.length >> 1];
  const elapsed = moments.at(-1) - moments[0];
  const rate = elapsed ? `, ${((1000 * (moments.length - 1)) / elapsed).toFixed(1)} frames/s` : "";
  return `${milliseconds(typical)} ms${rate}`;
}

async function stream() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error("The browser does not allow this page to use the camera. Open it over https or on localhost.");
  }
  try {
    const video = { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } };
    return await navigator.mediaDevices.getUserMedia({ video, audio: false });
  } catch (error) {
    const reasons = {
      NotAllowedError: "Camera access was denied. Allow it for this page in the browser's settings, then start it again.",
      NotFoundError: "The browser found no camera on this device.",
      NotReadableError: "Another app is using the camera. Close it, then start the camera again.",
    };
    throw new Error(reasons[error.name] ?? `The camera cannot be started: ${error.message}`);
  }
}

function nextFrame(video) {
  return new Promise(resolve => {
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(resolve);
    else requestAnimationFrame(resolve);
  });
}
