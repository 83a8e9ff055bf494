/* What every other script uses: the page's data, elements made from text, figures as text. */
const DATA = JSON.parse(document.getElementById("data").textContent);

/** An element with attributes and children; strings become text, never markup. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** A figure with so many decimals and a true minus; a dash for none, and no sign for zero. */
function fixed(value, digits, signed = false) {
  if (value === null || !Number.isFinite(value)) return "–";
  const text = Math.abs(value).toLocaleString("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  if (!/[1-9]/.test(text)) return text;
  return (value < 0 ? "−" : signed ? "+" : "") + text;
}

/** A perplexity from nats, as the rest of the page writes it. */
function perplexity(nll) {
  if (nll === null || !Number.isFinite(nll)) return "–";
  const value = Math.exp(Math.min(nll, 700));
  if (value < 100) return value.toFixed(2);
  return value < 1e6 ? fixed(value, 0) : exponential(value);
}

/** A large figure as Python writes it: two digits of exponent at least. */
function exponential(value) {
  return value.toExponential(1).replace(/\+(\d)$/, "+0$1");
}

/** Shade an element: -1 is the strongest blue, 0 none, 1 the strongest orange. */
function shade(target, strength) {
  const percent = Math.round(Math.abs(strength) * 100);
  if (percent === 0) {
    delete target.dataset.shade;
    target.style.removeProperty("--t");
  } else {
    target.dataset.shade = strength > 0 ? "warm" : "cool";
    target.style.setProperty("--t", `${percent}%`);
  }
}

/** The button that turns light into dark and back; before it is used the system decides. */
function startTheme() {
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const label = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Show the page in ${isDark() ? "light" : "dark"} colours`);
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    label();
  });
  system.addEventListener("change", label);
  label();
}
