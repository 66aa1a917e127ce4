"""The page over past runs loads nothing, runs nothing, lets nothing of a stranger's record in, and can be read.

What is drawn is measured on the drawing itself. The last part looks at the page in Chromium, which must be installed
(Debian's is enough), through `playwright`.
"""

from __future__ import annotations

import datetime as dt
import io
import itertools
import json
import random
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.pages import CONTRASTS, VIEWS, Page, Visit
from tests.test_run_report import LAWS, Record, damaged, failed, history, hostile, schema_1, slowed
from voicekit.run_page import DRAWN_BARS, DRAWN_RUNS, as_page
from voicekit.run_plots import HEIGHT, WIDTH, axis_of, linear_axis, log_axis, thinned
from voicekit.run_report import report


def eventful(count: int = 60) -> list[Record]:
    """A regression at the end, and one run of each bad outcome."""
    runs = history(count)
    runs[3], runs[7], runs[9] = failed(runs[3]), failed(runs[7], place=None), failed(runs[9])
    for number, status in ((4, "killed"), (20, "crashed"), (33, "interrupted")):
        runs[number] = failed(runs[number], status)
    return runs[: count - 15] + slowed(runs[count - 15 :], "generate", 1.5, "0.4.0")


def html_of(runs: list[Record], **choice: Any) -> str:
    return as_page({**report(runs, **choice), "disk": {"bytes": 3 * 2**20, "files": 4}}, runs)


def figure(html: str, title: str) -> str:
    """The first figure under that title."""
    found = [each for each in re.findall("<figure.*?</figure>", html, re.DOTALL) if f"<figcaption>{title}" in each]
    assert found, title
    return str(found[0])


def marks(drawing: str, kind: str = "ok") -> list[tuple[float, float]]:
    """Where the marks of a kind stand in the drawing."""
    found = re.findall(rf'<g class="{kind}-mark" transform="translate\(([\d.]+) ([\d.]+)\)">', without_key(drawing))
    return [(float(x), float(y)) for x, y in found]


def without_key(drawing: str) -> str:
    return drawing.split('<ul class="key">')[0]


def shown(html: str) -> str:
    """The words of the page."""
    return " ".join(re.sub("<[^>]*>", " ", html.split("</head>")[-1]).split())


# --- what it holds -------------------------------------------------------------------------------------


def test_it_loads_and_runs_nothing() -> None:
    html = html_of(eventful())
    page = Page(html)
    names = {name for _, attributes in page.tags for name in attributes}
    assert not [name for name in names if name.startswith("on")] and "style" not in names and "src" not in names
    assert "script" not in {tag for tag, _ in page.tags}
    assert [each["href"] for each in page.all("link")] == ["data:,"] and page.all("a") == []
    (policy,) = [each["content"] for each in page.all("meta") if each.get("http-equiv")]
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy and "script-src" not in policy


def test_the_verdict_comes_first_and_the_numbers_after_it() -> None:
    text = shown(html_of(eventful()))
    order = ["1 regression", "Runs 60", "Ended well 90 %", "54 of 60", "Log folder 3 MB", "What got worse", "generate",
             "Outcomes", "Errors by type and place", "Killed and crashed", "Total time of each run", "Stages",
             "Growth with size"]  # fmt: skip
    assert [text.index(piece) for piece in order] == sorted(text.index(piece) for piece in order)
    assert "with app 0.4.0 (before: 0.3.0)" in text


def test_the_other_verdicts() -> None:
    assert "No regression" in shown(html_of(history(40)))
    assert "Too early to tell" in shown(html_of(history(9)))
    assert "There are no runs on record to report on." in shown(html_of([]))
    assert "Ended well 99 %" in shown(html_of([*history(999), failed(history(1)[0])])), "100 % only if all did"


def test_errors_are_counted_by_type_and_place() -> None:
    page = html_of(eventful())
    (table,) = re.findall('<table class="rows errors".*?</table>', page)
    rows = [re.sub("<[^>]*>", "|", row) for row in re.findall("<tr.*?</tr>", table)][1:]
    assert [re.findall(r"[^|]+", row)[1:3] for row in rows] == [
        ["voicekit.text:segments, stage preprocess", "2"], ["stage preprocess", "1"],
    ]  # fmt: skip
    assert re.findall('class="wrong" width="([^"]*)"', table) == ["100.0", "50.0"]


