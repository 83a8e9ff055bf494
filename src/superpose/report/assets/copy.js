/* Buttons that copy a command, and files that are made in the page. */

/** Let each button copy the text of the element that it names. */
function startCopying() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    const said = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.copy).textContent;
      button.textContent = (await copied(text)) ? "Copied" : "Not copied: select it";
      setTimeout(() => (button.textContent = said), 1600);
    });
  }
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedByHand(text); // Where the clipboard is closed to a page opened from disk.
  }
}

function copiedByHand(text) {
  const field = element("textarea", { "aria-hidden": "true", style: "position:fixed;opacity:0" });
  field.value = text;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}

/** Give the reader a file that the page made. content: a Blob, or the text of a CSV file. */
function download(name, content) {
  const file = content instanceof Blob ? content : new Blob([content], { type: "text/csv;charset=utf-8" });
  const address = URL.createObjectURL(file);
  const link = element("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
