// The camera: what it sees, classified picture by picture.

import { element } from "./variants.js";
import { milliseconds } from "./numbers.js";
import { open } from "./work.js";

const BEST = 3;
// Of the last so many pictures, the median time and the rate are shown.
const RECENT = 15;

const find = id => document.getElementById(id);

/** One look through the camera, until `stop`. ended: told why, in a sentence, when it ends by itself. */
export class Camera {
  #bundle;
  #worker;
  #stream;
  #stopped = false;
  #ended;

  /** Raises an Error with a sentence for the user. */
  static async start(bundle, variant, threads, ended) {
    const camera = new Camera();
    camera.#bundle = bundle;
    camera.#ended = ended;
    try {
      camera.#stream = await stream();
      camera.#worker = open();
      for (const track of camera.#stream.getTracks()) {
        track.onended = () => camera.#end("The camera was taken away; start it again.");
      }
      const video = find("video");
      video.srcObject = camera.#stream;
      await Promise.all([video.play(), camera.#worker.ask("load", { bundle, variant, threads })]);
    } catch (error) {
      camera.stop();
      throw error;
    }
    camera.#look();
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
    this.#ended(sentence);
  }

  async #look() {
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
        const cut = seen(video, this.#bundle);
        frame(video, cut);
        context.imageSmoothingEnabled = true;
        context.imageSmoothingQuality = "high";
        context.drawImage(video, cut.left, cut.top, cut.width, cut.height, 0, 0, width, height);
        const pixels = toPixels(context.getImageData(0, 0, width, height).data, channels);
        const found = await this.#worker.ask("classify", { pixels, count: BEST }, [pixels.buffer]);
        seconds.push(found.seconds);
        moments.push(performance.now());
        if (seconds.length > RECENT) seconds.shift();
        if (moments.length > RECENT) moments.shift();
        this.#show(found.best, seconds, moments);
      }
    } catch (error) {
      this.#end(error.message);
    }
  }

  #show(best, seconds, moments) {
    const name = ({ label }) => this.#bundle.labels[label] ?? `class ${label}`;
    const share = ({ score }) =>
      ["softmax", "logits"].includes(this.#bundle.scores) ? `${(100 * score).toFixed(1)} %` : score.toPrecision(3);
    find("label").textContent = name(best[0]);
    const typical = [...seconds].sort((one, other) => one - other)[seconds.length >> 1];
    const elapsed = moments.at(-1) - moments[0];
    const rate = elapsed ? `, ${((1000 * (moments.length - 1)) / elapsed).toFixed(1)} frames/s` : "";
    find("numbers").textContent = `${share(best[0])}, ${milliseconds(typical)} ms${rate}`;
    find("best").replaceChildren(
      ...best.map(one => element("li", "", element("bdi", name(one)), " ", element("span", share(one)))),
    );
  }
}

async function stream() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error("The browser gives no camera to this page; open it over https or localhost.");
  }
  try {
    const video = { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } };
    return await navigator.mediaDevices.getUserMedia({ video, audio: false });
  } catch (error) {
    const reasons = {
      NotAllowedError: "The camera was refused; allow it for this page in the browser's settings, and start it again.",
      NotFoundError: "This device has no camera that the browser knows of.",
      NotReadableError: "Another app uses the camera; close it, and start the camera again.",
    };
    throw new Error(reasons[error.name] ?? `The camera does not start: ${error.message}`);
  }
}

function nextFrame(video) {
  return new Promise(resolve => {
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(resolve);
    else requestAnimationFrame(resolve);
  });
}

/** The part of the video that the model sees, in its pixels: of the model's proportions, in the centre. */
function seen(video, { width, height, crop = 1 }) {
  const scale = crop * Math.min(video.videoWidth / width, video.videoHeight / height);
  const [across, down] = [scale * width, scale * height];
  return { left: (video.videoWidth - across) / 2, top: (video.videoHeight - down) / 2, width: across, height: down };
}

function frame(video, { left, top, width, height }) {
  const percent = (part, whole) => `${(100 * part) / whole}%`;
  Object.assign(find("frame").style, {
    left: percent(left, video.videoWidth),
    top: percent(top, video.videoHeight),
    width: percent(width, video.videoWidth),
    height: percent(height, video.videoHeight),
  });
}

/** RGBA as pixels for a model: RGB, or ITU-R 601-2 luma, as Pillow computes it. */
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