def test_every_outcome_has_its_mark_and_every_mark_its_words() -> None:
    drawing = figure(html_of(eventful()), "Total time of each run")
    counts = {kind: len(marks(drawing, kind)) for kind in ("ok", "error", "killed", "crashed", "interrupted")}
    assert counts == {"ok": 54, "error": 3, "killed": 1, "crashed": 1, "interrupted": 1}
    (key,) = re.findall('<ul class="key">(.*?)</ul>', drawing)
    assert shown(key) == "ended well error interrupted killed crashed median of 9 runs"


def test_the_marks_stand_where_the_totals_are() -> None:
    """Heights on the drawing are a linear function of the seconds, and run 0 stands at the left."""
    runs = history(30, slow_runs=0.0)
    places = marks(figure(html_of(runs), "Total time of each run"))
    totals = [run["timings_s"]["total"] for run in runs]
    slope, foot = np.polyfit(totals, [y for _, y in places], 1)
    assert slope < 0
    assert np.abs(np.polyval([slope, foot], totals) - [y for _, y in places]).max() < 0.1
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in places)


def test_a_run_that_failed_elsewhere_is_not_among_the_marks() -> None:
    runs = history(12)
    other = failed({**history(13)[-1], "device": "cuda"})
    early = failed(history(14)[-1])
    del early["model"], early["device"], early["threads"]
    drawing = figure(html_of([*runs, other, early]), "Total time of each run")
    assert len(marks(drawing, "error")) == 1, "the one that ended before it knew its model"


def test_a_regression_is_marked_where_it_begins() -> None:
    drawing = figure(html_of(eventful()), "Time for the same work")
    (event,) = re.findall(r'<path class="event" d="M([\d.]+) ', without_key(drawing))
    before = [y for x, y in marks(drawing) if x < float(event)]
    after = [y for x, y in marks(drawing) if x > float(event)]
    assert 10 <= len(after) <= 20
    assert np.median(after) < np.median(before), "higher up is more"
    assert '<path class="event"' not in html_of(history(40))


def test_the_bars_are_as_high_as_their_runs_were_long() -> None:
    runs = history(40, slow_runs=0.0)
    drawing = figure(html_of(runs), "Stages of the latest runs")
    heights: dict[str, float] = {}
    bars = r'<rect class="c\d" x="([\d.]+)" y="[\d.]+" width="[\d.]+" height="([\d.]+)"'
    for x, height in re.findall(bars, without_key(drawing)):
        heights[x] = heights.get(x, 0.0) + float(height)
    latest = [sum(stage["seconds"] for stage in run["stages"].values()) for run in runs[-DRAWN_BARS:]]
    assert len(heights) == DRAWN_BARS
    scale = sum(heights.values()) / sum(latest)
    assert np.abs(np.array(list(heights.values())) - scale * np.array(latest)).max() < 0.5
    assert all(name in shown(drawing) for name in LAWS)


@pytest.mark.parametrize(("stage", "exponent"), [("generate", 1.0), ("verify", 2.0)])
def test_growth_is_drawn_as_it_was_planted(stage: str, exponent: float) -> None:
    """The slope of the points and of both lines, in decades: one decade of either axis is read from its ticks."""
    drawing = figure(html_of(history(60, slow_runs=0.0)), stage)
    columns = re.findall(r'<text class="middle" x="([\d.]+)" y="[\d.]+">([\d.e+]+)</text>', drawing)
    rows = re.findall(r'<text class="end" x="[\d.]+" y="([\d.]+)">([\d.e+-]+)</text>', drawing)
    x_decade = np.polyfit([np.log10(float(tick)) for _, tick in columns], [float(x) for x, _ in columns], 1)[0]
    y_decade = np.polyfit([np.log10(float(tick)) for _, tick in rows], [float(y) for y, _ in rows], 1)[0]
    places = np.array(marks(drawing))
    assert np.polyfit(places[:, 0] / x_decade, places[:, 1] / y_decade, 1)[0] == pytest.approx(exponent, abs=0.1)
    lines = re.findall(r'<path class="(line|law)" d="M([\d.-]+) ([\d.-]+)L([\d.-]+) ([\d.-]+)"', drawing)
    slopes = {kind: (float(d) - float(b)) / y_decade / ((float(c) - float(a)) / x_decade) for kind, a, b, c, d in lines}
    assert slopes["law"] == pytest.approx(exponent, abs=0.02)
    assert slopes["line"] == pytest.approx(exponent, abs=0.1)


