// From pixels to a model's input, and from its output to scores.

import { rounded } from "./resample.js";

const ARRAYS = { float32: Float32Array, uint8: Uint8Array, int8: Int8Array };

/** The bytes of images from the laptop, as pixels: uint8 or float32, as the recipe says. */
export function toPixels({ pixels }, bytes) {
  return pixels === "float32" ? new Float32Array(bytes.buffer) : bytes;
}

/**
 * uint8 or float32 images (n, height, width, channels), n <= batch, as an input tensor; the last image fills the batch,
 * as on the laptop. Float inputs are (pixel - mean) / std. Others have rounded pixels, of which pixel_values has the
 * input value of each, for each channel in RGB order.
 */
export function toInput(bundle, variant, pixels) {
  const { channels, order, batch, mean, std } = bundle;
  const size = bundle.height * bundle.width * channels;
  const { dtype, pixel_values: pixelValues } = variant.input;
  const values = new ARRAYS[dtype](batch * size);
  const isFloat = dtype === "float32" && pixels instanceof Float32Array;
  const levels = isFloat ? pixels : rounded(pixels);
  for (let channel = 0; channel < channels; channel++) {
    const position = order === "BGR" ? channels - 1 - channel : channel;
    if (isFloat) {
      // Each step in float32, as on the laptop.
      const [centre, scale] = [Math.fround(mean[channel]), Math.fround(std[channel])];
      for (let at = channel; at < levels.length; at += channels) {
        values[at - channel + position] = Math.fround(levels[at] - centre) / scale;
      }
    } else {
      const column = ARRAYS[dtype].from(pixelValues[channel]);
      for (let at = 0; at < levels.length; at += channels) values[at + position] = column[levels[at + channel]];
    }
  }
  const last = values.subarray(pixels.length - size, pixels.length);
  for (let at = pixels.length; at < values.length; at += size) values.set(last, at);
  return new Uint8Array(values.buffer);
}

/** The scores of the first image of an output tensor. */
export function toScores(bundle, variant, bytes) {
  const { dtype, scale, zero_point: zero } = variant.output;
  const values = new ARRAYS[dtype](bytes.buffer, bytes.byteOffset, bundle.classes);
  return Array.from(values, value => (scale ? scale * (value - zero) : value));
}

/** The classes with the highest scores, highest first; ties go to the lowest class index. */
export function rank(scores, count) {
  const classes = scores.map((_, index) => index);
  return classes.sort((first, second) => scores[second] - scores[first] || first - second).slice(0, count);
}

export function softmax(logits) {
  const largest = logits.reduce((first, second) => Math.max(first, second));
  const powers = logits.map(logit => Math.exp(logit - largest));
  const sum = powers.reduce((total, power) => total + power);
  return powers.map(power => power / sum);
}
