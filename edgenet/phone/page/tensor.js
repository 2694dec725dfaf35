// From pixels to a model's input, and from its output to scores.

const ARRAYS = { float32: Float32Array, uint8: Uint8Array, int8: Int8Array };

/**
 * uint8 images (n, height, width, channels), n <= batch, as an input tensor; the last image fills the batch, as on the
 * laptop. pixel_values has the input value of each pixel value, for each channel in RGB order.
 */
export function toInput(bundle, variant, pixels) {
  const { channels, order, batch } = bundle;
  const size = bundle.height * bundle.width * channels;
  const { dtype, pixel_values: pixelValues } = variant.input;
  const values = new ARRAYS[dtype](batch * size);
  for (let channel = 0; channel < channels; channel++) {
    const column = ARRAYS[dtype].from(pixelValues[channel]);
    const position = order === "BGR" ? channels - 1 - channel : channel;
    for (let at = 0; at < pixels.length; at += channels) values[at + position] = column[pixels[at + channel]];
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
