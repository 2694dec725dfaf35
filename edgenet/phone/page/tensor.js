// From pixels to a model's input, and from its output to scores.

const ARRAYS = { float32: Float32Array, uint8: Uint8Array, int8: Int8Array };

/** uint8 pictures (n, height, width, channels), n <= batch, as a full input tensor; the last picture fills the rest,
 * as on the laptop. The variant's table has the value of each pixel, for each channel in RGB order. */
export function toInput(bundle, variant, pixels) {
  const { channels, order, batch } = bundle;
  const size = bundle.height * bundle.width * channels;
  const { dtype, table } = variant.input;
  const values = new ARRAYS[dtype](batch * size);
  for (let channel = 0; channel < channels; channel++) {
    const column = ARRAYS[dtype].from(table[channel]);
    const place = order === "BGR" ? channels - 1 - channel : channel;
    for (let at = 0; at < pixels.length; at += channels) values[at + place] = column[pixels[at + channel]];
  }
  const last = values.subarray(pixels.length - size, pixels.length);
  for (let at = pixels.length; at < values.length; at += size) values.set(last, at);
  return new Uint8Array(values.buffer);
}

/** The scores of the first picture of an output tensor. */
export function toScores(bundle, variant, bytes) {
  const { dtype, scale, zero_point: zero } = variant.output;
  const values = new ARRAYS[dtype](bytes.buffer, bytes.byteOffset, bundle.classes);
  return Array.from(values, value => (scale ? scale * (value - zero) : value));
}

/** The best classes, best first; among equals the lowest index. */
export function top(scores, count) {
  const places = scores.map((_, place) => place);
  return places.sort((one, other) => scores[other] - scores[one] || one - other).slice(0, count);
}

export function softmax(logits) {
  const most = logits.reduce((one, other) => Math.max(one, other));
  const powers = logits.map(logit => Math.exp(logit - most));
  const sum = powers.reduce((one, other) => one + other);
  return powers.map(power => power / sum);
}
