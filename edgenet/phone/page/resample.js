// Images of any size become the model's size: the arithmetic of edgenet/images/preprocess.py, which is Pillow's where
// Pillow has the recipe's interpolation, and TensorFlow's otherwise. What a canvas does is specified nowhere. That of
// Chromium differs from the recipes by up to 3 of 255 on average, by 8 on single photos, and by 100 at edges. Here the
// largest difference is 1, since Pillow may resize tall images vertically first, and rounds in between; it is 6 at some
// edges with its bicubic kernel, whose values are clipped there, too.

// Of the weights that Pillow computes with: integers with this many bits after the binary point (its Resample.c).
const PRECISION_BITS = 22;
// Added before a number is cut to an integer.
const HALF = 2 ** (PRECISION_BITS - 1);
// Of Keys' cubic convolution kernel, as TensorFlow and Pillow have it (R. Keys, IEEE TASSP 29(6), 1981).
const KEYS = -0.5;
// TensorFlow looks the cubic kernel up in a table with so many positions between two pixels.
const CUBIC_POSITIONS = 1024;
const HALF_WIDTHS = { bilinear: 1, bicubic: 2 };

const { fround, floor, ceil, min, max, abs, trunc } = Math;
const clamp = (value, low, high) => min(max(value, low), high);

/** The nearest integer; of two, the even one, as in Python. */
function toEven(value) {
  const lower = floor(value), rest = value - lower;
  return rest < 0.5 || (rest === 0.5 && lower % 2 === 0) ? lower : lower + 1;
}

/** Pixels as uint8: rounded to the nearest integer, of two to the even one, where they are not integers. */
export function rounded(pixels) {
  if (pixels instanceof Uint8Array) return pixels;
  const result = new Uint8Array(pixels.length);
  for (let at = 0; at < pixels.length; at++) result[at] = clamp(toEven(pixels[at]), 0, 255);
  return result;
}

/**
 * How an image of height x width is resized. Returns the size of the whole image after that, and of it the part that is
 * kept: its first row and column, and its size. All are pairs: height, width.
 */
export function geometry({ height, width, resize }, imageHeight, imageWidth) {
  const size = [height, width], image = [imageHeight, imageWidth];
  if (resize.mode === "stretch") return { covered: size, first: [0, 0], kept: size };
  if (resize.mode === "pad") {
    const scale = min(height / imageHeight, width / imageWidth);
    const fitted = image.map((side, axis) => clamp(toEven(side * scale), 1, size[axis]));
    return { covered: fitted, first: [0, 0], kept: fitted };
  }
  const least = size.map(side => toEven(side / resize.crop));
  const scale = max(least[0] / imageHeight, least[1] / imageWidth);
  const covered = image.map((side, axis) => max(least[axis], toEven(side * scale)));
  return { covered, first: covered.map((side, axis) => floor((side - size[axis]) / 2)), kept: size };
}

/** The part of an image that the model gets, in pixels of the image. */
export function cut(recipe, height, width) {
  const { covered, first, kept } = geometry(recipe, height, width);
  const part = (side, axis) => (side * [height, width][axis]) / covered[axis];
  return { top: part(first[0], 0), left: part(first[1], 1), height: part(kept[0], 0), width: part(kept[1], 1) };
}

/** Resizes one image of height x width, which is given a few rows at a time. */
export class Resampler {
  #recipe;
  #kept;
  #rows;
  #columns;
  #fixedPoint;
  #isNeeded;
  #narrow;

  constructor(recipe, height, width) {
    const { covered, first, kept } = geometry(recipe, height, width);
    const taps = axis => tapsOf(recipe.resize, [height, width][axis], covered[axis], first[axis], kept[axis]);
    this.#recipe = recipe;
    this.#kept = kept;
    this.#rows = taps(0);
    this.#columns = taps(1);
    this.#fixedPoint = isAntialiased(recipe.resize);
    /** The rows and columns of the image that are needed, from `top` and `left` up to `bottom` and `right`. */
    [this.top, this.bottom] = extent(this.#rows);
    [this.left, this.right] = extent(this.#columns);
    this.#isNeeded = new Uint8Array(this.bottom - this.top);
    this.#rows.weights.forEach((weight, at) => {
      const { first, count } = this.#rows;
      if (weight) this.#isNeeded[first[floor(at / count)] + (at % count) - this.top] = 1;
    });
    // The needed rows, as wide as the result.
    this.#narrow = new Float32Array(this.#isNeeded.length * kept[1] * recipe.channels);
  }

