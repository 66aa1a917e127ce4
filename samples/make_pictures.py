"""Makes the pictures of the README in ``docs/`` anew, from real runs of both scripts.

``docs/terminal.svg`` is what a terminal shows of three commands, ``docs/report.png`` the top of the report that the
first of them wrote, as Chromium shows it. The recording is that of `make_logs`: the bundled sample with hum and noise.

``make pictures``, or from anywhere: ``python samples/make_pictures.py [--model rehearsal-tiny] [--folder DIR]``. What
it needs: the dependency group ``dev``, and a Chromium on the PATH. The full-size rehearsal model is built first where
it is missing.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from samples.make_logs import noisy_recording, scrubbed  # noqa: E402
from voicekit import rehearsal  # noqa: E402

COLUMNS = 112
REPORT_SIZE = (1000, 900)  # CSS pixels
FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # rich names fonts on a server: a picture loads nothing


def commands(model: str) -> list[list[str]]:
    """As one types them, without `python` before them."""
    text = "Good morning. This is the voice of a recording."
    return [
        ["improve_voice_sample.py", "me.wav", "--report", "report.html"],
        ["simple_voice_clone.py", "--text", text, "--voice", "me_improved.wav", "--model", model, "--seed", "7"],
        ["simple_voice_clone.py", "--text", text, "--voice", "holiday.jpg"],
    ]


def make(folder: Path, model: str) -> list[Path]:
    """The pictures, written into a folder; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="voice-cloning-pictures-") as name:
        work = Path(name)
        noisy_recording(work / "me.wav")
        (work / "holiday.jpg").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00")
        (work / "cache" / "voice-cloning").mkdir(parents=True)
        models = rehearsal.ensure(model).parent
        (work / "cache" / "voice-cloning" / "rehearsal").symlink_to(models, target_is_directory=True)
        shown = "\n\n".join(f"$ python {shlex.join(each)}\n{_said(work, each)}" for each in commands(model))
        terminal = folder / "terminal.svg"
        terminal.write_text(picture_of(shown), "utf-8")
        return [terminal, _photographed(work / "report.html", folder / "report.png")]


def _said(work: Path, command: list[str]) -> str:
    """What a command says where its streams are no terminal: the lines that stay."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("VOICE_CLONING_")}
    environment |= {"XDG_CACHE_HOME": str(work / "cache"), "VOICE_CLONING_LOG_DIR": "logs"}
    done = subprocess.run([sys.executable, str(ROOT / command[0]), *command[1:]], cwd=work, env=environment,
                          check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
    return scrubbed(done.stdout.strip(), work)


def picture_of(shown: str) -> str:
    """Lines of a terminal as an SVG that stands alone."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=COLUMNS, file=io.StringIO(), color_system=None)
    for line in shown.splitlines():
        console.print(Text(line, style="bold" if line.startswith("$ ") else ""))
    return FONT.sub("", console.export_svg(title="a recording, made better, cloned", unique_id="terminal"))


def _photographed(page: Path, picture: Path) -> Path:
    """The top of a page as PNG."""
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise SystemExit("There is no Chromium on the PATH.")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        window = browser.new_page(viewport=dict(zip(("width", "height"), REPORT_SIZE, strict=True)))
        window.goto(page.as_uri())
        window.screenshot(path=str(picture))
        browser.close()
    return picture


def main(argv: list[str] | None = None) -> int:
    """Makes the pictures, says where they are."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="rehearsal", choices=("rehearsal", "rehearsal-tiny"))
    parser.add_argument("--folder", type=Path, default=ROOT / "docs")
    options = parser.parse_args(argv)
    for path in make(options.folder, options.model):
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
