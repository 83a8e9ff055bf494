/* The small model of lambda space: what Forecast.predict gives in Python, to rounding. */

/** Read a model once, so that predicting takes microseconds. */
function readModel(model) {
  return model.domains.map((domain) => ({
    name: domain.name,
    terms: domain.terms,
    coefficients: Float64Array.from(domain.coefficients),
    covariance: unpacked(domain.covariance),
    triples: domain.triples,
    residual: domain.residual,
    others: domain.others,
    own: domain.own,
    bend: domain.bend,
    quantile: domain.quantile,
    box: domain.box,
    features: new Float64Array(domain.coefficients.length),
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
 * nll: the sum of coefficient times product of weights. half: of the 95 % interval, null where
 * there is none. beyond: whether a weight leaves the box in which the domain was measured.
 */
function predictDomain(domain, weights) {
  const { terms, coefficients, features } = domain;
  let nll = 0;
  for (let t = 0; t < terms.length; t++) {
    let product = 1;
    for (const k of terms[t]) product *= weights[k];
    features[t] = product;
    nll += coefficients[t] * product;
  }
  if (domain.triples.length > 0) {
    const last = terms.length;
    features[last] = ofThree(domain.triples, weights);
    nll += coefficients[last] * features[last];
  }
  const sampling = Math.max(0, quadratic(domain.covariance, features));
  const error = Math.sqrt(sampling + misfitSquared(domain, weights));
  const half = domain.quantile === null ? null : domain.quantile * error;
  return { nll, half, beyond: isBeyond(domain.box, weights) };
}

/** The sum of all products of three different weights: Newton's identity. */
function ofThree(chosen, weights) {
  let [one, two, three] = [0, 0, 0];
  for (const k of chosen) {
    const x = weights[k];
    one += x;
    two += x * x;
    three += x * x * x;
  }
  return (one * one * one - 3 * one * two + 2 * three) / 6;
}

/** Variance from the loss being no such polynomial: pairs of other adapters, the own one's bend. */
function misfitSquared({ residual, others, own, bend }, weights) {
  let [squares, fourth] = [0, 0];
  for (const k of others) {
    const square = weights[k] * weights[k];
    squares += square;
    fourth += square * square;
  }
  const along = own === null ? 0 : bend * 4 * weights[own] * (1 - weights[own]);
  return residual * residual * (1 + (squares * squares - fourth) / 2) + along * along;
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

function isBeyond(box, weights) {
  return box.some(([low, high], k) => weights[k] < low - 1e-9 || weights[k] > high + 1e-9);
}
