"""The diagrams of the documents, drawn as GitHub draws them: mermaid's own package in a headless Chromium.

What mermaid has to be is pinned in `package.json`; `npm ci` in this folder brings it, and nothing here asks the
network. `python -m tests.diagrams.drawing FOLDER` leaves a picture of each diagram, in light and in dark, to look at.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
MERMAID = FOLDER / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

README_WIDTH = 830  # px, as drawing.js has it
THEMES = {"default": "#ffffff", "dark": "#0d1117"}  # mermaid's theme in GitHub's light and dark, and the page behind it
PAGE = """<!doctype html><meta charset="utf-8">
<style>body {{ margin: 0; background: {0} }} #box {{ width: {1}px }}</style><div id="box"></div>"""
_BLOCK = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Diagram:
    """One block of a document: its number there (from 1), the heading over it, what it says."""

    document: str
    number: int
    heading: str
    source: str

    @property
    def name(self) -> str:
        return f"{self.document}-{self.number}"


@dataclass(frozen=True)
class Drawing:
    """What came of a diagram, at its own size: px where nothing else is said.

    text_px: the smallest text, at the width of a README. boxes: nodes of a flowchart, or who takes part in a sequence.
    overlapping, cut, behind: labels over each other, texts that do not fit, lines behind boxes that are not theirs.
    wrapped: labels broken where nobody meant it. crossings: pairs of lines.
    """

    error: str | None
    kind: str = ""
    width: float = 0.0
    height: float = 0.0
    boxes: int = 0
    text_px: float = 0.0
    said: str = ""
    overlapping: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    wrapped: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    crossings: int = 0


def documents() -> list[Path]:
    """Every Markdown file that git keeps; of a tree without git, every one outside of hidden and fetched folders."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        listed = subprocess.run(["git", "ls-files", "-z", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
        return [ROOT / name for name in listed.stdout.split("\0") if name]
    return sorted(path for path in ROOT.rglob("*.md")
                  if not any(part.startswith(".") or part == "node_modules" for part in path.relative_to(ROOT).parts))


def diagrams_of(path: Path) -> list[Diagram]:
    text = path.read_text("utf-8")
    name = path.relative_to(ROOT).as_posix()
    return [Diagram(name, number, _HEADING.findall(text[: block.start()])[-1], block[1])
            for number, block in enumerate(_BLOCK.finditer(text), 1)]


ALL = [diagram for path in documents() for diagram in diagrams_of(path)]


def one(document: str, heading: str, number: int = 0) -> Diagram:
    """The diagram under a heading that begins so; the first one there, or another by its number from 0."""
    return [each for each in ALL if each.document == document and each.heading.startswith(heading)][number]


def labels(diagram: Diagram) -> list[str]:
    """What is written in and beside the boxes of a flowchart, each on one line."""
    return [plain(label) for label in re.findall(r'"([^"]*)"', diagram.source)]


def plain(label: str) -> str:
    """What a label says, on one line; a name that was broken for its length is whole again."""
    return label.replace("_<br/>", "_").replace("<br/>", " ")


class Easel:
    """A page in which mermaid draws."""

    def __init__(self, page: Any, theme: str) -> None:
        self.page, self._theme = page, theme
        page.set_content(PAGE.format(THEMES[theme], README_WIDTH))
        page.add_script_tag(path=str(MERMAID))
        page.add_script_tag(path=str(FOLDER / "drawing.js"))

    def draw(self, source: str) -> Drawing:
        error = self.page.evaluate("([source, theme]) => drawn(source, theme)", [source, self._theme])
        return Drawing(error) if error else self.measured()

    def measured(self) -> Drawing:
        """What the page shows now."""
        told = self.page.evaluate("measured()").items()
        return Drawing(None, **{name: tuple(value) if isinstance(value, list) else value for name, value in told})

    def picture(self, path: Path) -> None:
        """The last drawing, as wide as a README shows it."""
        self.page.locator("#box svg").screenshot(path=str(path))


@contextlib.contextmanager
def easels() -> Iterator[dict[str, Easel]]:
    """One easel a theme; nothing can be fetched from them."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1280, "height": 1600}, device_scale_factor=1, offline=True)
        yield {theme: Easel(context.new_page(), theme) for theme in THEMES}
        browser.close()


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with easels() as drawn:
        for diagram in ALL:
            for theme, easel in drawn.items():
                easel.draw(diagram.source)
                easel.picture(folder / f"{diagram.name.replace('/', '_')}-{theme}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
