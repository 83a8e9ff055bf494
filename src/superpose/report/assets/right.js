/* Questions with choices: what RightAnswers foretells in Python, to float32's rounding. */

const LOGISTIC = Math.PI / Math.sqrt(3);

/** Read a domain's margins once: shapes from their lengths, (E, C), (E, Q) and (P, Q). */
function readRight(right) {
  return right && {
    ...right,
    seen: rowsOf(right.seen, right.sizes.length),
    shares: rowsOf(right.shares, right.scale.length),
    margins: rowsOf(right.margins, right.scale.length),
  };
}

function rowsOf(text, width) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const all = Float32Array.from({ length: bytes.length / 4 }, (_, at) => view.getFloat32(4 * at, true));
  return Array.from({ length: all.length / width }, (_, row) => all.subarray(row * width, (row + 1) * width));
}

/**
 * The share of right answers at some task weights, its 95 % interval, and questions by position.
 *
 * breaks: right under the own adapter and wrong here, the surest first. mends: the other way round.
 */
function foretellRight(right, weights) {
  const here = marginsAt(right, weights);
  const alone = marginsAt(right, weights.map((_, k) => Number(k === right.own)));
  const turned = (from, to) => [...from.margin.keys()].filter((q) => from.margin[q] > 0 && !(to.margin[q] > 0));
  const breaks = turned(alone, here).sort((p, q) => here.chance[p] - here.chance[q] || here.margin[p] - here.margin[q]);
  return { ...shareOf(here.chance), measured: here.measured, breaks, mends: turned(here, alone), of: alone.margin.filter((margin) => margin > 0).length };
}

/** Margins in nats and the probabilities that they are positive: 0 or 1 where they were measured. */
function marginsAt(right, weights) {
  const at = right.points.findIndex((point) => point.every((weight, k) => Math.abs(weight - weights[k]) < 1e-12));
  if (at >= 0) {
    const margin = [...right.margins[at]];
    return { margin, measured: true, chance: margin.map((nats) => Number(nats > 0)) };
  }
  const along = weights[right.own];
  const left = right.terms.map((term, t) => term.reduce((product, k) => product * weights[k], right.sizes[t]));
  left.push(right.sizes[left.length] * ownAxis(right.own_square, along));
  const terms = [...left];
  const margin = right.scale.map(() => 0);
  right.seen.forEach((row, e) => {
    let known = 0;
    for (let t = 0; t < row.length; t++) known += row[t] * terms[t];
    for (let t = 0; t < row.length; t++) left[t] -= known * row[t];
    for (let q = 0; q < margin.length; q++) margin[q] += known * right.shares[e][q];
  });
  const others = weights.reduce((sum, weight, k) => sum + (k === right.own ? 0 : Math.abs(weight)), 0);
  const unseen = Math.hypot(...left, right.away * (1 - along) ** 2 * others, right.bend * 4 * along * (1 - along));
  return { margin, measured: false, chance: margin.map((nats, q) => 1 / (1 + Math.exp((-LOGISTIC * nats) / (unseen * right.scale[q])))) };
}

/** The mean of the probabilities, with its interval for other questions (Wilson's). */
function shareOf(chance) {
  const count = chance.length;
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / count;
  const share = mean(chance);
  const drawn = share * (1 - share);
  const of = drawn > 0 ? (count * drawn) / (drawn + mean(chance.map((p) => p * (1 - p)))) : count;
  const z = 1.959963984540054;
  const middle = (share + z ** 2 / (2 * of)) / (1 + z ** 2 / of);
  const half = (z / (1 + z ** 2 / of)) * Math.sqrt((share * (1 - share)) / of + (z / (2 * of)) ** 2);
  return { share, low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

/** Write a domain's right answers below its perplexity, and which questions the sum breaks. */
function drawRight(parts, right, found) {
  const share = (value) => `${fixed(100 * value, 0)}\u00a0%`;
  parts.right.textContent = `Right answers ${share(found.share)} (${fixed(100 * found.low, 0)} to ${share(found.high)}), ${found.measured ? "measured" : "foretold"}`;
  const mends = found.mends.length ? `, mends ${found.mends.length}` : "";
  parts.broken.querySelector("summary").textContent = `breaks ${found.breaks.length} of ${found.of} that its own adapter answers right${mends}`;
  const key = found.breaks.join();
  if (parts.broken.dataset.holds === key) return;
  parts.broken.dataset.holds = key;
  parts.broken.querySelector("ul").replaceChildren(
    ...found.breaks.map((q) => element("li", {}, right.questions[q][0], " ", element("em", {}, right.questions[q][1]))),
  );
}
