// From a picture to the numbers that the model takes, as the contract says: the same pixels as edgeproof's runtime.
// An image here is { width, height, data }, with data a Uint8Array of red, green and blue, row by row.

const CHANNELS = 3;
// Weights are integers in units of 2^-22, so that a sum over bytes fits 32 bits.
const WEIGHT_BITS = 22;
// Rows that are read from a canvas at a time: phones allow no canvas as large as their own photos.
const STRIP_PIXELS = 2 ** 20;

// Each filter with the distance, in samples, beyond which it is 0.
const FILTERS = {
  bilinear: { reach: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { reach: 2, at: (x) => cubic(Math.abs(x)) },
  lanczos: { reach: 3, at: (x) => (-3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

function cubic(x) {
  const sharpness = -0.5;
  if (x < 1) {
    return ((sharpness + 2) * x - (sharpness + 3)) * x * x + 1;
  }
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * sharpness : 0;
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

// Which samples of a line make up each new one, and with what weights. A filter is stretched when the line gets
// shorter, so that every sample counts. From and to bound the part of the line that is taken, and may be fractions.
function weighted(length, from, to, wanted, { reach, at }) {
  const scale = Math.fround(to - from) / wanted;
  const stretch = Math.max(1, scale);
  const most = Math.ceil(reach * stretch) * 2 + 1;
  const starts = new Int32Array(wanted);
  const counts = new Int32Array(wanted);
  const weights = new Int32Array(wanted * most);
  for (let place = 0; place < wanted; place += 1) {
    const centre = from + (place + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - reach * stretch + 0.5));
    const count = Math.min(length, Math.trunc(centre + reach * stretch + 0.5)) - start;
    const exact = Array.from({ length: count }, (_, number) => at((number + start - centre + 0.5) * (1 / stretch)));
    const sum = exact.reduce((total, weight) => total + weight, 0);
    exact.forEach((weight, number) => {
      const units = (sum === 0 ? weight : weight / sum) * 2 ** WEIGHT_BITS;
      weights[place * most + number] = Math.trunc(units + (units < 0 ? -0.5 : 0.5));
    });
    starts[place] = start;
    counts[place] = count;
  }
  return { starts, counts, weights, most };
}

function byte(sum) {
  const whole = sum >> WEIGHT_BITS;
  return whole < 0 ? 0 : whole > 255 ? 255 : whole;
}

// One pass over an image: along its rows to a new width, or along its columns to a new height.
function pass(image, width, height, alongRows, { starts, counts, weights, most }) {
  const data = new Uint8Array(width * height * CHANNELS);
  const row = image.width * CHANNELS;
  const half = 2 ** (WEIGHT_BITS - 1);
  const step = alongRows ? CHANNELS : row;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const place = alongRows ? x : y;
      let at = alongRows ? y * row + starts[x] * CHANNELS : starts[y] * row + x * CHANNELS;
      let red = half;
      let green = half;
      let blue = half;
      for (let number = place * most; number < place * most + counts[place]; number += 1) {
        red += image.data[at] * weights[number];
        green += image.data[at + 1] * weights[number];
        blue += image.data[at + 2] * weights[number];
        at += step;
      }
      const to = (y * width + x) * CHANNELS;
      data[to] = byte(red);
      data[to + 1] = byte(green);
      data[to + 2] = byte(blue);
    }
  }
  return { width, height, data };
}

function rowsTo(image, width, [left, , right], filter) {
  const isThere = width === image.width && left === 0 && right === width;
  return isThere ? image : pass(image, width, image.height, true, weighted(image.width, left, right, width, filter));
}

function columnsTo(image, height, [, top, , bottom], filter) {
  const isThere = height === image.height && top === 0 && bottom === height;
  return isThere ? image : pass(image, image.width, height, false, weighted(image.height, top, bottom, height, filter));
}

function nearest(image, width, height, [left, top, right, bottom]) {
  const columns = centres(left, Math.fround(right - left) / width, width);
  const rows = centres(top, Math.fround(bottom - top) / height, height);
  const data = new Uint8Array(width * height * CHANNELS);
  rows.forEach((row, y) => {
    columns.forEach((column, x) => {
      const from = (row * image.width + column) * CHANNELS;
      data.set(image.data.subarray(from, from + CHANNELS), (y * width + x) * CHANNELS);
    });
  });
  return { width, height, data };
}

// Added up and not multiplied, for the last bit: a centre between two pixels falls on the same one as in the runtime.
function centres(from, scale, wanted) {
  let place = from + scale * 0.5;
  return Array.from({ length: wanted }, () => {
    const found = Math.floor(place);
    place += scale;
    return found;
  });
}

// The part of an image that a step takes, as [left, top, right, bottom] in its pixels: all of it, or the largest part
// in the middle that has the aspect of the new size.
export function part(image, step) {
  let { width, height } = image;
  if (step.fit === "crop") {
    const aspect = step.width / step.height;
    if (width / height > aspect) {
      width = aspect * height;
    } else if (width / height < aspect) {
      height = width / aspect;
    }
  }
  const left = (image.width - width) * 0.5;
  const top = (image.height - height) * 0.5;
  return [left, top, left + width, top + height].map(Math.fround);
}

// One step of the contract's resize chain: columns before rows where the height shrinks by more than twice as many
// pixels as the width (Pillow from version 13 on), else rows before columns. The order matters: each pass rounds to
// bytes.
export function resized(image, step) {
  if (image.width === step.width && image.height === step.height) {
    return image;
  }
  const box = part(image, step);
  if (step.resample === "nearest") {
    return nearest(image, step.width, step.height, box);
  }
  const filter = FILTERS[step.resample];
  if (filter === undefined) {
    throw new Error(`Resampling ${step.resample} is not known to this page.`);
  }
  const isTall = image.height > step.height && image.height - step.height > 2 * (image.width - step.width);
  if (isTall) {
    return rowsTo(columnsTo(image, step.height, box, filter), step.width, box, filter);
  }
  return columnsTo(rowsTo(image, step.width, box, filter), step.height, box, filter);
}

// An image through the whole chain, to the size that the model takes.
export function finished(image, { steps }) {
  return steps.reduce(resized, image);
}

// A picture file, or what else createImageBitmap takes, as an image: upright, without its colour profile, and with
// transparency laid on the contract's background.
export async function decoded(picture, { background }) {
  const asTheyAre = { imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const bitmap = await createImageBitmap(picture, asTheyAre);
  try {
    return flattened(bitmap, bitmap.width, bitmap.height, background);
  } finally {
    bitmap.close();
  }
}

// A bitmap or a video's frame as an image.
export function flattened(source, width, height, background) {
  const data = new Uint8Array(width * height * CHANNELS);
  const rows = Math.min(height, Math.max(1, Math.floor(STRIP_PIXELS / width)));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, rows];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  for (let top = 0; top < height; top += rows) {
    context.fillStyle = `rgb(${background.join(" ")})`;
    context.fillRect(0, 0, width, rows);
    context.drawImage(source, 0, -top);
    const count = Math.min(rows, height - top) * width;
    const strip = context.getImageData(0, 0, width, rows).data;
    for (let pixel = 0; pixel < count; pixel += 1) {
      const to = (top * width + pixel) * CHANNELS;
      data[to] = strip[4 * pixel];
      data[to + 1] = strip[4 * pixel + 1];
      data[to + 2] = strip[4 * pixel + 2];
    }
  }
  return { width, height, data };
}

// What stands in the input tensor for an image's bytes.
export function entered(image, { dtype, scale, zero_point, range }) {
  const [low, high] = range;
  const stands = Array.from({ length: 256 }, (_, value) => low + (value * (high - low)) / 255);
  if (dtype === "float32") {
    return Float32Array.from(image.data, (value) => stands[value]);
  }
  const table = scale === null ? stands : stands.map((value) => evenly(value / scale) + zero_point);
  return Uint8Array.from(image.data, (value) => Math.min(255, Math.max(0, table[value])));
}

// To the nearest integer, and of two that are as near to the even one.
function evenly(value) {
  const below = Math.floor(value);
  const isMiddle = value - below === 0.5;
  return isMiddle ? below + Math.abs(below % 2) : Math.round(value);
}

// The output tensor's numbers as probabilities.
export function left(raw, { scale, zero_point }) {
  if (scale === null) {
    return Float32Array.from(raw);
  }
  return Float32Array.from(raw, (value) => (value - zero_point) * Math.fround(scale));
}
