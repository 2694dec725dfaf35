// What the page shows of one classified image.

import { element } from "./variants.js";

export const TOP = 3;

const find = id => document.getElementById(id);

/** Show the best classes, each {label, score}, and a text after the first one's score. */
export function showAnswer(bundle, best, text) {
  const name = ({ label }) => bundle.labels[label] ?? `class ${label}`;
  const percent = ({ score }) =>
    ["softmax", "logits"].includes(bundle.scores) ? `${(100 * score).toFixed(1)}%` : score.toPrecision(3);
  find("label").textContent = name(best[0]);
  find("numbers").textContent = `${percent(best[0])}, ${text}`;
  find("best").replaceChildren(
    ...best.map(top => element("li", "", element("bdi", name(top)), " ", element("span", percent(top)))),
  );
}

export function clearAnswer() {
  for (const id of ["label", "numbers", "best"]) find(id).replaceChildren();
}

/** Show the pixels that the model gets (height, width, channels). */
export function showInput({ height, width, channels }, pixels) {
  const canvas = find("input");
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  for (let from = 0, to = 0; from < pixels.length; from += channels, to += 4) {
    for (let channel = 0; channel < 3; channel++) image.data[to + channel] = pixels[from + (channel % channels)];
    image.data[to + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Place the frame around a part of an image of height x width; without one, all of it counts. */
export function showFrame(part, height, width) {
  const percent = (value, whole) => `${(100 * value) / whole}%`;
  find("frame").hidden = part.width >= width && part.height >= height;
  Object.assign(find("frame").style, {
    left: percent(part.left, width),
    top: percent(part.top, height),
    width: percent(part.width, width),
    height: percent(part.height, height),
  });
}

/** What the model gets of an image, in a sentence. */
export function cutSentence({ height, width, resize }) {
  const size = `${width} x ${height} pixels`;
  const sentences = {
    crop: `The model gets what's inside the frame, resized to ${size}.`,
    stretch: `The model gets the whole image, stretched to ${size}.`,
    pad: `The model gets the whole image, padded to ${size}.`,
  };
  return sentences[resize.mode];
}
