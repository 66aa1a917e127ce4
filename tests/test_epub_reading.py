"""voicekit.epub_reading: books built as the EPUB specifications say, and as they are found."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from voicekit import epub_archive
from voicekit.errors import TextError
from voicekit.manuscripts import Manuscript, read_manuscript

Read = Callable[[bytes], Manuscript]
CONTAINER = (
    '<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
    '<rootfiles><rootfile full-path="{}" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
METADATA = (
    '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>A &amp; B</dc:title>'
    "<dc:creator>Ann Author</dc:creator><dc:creator>Ben Writer</dc:creator><dc:language>en-GB</dc:language></metadata>"
)


def page(body: str, attributes: str = "") -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"'
        ' xmlns:epub="http://www.idpf.org/2007/ops"><head><title>Never spoken</title><style>p {}</style></head>'
        f"<body {attributes}>{body}</body></html>"
    )


def navigation(*entries: str) -> str:
    """A navigation page; an entry is `place|title`, and what follows a `>` lies one level deeper."""
    lines = ""
    for entry in entries:
        upper, _, lower = entry.partition(">")
        lines += f"<li>{_link(upper)}{f'<ol><li>{_link(lower)}</li></ol>' if lower else ''}</li>"
    return page(f'<nav epub:type="toc"><h1>Contents</h1><ol>{lines}</ol></nav>')


def _link(entry: str) -> str:
    place, title = entry.split("|")
    return f'<a href="{place}">{title}</a>'


def ncx(**titles: str) -> str:
    points = "".join(
        f'<navPoint id="n{name}"><navLabel><text>{title}</text></navLabel><content src="{name}.xhtml"/></navPoint>'
        for name, title in titles.items()
    )
    return f'<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap>{points}</navMap></ncx>'


def build(pages: Mapping[str, str | bytes], *, nav: str | None = None, toc: str | None = None, guide: str = "",
          folder: str = "OEBPS/", spine: str | None = None, extra: Mapping[str, str | bytes] | None = None,
          renamed: Mapping[str, str] | None = None, left_out: tuple[str, ...] = ()) -> bytes:
    """An EPUB; the pages are its spine unless one is given. `renamed`: how the package writes a page's name."""
    files: dict[str, str | bytes] = {f"{name}.xhtml": text for name, text in pages.items() if name not in left_out}
    items = "".join(f'<item id="{name}" href="{name}.xhtml" media-type="application/xhtml+xml"/>' for name in pages)
    order = spine if spine is not None else "".join(f'<itemref idref="{name}"/>' for name in pages)
    if nav is not None:
        files["nav.xhtml"] = nav
        items += '<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
        order = '<itemref idref="nav"/>' + order
    if toc is not None:
        files["toc.ncx"] = toc
        items += '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
    package = (
        f'<package xmlns="http://www.idpf.org/2007/opf" version="3.0">{METADATA}<manifest>{items}</manifest>'
        f"<spine>{order}</spine>{guide}</package>"
    )
    for name, written in (renamed or {}).items():
        package = package.replace(f'href="{name}"', f'href="{written}"')
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        archive.writestr("META-INF/container.xml", CONTAINER.format(f"{folder}book.opf"))
        archive.writestr(f"{folder}book.opf", package)
        for name, content in files.items():
            archive.writestr(folder + name, content)
        for name, data in (extra or {}).items():
            archive.writestr(name, data)
    return stream.getvalue()


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read_bytes(data: bytes) -> Manuscript:
        (tmp_path / "book.epub").write_bytes(data)
        return read_manuscript(tmp_path / "book.epub")

    return read_bytes


def chapters(manuscript: Manuscript) -> list[tuple[str | None, str]]:
    return [(chapter.title, chapter.text) for chapter in manuscript.chapters]


def test_a_book_of_epub_3(read: Read) -> None:
    """Reading order is the spine's, not the archive's nor that of the contents."""
    pages = {"two": page("<h1>II</h1><p>Second.</p>"), "one": page("<h1>I</h1><p>First.</p>")}
    manuscript = read(build(pages, nav=navigation("two.xhtml|The Second", "one.xhtml|The First"),
                            spine='<itemref idref="one"/><itemref idref="two"/>'))
    assert chapters(manuscript) == [("The First", "I\n\nFirst."), ("The Second", "II\n\nSecond.")]
    assert (manuscript.title, manuscript.author, manuscript.language) == ("A & B", "Ann Author, Ben Writer", "en-GB")


