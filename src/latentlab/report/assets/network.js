// A model of the page: its plan, made by latentlab/report/packing.py, run on one image or one code at a time.
// An array holds the planes of an image one after another: [channels, height, width], row by row.
"use strict";

const HALVES = Float32Array.from({length: 65536}, (_, bits) => {
  const exponent = bits >> 10 & 31, fraction = bits & 1023, sign = bits >> 15 ? -1 : 1;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction);
});

// Weights of a step as float32, from the block of bytes of its model.
function unpack(block, precision, step) {
  if (!step.dims) return step;
  const take = (Kind, start, length) => new Kind(block.slice(start, start + length * Kind.BYTES_PER_ELEMENT).buffer);
  const [first, second, ...rest] = step.dims, kernel = rest.reduce((a, b) => a * b, 1), length = first * second * kernel;
  const stored = take({int8: Int8Array, float16: Uint16Array, float32: Float32Array}[precision], step.weight, length);
  let weight = new Float32Array(stored);
  const isTransposed = step.op === "ConvTranspose", numOut = isTransposed ? second : first;
  if (precision === "float16") for (let i = 0; i < length; i++) weight[i] = HALVES[stored[i]];
  if (precision === "int8") {
    const scale = take(Float32Array, step.scale, numOut);
    for (let row = 0, i = 0; row < first * second; row++) {
      const factor = scale[isTransposed ? row % second : Math.floor(row / second)];
      for (let j = 0; j < kernel; j++) weight[i++] *= factor;
    }
  }
  if (isTransposed) weight = transposed(weight, first, second * kernel);  // [out * kernel, in]
  const bias = step.bias === undefined ? new Float32Array(numOut) : take(Float32Array, step.bias, numOut);
  return {...step, weight, bias};
}

function transposed(values, rows, columns) {
  const result = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) result[j * rows + i] = values[i * columns + j];
  return result;
}

// [m, k] times the transpose of [n, k], with a bias for each row: [m, n]. Four by four sums at a time stay in registers.
function product(a, b, m, n, k, bias) {
  const c = new Float32Array(m * n);
  let i = 0;
  for (; i + 4 <= m && n >= 4; i += 4) {
    const a0 = i * k, a1 = a0 + k, a2 = a1 + k, a3 = a2 + k;
    for (let j = 0; j < n; j += 4) {
      const at = Math.min(j, n - 4), b0 = at * k, b1 = b0 + k, b2 = b1 + k, b3 = b2 + k;
      let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
      let s20 = 0, s21 = 0, s22 = 0, s23 = 0, s30 = 0, s31 = 0, s32 = 0, s33 = 0;
      for (let p = 0; p < k; p++) {
        const x0 = a[a0 + p], x1 = a[a1 + p], x2 = a[a2 + p], x3 = a[a3 + p];
        const y0 = b[b0 + p], y1 = b[b1 + p], y2 = b[b2 + p], y3 = b[b3 + p];
        s00 += x0 * y0; s01 += x0 * y1; s02 += x0 * y2; s03 += x0 * y3;
        s10 += x1 * y0; s11 += x1 * y1; s12 += x1 * y2; s13 += x1 * y3;
        s20 += x2 * y0; s21 += x2 * y1; s22 += x2 * y2; s23 += x2 * y3;
        s30 += x3 * y0; s31 += x3 * y1; s32 += x3 * y2; s33 += x3 * y3;
      }
      let to = i * n + at;
      c[to] = s00; c[to + 1] = s01; c[to + 2] = s02; c[to + 3] = s03; to += n;
      c[to] = s10; c[to + 1] = s11; c[to + 2] = s12; c[to + 3] = s13; to += n;
      c[to] = s20; c[to + 1] = s21; c[to + 2] = s22; c[to + 3] = s23; to += n;
      c[to] = s30; c[to + 1] = s31; c[to + 2] = s32; c[to + 3] = s33;
    }
  }
  for (; i < m; i++) for (let j = 0; j < n; j++) {
    let sum = 0;
    for (let p = 0; p < k; p++) sum += a[i * k + p] * b[j * k + p];
    c[i * n + j] = sum;
  }
  if (bias) for (let row = 0; row < m; row++) for (let j = 0; j < n; j++) c[row * n + j] += bias[row];
  return c;
}