  /** Add rows of the image, from row `top`: their columns from `left` to `right`, RGBA (rows, columns, 4). */
  add(rgba, top) {
    const { channels } = this.#recipe, width = this.right - this.left, length = this.#kept[1] * channels;
    const grey = new Uint8ClampedArray(width), first = this.#columns.first.map(column => column - this.left);
    const narrowRow = channels === 3 ? narrowColours : narrowGrey;
    for (let row = 0; row < rgba.length / (4 * width); row++) {
      const at = top + row - this.top;
      if (!this.#isNeeded[at]) continue;
      let source = rgba.subarray(4 * row * width, 4 * (row + 1) * width);
      if (channels === 1) source = luma(source, grey);
      narrowRow(source, { ...this.#columns, first }, this.#fixedPoint, this.#narrow.subarray(at * length));
    }
  }

  /** The result once all rows were added: (height, width, channels), uint8 or float32 as recipe.pixels says. */
  pixels() {
    const { height, width, channels, resize, pixels: dtype } = this.#recipe, { first, count, weights } = this.#rows;
    const result = new Float32Array(height * width * channels);
    if (resize.mode === "pad") {
      const colour = channels === 3 ? resize.pad : luma(resize.pad, [0]);
      for (let at = 0; at < result.length; at++) result[at] = colour[at % channels];
    }
    const [keptHeight, keptWidth] = this.#kept, length = keptWidth * channels;
    const top = floor((height - keptHeight) / 2), left = floor((width - keptWidth) / 2);
    const sums = new Float64Array(length), narrow = this.#narrow, fixedPoint = this.#fixedPoint;
    for (let row = 0; row < keptHeight; row++) {
      sums.fill(fixedPoint ? HALF : 0);
      for (let tap = 0; tap < count; tap++) {
        const weight = weights[row * count + tap], from = (first[row] + tap - this.top) * length;
        if (weight) for (let at = 0; at < length; at++) sums[at] += weight * narrow[from + at];
      }
      const to = ((top + row) * width + left) * channels;
      for (let at = 0; at < length; at++) {
        result[to + at] = fixedPoint ? shifted(sums[at]) : sums[at];
      }
    }
    return dtype === "uint8" ? rounded(result) : result;
  }
}

/** Resize a row of RGBA values into RGB values. fixedPoint: whether weights are integers, as Pillow's. */
function narrowColours(source, { first, count, weights }, fixedPoint, result) {
  const bias = fixedPoint ? HALF : 0;
  for (let column = 0, to = 0; column < first.length; column++, to += 3) {
    let red = bias, green = bias, blue = bias;
    for (let tap = column * count, end = tap + count, at = 4 * first[column]; tap < end; tap++, at += 4) {
      const weight = weights[tap];
      red += weight * source[at];
      green += weight * source[at + 1];
      blue += weight * source[at + 2];
    }
    result[to] = fixedPoint ? shifted(red) : red;
    result[to + 1] = fixedPoint ? shifted(green) : green;
    result[to + 2] = fixedPoint ? shifted(blue) : blue;
  }
}

/** Resize a row of grey values, likewise. */
function narrowGrey(source, { first, count, weights }, fixedPoint, result) {
  for (let column = 0; column < first.length; column++) {
    let sum = fixedPoint ? HALF : 0;
    for (let tap = column * count, end = tap + count, at = first[column]; tap < end; tap++, at++) {
      sum += weights[tap] * source[at];
    }
    result[column] = fixedPoint ? shifted(sum) : sum;
  }
}

/** The integer of a number with PRECISION_BITS after the binary point. */
function shifted(sum) {
  return clamp(sum >> PRECISION_BITS, 0, 255);
}

/** ITU-R 601-2 luma, as Pillow computes it, of RGBA values; one for each element of `grey`. */
function luma(rgba, grey) {
  for (let at = 0, from = 0; at < grey.length; at++, from += 4) {
    grey[at] = (19595 * rgba[from] + 38470 * rgba[from + 1] + 7471 * rgba[from + 2] + 0x8000) >> 16;
  }
  return grey;
}

function isAntialiased({ antialias, interpolation }) {
  return antialias && interpolation in HALF_WIDTHS;
}

/** The first needed pixel in one direction, and the one after the last. */
function extent({ first, count }) {
  return [first.reduce((one, other) => min(one, other)), first.reduce((one, other) => max(one, other)) + count];
}

/**
 * The input pixels that each output pixel is made of, in one direction: `count` pixels from `first`, and their weights
 * (outputs, count). size: of the input. covered: of the whole output, of which `kept` pixels from `start` are computed.
 */
function tapsOf(resize, size, covered, start, kept) {
  const { interpolation, half_pixel_centers: isHalf } = resize;
  const pillows = box(size, covered, start, kept);
  if (isAntialiased(resize)) return gathered(size, antialiasedTaps(interpolation, size, ...pillows));
  if (interpolation === "nearest" && isHalf && resize.rounded) return gathered(size, nearestTaps(...pillows));
  const taps = tensorflowTaps(resize, size, covered);
  return gathered(size, Array.from({ length: kept }, (_, number) => taps(start + number)));
}

/** As Pillow gets it: where the kept part begins in the input, how far output pixels are apart there, and how many. */
function box(size, covered, start, kept) {
  const across = size / covered;
  const [begin, end] = [fround(start * across), fround(min((start + kept) * across, size))];
  return [begin, fround(end - begin) / kept, kept];
}

/** Of outputs, each {first, weights}. What is beyond an edge counts as the pixel at the edge. */
function gathered(size, outputs) {
  const count = min(size, outputs.reduce((most, { weights }) => max(most, weights.length), 0));
  const first = Int32Array.from(outputs, output => clamp(output.first, 0, size - count));
  const weights = new Float64Array(outputs.length * count);
  outputs.forEach((output, number) => {
    output.weights.forEach((weight, tap) => {
      weights[number * count + clamp(output.first + tap, 0, size - 1) - first[number]] += weight;
    });
  });
  return { first, count, weights };
}

/** Pillow's nearest neighbours (ImagingScaleAffine in its Geometry.c), which adds positions up. */
function nearestTaps(begin, scale, kept) {
  let position = begin + scale / 2;
  return Array.from({ length: kept }, () => {
    const first = floor(position);
    position += scale;
    return { first, weights: [1] };
  });
}

/** Pillow's (precompute_coeffs in its Resample.c): the kernel is as much wider as the image becomes smaller. */
function antialiasedTaps(interpolation, size, begin, scale, kept) {
  const stretched = max(scale, 1);
  const halfWidth = HALF_WIDTHS[interpolation] * stretched;
  const kernel = interpolation === "bilinear" ? distance => max(0, 1 - distance) : keys;
  return Array.from({ length: kept }, (_, number) => {
    const centre = begin + (number + 0.5) * scale;
    const first = max(0, trunc(centre - halfWidth + 0.5));
    const last = min(size, trunc(centre + halfWidth + 0.5));
    const weights = [];
    for (let at = first; at < last; at++) weights.push(kernel(abs((at - centre + 0.5) / stretched)));
    const sum = weights.reduce((total, weight) => total + weight);
    // Rounded half away from zero.
    const integer = value => trunc(value * 2 ** PRECISION_BITS + (value < 0 ? -0.5 : 0.5));
    return { first, weights: weights.map(weight => integer(weight / sum)) };
  });
}

/** TensorFlow's, which computes positions with float32: they decide on which side of an integer one is. */
function tensorflowTaps({ interpolation, half_pixel_centers: isHalf }, size, covered) {
  const scale = fround(fround(size) / fround(covered));
  return number => {
    if (interpolation === "area") return areaTaps(number, scale);
    const position = isHalf ? fround(fround(fround(number + 0.5) * scale) - 0.5) : fround(number * scale);
    if (interpolation === "nearest") return { first: floor(fround(position + (isHalf ? 0.5 : 0))), weights: [1] };
    const lower = floor(position), fraction = fround(position - lower);
    if (interpolation === "bilinear") return { first: lower, weights: [1 - fraction, fraction] };
    return cubicTaps(size, lower, toEven(fraction * CUBIC_POSITIONS) / CUBIC_POSITIONS);
  };
}

/** Of bicubic interpolation; input pixels beyond the edge do not count. */
function cubicTaps(size, lower, fraction) {
  const isInside = offset => lower + offset >= 0 && lower + offset < size;
  const weights = [-1, 0, 1, 2].map(offset => (isInside(offset) ? keys(abs(fraction - offset)) : 0));
  const sum = weights.reduce((total, weight) => total + weight);
  return { first: lower - 1, weights: weights.map(weight => fround(weight / sum)) };
}

/** Each input pixel counts as much as the output pixel covers of it. */
function areaTaps(number, scale) {
  const start = fround(number * scale), end = fround(fround(number + 1) * scale), first = floor(start), weights = [];
  for (let at = first; at < end; at++) {
    const isAll = at < start && at + 1 > end;
    weights.push(isAll ? 1 : fround(fround(min(end, at + 1) - max(start, at)) / scale));
  }
  return { first, weights };
}

/** Keys' cubic convolution kernel. */
function keys(distance) {
  if (distance < 1) return ((KEYS + 2) * distance - (KEYS + 3)) * distance * distance + 1;
  return distance < 2 ? (((distance - 5) * distance + 8) * distance - 4) * KEYS : 0;
}
