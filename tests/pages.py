"""Pages that the program makes, read strictly, and looked at in Chromium (Debian's is enough) through playwright."""

from __future__ import annotations

import shutil
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "link", "img", "source", "input", "br"}


class Page(HTMLParser):
    """Reads a page strictly: each tag closed in order. Keeps tags with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice"
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VIEWS = [(width, height, scheme) for width, height in ((360, 740), (1280, 900)) for scheme in ("light", "dark")]

# For each piece of visible text: its contrast with what is behind it (WCAG 2.2, relative luminance).
CONTRASTS = """() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = node => {
    for (let at = node; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), node = walker.currentNode.parentElement;
    if (!text || node.closest('.vh, script, style, [hidden]')) continue;
    const style = getComputedStyle(node);
    const [a, b] = [light(numbers(node.closest('svg') ? style.fill : style.color)), light(behind(node))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), text.slice(0, 40)]);
  }
  return found;
}"""


class Visit:
    """A page in a window of its own; keeps what the console says and what the page asks the network for."""

    def __init__(self, browser: Any, url: str, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        self.context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url.split(",")[0][:200]))
        self.page.goto(url)

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def refuses(self) -> None:
        """What a hole in the escaping would let in does not run and does not load: a control that must be refused."""
        self.page.evaluate("""() => {
            const script = document.createElement('script');
            script.textContent = 'window.hacked = 1';
            document.body.append(script);
            const image = document.createElement('img');
            image.src = 'http://127.0.0.1:9/pixel.png';
            document.body.append(image);
        }""")
        self.page.wait_for_timeout(200)
        assert self.page.evaluate("window.hacked") is None
        assert len(self.said) >= 2
        assert all("Content Security Policy" in line for line in self.said)

    def prints(self) -> None:
        """On paper it is dark on white, whatever the screen's colours are."""
        assert self.page.pdf(format="A4").startswith(b"%PDF")
        self.page.emulate_media(media="print", color_scheme="dark")
        assert self.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        # A drawing's tooltips are not to be seen.
        self.page.evaluate("document.querySelectorAll('svg title').forEach(tooltip => tooltip.remove())")
        assert [found for found in self.page.evaluate(CONTRASTS) if found[0] < 4.5] == []