// All that a kernel meets on its way: pixel of the small image, place in the kernel, pixel of the large image, three by three.
function meetings([height, width], [bigHeight, bigWidth], {kernel: [rows, columns], stride: [down, right], pads: [top, left]}) {
  const found = [];
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) for (let i = 0; i < rows; i++) {
    const bigY = y * down + i - top;
    if (bigY < 0 || bigY >= bigHeight) continue;
    for (let j = 0; j < columns; j++) {
      const bigX = x * right + j - left;
      if (bigX >= 0 && bigX < bigWidth) found.push(y * width + x, i * columns + j, bigY * bigWidth + bigX);
    }
  }
  return Int32Array.from(found);
}

// An image in another size, by the nearest pixel or between the four nearest, as torch does without aligned corners.
function resized(values, [channels, height, width], [, newHeight, newWidth], isLinear) {
  const result = new Float32Array(channels * newHeight * newWidth);
  const places = (length, newLength) => Array.from({length: newLength}, (_, i) => {
    if (!isLinear) return [Math.floor(i * length / newLength), 0, 0];
    const at = Math.max((i + 0.5) * length / newLength - 0.5, 0), low = Math.floor(at);
    return [low, Math.min(low + 1, length - 1) - low, at - low];
  });
  const ys = places(height, newHeight), xs = places(width, newWidth);
  let to = 0;
  for (let c = 0; c < channels; c++) for (const [y, down, v] of ys) for (const [x, right, u] of xs) {
    const at = (c * height + y) * width + x, below = at + down * width;
    result[to++] = (1 - v) * ((1 - u) * values[at] + u * values[at + right]) + v * ((1 - u) * values[below] + u * values[below + right]);
  }
  return result;
}

const LAYERS = {
  Gemm: (x, _, {weight, bias, dims: [m, k]}) => product(weight, x, m, 1, k, bias),
  Conv(x, [channels, ...size], step) {
    const [numOut, ...outSize] = step.shape, n = outSize[0] * outSize[1], taps = step.kernel[0] * step.kernel[1];
    const k = channels * taps, plane = size[0] * size[1], patches = new Float32Array(n * k);
    const met = step.met ||= meetings(outSize, size, step);  // kept for the next image
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < met.length; i += 3) patches[met[i] * k + c * taps + met[i + 1]] = x[c * plane + met[i + 2]];
    }
    return product(step.weight, patches, numOut, n, k, step.bias);
  },
  ConvTranspose(x, [channels, ...size], step) {
    const [numOut, ...outSize] = step.shape, n = size[0] * size[1], taps = step.kernel[0] * step.kernel[1];
    const parts = product(step.weight, transposed(x, channels, n), numOut * taps, n, channels);
    const plane = outSize[0] * outSize[1], result = new Float32Array(numOut * plane);
    const met = step.met ||= meetings(size, outSize, step);
    for (let c = 0; c < numOut; c++) {
      result.fill(step.bias[c], c * plane, (c + 1) * plane);
      for (let i = 0; i < met.length; i += 3) result[c * plane + met[i + 2]] += parts[(c * taps + met[i + 1]) * n + met[i]];
    }
    return result;
  },
  MaxPool(x, [channels, ...size], step) {
    const [, ...outSize] = step.shape, n = outSize[0] * outSize[1], plane = size[0] * size[1];
    const result = new Float32Array(channels * n).fill(-Infinity), met = step.met ||= meetings(outSize, size, step);
    for (let c = 0; c < channels; c++) for (let i = 0; i < met.length; i += 3) {
      const to = c * n + met[i], value = x[c * plane + met[i + 2]];
      if (value > result[to]) result[to] = value;
    }
    return result;
  },
  Resize: (x, shape, step) => resized(x, shape, step.shape, step.linear),
  Reshape: (x) => x,
  Relu: (x) => x.map((value) => value > 0 ? value : 0),
  LeakyRelu: (x, _, {slope}) => x.map((value) => value < 0 ? slope * value : value),
  Silu: (x) => x.map((value) => value / (1 + Math.exp(-value))),
  Sigmoid: (x) => x.map((value) => 1 / (1 + Math.exp(-value))),
};

function run(steps, values, shape) {
  for (const step of steps) {
    values = LAYERS[step.op](values, shape, step);
    shape = step.shape;
  }
  return values;
}
