// The page: one state, kept in the address behind #, and parts that are drawn anew when what they show has changed.
"use strict";

const $ = (id) => document.getElementById(id);
const META = JSON.parse($("meta").textContent);
const [CHANNELS, HEIGHT, WIDTH] = META.shape, PLANE = HEIGHT * WIDTH, SIZE = CHANNELS * PLANE;
const VARIANTS = Object.fromEntries(META.variants.map((each) => [each.name, each]));
const NAMES = Object.keys(VARIANTS);
const PAD = 280, FRAME = 28, BOX = 20, BRUSH = 24, EXACT_BITS = 9;
const isDark = matchMedia("(prefers-color-scheme: dark)"), isStill = matchMedia("(prefers-reduced-motion: reduce)");

// --- the data of the page ---

// Bytes of a block: base64 of gzip.
async function bytesOf(name) {
  const text = atob([...document.querySelectorAll("script[data-of]")].find((each) => each.dataset.of === name).textContent);
  const packed = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function load(variant) {
  const block = await bytesOf(variant.name);
  variant.encoder = variant.encoder.map((step) => unpack(block, variant.precision, step));
  variant.decoder = variant.decoder.map((step) => unpack(block, variant.precision, step));
  const dots = new Float32Array(block.slice(variant.dots).buffer), numAxes = Math.min(variant.latentDim, 2);
  variant.dots = Array.from({length: dots.length / numAxes}, (_, i) => [dots[i * numAxes], numAxes > 1 ? dots[i * 2 + 1] : 0]);
}

// --- what is computed ---

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const mix = (a, b, share) => a.map((value, i) => value + share * (b[i] - value));
const mse = (a, b) => a.reduce((sum, value, i) => sum + (value - b[i]) ** 2, 0) / a.length;

function encode(name, image) {
  const {encoder, inputShape} = VARIANTS[name];
  const isSmaller = inputShape[1] !== HEIGHT || inputShape[2] !== WIDTH;
  return run(encoder, isSmaller ? resized(image, META.shape, inputShape, true) : image, inputShape);
}

const decode = (name, code) => run(VARIANTS[name].decoder, Float32Array.from(code), VARIANTS[name].codeShape);

// What a code is after each number was stored in so many bits, evenly over its range.
function quantised(name, code, bits) {
  const {low, high} = VARIANTS[name], most = 2 ** bits - 1;
  return code.map((value, i) => {
    const step = (high[i] - low[i]) / most;
    return step ? low[i] + step * Math.round(clamp((value - low[i]) / step, 0, most)) : low[i];
  });
}

// Along a great circle (Shoemake 1985), as `latentlab interpolate --spherical`.
function arc(a, b, share) {
  const dot = (u, v) => u.reduce((sum, value, i) => sum + value * v[i], 0);
  const angle = Math.acos(clamp(dot(a, b) / Math.max(Math.sqrt(dot(a, a) * dot(b, b)), 1e-8), -1, 1)), sine = Math.sin(angle);
  if (sine < 1e-3) return mix(a, b, share);
  return a.map((value, i) => (Math.sin((1 - share) * angle) * value + Math.sin(share * angle) * b[i]) / sine);
}

// Standard normal numbers, the same for a seed.
function normals(seed, length) {
  let state = seed >>> 0;
  const uniform = () => {  // mulberry32
    state = state + 0x6D2B79F5 | 0;
    let t = Math.imul(state ^ state >>> 15, 1 | state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  };
  return Float32Array.from({length}, () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
}

const noisy = (image, sigma) => {
  const noise = normals(1, SIZE);
  return image.map((value, i) => clamp(value + sigma * noise[i], 0, 1));
};

// A new code: of a VAE standard normal numbers; else the code of a test image, moved by chance within its range.
function sampledCode(name, seed) {
  const variant = VARIANTS[name], chance = normals(seed, variant.latentDim);
  if (variant.isVariational) return chance;
  const near = encode(name, testImage(seed % META.numImages));
  return near.map((value, i) => clamp(value + 0.08 * (variant.high[i] - variant.low[i]) * chance[i], variant.low[i], variant.high[i]));
}

// --- a drawing, framed as latentlab/data/drawing.py frames pictures ---

// Each pixel of a smaller picture is the mean of those whose centres it covers, as Pillow's box filter.
function boxed(values, height, width, newHeight, newWidth) {
  const result = new Float32Array(newHeight * newWidth), edge = (i, from, to) => Math.floor(i * from / to + 0.5);
  for (let y = 0; y < newHeight; y++) for (let x = 0; x < newWidth; x++) {
    const top = edge(y, height, newHeight), bottom = edge(y + 1, height, newHeight);
    const left = edge(x, width, newWidth), right = edge(x + 1, width, newWidth);
    let sum = 0;
    for (let v = top; v < bottom; v++) for (let u = left; u < right; u++) sum += values[v * width + u];
    result[y * newWidth + x] = sum / ((bottom - top) * (right - left));
  }
  return result;
}

function framed(ink, size) {
  const rows = [], columns = [];
  ink.forEach((value, i) => { if (value > 0.1) { rows.push(Math.floor(i / size)); columns.push(i % size); } });
  if (!rows.length) return null;
  const extent = (places) => places.reduce(([low, high], place) => [Math.min(low, place), Math.max(high, place)], [size, 0]);
  const [top, bottom] = extent(rows), [left, right] = extent(columns), height = bottom - top + 1, width = right - left + 1;
  const digit = new Float32Array(height * width);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) digit[y * width + x] = ink[(y + top) * size + x + left];
  const factor = BOX / Math.max(height, width), newHeight = Math.max(1, Math.round(factor * height)), newWidth = Math.max(1, Math.round(factor * width));
  const small = boxed(digit, height, width, newHeight, newWidth);
  let mass = 0, down = 0, across = 0;
  small.forEach((value, i) => { mass += value; down += value * Math.floor(i / newWidth); across += value * (i % newWidth); });
  const corner = (centre, side) => clamp(Math.ceil((FRAME - 1) / 2 - centre), 0, FRAME - side);
  const y0 = corner(down / mass, newHeight), x0 = corner(across / mass, newWidth), image = new Float32Array(FRAME * FRAME);
  small.forEach((value, i) => { image[(y0 + Math.floor(i / newWidth)) * FRAME + x0 + i % newWidth] = value; });
  return image;
}

// Strokes are "x.y.x.y-x.y": points in the pad's pixels.
const strokesOf = (text) => text.split("-").filter(Boolean).map((stroke) => stroke.split(".").map((each) => clamp(Number(each) || 0, 0, PAD)));

function inkOf(strokes) {
  const context = $("pad").getContext("2d", {willReadFrequently: true});
  context.fillStyle = "#000"; context.fillRect(0, 0, PAD, PAD);
  Object.assign(context, {strokeStyle: "#fff", lineWidth: BRUSH, lineCap: "round", lineJoin: "round"});
  for (const [x, y, ...more] of strokes) {
    context.beginPath(); context.moveTo(x, y);
    if (!more.length) context.lineTo(x, y + 0.1);
    for (let i = 0; i < more.length; i += 2) context.lineTo(more[i], more[i + 1]);
    context.stroke();
  }
  const {data} = context.getImageData(0, 0, PAD, PAD);
  return Float32Array.from({length: PAD * PAD}, (_, i) => data[4 * i] / 255);
}

function drawnImage(strokes) {
  const ink = inkOf(strokes), image = META.isFramed ? framed(ink, PAD) : ink;
  if (!image || !strokes.length) return null;
  const side = META.isFramed ? FRAME : PAD, grey = side === HEIGHT && side === WIDTH ? image : boxed(image, side, side, HEIGHT, WIDTH);
  return Float32Array.from({length: SIZE}, (_, i) => grey[i % PLANE]);
}

// --- state ---

const flat = META.variants.filter((each) => each.latentDim === 2);
const START = {
  variant: (flat.find((each) => each.isVariational) || flat[0] || META.variants[0]).name, off: "", test: 0, drawing: "", sample: "",
  noise: 0, bits: EXACT_BITS, at: "", turned: "", first: 0, second: Math.floor(META.numImages * 0.75), way: 0.5,
};
let state = {...START};
let isAuto = true;  // nobody has touched the plane yet: a point wanders over it by itself
const on = () => NAMES.filter((name) => !state.off.split(",").includes(name));

function readHash() {
  const given = new URLSearchParams(location.hash.slice(1));
  const read = (value, usual) => typeof usual !== "number" ? value : Number.isFinite(Number(value)) ? Number(value) : usual;
  state = Object.fromEntries(Object.entries(START).map(([key, usual]) => [key, given.has(key) ? read(given.get(key), usual) : usual]));
  if (!VARIANTS[state.variant]) state.variant = START.variant;
  for (const key of ["test", "first", "second"]) state[key] = clamp(Math.floor(state[key]), 0, META.numImages - 1);
  state.noise = clamp(state.noise, 0, 1); state.way = clamp(state.way, 0, 1); state.bits = clamp(Math.round(state.bits), 2, EXACT_BITS);
  if (state.at) isAuto = false;
}

let isWaiting = false, hashTimer = 0;
function update(changes) {
  if ("variant" in changes && changes.variant !== state.variant) Object.assign(state, {turned: "", at: ""});
  if ("test" in changes) Object.assign(state, {drawing: "", sample: ""});
  if ("test" in changes || "drawing" in changes || "sample" in changes) state.turned = "";
  Object.assign(state, changes);
  if (!isWaiting) { isWaiting = true; requestAnimationFrame(() => { isWaiting = false; show(); }); }
  clearTimeout(hashTimer);  // browsers refuse an address that changes too often
  hashTimer = setTimeout(() => {
    const kept = Object.entries(state).filter(([key, value]) => value !== START[key]);
    history.replaceState(null, "", "#" + new URLSearchParams(kept));
  }, 250);
}

let images;
const testImage = (index) => Float32Array.from(images.subarray(index * SIZE, (index + 1) * SIZE), (value) => value / 255);
const memo = (compute) => { let last, result; return () => { const key = JSON.stringify(compute.key()); if (key !== last) { result = compute.value(); last = key; } return result; }; };
const clean = memo({
  key: () => [state.test, state.drawing, state.sample],
  value() {
    const drawn = drawnImage(strokesOf(state.drawing)), [name, seed] = state.sample.split(":");
    return drawn || (VARIANTS[name] ? decode(name, sampledCode(name, Number(seed) || 0)) : testImage(state.test));
  },
});
const input = memo({key: () => inputKeys(), value: () => noisy(clean(), state.noise)});

const inputKeys = () => [state.test, state.drawing, state.sample, state.noise];
const codes = new Map();  // of the input, by variant
let codesAre = "";
function codeOf(name) {
  const now = JSON.stringify([state.bits, ...inputKeys()]);
  if (now !== codesAre) { codes.clear(); codesAre = now; }
  if (!codes.has(name)) {
    const code = encode(name, input());
    codes.set(name, state.bits < EXACT_BITS ? quantised(name, code, state.bits) : code);
  }
  return codes.get(name);
}

const classOf = (dot) => META.labels.length ? META.labels[dot] : -1;
const named = (dot) => classOf(dot) < 0 ? "" : `, class ${META.classes[classOf(dot)]}`;
const short = (value) => value === 0 ? "0" : Math.abs(value) < 0.001 ? value.toExponential(1) : value.toPrecision(3);
const inputName = () => state.drawing ? "your drawing" : state.sample ? `a sample of ${state.sample.split(":")[0]}` : `a test image${named(state.test)}`;
const numbers = (count) => `${count.toLocaleString("en")} number${count === 1 ? "" : "s"}`;

// --- drawing ---

function paint(canvas, image, label) {
  if (canvas.width !== WIDTH || canvas.height !== HEIGHT) Object.assign(canvas, {width: WIDTH, height: HEIGHT});
  const pixels = new ImageData(WIDTH, HEIGHT);
  for (let i = 0; i < PLANE; i++) {
    for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = 255 * image[(CHANNELS === 3 ? c * PLANE : 0) + i];
    pixels.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  if (label) canvas.setAttribute("aria-label", label);
}

function paintDifference(canvas, image, target) {
  Object.assign(canvas, {width: WIDTH, height: HEIGHT});
  const pixels = new ImageData(WIDTH, HEIGHT);
  for (let i = 0; i < PLANE; i++) {
    let sum = 0;
    for (let c = 0; c < CHANNELS; c++) sum += image[c * PLANE + i] - target[c * PLANE + i];
    const size = Math.min(Math.abs(sum / CHANNELS) * 1.5, 1), colour = sum > 0 ? [255, 150, 60] : [90, 165, 255];
    pixels.data.set([...colour.map((value) => value * size), 255], 4 * i);
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

function paintCode(canvas, name, code) {
  const {low, high} = VARIANTS[name], columns = Math.min(code.length, code.length > 64 ? 56 : 32);
  Object.assign(canvas, {width: columns, height: Math.ceil(code.length / columns)});
  const context = canvas.getContext("2d");
  code.forEach((value, i) => {
    const level = high[i] > low[i] ? clamp((value - low[i]) / (high[i] - low[i]), 0, 1) : 0;
    context.fillStyle = `hsl(210 15% ${100 * level}%)`;
    context.fillRect(i % columns, Math.floor(i / columns), 1, 1);
  });
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElementNS(attributes.svg ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml", tag);
  for (const [key, value] of Object.entries(attributes)) if (key !== "svg") element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const picture = (label) => make("canvas", {class: "image", role: "img", "aria-label": label});

function colourOf(label) {
  if (label < 0) return isDark.matches ? "#9db7d5" : "#44678f";
  if (META.classes.length > META.colours.length) return `hsl(${label * 360 / META.classes.length} 65% ${isDark.matches ? 68 : 42}%)`;
  const colour = META.colours[label];
  return isDark.matches ? `color-mix(in srgb, ${colour} 50%, white)` : colour;
}

// --- the plane ---

const plane = $("plane");
let grid = null;  // pictures behind the dots, and what they are of
const gridKey = () => state.variant + (VARIANTS[state.variant].latentDim > 2 ? codesAre : "") + isDark.matches;

function axes() {
  const variant = VARIANTS[state.variant];
  return [0, 1].map((axis) => {
    const number = variant.order[axis];
    const [low, high] = number === undefined ? [-1, 1] : [variant.low[number], variant.high[number]], margin = 0.04 * (high - low || 1);
    return {number, low: low - margin, high: high + margin};
  });
}

const toPixels = ([x, y]) => {
  const [across, up] = axes();
  return [(x - across.low) / (across.high - across.low) * plane.clientWidth, (up.high - y) / (up.high - up.low) * plane.clientHeight];
};
const fromPixels = ([x, y]) => {
  const [across, up] = axes();
  return [across.low + clamp(x / plane.clientWidth, 0, 1) * (across.high - across.low), up.high - clamp(y / plane.clientHeight, 0, 1) * (up.high - up.low)];
};

// The code of a point: all numbers but the two of the plane are those of the input.
function codeAt(point) {
  const code = Float32Array.from(codeOf(state.variant));
  axes().forEach(({number}, axis) => { if (number !== undefined) code[number] = point[axis]; });
  return code;
}

function place() {
  if (state.at) return state.at.split(",").map(Number).map((value) => Number.isFinite(value) ? value : 0);
  const {dots} = VARIANTS[state.variant];
  if (!isAuto || isStill.matches) return dots[state.test];
  const time = performance.now() / 1600, step = Math.floor(time), eased = (1 - Math.cos(Math.PI * (time - step))) / 2;
  const stop = (i) => dots[(i * 61) % META.numImages];  // 61: through all classes in turn
  return mix(stop(step), stop(step + 1), eased);
}

function nearestDot(point, count) {
  const {dots} = VARIANTS[state.variant], [x, y] = toPixels(point);
  let best = 0, least = Infinity;
  for (let i = 0; i < count; i++) {
    const [u, v] = toPixels(dots[i]), distance = (u - x) ** 2 + (v - y) ** 2;
    if (distance < least) [best, least] = [i, distance];
  }
  return best;
}

let cloud = null, cloudKey = "";
function drawPlane() {
  const variant = VARIANTS[state.variant], scale = devicePixelRatio || 1, {clientWidth: width, clientHeight: height} = plane;
  if (!width || !height) return;  // of a window that is being made smaller than it can be
  const key = [state.variant, width, height, scale, isDark.matches, $("behind").checked && grid?.key + grid?.done].join();
  if (key !== cloudKey) {  // the dots are drawn once
    cloud = Object.assign(document.createElement("canvas"), {width: width * scale, height: height * scale});
    const context = cloud.getContext("2d");
    context.scale(scale, scale);
    if ($("behind").checked && grid?.key === gridKey()) { context.globalAlpha = 0.5; context.imageSmoothingEnabled = false; context.drawImage(grid.canvas, 0, 0, width, height); }
    variant.dots.forEach((dot, i) => {
      const [x, y] = toPixels(dot);
      context.globalAlpha = 0.7; context.fillStyle = colourOf(classOf(i));
      context.beginPath(); context.arc(x, y, 2.6, 0, 7); context.fill();
    });
    context.globalAlpha = 1;
    Object.assign(context, {font: "600 14px system-ui, sans-serif", textAlign: "center", lineWidth: 3.5, strokeStyle: isDark.matches ? "#202327" : "#f6f6f6"});
    META.classes.forEach((name, label) => {  // its name at the middle of a class
      const own = variant.dots.filter((_, i) => classOf(i) === label), middle = (axis) => own.map((dot) => dot[axis]).sort((a, b) => a - b)[own.length >> 1];
      if (!own.length || META.classes.length > 30) return;
      const [x, y] = toPixels([middle(0), middle(1)]);
      context.strokeText(name, x, y + 5); context.fillStyle = colourOf(label); context.fillText(name, x, y + 5);
    });
    cloudKey = key;
  }
  Object.assign(plane, {width: cloud.width, height: cloud.height});
  const context = plane.getContext("2d");
  context.drawImage(cloud, 0, 0); context.scale(scale, scale);
  const ring = (point, radius, line) => {
    const [x, y] = toPixels(point);
    for (const [colour, wide] of [[isDark.matches ? "#16181b" : "#fff", line + 3], [isDark.matches ? "#fff" : "#111", line]]) {
      Object.assign(context, {strokeStyle: colour, lineWidth: wide}); context.beginPath(); context.arc(clamp(x, 4, width - 4), clamp(y, 4, height - 4), radius, 0, 7); context.stroke();
    }
  };
  const code = codeOf(state.variant);
  ring(axes().map(({number}) => number === undefined ? 0 : code[number]), 5, 1.5);  // the input
  const point = place();
  ring(point, 11, 2);
  const label = `${axes().map((_, axis) => short(point[axis])).join(", ")} decoded`;
  paint($("decoded"), decode(state.variant, codeAt(point)), label);
  $("decoded-text").textContent = label;
  const near = nearestDot(point, META.numImages);
  paint($("nearest"), testImage(near), `test image${named(near)}`);
  $("nearest-text").textContent = `the nearest test image${named(near)}`;
  plane.setAttribute("aria-label", `Plane of ${state.variant} with the codes of test images: at ${label}; nearest test image${named(near)}`);
}

// Decodings in rows and columns, some at a time so that the page goes on.
function fillGrid() {
  codeOf(state.variant);  // `codesAre` is of now
  if (!$("behind").checked || grid?.key === gridKey() || !plane.clientWidth) return;
  const columns = 20, rows = Math.round(columns * plane.clientHeight / plane.clientWidth), name = state.variant;
  const canvas = Object.assign(document.createElement("canvas"), {width: columns * WIDTH, height: rows * HEIGHT});
  const cell = document.createElement("canvas"), mine = grid = {key: gridKey(), canvas, done: 0};
  const next = () => {
    for (const until = performance.now() + 12; performance.now() < until && mine.done < rows * columns; mine.done++) {
      const x = mine.done % columns, y = Math.floor(mine.done / columns);
      const image = decode(name, codeAt(fromPixels([(x + 0.5) / columns * plane.clientWidth, (y + 0.5) / rows * plane.clientHeight])));
      paint(cell, isDark.matches || CHANNELS === 3 ? image : image.map((value) => 1 - value));  // on a light ground, dark on light
      canvas.getContext("2d").drawImage(cell, x * WIDTH, y * HEIGHT);
    }
    if (grid !== mine || mine.key !== gridKey()) return;
    drawPlane();
    if (mine.done < rows * columns) setTimeout(next, 30);
  };
  next();
}

function showPlane() {
  const variant = VARIANTS[state.variant], [across, up] = axes();
  const which = variant.latentDim <= 2 ? `Each point is a code of ${variant.name}: ${numbers(variant.latentDim)}.`
    : `${variant.name} has codes of ${numbers(variant.latentDim)}: here are the two that carry the most, ${across.number + 1} and ${up.number + 1}; the others stay those of the input.`;
  $("plane-text").textContent = `${which} The image beside is what its decoder makes of the point. The dots are the codes of test images${META.classes.length ? ", in the colour of their class" : ""}, the small ring is the input below.`;
  $("classes").replaceChildren(...META.classes.map((name, label) => make("li", {style: `--c: ${colourOf(label)}`}, name)));
  fillGrid();
  drawPlane();
}

function wander() {
  const {top, bottom} = plane.getBoundingClientRect();
  if (isAuto && !state.at && !isStill.matches && bottom > 0 && top < innerHeight) drawPlane();
  if (isAuto) requestAnimationFrame(wander);
}

function moveTo(point) {
  isAuto = false;
  const [across, up] = axes();
  update({at: [clamp(point[0], across.low, across.high), clamp(point[1], up.low, up.high)].map((value) => Number(value.toPrecision(4))).join()});
}

// --- one image, every code ---

function showInput() {
  paint($("input"), input(), `Input: ${inputName()}`);
  $("input-text").textContent = `Input: ${inputName()}${state.noise ? `, with noise; MSE ${short(mse(input(), clean()))}` : ""}`;
  $("noise").value = state.noise; $("noise-text").textContent = state.noise ? `standard deviation ${state.noise}` : "none";
  const image = SIZE.toLocaleString("en");
  $("bits").value = state.bits; $("bits-text").textContent = state.bits < EXACT_BITS ? `${state.bits} (the image: ${image} bytes)` : `32, as computed (the image: ${image} bytes)`;
  if (!state.drawing) inkOf([]);
  [...$("strip").children].forEach((each, i) => each.setAttribute("aria-selected", String(!state.drawing && !state.sample && i === state.test)));
}

let now = {};  // the error of each variant on the input
function showCards() {
  now = {};
  for (const card of $("cards").children) {
    const name = card.dataset.variant, variant = VARIANTS[name];
    card.hidden = !on().includes(name);
    card.classList.toggle("chosen", name === state.variant);
    card.querySelector("button").setAttribute("aria-pressed", String(name === state.variant));
    if (card.hidden) continue;
    const code = codeOf(name), image = decode(name, code), [output, difference, strip] = card.querySelectorAll("canvas");
    now[name] = mse(image, clean());
    paint(output, image, `${name}: reconstruction of ${inputName()}`);
    paintDifference(difference, image, clean());
    paintCode(strip, name, code);
    card.querySelector(".mse").textContent = `MSE ${short(now[name])}`;
    const bits = state.bits < EXACT_BITS ? state.bits : 32, bytes = Math.ceil(variant.latentDim * bits / 8);
    card.querySelector(".bits").textContent = `${numbers(variant.latentDim)}, ${bytes.toLocaleString("en")} byte${bytes === 1 ? "" : "s"}`;
  }
  showChart();
}

function showChart() {
  const wide = 420, tall = 300, left = 54, bottom = 34, points = [...META.variants, ...META.others].filter(({mse: error}) => error > 0);
  const log = (value) => Math.log10(value), dims = points.map((each) => log(each.latentDim));
  const errors = [...points.map((each) => log(each.mse)), ...Object.values(now).filter((each) => each > 0).map(log)];
  const scale = (values, from, to) => { const low = Math.min(...values), span = Math.max(...values) - low || 1; return (value) => from + (log(value) - low) / span * (to - from); };
  const x = scale(dims, left + 14, wide - 60), y = scale(errors, tall - bottom - 10, 14);
  const svg = make("svg", {svg: 1, viewBox: `0 0 ${wide} ${tall}`});
  const line = (x1, y1, x2, y2, kind) => make("line", {svg: 1, x1, y1, x2, y2, class: kind});
  const text = (words, px, py, anchor = "middle", kind = "") => make("text", {svg: 1, x: px, y: py, "text-anchor": anchor, class: kind}, words);
  svg.append(line(left, tall - bottom, wide, tall - bottom, "axis"), line(left, 4, left, tall - bottom, "axis"));
  let lastX = -99;
  for (const dim of [...new Set(points.map((each) => each.latentDim))].sort((a, b) => a - b)) {
    if (x(dim) - lastX > 26) { svg.append(text(dim.toLocaleString("en"), x(dim), tall - bottom + 14)); lastX = x(dim); }
  }
  for (let power = -6; power <= 0; power++) for (const digit of [1, 3]) {
    const error = digit * 10 ** power, py = y(error);
    if (py < tall - bottom && py > 8) svg.append(text(String(Number(error.toPrecision(1))), left - 4, py + 4, "end"), line(left, py, wide, py, "axis"));
  }
  svg.append(text("numbers in the code", (left + wide) / 2, tall - 4), make("text", {svg: 1, transform: `translate(9 ${tall / 2}) rotate(-90)`, "text-anchor": "middle"}, "MSE on the test images"));
  for (const each of META.others) if (!VARIANTS[each.name] && each.mse > 0) {
    svg.append(make("circle", {svg: 1, cx: x(each.latentDim), cy: y(each.mse), r: 3, class: "other"}, make("title", {svg: 1}, `${each.name}: ${short(each.mse)}`)));
  }
  const taken = [];
  for (const each of [...META.variants].sort((a, b) => (b.name === state.variant) - (a.name === state.variant) || a.mse - b.mse)) {
    const [px, py] = [x(each.latentDim), y(each.mse)], isChosen = each.name === state.variant;
    if (now[each.name] > 0) svg.append(line(px, py, px, y(now[each.name]), "now"), line(px - 5, y(now[each.name]), px + 5, y(now[each.name]), "now"));
    svg.append(make("circle", {
      svg: 1, cx: px, cy: py, r: isChosen ? 7 : 5.5, class: "point", tabindex: 0, role: "button", "data-variant": each.name, "aria-pressed": String(isChosen),
      "aria-label": `${each.name}: ${numbers(each.latentDim)}, test MSE ${short(each.mse)}`,
    }, make("title", {svg: 1}, `${each.name}: ${numbers(each.latentDim)}, test MSE ${short(each.mse)}`)));
    if (taken.every(([u, v]) => Math.abs(v - py) > 11 || Math.abs(u - px) > 95)) {
      svg.append(text(each.name, px + 9, py + 4, "start", isChosen ? "chosen" : ""));
      taken.push([px, py]);
    }
  }
  const focused = document.activeElement?.closest?.("#chart") ? document.activeElement.dataset.variant : null;
  $("chart").replaceChildren(svg, make("p", {class: "small"}, "A point chooses the variant. The dash above or below a point is the error on this input; pale rings are variants and baselines that are not in the page."));
  if (focused) $("chart").querySelector(`[data-variant="${CSS.escape(focused)}"]`)?.focus();
}

// --- the numbers of the code ---

const turned = () => Object.fromEntries(state.turned.split(",").filter(Boolean).map((each) => each.split(":").map(Number)));
function turnedCode() {
  const code = Float32Array.from(codeOf(state.variant));
  for (const [number, value] of Object.entries(turned())) if (number in code && Number.isFinite(value)) code[number] = value;
  return code;
}

function showTurned() {
  const variant = VARIANTS[state.variant], code = turnedCode(), image = decode(state.variant, code), shown = variant.order;
  $("code-text").textContent = shown.length < variant.latentDim
    ? `The ${shown.length} of the ${numbers(variant.latentDim)} of ${variant.name} without which the image changes the most, those first. A double click or Backspace sets one back.`
    : `All ${numbers(variant.latentDim)} of ${variant.name}: first those without which the image changes the most. A double click or Backspace sets one back.`;
  paint($("turned"), image, `What the decoder of ${variant.name} makes of the code`);
  $("turned-text").textContent = `${state.turned ? "turned" : "as the encoder gives it"}: MSE to the input ${short(mse(image, clean()))}`;
  const sliders = $("numbers");
  if (sliders.dataset.variant !== state.variant) {
    sliders.dataset.variant = state.variant;
    sliders.replaceChildren(...shown.map((number) => {
      const [low, high] = [variant.low[number], variant.high[number]], span = high - low || 1;
      const slider = make("input", {type: "range", min: low - 0.1 * span, max: high + 0.1 * span, step: span / 200, "data-number": number, "aria-label": `number ${number + 1} of the code`});
      const back = () => update({turned: Object.entries(turned()).filter(([key]) => Number(key) !== number).map((each) => each.join(":")).join()});
      slider.addEventListener("input", () => update({turned: Object.entries({...turned(), [number]: Number(Number(slider.value).toPrecision(4))}).map((each) => each.join(":")).join()}));
      slider.addEventListener("dblclick", back);
      slider.addEventListener("keydown", (event) => { if (event.key === "Backspace") { event.preventDefault(); back(); } });
      return make("label", {}, make("span", {class: "name small"}, `no. ${number + 1}`), slider, make("output"));
    }));
  }
  for (const slider of sliders.querySelectorAll("input")) {
    const value = code[slider.dataset.number];
    if (document.activeElement !== slider || !state.turned) slider.value = value;
    slider.nextSibling.textContent = short(value);
  }
}

// --- from one image to another ---

const STEPS = 9;
const ends = memo({
  key: () => [state.variant, state.first, state.second],
  value: () => [state.first, state.second].map((index) => encode(state.variant, testImage(index))),
});
const WAYS = {
  pixels: {title: "Cross-fade of the pixels", frame: (share) => mix(testImage(state.first), testImage(state.second), share)},
  linear: {title: "Straight, through the code", frame: (share) => decode(state.variant, mix(...ends(), share))},
  spherical: {title: "On an arc, through the code", frame: (share) => decode(state.variant, arc(...ends(), share))},
};

function showWays() {
  $("way").value = state.way; $("way-text").textContent = `${Math.round(100 * state.way)}% of the way`;
  for (const [name, {frame, title}] of Object.entries(WAYS)) paint($(`at-${name}`), frame(state.way), `${title}, ${Math.round(100 * state.way)}% of the way`);
}

function showStrips() {
  for (const [name, {frame, title}] of Object.entries(WAYS)) {
    const strip = $(`strip-${name}`), cell = document.createElement("canvas");
    Object.assign(strip, {width: STEPS * WIDTH, height: HEIGHT});
    for (let i = 0; i < STEPS; i++) {
      paint(cell, frame(i / (STEPS - 1)));
      strip.getContext("2d").drawImage(cell, i * WIDTH, 0);
    }
    $(`title-${name}`).textContent = name === "pixels" ? title : `${title} of ${state.variant}`;
  }
}

// --- what is shown when, and what people do ---

const PARTS = [
  {keys: () => [state.variant, state.at, isAuto, isDark.matches, state.bits, ...inputKeys()], draw: showPlane},
  {keys: () => [state.bits, ...inputKeys()], draw: showInput},
  {keys: () => [state.variant, state.off, state.bits, ...inputKeys()], draw: showCards},
  {keys: () => [state.variant, state.turned, state.bits, ...inputKeys()], draw: showTurned},
  {keys: () => [state.variant, state.first, state.second, state.way], draw: showWays},
  {keys: () => [state.variant, state.first, state.second], draw: showStrips},
];
function show() {
  for (const part of PARTS) {
    const key = JSON.stringify(part.keys());
    if (key !== part.last) { part.last = key; part.draw(); }
  }
  $("variant").value = state.variant;
  for (const box of $("ticks").querySelectorAll("input")) box.checked = on().includes(box.value);
}

function hardest(name) {
  const errors = Array.from({length: META.numImages}, (_, i) => mse(decode(name, encode(name, testImage(i))), testImage(i)));
  return errors.indexOf(Math.max(...errors));
}
const PRESETS = {
  "Two numbers": () => ({...START}),
  "In heavy noise": () => ({noise: 0.5, bits: EXACT_BITS}),
  "Three bits a number": () => ({noise: 0, bits: 3}),
  "Its hardest test image": () => ({test: hardest(state.variant), noise: 0, bits: EXACT_BITS}),
  "The largest code": () => ({variant: NAMES[NAMES.length - 1]}),
};

function onPointer(canvas, onPoint) {
  const point = (event) => {
    const {left, top, width, height} = canvas.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height];
  };
  for (const kind of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) canvas.addEventListener(kind, (event) => {
    if (kind === "pointerdown") canvas.setPointerCapture(event.pointerId);
    onPoint(kind.slice(7), point(event), event);
  });
}

const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
function onKeys(element, onArrow, others = {}) {
  element.addEventListener("keydown", (event) => {
    const act = ARROWS[event.key] ? () => onArrow(...ARROWS[event.key]) : others[event.key];
    if (act) { event.preventDefault(); act(); }
  });
}

const takeNearest = () => update({test: nearestDot(place(), META.numImages)});
function startPlane() {
  let from = null;
  onPointer(plane, (kind, [x, y], event) => {
    if (kind === "cancel") return;
    const [px, py] = [x * plane.clientWidth, y * plane.clientHeight];
    if (kind === "down") from = [px, py];
    moveTo(fromPixels([px, py]));
    if (kind === "up" && from && Math.hypot(px - from[0], py - from[1]) < 6) takeNearest();
    if (kind === "up" || event.buttons === 0) from = kind === "up" ? null : from;
  });
  onKeys(plane, (right, down) => { const [x, y] = toPixels(place()); moveTo(fromPixels([x + 8 * right, y + 8 * down])); }, {Enter: takeNearest});
  $("behind").addEventListener("change", () => { fillGrid(); drawPlane(); });
}

function startPad() {
  const pad = $("pad"), pen = {x: PAD / 2, y: PAD / 2, isDown: false};
  const add = (x, y, isNew) => {
    const point = [x, y].map((each) => Math.round(clamp(each, 0, PAD))).join(".");
    update({drawing: state.drawing + (isNew ? "-" : ".") + point, sample: ""});
  };
  let isDrawing = false;
  onPointer(pad, (kind, [x, y]) => {
    if (kind === "down") isDrawing = true;
    if (isDrawing && (kind === "down" || kind === "move")) add(x * PAD, y * PAD, kind === "down");
    if (kind === "up" || kind === "cancel") isDrawing = false;
  });
  onKeys(pad, (right, down) => {
    pen.x = clamp(pen.x + 8 * right, 0, PAD); pen.y = clamp(pen.y + 8 * down, 0, PAD);
    if (pen.isDown) add(pen.x, pen.y, false);
  }, {" ": () => { pen.isDown = !pen.isDown; if (pen.isDown) add(pen.x, pen.y, true); }});
  $("clear").addEventListener("click", () => update({drawing: ""}));
}

function startStrip() {
  const strip = $("strip");
  for (let i = 0; i < META.numImages; i++) {
    const cell = make("canvas", {class: "image", role: "option", id: `test-${i}`});
    paint(cell, testImage(i), `test image ${i + 1}${named(i)}`);
    cell.addEventListener("click", () => update({test: i}));
    strip.append(cell);
  }
  const to = (i) => {
    update({test: clamp(i, 0, META.numImages - 1)});
    strip.setAttribute("aria-activedescendant", `test-${state.test}`);
    const {offsetTop, offsetHeight} = strip.children[state.test];
    if (offsetTop < strip.scrollTop || offsetTop + offsetHeight > strip.scrollTop + strip.clientHeight) strip.scrollTop = offsetTop - strip.clientHeight / 2;
  };
  onKeys(strip, (right, down) => to(state.test + right + down * Math.max(1, Math.floor(strip.clientWidth / 34))));
}

function startCards() {
  for (const name of NAMES) {
    const button = make("button", {type: "button"}, name), code = picture(`code by ${name}`), pair = make("div", {class: "pair"}, picture(""), picture(`what is wrong with it, by ${name}`));
    code.style.height = "1.4rem";
    button.addEventListener("click", () => update({variant: name}));
    $("cards").append(make("article", {class: "card", "data-variant": name}, button, pair, code, make("p", {class: "mse"}), make("p", {class: "bits"})));
    const box = make("input", {type: "checkbox", value: name});
    box.addEventListener("change", () => update({off: NAMES.filter((each) => each === name ? !box.checked : !on().includes(each)).join()}));
    $("ticks").append(make("label", {}, box, ` ${name}`));
  }
  const choose = (event) => { const name = event.target.dataset?.variant; if (name) { event.preventDefault(); update({variant: name}); } };
  $("chart").addEventListener("click", choose);
  $("chart").addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") choose(event); });
}

function startWays() {
  for (const name of Object.keys(WAYS)) {
    const strip = make("canvas", {class: "image", id: `strip-${name}`, role: "img", "aria-label": `${WAYS[name].title}, in ${STEPS} steps`});
    onPointer(strip, (kind, [x], event) => { if (kind === "down" || kind === "move" && event.buttons) update({way: Number(clamp((x * STEPS - 0.5) / (STEPS - 1), 0, 1).toFixed(2))}); });
    $("ways").append(make("div", {class: "way"}, make("canvas", {class: "image", id: `at-${name}`, role: "img"}), make("div", {}, make("p", {class: "small", id: `title-${name}`}), strip)));
  }
  for (const end of ["first", "second"]) $(`take-${end}`).addEventListener("click", () => update({[end]: state.test}));
  $("way").addEventListener("input", (event) => update({way: Number(event.target.value)}));
  let isPlaying = false, direction = 1;
  const play = () => {
    if (!isPlaying) return;
    const way = state.way + direction * 0.01;
    if (way >= 1 || way <= 0) direction = way >= 1 ? -1 : 1;
    update({way: Number(clamp(way, 0, 1).toFixed(2))});
    setTimeout(play, 30);
  };
  $("play").addEventListener("click", () => { isPlaying = !isPlaying; $("play").setAttribute("aria-pressed", String(isPlaying)); play(); });
}

function startBar() {
  $("variant").append(...NAMES.map((name) => make("option", {value: name}, `${name} (${VARIANTS[name].latentDim.toLocaleString("en")})`)));
  $("variant").addEventListener("change", (event) => update({variant: event.target.value}));
  $("preset").append(make("option", {value: ""}, "a preset"), ...Object.keys(PRESETS).map((name) => make("option", {value: name}, name)));
  $("preset").addEventListener("change", (event) => { if (event.target.value) update(PRESETS[event.target.value]()); event.target.value = ""; });
  $("random").addEventListener("click", () => update({test: Math.floor(Math.random() * META.numImages)}));
  $("sample").addEventListener("click", () => update({sample: `${state.variant}:${Math.floor(Math.random() * 10000)}`, drawing: ""}));
  $("reset").addEventListener("click", () => { if (!isAuto) { isAuto = true; requestAnimationFrame(wander); } update({...START}); });
  for (const id of ["noise", "bits"]) $(id).addEventListener("input", (event) => update({[id]: Number(event.target.value)}));
  addEventListener("hashchange", () => { readHash(); show(); });
  addEventListener("resize", () => { if (plane.clientWidth * (devicePixelRatio || 1) !== plane.width) drawPlane(); });
  isDark.addEventListener("change", () => show());
}

async function start() {
  [images] = await Promise.all([bytesOf("images"), ...META.variants.map(load)]);
  $("num-pixels").textContent = SIZE.toLocaleString("en");
  const rounded = META.variants.filter((each) => each.precision !== "float32"), worst = Math.max(1, ...rounded.map((each) => each.ratio));
  $("about").textContent = `In this page: ${NAMES.length} variants. Their weights are rounded (${[...new Set(META.variants.map((each) => each.precision))].join(", ")}), which makes the error on test images at most ${worst.toFixed(4)} times as large. Ranges of sliders and bits are those of each variant's codes of training images. The bytes are those of the numbers alone, without entropy coding. `
    + "Unless others were asked for, the variants are, of each latent dimension, the best of each model family: the best of all first, as many as fit into 4 MB, at most twelve.";
  readHash();
  startPlane(); startStrip(); startPad(); startCards(); startWays(); startBar();
  show();
  if (isAuto) requestAnimationFrame(wander);
  document.documentElement.dataset.ready = "1";
}
start();