def test_a_book_of_epub_2(read: Read) -> None:
    pages = {"a": page("<p>First.</p>"), "b": page("<p>Second.</p>")}
    manuscript = read(build(pages, toc=ncx(a="One", b="Two"), folder=""))
    assert chapters(manuscript) == [("One", "First."), ("Two", "Second.")]


def test_titles_without_contents(read: Read) -> None:
    """The first heading; a page without one goes on with the chapter before it."""
    manuscript = read(build({"a": page("<h2>One<br/>Rain</h2><p>a</p>"), "b": page("<p>still a</p>"),
                             "c": page("<h2>Two</h2><p>c</p>")}))
    assert chapters(manuscript) == [("One Rain", "One\nRain\n\na\n\nstill a"), ("Two", "Two\n\nc")]


def test_several_chapters_in_a_page(read: Read) -> None:
    """The page's beginning belongs to the chapter before, as in books that were cut by size."""
    pages = {"a": page('<h2 id="c1">1</h2><p>one</p>'),
             "b": page('<p>one goes on</p><h2 id="c2">2</h2><p>two</p><h2 id="c3">3</h2><p>three</p>')}
    manuscript = read(build(pages, nav=navigation("a.xhtml#c1|One", "b.xhtml#c2|Two", "b.xhtml#c3|Three")))
    assert chapters(manuscript) == [("One", "1\n\none\n\none goes on"), ("Two", "2\n\ntwo"), ("Three", "3\n\nthree")]


def test_sections_are_no_chapters(read: Read) -> None:
    pages = {name: page(f'<h2>{name}</h2><p>text</p><h3 id="s">deep</h3><p>more</p>') for name in "abcd"}
    entries = (f"{name}.xhtml|{name.upper()}>{name}.xhtml#s|Deep" for name in "abcd")
    manuscript = read(build(pages, nav=navigation(*entries)))
    assert [chapter.title for chapter in manuscript.chapters] == ["A", "B", "C", "D"]


def test_what_nobody_reads_aloud_is_left_out(read: Read) -> None:
    pages = {
        "cover": page('<img src="cover.jpg" alt="Cover"/>'),
        "rights": page("<p>All rights reserved.</p>", 'epub:type="copyright-page"'),
        "contents": page("<p>Chapter 1 .... 7</p>"),
        "a": page("<p>Spoken.</p>"),
        "notes": page('<section epub:type="endnotes"><p>1. A note.</p></section>'),
        "extra": page("<p>Not in line.</p>"),
    }
    order = "".join(f'<itemref idref="{name}"/>' for name in list(pages)[:-1]) + '<itemref idref="extra" linear="no"/>'
    guide = '<guide><reference type="toc" href="contents.xhtml"/></guide>'
    assert read(build(pages, guide=guide, spine=order, nav=navigation("a.xhtml|A"))).text == "Spoken."


def test_a_page_is_read_though_the_guide_names_a_place_in_it(read: Read) -> None:
    guide = '<guide><reference type="toc" href="a.xhtml#toc"/></guide>'
    assert read(build({"a": page("<p>Contents.</p><p>Spoken.</p>")}, guide=guide)).text.endswith("Spoken.")


