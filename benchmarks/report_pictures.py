"""docs/report.jpg and docs/report_phone.jpg: the beginning of a report in Chromium, on a wide screen and on a phone.

python benchmarks/report_pictures.py report.html
"""

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).parents[1] / "docs"

WIDE, HEIGHT = 1280, 1720
PHONE, STRIPS = 375, 3
"""A phone's width, and how many of its screens are put side by side."""

_SCREEN, _GAP, _GREY = 1000, 24, (128, 128, 128)


def seen(page: Path, width: int, height: int) -> Image.Image:
    """What a window of that size shows of a page."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise SystemExit("this needs Chromium")
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={folder}/profile"]
        size = [f"--window-size={width},{height}", f"--screenshot={picture}"]
        subprocess.run([chromium, *options, *size, page.resolve().as_uri()], check=True, capture_output=True)
        return Image.open(io.BytesIO(picture.read_bytes())).convert("RGB")


def main(page: Path) -> None:
    """Makes both."""
    wide = seen(page, WIDE, HEIGHT)
    wide.resize((3 * WIDE // 4, 3 * HEIGHT // 4), Image.Resampling.LANCZOS).save(DOCS / "report.jpg", quality=70)
    long = seen(page, PHONE, STRIPS * _SCREEN)
    strips = Image.new("RGB", (STRIPS * (PHONE + _GAP) - _GAP, _SCREEN), _GREY)
    for i in range(STRIPS):
        strip = long.crop((0, i * _SCREEN, PHONE, (i + 1) * _SCREEN))
        strips.paste(strip, (i * (PHONE + _GAP), 0))
    strips.save(DOCS / "report_phone.jpg", quality=50)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
