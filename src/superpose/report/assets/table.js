/* Tables that are sorted by their heads, whose differences change reference, and that give CSV. */

function startTables() {
  for (const holder of document.querySelectorAll("[data-table]")) {
    const section = holder.closest("section").id;
    const { csv, file } = DATA[section].tables[holder.dataset.table];
    const button = holder.querySelector("[data-csv]");
    button.hidden = false;
    button.addEventListener("click", () => download(file, csv));
    const heads = [...holder.querySelectorAll("thead th")];
    heads.forEach((head, column) =>
      head.querySelector("[data-sort]").addEventListener("click", () => sortBy(holder, heads, column)),
    );
    const reference = holder.querySelector("[data-reference]");
    reference?.addEventListener("change", () => showAgainst(holder, reference.value));
    const filter = holder.querySelector("[data-filter]");
    filter?.addEventListener("input", () => showRows(holder, filter.value));
  }
}

/** Sort by a column, the other way round when it is sorted by already; what is empty comes last. */
function sortBy(holder, heads, column) {
  const ascending = heads[column].getAttribute("aria-sort") !== "ascending";
  heads.forEach((head, at) =>
    head.setAttribute("aria-sort", at !== column ? "none" : ascending ? "ascending" : "descending"),
  );
  const body = holder.querySelector("tbody");
  const numeric = !heads[column].classList.contains("name");
  const keyed = [...body.rows].map((row) => [row.cells[column].dataset.value, row]);
  keyed.sort(([one], [other]) => {
    if (one === "" || other === "") return (one === "") - (other === "");
    const order = numeric ? Number(one) - Number(other) : one.localeCompare(other, "en");
    return ascending ? order : -order;
  });
  body.append(...keyed.map(([, row]) => row));
}

function showAgainst(holder, reference) {
  for (const note of holder.querySelectorAll("[data-against]")) {
    note.hidden = note.dataset.against !== reference;
    if (!note.hidden) shade(note.parentElement, Number(note.dataset.strength));
  }
}

/** Show the rows in whose names every word stands. */
function showRows(holder, text) {
  const words = text.toLocaleLowerCase("en").split(/[\s,+]+/).filter(Boolean);
  const rows = [...holder.querySelector("tbody").rows];
  for (const row of rows) {
    const names = [...row.querySelectorAll(".name")].map((cell) => cell.textContent.toLocaleLowerCase("en")).join(" ");
    row.hidden = !words.every((word) => names.includes(word));
  }
  const left = rows.filter((row) => !row.hidden).length;
  holder.querySelector("[data-left]").textContent = words.length ? `${left} of ${rows.length} rows` : `${rows.length} rows`;
}