@pytest.mark.parametrize(
    ("body", "spoken"),
    [
        ("<p>Some <i>light</i> and <b>hea</b>vy\n  words</p>", "Some light and heavy words"),
        ("<p>One</p><div>Two<p>Three</p>Four</div>", "One\n\nTwo\n\nThree\n\nFour"),
        ("<p>a line<br/>another</p>", "a line\nanother"),
        ("<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp>字<rt>じ</rt></ruby>です", "漢字です"),
        ("<p>Known<a epub:type='noteref' href='#n'>1</a>.</p><aside epub:type='footnote'>Proof</aside>", "Known."),
        ("<p>Known<a role='doc-noteref' href='#n'>1</a>.</p>", "Known."),
        ("<p>Known<sup><a href='#n'>12</a></sup>, <a href='#m'><sup>3</sup></a>so<a href='n.xhtml#x'>[4]</a>.</p>",
         "Known, so."),
        ("<p>E = mc<sup>2</sup>, see chapter <a href='#c'>3</a></p>", "E = mc2, see chapter 3"),
        ("<p>a<script>x()</script>b<style>p {}</style>c<!-- d -->e<?pi f?>g</p>", "abceg"),
        ("<p>page<span epub:type='pagebreak' title='7'>7</span>s <span hidden=''>gone</span></p>", "pages"),
        ("<table><tr><th>Name</th><th>Age</th></tr><tr><td>Ann</td><td>7</td></tr></table>", "Name, Age\n\nAnn, 7"),
        ("<ul><li>one</li><li><p>two</p></li></ul>", "one\n\ntwo"),
        ("<p>&nbsp;Tom&mdash;here&hellip; AT&amp;T &lt;3 &#233;</p>", "Tom—here… AT&T <3 é"),
        ("<p>* * *</p><p>After</p>", "After"),
        ("<p>Pic <svg><text>no</text></svg><math><mi>x</mi></math>ture<img alt='no'/></p>", "Pic ture"),
    ],
)
def test_the_text_of_a_page(read: Read, body: str, spoken: str) -> None:
    assert read(build({"a": page(body)})).text == spoken


def test_pages_that_are_no_xml(read: Read) -> None:
    broken = "<html><head><title>No</title></head><body><p>Café & bar<p>Unclosed <b>bold</p></body>"
    assert read(build({"a": broken})).text == "Café & bar\n\nUnclosed bold"


def test_empty_elements_swallow_nothing(read: Read) -> None:
    """In HTML `<title/>` and `<script/>` would never end; in a book they are common."""
    for more, spoken in (("", ""), ("<p>Q & A</p>", "\n\nQ & A")):  # the second is no XML
        body = page(f"<script src='x.js'/><p>All <a id='x'/>is here.</p>{more}")
        book = build({"a": body.replace("<title>Never spoken</title>", "<title/>")})
        assert read(book).text == f"All is here.{spoken}"


def test_other_encodings_of_pages(read: Read) -> None:
    latin = page("<p>Café</p>").replace("utf-8", "iso-8859-1").encode("iso-8859-1")
    wide = page("<p>Ёлка</p>").replace("utf-8", "utf-16").encode("utf-16")
    assert read(build({"a": latin, "b": wide})).text == "Café\n\nЁлка"


def test_names_are_resolved(read: Read) -> None:
    """Links are percent-encoded and relative to the package; the case of a name is often wrong."""
    data = build({"a": "", "b": "", "c": ""}, extra={
        "OEBPS/a b.xhtml": page("<p>One.</p>"), "top.xhtml": page("<p>Two.</p>"),
        "OEBPS/C.XHTML": page("<p>Three.</p>"),
    }, renamed={"a.xhtml": "a%20b.xhtml", "b.xhtml": "../top.xhtml"}, left_out=("c",))
    assert read(data).text == "One.\n\nTwo.\n\nThree."


def encryption(algorithm: str, target: str) -> str:
    return (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container"'
        ' xmlns:e="http://www.w3.org/2001/04/xmlenc#">'
        f'<e:EncryptedData><e:EncryptionMethod Algorithm="{algorithm}"/>'
        f'<e:CipherData><e:CipherReference URI="{target}"/></e:CipherData></e:EncryptedData></encryption>'
    )