def test_thousands_of_runs_are_thinned_and_the_page_says_so() -> None:
    runs = eventful(2000)
    html = html_of(runs)
    drawing = figure(html, "Total time of each run")
    assert len(marks(drawing)) <= DRAWN_RUNS
    assert len(marks(drawing, "error")) == 3, "the few that failed stay"
    assert re.search(r"\d+ of 2,000 runs are drawn, evenly spread\.", drawing)
    assert "median of 79 runs" in drawing
    assert len(html) < 400_000
    assert "are drawn" not in html_of(history(DRAWN_RUNS))


def test_one_run_is_enough() -> None:
    html = html_of(history(1))
    assert len(marks(figure(html, "Total time of each run"))) == 1
    assert "Stages of the run" in html and "nan" not in html.lower()


def test_only_what_the_report_chose_is_drawn() -> None:
    runs = history(24)
    for run in runs[::2]:
        run["script"] = "improve_voice_sample"
    html = html_of(runs, script="improve_voice_sample")
    assert len(marks(figure(html, "Total time of each run"))) == 12
    assert "simple_voice_clone" not in html
    last = dt.datetime.fromisoformat(runs[-1]["started"]).timestamp()
    html = html_of(runs, since_s=5 * 3600 + 60, now=last, script="improve_voice_sample")
    assert len(marks(figure(html, "Total time of each run"))) == 3, "of six in the last five hours, every second one"


def test_a_report_that_was_kept_as_json_gives_the_same_page() -> None:
    runs = eventful()
    found = report(runs)
    assert as_page(json.loads(json.dumps(found)), json.loads(json.dumps(runs))) == as_page(found, runs)


def test_records_of_the_first_schema_are_drawn() -> None:
    html = html_of([schema_1(run) for run in history(25)])
    assert len(marks(figure(html, "Total time of each run"))) == 25
    assert len(marks(figure(html, "Memory peak of each run"))) == 25


def test_a_strangers_text_stays_text() -> None:
    html = html_of([hostile(run) for run in eventful()])
    page = Page(html)
    assert "Growth with size" in html and "What got worse" in html, "with all that a page can hold"
    assert "script" not in {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "<script>window.hacked=1</script>" in page.text
    assert not set(page.text) & set("\x1b\u202e")
    few = Page(html_of([hostile(run) for run in history(4)]))
    assert "script" not in {tag for tag, _ in few.tags} and "Declared, but not to be measured" in few.text


@pytest.mark.parametrize("seed", range(12))
def test_no_damage_stops_it(seed: int) -> None:
    draw = random.Random(seed)
    runs = [damaged(run, draw, 0.02 + 0.2 * draw.random()) for run in history(30, seed)]
    records = [run for run in runs if isinstance(run, dict)] + [{}]
    Page(as_page(report(records), records))


def test_every_drawing_has_words_for_those_who_do_not_see_it() -> None:
    page = Page(html_of(eventful()))
    drawings = [each for each in page.all("svg") if "viewbox" in each]
    assert len(drawings) > 8
    assert [each for each in drawings if "aria-hidden" not in each and len(each.get("aria-label", "")) < 20] == []
    assert all(each["role"] == "img" for each in drawings if "aria-label" in each)


# --- axes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [0.004, 0.7, 1.0, 1.01, 3.0, 9.99, 48.6, 5e5])
def test_a_linear_axis_holds_its_values_with_few_round_ticks(most: float) -> None:
    axis = linear_axis([most / 3, most])
    assert axis.low == 0 and most <= axis.high <= 1.6 * most
    assert 3 <= len(axis.ticks) <= 7
    assert axis.ticks[-1] == axis.high
    assert all(len(f"{tick:g}".replace("0", "").replace(".", "").split("e")[0]) <= 3 for tick in axis.ticks)


def test_a_logarithmic_axis_holds_its_values() -> None:
    for values in ([5.0], [1.0, 2.0], [3e-5, 7e4], [40.0, 600.0]):
        axis = log_axis(values)
        assert axis.low < min(values) and max(values) < axis.high
        assert 0 <= len(axis.ticks) <= 8 and all(axis.low <= tick <= axis.high for tick in axis.ticks)
    assert log_axis([1.0, 100.0]).share(10.0) == pytest.approx(0.5)


def test_a_few_huge_values_make_the_axis_logarithmic() -> None:
    assert not axis_of([1.0, 2.0, 3.0]).logarithmic
    assert axis_of([1.0, 2.0, 3.0, 500.0]).logarithmic
    assert not axis_of([0.0, 2.0, 3.0, 500.0]).logarithmic, "zero has no logarithm"


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 99])
def test_thinning_keeps_the_last_and_never_too_many(count: int) -> None:
    kept = thinned(range(count), 10)
    assert len(kept) <= 10 and kept[-1:] == list(range(count))[-1:]
    assert kept == sorted(kept) and (count > 10 or len(kept) == count)
    assert len({b - a for a, b in itertools.pairwise(kept)}) <= 1, "evenly"


