// A photo: classifies one image file.

import { TOP, clearAnswer, showAnswer, showFrame, showInput } from "./answer.js";
import { PixelReader, decode } from "./images.js";
import { milliseconds } from "./numbers.js";
import { cut } from "./resample.js";
import { openWorker } from "./work.js";

// The photo that is shown has at most so many pixels on its longer side.
const MAX_SHOWN = 1280;

const find = id => document.getElementById(id);

/** Show a photo, classify it and show the classes. Throws an Error with a sentence for the user. */
export async function classifyPhoto(bundle, variant, threads, file) {
  const image = await decode(file, bundle.resize);
  let pixels;
  try {
    show(image);
    showFrame(cut(bundle, image.height, image.width), image.height, image.width);
    pixels = new PixelReader().read(image, image.height, image.width, bundle);
  } finally {
    image.close();
  }
  clearAnswer();
  showInput(bundle, pixels);
  const worker = openWorker();
  try {
    await worker.call("load", { bundle, variant, threads });
    const { best, seconds } = await worker.call("classify", { pixels, count: TOP });
    showAnswer(bundle, best, `${milliseconds(seconds)} ms`);
  } finally {
    worker.close();
  }
}

function show(image) {
  const canvas = find("photo-image"), scale = Math.min(1, MAX_SHOWN / Math.max(image.width, image.height));
  canvas.width = Math.max(1, Math.round(scale * image.width));
  canvas.height = Math.max(1, Math.round(scale * image.height));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
}
