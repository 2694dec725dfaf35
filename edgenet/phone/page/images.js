// The pixels of camera frames and photos, as the model gets them.

import { Resampler } from "./resample.js";

// Pixels that are read at a time; a photo has more.
const BAND_PIXELS = 2 ** 20;
// Markers in JPEG files (ITU-T T.81, table B.1).
const JPEG_START = 0xffd8, JPEG_SCAN = 0xffda, JPEG_APP1 = 0xffe1, JPEG_COMMENT = 0xfffe;

/** Reads pixels through one canvas. */
export class PixelReader {
  #canvas = document.createElement("canvas");
  #context = this.#canvas.getContext("2d", { willReadFrequently: true });

  /** The pixels of a video's frame or an ImageBitmap of height x width, resized by the recipe. */
  read(source, height, width, recipe) {
    const resampler = new Resampler(recipe, height, width);
    const { left, top, right, bottom } = resampler, columns = right - left;
    const rows = Math.max(1, Math.min(bottom - top, Math.floor(BAND_PIXELS / columns)));
    // A canvas becomes empty whenever its size is set.
    if (this.#canvas.width !== columns) this.#canvas.width = columns;
    if (this.#canvas.height !== rows) this.#canvas.height = rows;
    const context = this.#context, { background } = recipe.resize;
    context.imageSmoothingEnabled = false;
    context.fillStyle = background ? `rgb(${background.join(" ")})` : "";
    for (let row = top; row < bottom; row += rows) {
      const count = Math.min(rows, bottom - row);
      if (background) context.fillRect(0, 0, columns, count);
      else context.clearRect(0, 0, columns, count);
      context.drawImage(source, left, row, columns, count, 0, 0, columns, count);
      resampler.add(context.getImageData(0, 0, columns, count).data, row);
    }
    return resampler.pixels();
  }
}

/**
 * Decode a photo, upright or without its alpha channel where the recipe says so. Colour profiles do not count, as on
 * the laptop. Returns an ImageBitmap, which the caller closes; throws an Error with a sentence for the user.
 */
export async function decode(file, { exif, background }) {
  try {
    const data = exif ? file : await withoutExif(file);
    const options = { colorSpaceConversion: "none", premultiplyAlpha: background ? "default" : "none" };
    const image = await createImageBitmap(data, options);
    return background || file.type === "image/jpeg" ? image : await withoutAlpha(image);
  } catch {
    throw new Error(`The browser cannot read ${file.name} as an image. Choose a JPEG or PNG file.`);
  }
}

/**
 * A decoded image with the colours of its transparent parts, too. WebGL has them; a canvas of the other kind would lose
 * them, since it multiplies colours by their opacity. It is used where there is no WebGL for an image of this size.
 */
async function withoutAlpha(image) {
  const { width, height } = image, gl = document.createElement("canvas").getContext("webgl");
  if (!gl || Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return image;
  const texture = gl.createTexture(), pixels = new Uint8ClampedArray(4 * width * height);
  gl.bindTexture(gl.TEXTURE_2D, texture);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, image);
  image.close();
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(pixels.buffer));
  gl.getExtension("WEBGL_lose_context")?.loseContext(); // frees its memory at once
  for (let at = 3; at < pixels.length; at += 4) pixels[at] = 255;
  return createImageBitmap(new ImageData(pixels, width, height));
}

/**
 * A JPEG file whose EXIF segment has become a comment; other files as they are. Browsers have no option for it: they
 * turn images with imageOrientation "none", too.
 */
async function withoutExif(file) {
  const data = new DataView(await file.arrayBuffer());
  if (data.byteLength < 4 || data.getUint16(0) !== JPEG_START) return file;
  for (let at = 2; at + 4 <= data.byteLength; at += 2 + data.getUint16(at + 2)) {
    const marker = data.getUint16(at);
    if (marker === JPEG_SCAN || marker >> 8 !== 0xff) break;
    if (marker === JPEG_APP1) data.setUint16(at, JPEG_COMMENT);
  }
  return new Blob([data]);
}
