// The camera: classifies one frame after the other.

import { element } from "./variants.js";
import { milliseconds } from "./numbers.js";
import { openWorker } from "./work.js";

const TOP = 3;
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
    const { width, height, channels } = this.#bundle;
    const canvas = element("canvas");
    Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const video = find("video");
    const seconds = [], moments = [];
    try {
      while (!this.#stopped) {
        await nextFrame(video);
        if (this.#stopped || !video.videoWidth) continue;
        const crop = modelCrop(video, this.#bundle);
        drawFrame(video, crop);
        context.imageSmoothingEnabled = true;
        context.imageSmoothingQuality = "high";
        context.drawImage(video, crop.left, crop.top, crop.width, crop.height, 0, 0, width, height);
        const pixels = toPixels(context.getImageData(0, 0, width, height).data, channels);
        const result = await this.#worker.call("classify", { pixels, count: TOP }, [pixels.buffer]);
        seconds.push(result.seconds);
        moments.push(performance.now());
        if (seconds.length > RECENT_FRAMES) seconds.shift();
        if (moments.length > RECENT_FRAMES) moments.shift();
        this.#show(result.best, seconds, moments);
      }
    } catch (error) {
      this.#end(error.message);
    }
  }

  #show(best, seconds, moments) {
    const name = ({ label }) => this.#bundle.labels[label] ?? `class ${label}`;
    const percent = ({ score }) =>
      ["softmax", "logits"].includes(this.#bundle.scores) ? `${(100 * score).toFixed(1)}%` : score.toPrecision(3);
    find("label").textContent = name(best[0]);
    const typical = [...seconds].sort((first, second) => first - second)[seconds.length >> 1];
    const elapsed = moments.at(-1) - moments[0];
    const rate = elapsed ? `, ${((1000 * (moments.length - 1)) / elapsed).toFixed(1)} frames/s` : "";
    find("numbers").textContent = `${percent(best[0])}, ${milliseconds(typical)} ms${rate}`;
    find("best").replaceChildren(
      ...best.map(top => element("li", "", element("bdi", name(top)), " ", element("span", percent(top)))),
    );
  }
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

/** The centre crop of the video that the model gets, in pixels of the video. */
function modelCrop(video, { width, height, crop = 1 }) {
  const scale = crop * Math.min(video.videoWidth / width, video.videoHeight / height);
  const [across, down] = [scale * width, scale * height];
  return { left: (video.videoWidth - across) / 2, top: (video.videoHeight - down) / 2, width: across, height: down };
}

function drawFrame(video, { left, top, width, height }) {
  const percent = (part, whole) => `${(100 * part) / whole}%`;
  Object.assign(find("frame").style, {
    left: percent(left, video.videoWidth),
    top: percent(top, video.videoHeight),
    width: percent(width, video.videoWidth),
    height: percent(height, video.videoHeight),
  });
}

/** RGBA to RGB, or to ITU-R 601-2 luma as Pillow computes it. */
function toPixels(rgba, channels) {
  const count = rgba.length / 4;
  const pixels = new Uint8Array(count * channels);
  for (let at = 0; at < count; at++) {
    const [red, green, blue] = [rgba[4 * at], rgba[4 * at + 1], rgba[4 * at + 2]];
    if (channels === 1) pixels[at] = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16;
    else pixels.set([red, green, blue], 3 * at);
  }
  return pixels;
}
