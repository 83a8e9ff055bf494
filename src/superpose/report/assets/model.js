/* The small model of lambda space: what Forecast.predict gives in Python, to rounding. */

/** Read a model once, so that predicting takes microseconds. */
function readModel(model) {
  return model.domains.map((domain) => ({
    ...domain,
    coefficients: Float64Array.from(domain.coefficients),
    covariance: unpacked(domain.covariance),
    features: new Float64Array(domain.coefficients.length),
    right: readRight(domain.right),
  }));
}

function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float64Array.from({ length: bytes.length / 8 }, (_, at) => view.getFloat64(8 * at, true));
}

/**
 * One domain's prediction at some task weights, in nats an answer token.
 *
 * half: of the 95 % interval, null where there is none. measured: on the calibration rows, at these
 * very weights. beyond: whether a weight leaves the box in
 * which the domain was measured, or another adapter's is more than twice its own one's.
 */
function predictDomain(domain, weights) {
  const { nll, seen } = lossAt(domain, weights);
  const measured = wasMeasured(domain, weights);
  const variance = Math.max(0, quadratic(domain.covariance, seen)) + (measured ? 0 : misfit(domain, weights, seen));
  const half = domain.quantile === null ? null : domain.quantile * Math.sqrt(variance);
  return { nll, half, measured, beyond: isBeyond(domain, weights) };
}

/** What a domain's loss is above that at other task weights, in nats, and half of its interval. */
function predictAbove(domain, weights, other) {
  const [here, there] = [weights, other].map((point) => lossAt(domain, point));
  const apart = here.seen.map((part, t) => part - there.seen[t]);
  const missed = (point, { seen }) => (wasMeasured(domain, point) ? 0 : misfit(domain, point, seen));
  const unseen = apart.some((part) => part !== 0) ? missed(weights, here) + missed(other, there) : 0;
  const variance = Math.max(0, quadratic(domain.covariance, apart)) + unseen;
  const half = domain.quantile === null ? null : domain.quantile * Math.sqrt(variance);
  return { nats: here.nll - there.nll, half };
}

/**
 * A domain's loss, and what is seen of each function: how the loss moves with its coefficient.
 *
 * What the others' weights come to saturates; pages of before have no such thing.
 */
function lossAt(domain, weights) {
  const seen = featuresAt(domain, weights).slice();
  const { coefficients, saturation = 0, beside = [] } = domain;
  const rest = beside.reduce((sum, t) => sum + coefficients[t] * seen[t], 0);
  const whole = product(coefficients, seen);
  if (saturation === 0 || rest <= 0) return { nll: whole, seen };
  const grown = saturation * rest;
  for (const t of beside) seen[t] /= 1 + grown;
  return { nll: whole - rest + Math.log1p(grown) / saturation, seen };
}

/** The functions of the task weights that a domain's polynomial is made of; written in one place. */
function featuresAt(domain, weights) {
  const { features } = domain;
  domain.terms.forEach((term, t) => (features[t] = term.reduce((size, k) => size * weights[k], 1)));
  let next = domain.terms.length;
  if (domain.triples.length > 0) features[next++] = triple(domain.triples, weights);
  if (domain.own !== null) features[next] = ownAxis(domain.own_square, weights[domain.own]);
  return features;
}

function product(coefficients, features) {
  let sum = 0;
  for (let t = 0; t < features.length; t++) sum += coefficients[t] * features[t];
  return sum;
}

function wasMeasured(domain, weights) {
  return domain.points.some((point) => point.every((w, k) => Math.abs(w - weights[k]) < 1e-9));
}

/** The sum of all products of three different ones of these weights. */
function triple(chosen, weights) {
  let [one, two, three] = [0, 0, 0];
  for (const k of chosen) {
    three += two * weights[k];
    two += one * weights[k];
    one += weights[k];
  }
  return three;
}

/** The curved part along a domain's own adapter: 0 at the base, -1 at that adapter. */
function ownAxis(share, x) {
  const square = (1 - x) ** 2;
  return share * (square - 1) + (1 - share) * (square ** 2 - 1);
}

/** The variance from the loss being no such polynomial. */
function misfit(domain, weights, features) {
  let [squares, pairs, sizes] = [0, 0, 0];
  for (const k of domain.others) {
    pairs += squares * weights[k] ** 2;
    squares += weights[k] ** 2;
    sizes += Math.abs(weights[k]);
  }
  const along = domain.own === null ? 0 : weights[domain.own];
  const bend = domain.bend * 4 * along * (1 - along);
  const away = domain.away * (1 - along) ** 2 * Math.min(1, sizes / domain.full);
  // Pages of before have no such share.
  const together = (domain.crossing ?? []).reduce((sum, t) => sum + domain.coefficients[t] * features[t], 0);
  const cross = (domain.cross ?? 0) * together;
  return domain.residual ** 2 * (1 + pairs) + bend ** 2 + away ** 2 + cross ** 2;
}

/** f' C f, with the rows of the symmetric C from the diagonal on, end to end. */
function quadratic(covariance, features) {
  const count = features.length;
  let at = 0;
  let sum = 0;
  for (let row = 0; row < count; row++) {
    const value = features[row];
    let inner = 0.5 * covariance[at++] * value;
    for (let column = row + 1; column < count; column++) inner += covariance[at++] * features[column];
    sum += 2 * value * inner;
  }
  return sum;
}

function isBeyond({ box, own, others }, weights) {
  const outside = ([low, high], k) => weights[k] < low - 1e-9 || weights[k] > high + 1e-9;
  return box.some(outside) || (own !== null && others.some((k) => weights[k] > 2 * weights[own]));
}
