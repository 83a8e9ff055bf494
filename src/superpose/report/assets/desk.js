/* The mixing desk: sliders, presets, and every domain's prediction moving with them. */

function startDesk() {
  const place = document.querySelector("[data-desk]");
  if (!place) return;
  const { desks, start } = DATA.desk;
  const desk = { place, desks, start, which: 0, models: desks.map(({ model }) => readModel(model)), weights: [], due: 0 };
  desk.rows = [...place.querySelectorAll("[data-domain]")].map(partsOf);
  desk.ranges = [...place.querySelectorAll("[data-range]")];
  desk.numbers = [...place.querySelectorAll("[data-number]")];
  desk.buttons = [...place.querySelectorAll("[data-preset]")];
  desk.score = place.querySelector("[data-score]");
  desk.select = place.querySelector("[data-which]");
  listen(desk);
  place.hidden = false;
  use(desk, 0);
  followAddress(desk);
  // For whoever wants to predict from the console, and for the tests.
  window.superpose = {
    predict: (weights, which = desk.which) => desk.models[which].map((domain) => predictDomain(domain, weights)),
    kept: (weights, which = desk.which) => sharesKept(desk.models[which], desks[which].gains, weights),
    right: (weights, which = desk.which) => desk.models[which].map(({ right }) => right && foretellRight(right, weights)),
    draw: () => draw(desk),
  };
}

const [LEAST, MOST] = [-0.5, 1.5]; // of report/desk.py

function partsOf(row) {
  const part = (name) => row.querySelector(`[data-${name}]`);
  return {
    row,
    value: part("value"),
    interval: part("interval"),
    against: part("against-own"),
    base: part("base"),
    own: part("own"),
    bar: part("bar"),
    dot: part("dot"),
    beyond: part("beyond"),
    right: part("right"),
    broken: part("broken"),
  };
}

function listen(desk) {
  desk.ranges.forEach((range, k) => range.addEventListener("input", () => setWeight(desk, k, range.valueAsNumber)));
  desk.numbers.forEach((number, k) =>
    number.addEventListener("input", () => {
      if (Number.isFinite(number.valueAsNumber)) setWeight(desk, k, number.valueAsNumber, number);
    }),
  );
  desk.buttons.forEach((button, at) =>
    button.addEventListener("click", () => {
      setWeights(desk, desk.desks[desk.which].presets[at]);
      writeAddress(desk);
    }),
  );
  desk.select?.addEventListener("change", () => use(desk, Number(desk.select.value)));
}

/** Take up one of several models: its marks and scales, at the preset that the verdict is about. */
function use(desk, which) {
  desk.which = which;
  const presets = desk.desks[which].presets;
  desk.scales = desk.models[which].map((domain, d) => {
    const nats = presets.map((weights) => predictDomain(domain, weights).nll);
    const ends = [Math.min(...nats), Math.max(...nats)];
    const room = 0.12 * (ends[1] - ends[0]) || 0.1;
    const own = presets[0].map((_, k) => Number(k === d));
    const scale = { low: ends[0] - room, width: ends[1] - ends[0] + 2 * room };
    return { ...scale, own: predictDomain(domain, own).nll, base: predictDomain(domain, own.map(() => 0)).nll };
  });
  desk.rows.forEach((parts, d) => {
    parts.base.style.left = percent(desk.scales[d].base, desk.scales[d]);
    parts.own.style.left = percent(desk.scales[d].own, desk.scales[d]);
  });
  setWeights(desk, presets[desk.start]);
}

function setWeights(desk, weights) {
  desk.weights = [...weights];
  desk.weights.forEach((weight, k) => showWeight(desk, k, weight));
  schedule(desk);
}

function setWeight(desk, k, weight, typedIn = null) {
  desk.weights[k] = weight;
  showWeight(desk, k, weight, typedIn);
  schedule(desk);
  writeAddress(desk);
}

