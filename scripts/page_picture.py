"""Render docs/page.webp, the README's picture of a page, from a real run's page.

superpose demo && python scripts/page_picture.py superpose-demo/page.html
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "page.webp"
LARGEST = 300_000
WIDTH, HEIGHT, GAP = 1180, 1190, 24

SANS = ":root { --sans: 'Inter', 'Liberation Sans', system-ui, sans-serif; }"
"""What a machine without a desktop has for a system font is broad and hard to read."""


def main(page: Path) -> None:
    """Take the verdict in light colours, the charts and the desk in dark ones, side by side."""
    programs = (shutil.which(name) for name in ("chromium-headless-shell", "chromium"))
    found = os.environ.get("SUPERPOSE_CHROMIUM") or next(filter(None, programs), None)
    if found is None:
        sys.exit("no browser: apt-get install chromium-headless-shell, or name SUPERPOSE_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        parts = [of_verdict(browser, page), of_desk_and_charts(browser, page)]
        browser.close()
    sheet = Image.new("RGB", (2 * WIDTH + 3 * GAP, HEIGHT + 2 * GAP), "#c9ced3")
    for position, part in enumerate(parts):
        sheet.paste(part, (GAP + position * (WIDTH + GAP), GAP))
    sheet.save(PICTURE, quality=82, method=6)
    if PICTURE.stat().st_size > LARGEST:
        sys.exit(f"{PICTURE} is larger than {LARGEST:,} bytes")
    print(f"wrote {PICTURE}, {PICTURE.stat().st_size:,} bytes")


def of_verdict(browser: Browser, page: Path) -> Image.Image:
    """The top of the page, in light colours."""
    return picture(opened(browser, page, "light").screenshot())


def of_desk_and_charts(browser: Browser, page: Path) -> Image.Image:
    """The desk with one weight moved, and the charts below it, in dark colours."""
    shown = opened(browser, page, "dark")
    shown.locator("#desk [data-preset]", has_text="tuned").click()
    shown.locator("[data-range='0']").fill("0.85")
    shown.mouse.move(0, 0)  # A button that is pointed at looks as if it were chosen.
    shown.wait_for_timeout(500)
    ground = shown.evaluate("getComputedStyle(document.body).backgroundColor")
    panel = Image.new("RGB", (WIDTH, HEIGHT), ground)
    top = 0
    for part in ("#desk", "#figure"):
        taken = picture(shown.locator(part).screenshot())
        panel.paste(taken, ((WIDTH - taken.width) // 2, top))
        top += taken.height
    return panel


def opened(browser: Browser, page: Path, scheme: str) -> Page:
    """The page in a window of a panel's size."""
    size = {"width": WIDTH, "height": HEIGHT}
    shown = browser.new_page(viewport=size, color_scheme=scheme)
    shown.goto(page.resolve().as_uri())
    shown.add_style_tag(content=SANS)
    shown.wait_for_timeout(500)
    return shown


def picture(png: bytes) -> Image.Image:
    """A screenshot as an image."""
    return Image.open(io.BytesIO(png))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
