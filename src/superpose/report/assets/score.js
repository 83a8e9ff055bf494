/* The desk's own figure: the share of each adapter's gain that a sum keeps, where it keeps least. */

const ADDS_UP = 0.9; // KEPT of landscape/adding_up.py

/** The shares that the domains of a sum's own adapters keep; all domains' at the base. */
function sharesKept(model, gains, weights) {
  const taking = model.map((_, d) => d).filter((d) => weights[d] !== 0);
  return (taking.length ? taking : model.map((_, d) => d)).filter((d) => gains[d] !== null).map((d) => {
    const { nats, half } = predictAbove(model[d], weights, weights.map((_, k) => Number(k === d)));
    const share = (lost) => 1 - lost / gains[d];
    const ends = half === null ? [share(nats), share(nats)] : [share(nats + half), share(nats - half)];
    return { name: model[d].name, kept: share(nats), low: ends[0], high: ends[1], sure: half !== null };
  });
}

/** Whether a sum adds up: by every interval, as the verdict judges (landscape/adding_up.py). */
function standing(shares) {
  if (shares.some(({ high }) => high < ADDS_UP)) return ["not", "does not add up"];
  if (shares.some(({ low }) => low < ADDS_UP)) return ["perhaps", "may add up"];
  return ["up", "adds up"];
}

function drawScore(place, shares) {
  place.hidden = shares.length === 0;
  if (!shares.length) return;
  const least = shares.reduce((one, other) => (other.kept < one.kept ? other : one));
  const [way, said] = standing(shares);
  const part = (name) => place.querySelector(`[data-${name}]`);
  const at = (share) => `${(100 * Math.max(0, Math.min(1, share))).toFixed(2)}%`;
  place.dataset.standing = way;
  part("kept").textContent = `${fixed(100 * least.kept, 0)}\u00a0%`;
  part("said").textContent = said;
  const interval = least.sure ? `, 95\u00a0% interval ${fixed(100 * least.low, 0)} to ${fixed(100 * least.high, 0)}\u00a0%` : "";
  part("least").textContent = `least on ${least.name}${interval}`;
  part("kept-dot").style.left = at(least.kept);
  part("kept-bar").style.left = at(least.low);
  part("kept-bar").style.right = `calc(100% - ${at(least.high)})`;
}