/** Show a weight; one beyond the slider's ends stretches it, and the marks at 0 and 1 move along. */
function showWeight(desk, k, weight, typedIn = null) {
  const range = desk.ranges[k];
  const [low, high] = [Math.min(LEAST, weight), Math.max(MOST, weight)];
  Object.assign(range, { min: low, max: high });
  for (const [name, at] of [["--zero", 0], ["--one", 1]]) range.parentElement.style.setProperty(name, String((at - low) / (high - low)));
  range.value = weight;
  if (typedIn !== desk.numbers[k]) desk.numbers[k].value = trimmed(weight);
}

/** Draw once a frame however often a slider tells of a move. */
function schedule(desk) {
  if (desk.due) return;
  desk.due = requestAnimationFrame(() => {
    desk.due = 0;
    draw(desk);
  });
}

function draw(desk) {
  const model = desk.models[desk.which];
  const found = model.map((domain) => predictDomain(domain, desk.weights));
  found.forEach((prediction, d) => drawDomain(desk.rows[d], prediction, desk.scales[d]));
  model.forEach(({ right }, d) => right && drawRight(desk.rows[d], right, foretellRight(right, desk.weights)));
  const { presets, gains } = desk.desks[desk.which];
  drawScore(desk.score, sharesKept(model, gains, desk.weights));
  desk.buttons.forEach((button, at) =>
    button.setAttribute("aria-pressed", String(presets[at].every((w, k) => Math.abs(w - desk.weights[k]) < 1e-9))),
  );
  document.getElementById("desk-command").textContent = command(desk);
  clearTimeout(desk.telling);
  desk.telling = setTimeout(() => tell(desk, model, found), 700);
}

function drawDomain(parts, { nll, half, measured, beyond }, scale) {
  parts.value.textContent = `${measured ? "" : "~"}${perplexity(nll)}`;
  parts.interval.textContent =
    half === null ? "no interval" : `${perplexity(nll - half)} to ${perplexity(nll + half)}`;
  const change = 100 * Math.expm1(Math.min(nll - scale.own, 700));
  parts.against.textContent = Math.abs(change) < 0.05 ? "= own adapter" : `${change > 0 ? "▲ +" : "▼ −"}${short(Math.abs(change))}\u00a0% vs own adapter`;
  parts.against.dataset.way = Math.abs(change) < 0.05 ? "" : change > 0 ? "more" : "less";
  parts.dot.style.left = percent(nll, scale);
  parts.dot.dataset.off = nll > scale.low + scale.width ? "end" : nll < scale.low ? "start" : "";
  parts.bar.style.left = percent(nll - (half ?? 0), scale);
  parts.bar.style.right = `calc(100% - ${percent(nll + (half ?? 0), scale)})`;
  parts.row.classList.toggle("is-beyond", beyond);
  parts.beyond.setAttribute("aria-hidden", String(!beyond));
}

function percent(nats, scale) {
  return `${Math.max(0, Math.min(100, (100 * (nats - scale.low)) / scale.width)).toFixed(2)}%`;
}

function short(value) {
  return value < 100 ? value.toFixed(1) : value < 1e6 ? fixed(value, 0) : exponential(value);
}

function trimmed(weight) {
  return String(Number(weight.toFixed(4)));
}

function command(desk) {
  const weights = desk.weights.map(trimmed);
  if (weights.every((weight) => Number(weight) === 0)) return "# the base model itself: nothing to add";
  return `${desk.desks[desk.which].command} --weights=${weights.join(",")} -o OUT`;
}

/** Say the outcome once the weights rest. */
function tell(desk, model, found) {
  const parts = found.map(
    ({ nll, measured, beyond }, d) => `${model[d].name} ${perplexity(nll)}${measured ? ", measured" : ""}${beyond ? ", beyond calibration" : ""}`,
  );
  const kept = desk.score.hidden ? "" : `The sum ${desk.score.querySelector("[data-said]").textContent}. `;
  desk.place.querySelector("[data-status]").textContent = `${kept}Perplexity, foretold where not measured: ${parts.join("; ")}.`;
}
