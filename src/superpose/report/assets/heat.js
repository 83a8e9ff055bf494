/* Heat maps: figures on hover and focus, arrow keys between cells, and the map of modules. */

function startHeatMaps() {
  addEventListener("scroll", keepTip, { passive: true, capture: true });
  for (const section of document.querySelectorAll("main > section")) {
    for (const map of section.querySelectorAll(".map")) startCells(map);
    const data = DATA[section.id]?.heat;
    if (data && section.querySelector("[data-chosen]")) startChoice(section, data);
  }
}

/** Tell a cell's figures where it is pointed at or focused, and let arrow keys move the focus. */
function startCells(map) {
  const tell = (event) => {
    const cell = event.target.closest("button[data-pick], td[data-says]");
    if (cell && map.contains(cell)) showTip(cell, cell.getAttribute("aria-label") ?? cell.dataset.says);
    else hideTip();
  };
  map.addEventListener("pointerover", tell);
  map.addEventListener("focusin", tell);
  map.addEventListener("pointerleave", hideTip);
  map.addEventListener("focusout", hideTip);
  map.addEventListener("keydown", (event) => (event.key === "Escape" ? hideTip() : moveFocus(event, map)));
  stops(map)[0]?.setAttribute("tabindex", "0");
}

let told = null; // the cell that the note is beside

/** The note beside a cell. Screen readers have the cell's own label, so it is hidden from them. */
function showTip(cell, text) {
  const tip = document.getElementById("tip");
  told = cell;
  tip.textContent = text;
  tip.hidden = false;
  placeTip(tip, cell);
}

function placeTip(tip, cell) {
  const at = cell.getBoundingClientRect();
  const { width, height } = tip.getBoundingClientRect();
  const space = document.documentElement.clientWidth;
  const left = Math.max(8, Math.min(at.left + at.width / 2 - width / 2, space - width - 8));
  const above = at.top - height - 8;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 4 ? above : at.bottom + 8}px`;
}

/** After scrolling: a cell takes its note along where it has the focus, which may have scrolled. */
function keepTip() {
  const tip = document.getElementById("tip");
  if (tip.hidden) return;
  if (told === document.activeElement) placeTip(tip, told);
  else hideTip();
}

function hideTip() {
  document.getElementById("tip").hidden = true;
}

function stops(map) {
  return [...map.querySelectorAll("button[data-pick], td[data-says]")];
}

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function moveFocus(event, map) {
  const step = STEPS[event.key];
  if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const from = event.target.closest("td");
  const rows = map.tBodies[0].rows;
  let [row, column] = [from.parentElement.sectionRowIndex, from.cellIndex];
  for (;;) {
    [row, column] = [row + step[0], column + step[1]];
    const cell = rows[row]?.cells[column];
    if (!cell) return;
    const stop = cell.matches("[data-says]") ? cell : cell.querySelector("button");
    if (stop) return focusOn(map, stop);
  }
}

function focusOn(map, stop) {
  for (const other of stops(map)) other.setAttribute("tabindex", "-1");
  stop.setAttribute("tabindex", "0");
  stop.focus();
}

/** Let a pair be chosen in the maps and in the list, and draw its modules. */
function startChoice(section, data) {
  const list = section.querySelector("[data-choose]");
  const figures = [...section.querySelectorAll(".segments input")];
  const figure = () => figures.find((input) => input.checked)?.value ?? Object.keys(data.scales)[0];
  const choose = (chosen) => {
    list.value = chosen;
    for (const button of section.querySelectorAll("[data-pick]")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.pick) === chosen));
    }
    drawModules(section, data, chosen, figure());
  };
  section.addEventListener("click", (event) => {
    const button = event.target.closest("[data-pick]");
    if (!button) return;
    choose(Number(button.dataset.pick));
    section.querySelector("[data-chosen]").open = true;
  });
  list.addEventListener("change", () => choose(Number(list.value)));
  for (const input of figures) input.addEventListener("change", () => choose(Number(list.value)));
  section.querySelector("[data-chosen]").hidden = false;
  choose(data.chosen);
}

function drawModules(section, data, chosen, figure) {
  const scale = data.scales[figure];
  const { strong, text } = data.texts[chosen];
  section.querySelector("[data-told]").replaceChildren(element("strong", {}, strong), ` ${text}`);
  const maps = modulesMaps(data, chosen, figure, scale);
  section.querySelector("[data-modules]").replaceChildren(...maps);
  maps.forEach(startCells);
  section.querySelector("[data-legend]").replaceChildren(
    element("span", { class: "visually-hidden" }, `Shades of ${scale.name}: `),
    ...scale.legend.map((step) => {
      const swatch = element("span", { class: "swatch" }, step.text + scale.unit);
      shade(swatch, step.shade);
      return swatch;
    }),
  );
}

/** A cell that is hardly shaded has no figure: pointed at, it says it. */
const FAINT = 0.08;

/** A map for each group of layers that have kinds of module in common. */
function modulesMaps(data, chosen, figure, scale) {
  const { maps, at, names } = data.grid;
  const cells = maps.map(({ rows, columns }) => rows.map(() => columns.map(() => element("td", { class: "none" }))));
  data.values[figure][chosen].forEach((value, module) => {
    if (value === null) return;
    const [map, row, column] = at[module];
    const says = `${names[module]}: ${scale.name} ${scaled(value, scale)}${scale.unit}`;
    const cell = element("td", { tabindex: "-1", "data-says": says });
    const shown = strength(value, scale);
    if (Math.abs(shown) >= FAINT) cell.append(scaled(value, scale));
    shade(cell, shown);
    cells[map][row][column] = cell;
  });
  return maps.map(({ corner, rows, columns }, map) => {
    const says = `${data.labels[chosen]}: ${scale.name}, layers down, kinds of module across`;
    return element(
      "table",
      { class: "map" },
      element("caption", map ? { class: "visually-hidden" } : {}, says),
      element("thead", {}, element("tr", {}, head("col", corner, "name"), ...columns.map((name) => head("col", name)))),
      element("tbody", {}, ...rows.map((name, row) => element("tr", {}, head("row", name, "name"), ...cells[map][row]))),
    );
  });
}

/** A head whose name is broken behind its joints, where it is long, and nowhere cut. */
function head(scope, name, kind) {
  const parts = name.split(/(?<=[._/])/).flatMap((part, at) => (at ? [element("wbr", {}), part] : [part]));
  return element("th", { scope, class: kind }, element("span", {}, ...parts));
}

/** The same shade and text that the page's writer gives (report/heat.py). */
function strength(value, scale) {
  const size = Math.abs(value);
  const part =
    scale.low > 0
      ? Math.log(Math.max(size, scale.low) / scale.low) / Math.log(scale.full / scale.low)
      : size / scale.full;
  return Math.sign(value) * Math.min(1, part);
}

function scaled(value, scale) {
  const digits = scale.low > 0 && Math.abs(value) >= 9.95 ? 0 : scale.digits;
  return fixed(value, digits, scale.signed);
}