# --- in a browser --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    long_names = [{**run, "model": "a_model_with_a_name_too_long_for_a_telephone_" * 3} for run in history(12)]
    pages = {"eventful": eventful(), "one": history(1), "many": eventful(2000), "none": [],
             "hostile": [hostile(run) for run in eventful()] + long_names}  # fmt: skip
    for name, runs in pages.items():
        (folder / f"{name}.html").write_text(html_of(runs), "utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in pages}


@pytest.mark.parametrize("name", ["eventful", "one", "many", "none", "hostile"])
@pytest.mark.parametrize(("width", "height", "scheme"), VIEWS)
def test_it_can_be_read(browser: Any, files: dict[str, str], name: str, width: int, height: int, scheme: str) -> None:
    with Visit(browser, files[name], width, height, scheme) as visit:
        page = visit.page
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        wide = page.evaluate("""() => Array.from(document.querySelectorAll('main *:not(.vh)'))
            .filter(node => !node.closest('thead') && node.getBoundingClientRect().right > innerWidth + 1)
            .map(node => node.outerHTML.slice(0, 80))""")
        assert wide == []
        box = page.locator(".verdict").bounding_box()
        assert box is not None and box["y"] + box["height"] <= height
        page.evaluate("document.querySelectorAll('svg title').forEach(tooltip => tooltip.remove())")
        contrasts = page.evaluate(CONTRASTS)
        assert len(contrasts) > (3 if name == "none" else 40)
        assert [found for found in contrasts if found[0] < 4.5] == []
        letters = page.evaluate("""() => Array.from(document.querySelectorAll('.plot text')).map(node =>
            parseFloat(getComputedStyle(node).fontSize) * node.getScreenCTM().a)""")
        assert min(letters, default=10.0) >= 9.9, "pixels of the screen"
        assert visit.said == []
        assert visit.asked == [files[name]]
        assert page.evaluate("window.hacked") is None


@pytest.mark.parametrize("width", [360, 1280])
def test_no_label_covers_another(browser: Any, files: dict[str, str], width: int) -> None:
    with Visit(browser, files["eventful"], width) as visit:
        covered = visit.page.evaluate("""() => Array.from(document.querySelectorAll('.plot svg[role=img]')).flatMap(
            drawing => {
                const boxes = Array.from(drawing.querySelectorAll('text')).map(node => [node.textContent,
                    node.getBoundingClientRect()]);
                return boxes.flatMap(([words, a], i) => boxes.slice(i + 1).filter(([, b]) => a.left < b.right &&
                    b.left < a.right && a.top + 3 < b.bottom && b.top + 3 < a.bottom).map(([more]) => [words, more]));
            })""")
        assert covered == []


def test_a_telephone_shows_the_tables_as_blocks_and_they_stay_tables(browser: Any, files: dict[str, str]) -> None:
    for width, display in ((360, "grid"), (1280, "table-row")):
        with Visit(browser, files["eventful"], width) as visit:
            row = visit.page.locator(".stages tbody tr").first
            assert row.evaluate("node => getComputedStyle(node).display") == display
            cells = visit.page.get_by_role("table", name="Seconds, memory and trend of each stage")
            assert cells.get_by_role("rowheader").count() == len(LAWS)
            assert cells.get_by_role("row").first.get_by_role("columnheader").count() == 9


def test_the_dark_page_is_dark(browser: Any, files: dict[str, str]) -> None:
    brightness = {}
    for scheme in ("light", "dark"):
        with Visit(browser, files["eventful"], scheme=scheme) as visit:
            shot = Image.open(io.BytesIO(visit.page.screenshot())).convert("L")
            brightness[scheme] = float(np.mean(np.asarray(shot)))
    assert brightness["light"] > 200
    assert brightness["dark"] < 70


def test_the_policy_holds_in_the_browser(browser: Any, files: dict[str, str]) -> None:
    """What a hole in the escaping would let in would still not run or load: a control that must be refused."""
    with Visit(browser, files["eventful"]) as visit:
        visit.refuses()


def test_it_can_be_printed(browser: Any, files: dict[str, str]) -> None:
    with Visit(browser, files["eventful"], scheme="dark") as visit:
        visit.prints()
