/* The verdict as a picture, to paste where a page cannot go: drawn here, of the page's own text. */

const [CARD, TALL, EDGE] = [1200, 630, 64];

function startPictures() {
  const button = document.getElementById("picture");
  if (!button || !document.querySelector(".verdict")) return;
  const said = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const image = await new Promise((done) => drawCard().toBlob(done, "image/png"));
    button.textContent = (await pasted(image)) ? "Copied" : "Saved";
    if (button.textContent === "Saved") download("superpose.png", image);
    setTimeout(() => (button.textContent = said), 1600);
  });
}

async function pasted(image) {
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": image })]);
    return true;
  } catch {
    return false; // Where the clipboard takes no pictures the file is saved.
  }
}

/** Title, verdict and first figures in the colours that the page has now. */
function drawCard() {
  const canvas = element("canvas", { width: CARD, height: TALL });
  const pen = canvas.getContext("2d");
  const styles = getComputedStyle(document.body);
  const soft = getComputedStyle(document.querySelector(".subtitle")).color;
  pen.fillStyle = styles.backgroundColor;
  pen.fillRect(0, 0, CARD, TALL);
  const write = (text, size, bold, colour, x, y, wide, most) => {
    pen.font = `${bold ? 650 : 400} ${size}px ${styles.fontFamily}`;
    pen.fillStyle = colour;
    return lines(pen, text, wide, most).reduce((down, line) => (pen.fillText(line, x, down), down + 1.3 * size), y);
  };
  const text = (query) => document.querySelector(query).textContent.replace(/\s+/g, " ").trim();
  const wide = CARD - 2 * EDGE;
  let y = write(text("h1"), 46, true, styles.color, EDGE, EDGE + 40, wide, 2);
  y = write(text(".subtitle"), 22, false, soft, EDGE, y, wide, 1);
  write(text(".verdict"), 26, false, styles.color, EDGE, y + 24, wide, 5);
  [...document.querySelectorAll(".cards > div")].slice(0, 3).forEach((card, at) => {
    const [x, room] = [EDGE + (at * wide) / 3, wide / 3 - 24];
    const part = (name) => card.querySelector(name)?.textContent ?? "";
    write(part(".value"), 40, true, styles.color, x, TALL - 132, room, 1);
    write(part("dt"), 18, false, soft, x, TALL - 98, room, 2);
  });
  write(text(".brand"), 18, true, soft, EDGE, TALL - 28, wide, 1);
  return canvas;
}

/** Break a text into lines that are no wider, at most so many; a cut is marked. */
function lines(pen, text, wide, most) {
  const found = [""];
  for (const word of text.split(" ")) {
    const longer = found.at(-1) ? `${found.at(-1)} ${word}` : word;
    if (!found.at(-1) || pen.measureText(longer).width <= wide) found[found.length - 1] = longer;
    else found.push(word);
  }
  if (found.length <= most) return found;
  return [...found.slice(0, most - 1), `${found[most - 1]} …`];
}
