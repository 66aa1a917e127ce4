"""Markdown -> chapters of prose: what a reader would read aloud.

Marks vanish, links keep their words, pictures give their description; code blocks, HTML, front matter and footnotes
are left out. A list gives a paragraph an item, with its number where it has one; a table gives a paragraph a row.
markdown-it parses (CommonMark and tables). A tag of `voicekit.markup` behind a backslash stays text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voicekit.chapters import Chapter, Manuscript, paragraphs_joined
from voicekit.markup import without_idle_backslashes

if TYPE_CHECKING:
    from markdown_it.token import Token

_FRONT_MATTER = re.compile(  # a field must follow: a text may begin with a scene break
    r"\A(---|\+\+\+)[ \t]*\n((?:#[^\n]*\n)*[A-Za-z_][\w .-]*[ \t]*[:=].*?\n)(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL
)
_FIELD = re.compile(r"^(title|author|language|lang)[ \t]*[:=][ \t]*(.+?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_NOTE = re.compile(r" {0,3}\[\^[^\]\s]+\]:")
_NOTE_MARK = re.compile(r"\[\^[^\]\s]+\]")
_FENCE = re.compile(r" {0,3}(?:```|~~~)")
_LINE_BREAK = re.compile(r"<br\b", re.IGNORECASE)
_TASK_MARK = re.compile(r"\A\[[ xX]\]\s+")
_CHAPTER_LEVEL = 2  # headings so high start a chapter
_LAZY = ({"0"}, {"1"})  # numbers of a list whose author leaves the counting to Markdown
_CELLS = ", "  # between the cells of a row: a short pause


@dataclass
class _Block:
    """A paragraph, or a heading of some level."""

    text: str
    level: int | None = None


@dataclass
class _Part:
    """A chapter in the making."""

    title: str | None
    level: int
    paragraphs: list[str] = field(default_factory=list)


def read_markdown(text: str) -> Manuscript:
    """The prose of a Markdown text; headings of level 1 and 2 start chapters where there are two of them."""
    from markdown_it import MarkdownIt

    text = text.replace("\r\n", "\n").replace("\r", "\n")
    stated: dict[str, str] = {}
    if front := _FRONT_MATTER.match(text):
        stated = {name.lower(): value.strip("\"'") for name, value in _FIELD.findall(front[2])}
        text = text[front.end() :]
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable("text_join")  # which forgets escapes
    blocks = _blocks(parser.parse(_without_notes(text)))
    title = stated.get("title") or _only_top_heading(blocks)
    return Manuscript(_chapters(blocks), title, stated.get("author"), stated.get("language") or stated.get("lang"))


def _without_notes(text: str) -> str:
    """The text without the footnotes' own paragraphs: a listener hears no mark that would lead to them."""
    kept: list[str] = []
    in_note = after_blank = False
    for line in text.split("\n"):
        blank = not line.strip()
        if _NOTE.match(line):
            in_note = True
        elif _FENCE.match(line) or (after_blank and not blank and not line.startswith(("    ", "\t"))):
            in_note = False
        if blank or not in_note:
            kept.append(line)
        after_blank = blank
    return "\n".join(kept)


def _blocks(tokens: Sequence[Token]) -> list[_Block]:
    blocks: list[_Block] = []
    level: int | None = None
    row: list[str] | None = None
    numbers = _numbers(tokens)
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            level = int(token.tag[1:])
        elif token.type == "heading_close":
            level = None
        elif token.type == "tr_open":
            row = []
        elif token.type == "tr_close":
            blocks.append(_Block(_CELLS.join(cell for cell in row or () if cell)))
            row = None
        elif token.type == "inline":
            words = (numbers.get(at, "") + _words(token.children or ())).strip()
            if row is None:
                blocks.append(_Block(words, level))
            else:
                row.append(words)
        elif at in numbers:
            blocks.append(_Block(numbers[at].strip()))
    return blocks


def _numbers(tokens: Sequence[Token]) -> dict[int, str]:
    """The numbers of list items, each by the place of the words that it stands before, or of its empty item's end."""
    of_items = dict(_item_numbers(tokens))
    found: dict[int, str] = {}
    waiting = ""
    for at, token in enumerate(tokens):
        if token.type == "list_item_open":
            waiting += of_items.get(at, "")
        elif token.type in ("inline", "list_item_close"):
            if waiting and (token.type == "inline" or tokens[at - 1].type == "list_item_open"):
                found[at] = waiting
            waiting = ""
    return found


def _item_numbers(tokens: Sequence[Token]) -> Iterator[tuple[int, str]]:
    """The items of numbered lists by their places, each with its number as it is written: it may be a date's or a year.

    Only a list that bears a single number throughout, 0 or 1, is counted, as Markdown shows it.
    """
    lists: list[list[int]] = []
    for at, token in enumerate(tokens):
        if token.type in ("ordered_list_open", "bullet_list_open"):
            lists.append([])
        elif token.type == "list_item_open":
            lists[-1].append(at)
        elif token.type == "ordered_list_close":
            items = lists.pop()
            counted = {tokens[item].info for item in items} in _LAZY
            for place, item in enumerate(items):
                number = int(tokens[items[0]].info) + place if counted else tokens[item].info
                yield item, f"{number}{tokens[item].markup} "
        elif token.type == "bullet_list_close":
            lists.pop()


def _words(inline: Iterable[Token]) -> str:
    """The words of a paragraph; a hard line break stays one, HTML tags go and what stands between them stays."""
    parts: list[str] = []
    for token in inline:
        if token.type == "text":
            parts.append(_NOTE_MARK.sub("", token.content))
        elif token.type == "text_special":  # behind a backslash, or an entity
            parts.append(r"\[" if token.content == "[" else token.content)
        elif token.type == "code_inline":
            parts.append(token.content.replace("[", r"\["))  # what stands in it is no tag
        elif token.type == "image":
            parts.append(token.content)
        elif token.type == "softbreak":
            parts.append(" ")
        elif token.type == "hardbreak" or (token.type == "html_inline" and _LINE_BREAK.match(token.content)):
            parts.append("\n")
    return _TASK_MARK.sub("", without_idle_backslashes("".join(parts)).strip())


def _only_top_heading(blocks: Iterable[_Block]) -> str | None:
    tops = [block.text for block in blocks if block.level == 1]
    return tops[0] if len(tops) == 1 else None


def _chapters(blocks: list[_Block]) -> tuple[Chapter, ...]:
    cuts = sum(block.level is not None and block.level <= _CHAPTER_LEVEL for block in blocks) >= 2
    parts = [_Part(None, 0)]
    for block in blocks:
        if cuts and block.level is not None and block.level <= _CHAPTER_LEVEL:
            parts.append(_Part(block.text or None, block.level))
        parts[-1].paragraphs.append(block.text)
    chapters = [Chapter(part.title, paragraphs_joined(part.paragraphs)) for part in _merged(parts)]
    return tuple(chapter for chapter in chapters if chapter.text)


def _merged(parts: list[_Part]) -> list[_Part]:
    """A heading with nothing under it but a deeper one is spoken before that one, and is no chapter of its own."""
    merged: list[_Part] = []
    for part in parts:
        if merged and len(merged[-1].paragraphs) == 1 and 0 < merged[-1].level < part.level:
            part.paragraphs = merged.pop().paragraphs + part.paragraphs
        merged.append(part)
    return merged
