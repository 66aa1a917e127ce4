"""The diagrams of the documents: what was asked for is there, GitHub can draw each, and people can read it.

The last part draws them with mermaid's own package (`npm ci --prefix tests/diagrams`) in Chromium (Debian's is enough),
through `playwright`. Where one of these is missing it is skipped; with CI_DIAGRAMS=1 that is a failure.
Whether what they say is true is in test_data_flow.py.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Iterator

import pytest

from tests.diagrams import drawing
from tests.diagrams.drawing import ALL, THEMES, Diagram, Drawing, Easel, labels, one

FLOWCHARTS = [each for each in ALL if each.source.startswith("flowchart")]
MOST_BOXES, MOST_TAKING_PART, MOST_CROSSINGS = 15, 6, 2
LEAST_TEXT_PX = 10.0  # at the width of a README; mermaid's own size is 16


# --- what is there -----------------------------------------------------------------------------------------------


def test_no_diagram_is_overlooked() -> None:
    for path in drawing.documents():
        assert path.read_text("utf-8").count("```mermaid") == len(drawing.diagrams_of(path)), path.name
    assert {"architecture.md", "dfd.md"} <= {each.document for each in ALL}


@pytest.mark.parametrize(
    ("document", "heading", "kinds"),
    [
        ("architecture.md", "The whole", ["flowchart", "flowchart"]),
        ("architecture.md", "Loading the model", ["sequence"]),
        ("dfd.md", "Level 0", ["flowchart"]),
        ("dfd.md", "1. ", ["flowchart"]),
        ("dfd.md", "2. ", ["flowchart", "flowchart", "sequence"]),
        ("dfd.md", "A retry", ["sequence"]),
        ("dfd.md", "Jobs and chapters", ["sequence", "flowchart"]),
        ("dfd.md", "3. ", ["flowchart"]),
        ("dfd.md", "4. ", ["flowchart", "flowchart", "sequence"]),
        ("dfd.md", "5. ", ["flowchart"]),
        ("dfd.md", "The first download", ["sequence"]),
        ("dfd.md", "A run's logging", ["sequence"]),
    ],
)
def test_what_was_asked_for_is_drawn(document: str, heading: str, kinds: list[str]) -> None:
    drawn = [each.source for each in ALL if each.document == document and each.heading.startswith(heading)]
    assert [re.match(r"flowchart|sequence", source)[0] for source in drawn] == kinds  # type: ignore[index]


def test_the_architecture_shows_every_component_that_was_asked_for() -> None:
    said = " ".join(labels(one("architecture.md", "The whole"))).lower()
    for component in ("user input layer", "text", "voice sample", "audio preprocessing", "tts model: xtts v2",
                      "voice cloning engine", "output generation", "hugging face model repository",
                      "ffmpeg libraries", "logs/"):  # fmt: skip
        assert component in said, component


@pytest.mark.parametrize("diagram", ALL, ids=lambda each: each.name)
def test_the_source_is_of_a_kind_that_fits_a_page(diagram: Diagram) -> None:
    assert diagram.source.startswith(("flowchart TB\n", "sequenceDiagram\n"))
    assert ";" not in diagram.source  # ends a message of a sequence diagram


@pytest.mark.parametrize("diagram", FLOWCHARTS, ids=lambda each: each.name)
def test_every_arrow_says_what_flows(diagram: Diagram) -> None:
    arrows = [line for line in diagram.source.splitlines() if re.search(r"[-.]>", line)]
    assert arrows
    assert [line for line in arrows if not re.search(r'[-.] "[^"]{2,}" [-.]+>', line)] == []


# --- drawn ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def easels() -> Iterator[dict[str, Easel]]:
    needed = {"Chromium": drawing.CHROMIUM, "playwright": importlib.util.find_spec("playwright"),
              "mermaid (npm ci --prefix tests/diagrams)": drawing.MERMAID.exists()}  # fmt: skip
    missing = [name for name, found in needed.items() if not found]
    if missing and os.environ.get("CI_DIAGRAMS") != "1":
        pytest.skip(f"not installed: {', '.join(missing)}")
    assert not missing
    with drawing.easels() as ready:
        yield ready


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("diagram", ALL, ids=lambda each: each.name)
def test_it_can_be_drawn_and_read(easels: dict[str, Easel], diagram: Diagram, theme: str) -> None:
    drawn = easels[theme].draw(diagram.source)
    assert drawn.error is None
    assert drawn.kind == ("sequence" if diagram not in FLOWCHARTS else "flowchart-v2")
    assert 2 < drawn.boxes <= (MOST_BOXES if diagram in FLOWCHARTS else MOST_TAKING_PART)
    assert drawn.text_px >= LEAST_TEXT_PX
    assert (drawn.overlapping, drawn.cut, drawn.wrapped, drawn.behind) == ((), (), (), ())
    assert drawn.crossings <= MOST_CROSSINGS


WIDE = "sequenceDiagram\n" + "".join(f"  participant {name}\n" for name in "ABCDEFGH") + "  A->>H: far\n"
TANGLE = "flowchart TB\n" + "".join(f'  {a}["{a}"] --> {b}["{b}"]\n' for a in "abcd" for b in "vwxyz")
LONG = "flowchart TB\n" + '  a["one two three four five six seven eight nine ten"] --> b["b"]\n'
NOTE = "sequenceDiagram\n  participant A\n  participant B\n  A->>B: x\n  Note over A,B: " + "far too long " * 8


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("flowchart TB\n  a -- ", lambda drawn: drawn.error is not None),
        ("sequenceDiagram\n  A->>B\n  loop x\n", lambda drawn: drawn.error is not None),
        (WIDE, lambda drawn: drawn.text_px < LEAST_TEXT_PX and drawn.boxes > MOST_TAKING_PART),
        (TANGLE, lambda drawn: drawn.crossings > MOST_CROSSINGS),
        (LONG, lambda drawn: drawn.wrapped != ()),
        (NOTE, lambda drawn: drawn.cut != ()),
    ],
)
def test_what_cannot_be_drawn_or_read_is_noticed(
    easels: dict[str, Easel], source: str, fault: Callable[[Drawing], bool]
) -> None:
    """A control: each of these has one of the faults of which every diagram must be free."""
    drawn = easels["default"].draw(source)
    assert fault(drawn), drawn


def test_a_box_that_lies_on_others_and_on_a_line_is_noticed(easels: dict[str, Easel]) -> None:
    """A control of what mermaid rarely does by itself: the middle box is put where the label of another line is."""
    easel = easels["default"]
    drawn = easel.draw('flowchart TB\n  a["a"] -- "a label<br/>of two lines" --> b["b"]\n  c["c"]\n')
    assert (drawn.overlapping, drawn.behind) == ((), ())
    easel.page.evaluate("""() => {
        const [a, b, c] = document.querySelectorAll('#box g.node'), at = node => node.transform.baseVal[0].matrix;
        c.transform.baseVal[0].setTranslate((at(a).e + at(b).e) / 2, (at(a).f + at(b).f) / 2);
    }""")
    drawn = easel.measured()
    assert len(drawn.overlapping) == len(drawn.behind) == 1


def test_the_dark_drawing_is_dark(easels: dict[str, Easel]) -> None:
    colours = {}
    for theme, easel in easels.items():
        easel.draw(one("dfd.md", "Level 0").source)
        colours[theme] = easel.page.evaluate("getComputedStyle(document.querySelector('#box g.node rect')).fill")
    assert sum(map(int, re.findall(r"\d+", colours["default"])[:3])) > 600
    assert sum(map(int, re.findall(r"\d+", colours["dark"])[:3])) < 200
