/* What is wider than its box scrolls sideways in it; a faded edge and a line of text say so. */

function startHints() {
  const seen = new ResizeObserver((changes) => changes.forEach(({ target }) => hint(target.closest(SIDEWAYS))));
  for (const box of document.querySelectorAll(SIDEWAYS)) {
    box.addEventListener("scroll", () => hint(box), { passive: true });
    seen.observe(box);
    for (const inside of box.children) seen.observe(inside);
  }
}

const SIDEWAYS = ".box, .top nav";

/** Mark on which sides of a box there is more; a pixel is left for rounding. */
function hint(box) {
  const left = box.scrollWidth - box.clientWidth - box.scrollLeft;
  const sides = [box.scrollLeft > 1 && "start", left > 1 && "end"].filter(Boolean);
  if (sides.length) box.dataset.beyondEdge = sides.join(" ");
  else delete box.dataset.beyondEdge;
  if (!box.matches(".box")) return;
  let line = box.previousElementSibling?.matches(".more") ? box.previousElementSibling : null;
  if (!sides.length) {
    line?.remove();
    return;
  }
  if (!line) {
    line = element("p", { class: "more", "aria-hidden": "true" });
    line.textContent = "There is more to the right: scroll sideways →";
    box.before(line);
  }
  line.classList.toggle("at-end", left <= 1);
}