def test_a_locked_book_is_refused_clearly(read: Read) -> None:
    locked = {"META-INF/encryption.xml": encryption("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "OEBPS/a.xhtml")}
    with pytest.raises(TextError, match=r"copy protection \(DRM\)"):
        read(build({"a": page("<p>secret</p>")}, extra=locked))


@pytest.mark.parametrize("algorithm", ["http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"])
def test_scrambled_fonts_are_no_lock(read: Read, algorithm: str) -> None:
    fonts = {"META-INF/encryption.xml": encryption(algorithm, "OEBPS/font.otf")}
    assert read(build({"a": page("<p>open</p>")}, extra=fonts)).text == "open"


def test_a_zip_bomb_is_refused(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epub_archive, "MAX_UNPACKED_BYTES", 1 << 20)
    small = build({"a": page("<p>fine</p>"), "b": page("<p>too</p>")})
    assert read(small).text == "fine\n\ntoo"
    bomb = build({"a": page("<p>" + "a" * (2 << 20) + "</p>")})
    assert len(bomb) < 20_000
    with pytest.raises(TextError, match="unpacks to over 1 MB"):
        read(bomb)


def test_the_size_that_a_bomb_claims_is_not_believed(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """One page listed a thousand times is read a thousand times: what is read is what counts."""
    monkeypatch.setattr(epub_archive, "MAX_UNPACKED_BYTES", 1 << 20)
    with pytest.raises(TextError, match="unpacks to over 1 MB"):
        read(build({"a": page("<p>" + "a" * 50_000 + "</p>")}, spine='<itemref idref="a"/>' * 1000))


BOMB = "<!DOCTYPE html [<!ENTITY a0 'ha'>" + "".join(
    f"<!ENTITY a{i} '{f'&a{i - 1};' * 10}'>" for i in range(1, 12)) + "]>"


@pytest.mark.parametrize("prologue", [BOMB, f"<!--{'x' * 5000}-->{BOMB}"], ids=["at the start", "late"])
@pytest.mark.parametrize("body", ["<p>Before &a11; after</p>", "<p title='&a11;'>Before after</p>"])
def test_an_entity_bomb_is_harmless(read: Read, prologue: str, body: str) -> None:
    text = read(build({"a": page(body).replace("<!DOCTYPE html>", prologue)})).text
    assert text.startswith("Before")
    assert len(text) < 100


def test_an_entity_reads_no_file(read: Read, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("password")
    outside = f"<!--{'x' * 5000}--><!DOCTYPE html [<!ENTITY f SYSTEM 'file://{tmp_path}/secret'>]>"
    text = read(build({"a": page("<p>Before &f; after</p>").replace("<!DOCTYPE html>", outside)})).text
    assert "password" not in text
    assert "Before" in text


GOOD = build({"a": page("<p>Whole.</p>")})


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no zip", GOOD[:-40], GOOD[: len(GOOD) // 2],
                                  GOOD.replace(b"META-INF/container.xml", b"META-INF/cantainer.xml")])
def test_damaged_archives(read: Read, data: bytes) -> None:
    with pytest.raises(TextError, match=r"damaged|no EPUB book"):
        read(data)


@pytest.mark.parametrize("position", range(40, len(GOOD) - 10, 61))
def test_a_changed_byte_never_breaks_out(read: Read, position: int) -> None:
    """Either the text is still right, or a sentence says that the book is damaged."""
    data = bytearray(GOOD)
    data[position] ^= 0x55
    try:
        assert read(bytes(data)).text == "Whole."
    except TextError as error:
        assert error.hint


def test_a_missing_page_is_not_passed_over(read: Read) -> None:
    data = build({"a": page("<p>here</p>"), "b": page("<p>b</p>")})
    with pytest.raises(TextError, match=r"'OEBPS/b.xhtml' is missing"):
        read(data.replace(b"OEBPS/b.xhtml", b"OEBPS/x.xhtml"))


def test_a_book_of_pictures(read: Read) -> None:
    with pytest.raises(TextError, match="holds no text"):
        read(build({"a": page("<img src='1.png' alt='A cat'/>")}))


@pytest.mark.parametrize("depth", [200, 1000])
def test_a_deep_page_is_read_to_its_end(read: Read, depth: int) -> None:
    body = "<p>start</p>" + "<div>" * depth + "deep" + "</div>" * depth + "<p>end</p>"
    assert read(build({"a": page(body)})).text == "start\n\ndeep\n\nend"


def test_a_page_that_is_too_deep_is_not_cut_in_silence(read: Read) -> None:
    body = "<p>start</p>" + "<div>" * 100_000 + "deep" + "</div>" * 100_000 + "<p>end</p>"
    with pytest.raises(TextError, match=r"'OEBPS/a.xhtml' of .* nest too deep"):
        read(build({"a": page(body)}))


def test_one_huge_page_is_refused(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epub_archive, "MAX_FILE_BYTES", 1 << 20)
    with pytest.raises(TextError, match="unpacks to over 1 MB"):
        read(build({"a": page("<b/>" * (1 << 19))}))
