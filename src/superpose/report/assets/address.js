/* The desk's weights stand in the page's address, so that a link or a bookmark brings them back. */

/** The weights that an address holds, and which of several models; null where it holds none. */
function weightsInAddress(count, models) {
  const [, listed, which = "0"] = /^#desk=([-+.,\deE]+)(?:&of=(\d+))?$/.exec(location.hash) ?? [];
  const weights = (listed ?? "").split(",").map((text) => (text === "" ? NaN : Number(text)));
  if (weights.length !== count || !weights.every(Number.isFinite) || Number(which) >= models) return null;
  return { weights, which: Number(which) };
}

/** Write them once they rest: browsers take only so many changes a minute. */
function writeAddress(desk) {
  clearTimeout(desk.writing);
  desk.writing = setTimeout(() => {
    const of = desk.which ? `&of=${desk.which}` : "";
    history.replaceState(null, "", `#desk=${desk.weights.map(trimmed).join(",")}${of}`);
  }, 300);
}

/** Take the weights of an address that is opened, or pasted while the page is open. */
function followAddress(desk) {
  const follow = () => {
    const found = weightsInAddress(desk.weights.length, desk.models.length);
    if (!found) return;
    if (found.which !== desk.which) use(desk, found.which);
    if (desk.select) desk.select.value = String(found.which);
    setWeights(desk, found.weights);
    desk.place.closest("section").scrollIntoView();
  };
  addEventListener("hashchange", follow);
  follow();
}
