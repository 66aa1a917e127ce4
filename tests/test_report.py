"""The report is one page that loads nothing, says everything, lets nothing of a stranger's run, and can be read.

The last part looks at it in Chromium, which must be installed (Debian's is enough), through `playwright`.
"""

from __future__ import annotations

import base64
import dataclasses
import io
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from tests import records
from tests.pages import CONTRASTS, VIEWS, Page, Visit
from tests.voices import talking
from voicekit import verdict
from voicekit.assessment import Issue, Metrics
from voicekit.edits import Kept
from voicekit.errors import OutputError
from voicekit.improvement import Step
from voicekit.metric_words import WORDS, change_text, direction, issue_title, mark, metric_text, number
from voicekit.report import PLAYER_LONGEST_S, ReportEntry, mp3_bytes, report_html, write_report

HOSTILE = '<img src=x onerror=alert(1)>"\'</title></style></script><script>window.hacked=1</script>.wav'


def improved(seconds: float = 8.0, name: str = "voice.wav") -> ReportEntry:
    before_audio, after_audio = records.pair(seconds)
    before = records.analysis(before_audio)
    return ReportEntry(name, before, before_audio, records.improvement(before, after_audio), after_audio)


def examined(name: str = "other.wav", score: float = 88.0, issues: tuple[Issue, ...] = ()) -> ReportEntry:
    """A sample that was only examined; without its audio, which costs time."""
    return ReportEntry(name, records.analysis(talking(3.0), score=score, issues=issues))


@pytest.fixture(scope="module")
def html() -> str:
    return report_html([improved()])


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def rows(html: str) -> dict[str, list[str]]:
    """The text of the cells of each metric's row."""
    found = re.findall(r'<tr data-metric="(\w+)">(.*?)</tr>', html)
    return {name: [re.sub("<[^>]*>", "", cell) for cell in re.findall("<td.*?>(.*?)</td>", row)] for name, row in found}


# --- what it holds -----------------------------------------------------------------------------------


def test_the_verdict_comes_first(page: Page) -> None:
    text = page.text
    assert text.index("Good") < text.index("What matters most") < text.index("Listen") < text.index("Measurements")
    assert "Before: poor, 38 of 100" in text
    assert {"role": "img", "aria-label": "Score 72 of 100, before 38"}.items() <= page.all("svg")[0].items()
    assert "voice_improved.wav" in text
    assert "/home/somebody" not in text


def test_three_things_matter_most(html: str) -> None:
    listed = re.search('<ol class="matters">(.*?)</ol>', html)
    assert listed is not None
    said = re.sub("<[^>]*>", " ", listed[1])
    assert listed[1].count("<li>") == 3
    assert "To do" in said.split("Mended")[0]
    assert "Voice over noise: 14.2\u00a0dB \u2192 38.4\u00a0dB" in said


def test_both_players_hold_their_sound(page: Page) -> None:
    for attributes, sound in zip(page.all("audio"), records.pair(), strict=True):
        kind, data = attributes["src"].split(",", 1)
        assert kind == "data:audio/mpeg;base64"
        heard, rate = soundfile.read(io.BytesIO(base64.b64decode(data)))
        assert rate == 24_000
        assert len(heard) / rate == pytest.approx(sound.duration_s, abs=0.05)
        change_db = 20 * np.log10(np.sqrt(np.mean(heard**2)) / np.sqrt(np.mean(sound.samples**2)))
        assert abs(change_db) < 0.05, "its loudness as it is"
        assert "controls" in attributes
        assert attributes["aria-label"].endswith("voice.wav")


def test_players_of_thirty_seconds_are_small() -> None:
    coded = mp3_bytes(talking(30.0))
    assert 2 * len(base64.b64encode(coded)) < 1_500_000


def test_of_a_long_recording_a_minute_is_heard_around_the_result() -> None:
    """A click marks a moment in three minutes; the result begins there, and so does the player, a second before."""
    sound = talking(180.0, 8_000)
    sound.samples[:] = 0.001
    sound.samples[100 * 8_000 : 100 * 8_000 + 800] = 0.9
    before = records.analysis(sound, start_s=1_000.0)
    result = talking(6.0, 24_000)
    made = replace(records.improvement(before, result), edits=(Kept(1_100.0, 1_106.0),))
    html = report_html([ReportEntry("long.wav", before, sound, made, None)])
    found = re.search('src="data:audio/mpeg;base64,([^"]*)"', html)
    assert found is not None
    heard, rate = soundfile.read(io.BytesIO(base64.b64decode(found[1])))
    assert len(heard) / rate == pytest.approx(PLAYER_LONGEST_S, abs=0.1)
    assert np.argmax(np.abs(heard) > 0.3) / rate == pytest.approx(1.0, abs=0.05)
    assert "60.0 s: 18:19 to 19:19 of the file" in Page(html).text
    assert "Examined: 16:40 to 19:40 of 19:40" in Page(html).text


def test_pictures_are_there_for_light_and_dark(page: Page) -> None:
    pictures = [attributes["src"] for attributes in page.all("img")]
    dark = [attributes["srcset"] for attributes in page.all("source")]
    assert len(pictures) == len(dark) == 2
    for address in pictures + dark:
        data = base64.b64decode(address.removeprefix("data:image/png;base64,"))
        image = Image.open(io.BytesIO(data))
        assert image.size == (int(page.all("img")[0]["width"]), int(page.all("img")[0]["height"]))
        assert len(data) < 150_000
    assert all("Waveform and spectrogram" in attributes["alt"] for attributes in page.all("img"))
    assert all("dark" in attributes["media"] for attributes in page.all("source"))


def test_every_metric_has_a_row(html: str) -> None:
    names = [field.name for field in dataclasses.fields(Metrics)]
    assert sorted(words.name for words in WORDS) == sorted(names)
    assert sorted(rows(html)) == sorted(names)
    assert all(len(cells) == 2 for cells in rows(html).values())


def test_what_is_not_known_is_a_dash(html: str) -> None:
    assert rows(html)["channel_correlation"] == ["\u2013", "\u2013"]
    assert rows(html)["hum_hz"] == ["\u2013", "\u2013"]


def test_rows_tell_values_marks_and_changes(html: str) -> None:
    found = rows(html)
    assert found["snr_db"] == ["14.2 !weak", "38.4 \u2713good \u2197 +24.2 better"]
    assert found["noise_floor_dbfs"] == ["\u221238.2", "\u221261.0 \u221222.8"]
    assert found["reverb_rt60_s"] == ["0.75 !weak", "0.75 !weak"]
    assert found["clipped_ratio"] == ["\u2264\u20090.01 \u2713good", "\u2264\u20090.01 \u2713good"]


def test_issues_say_what_to_do_and_who_can(page: Page) -> None:
    for issue in (records.ECHO, records.SHORT):
        assert issue.message in page.text
        assert issue.fix in page.text
    assert "Echo of the room: 0.75\u00a0s \u2192 0.75\u00a0s; wanted: at most 0.60\u00a0s" in page.text
    assert "Needs a new recording" in page.text
    assert f"Before: {records.NOISY.message}" in page.text
    only = Page(report_html([examined(issues=(records.NOISY,))])).text
    assert "This tool can mend it" in only


@pytest.mark.parametrize(("snr_db", "says"), [(17.0, "Mended in part"), (12.0, "Could not be mended")])
def test_what_is_still_there_is_told_beside_what_it_was(snr_db: float, says: str) -> None:
    made = improved(2.0).improvement
    assert made is not None
    left = replace(made.after, metrics=replace(made.after.metrics, snr_db=snr_db),
                   assessment=records.judged(50.0, replace(records.NOISY, value=snr_db)))
    text = Page(report_html([ReportEntry("voice.wav", made.before, None, replace(made, after=left))])).text
    assert f"Voice over noise: 14.2\u00a0dB \u2192 {snr_db}\u00a0dB; wanted: at least 20.0\u00a0dB" in text
    assert says in text


def test_nobody_mended_what_no_tool_can_mend() -> None:
    made = improved(2.0).improvement
    assert made is not None
    made = replace(made, after=replace(made.after, assessment=records.judged(90.0)))
    page = report_html([ReportEntry("voice.wav", made.before, None, made)])
    told = [re.sub("<[^>]*>", " ", item) for item in re.findall("<li.*?</li>", page, re.DOTALL)]
    for issue, word in ((records.NOISY, "Mended"), (records.ECHO, "No longer measured")):
        about = [item for item in told if issue_title(issue.code) in item]
        assert len(about) == 2 and all(word in item for item in about)
        assert f"  ok {issue.message} {word}." in verdict.of_improvement(made)


def test_steps_and_edits_are_told(page: Page) -> None:
    assert "the voice was 14 dB above the noise" in page.text
    assert "no hum was found" in page.text
    assert "0.41\u00a0s" in page.text
    assert "8.0 s of 8.0 s were kept, in 2 pieces. The best stretch was put first" in page.text


def test_the_score_is_explained_honestly(page: Page) -> None:
    assert ("Score derived from published thresholds and from how XTTS listens; not calibrated against listeners."
            in " ".join(page.text.split()))


def test_an_analysis_alone_has_no_after(tmp_path: Path) -> None:
    html = report_html([examined(issues=(records.ECHO,))])
    page = Page(html)
    assert "After" not in page.text
    assert "What was done" not in page.text
    assert all(len(cells) == 1 for cells in rows(html).values())


def test_a_result_that_got_worse_is_told_as_it_is() -> None:
    entry = improved(2.0)
    assert entry.improvement is not None
    after = replace(entry.improvement.after, assessment=records.judged(12.0, records.ECHO, records.NOISY))
    worse = replace(entry.improvement, after=after)
    text = Page(report_html([replace(entry, improvement=worse, before_audio=None, after_audio=None)])).text
    assert "This cannot be cloned" in text


# --- several samples ---------------------------------------------------------------------------------


def test_several_samples_are_ranked_and_the_best_is_named() -> None:
    entries = [examined("middle.wav", 60.0), examined("worst.wav", 20.0), examined("best.wav", 90.0),
               ReportEntry("broken.wav", error=("'broken.wav' holds no sound.", "Record it again."))]
    html = report_html(iter(entries))
    page = Page(html)
    assert "The best of 3 samplesbest.wavExcellent, 90 of 100" in page.text
    order = re.findall(r'<td>\d</td><th scope="row"><a href="#([\w-]+)"><bdi class="name">(\w+)\.wav', html)
    assert order == [("sample-3", "best"), ("sample-1", "middle"), ("sample-2", "worst")]
    assert re.findall('<article class="sample" id="([^"]*)"', html) == [anchor for anchor, _ in order]
    assert "'broken.wav' holds no sound." in page.text
    assert "Record it again." in page.text


def test_only_failures_are_a_page_too() -> None:
    text = Page(report_html([ReportEntry("a.wav", error=("It is empty.", "Record it again."))])).text
    assert "Could not be done" in text
    assert "It is empty." in text
    assert "No samples were given." in Page(report_html([])).text


# --- what it lets in and out -------------------------------------------------------------------------


def test_nothing_is_loaded_from_outside(page: Page) -> None:
    for tag, attributes in page.tags:
        for name in ("src", "srcset", "href", "action", "data", "poster", "xlink:href"):
            assert attributes.get(name, "#").startswith(("data:", "#")), (tag, name)
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
    assert {name for name, _ in page.tags} & {"iframe", "object", "embed", "base", "form"} == set()


def test_style_and_script_name_no_address(html: str) -> None:
    for content in re.findall("<(?:style|script)>(.*?)</(?:style|script)>", html, re.DOTALL):
        assert "//" not in content
        assert not re.search(r"@import|url\(|fetch|XMLHttp|eval|innerHTML", content)


def test_the_policy_forbids_all_but_what_is_inside(page: Page) -> None:
    metas = {attributes.get("http-equiv"): attributes.get("content", "") for attributes in page.all("meta")}
    rules = dict(rule.split(None, 1) for rule in metas["Content-Security-Policy"].split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == rules["media-src"] == "data:"
    assert re.fullmatch(r"'sha256-[\w+/]{43}='", rules["script-src"])
    assert re.fullmatch(r"'sha256-[\w+/]{43}='", rules["style-src"])
    assert rules["base-uri"] == rules["form-action"] == "'none'"


def hostile_page() -> str:
    entry = improved(2.0, HOSTILE)
    assert entry.improvement is not None
    issue = replace(records.ECHO, message=HOSTILE, fix=HOSTILE, code=HOSTILE)
    before = replace(records.analysis(talking(2.0), issues=(issue,)), path=HOSTILE)
    made = replace(entry.improvement, before=before, output=f"/a/{HOSTILE}", steps=(Step(HOSTILE, True, HOSTILE, 0.1),))
    lone = replace(entry, improvement=made, before_audio=None, after_audio=None)
    return report_html([lone, ReportEntry(HOSTILE, error=(HOSTILE, HOSTILE)), examined(HOSTILE, issues=(issue,))])


def test_hostile_names_and_messages_are_only_text() -> None:
    page = Page(hostile_page())
    assert "img" not in [tag for tag, _ in page.tags]
    assert len(page.all("script")) == len(page.all("style")) == len(page.all("title")) == 1
    assert page.text.count(HOSTILE) >= 8


def test_odd_names_do_not_break_the_page(tmp_path: Path) -> None:
    odd = "\udcff\x00\x1b[31m\u202etxt.wav $policy ${body}"
    path = write_report(tmp_path / "r.html", [examined(odd), ReportEntry("$$", error=(odd, ""))])
    text = Page(path.read_text("utf-8")).text
    assert "\ufffd\ufffd\ufffd[31m\ufffdtxt.wav $policy ${body}" in text


def test_the_same_results_give_the_same_bytes(html: str) -> None:
    assert report_html([improved()]) == html


# --- the file ----------------------------------------------------------------------------------------


def test_the_file_is_never_overwritten_unasked(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    write_report(target, [examined("one.wav")])
    with pytest.raises(OutputError, match="exists already"):
        write_report(target, [examined("two.wav")])
    assert "one.wav" in target.read_text("utf-8")
    write_report(target, [examined("two.wav")], overwrite=True)
    assert "two.wav" in target.read_text("utf-8")
    assert os.listdir(tmp_path) == ["report.html"]
    with pytest.raises(OutputError, match=r"does not end in \.html"):
        write_report(tmp_path / "report.pdf", [])


def test_what_fails_on_the_way_leaves_no_file(tmp_path: Path) -> None:
    def entries() -> Iterator[ReportEntry]:
        yield examined()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report(tmp_path / "report.html", entries())
    assert os.listdir(tmp_path) == []


# --- words -------------------------------------------------------------------------------------------


def words_of(name: str) -> Any:
    return next(words for words in WORDS if words.name == name)


@pytest.mark.parametrize(("name", "value", "written"), [
    ("snr_db", None, "\u2013"), ("snr_db", float("nan"), "\u2013"), ("snr_db", float("-inf"), "\u2013"),
    ("snr_db", -3.04, "\u22123.0"), ("snr_db", -0.04, "0.0"), ("silence_ratio", 0.345, "34"),
    ("clipped_ratio", 0.0, "0.00"), ("clipped_ratio", 1e-7, "\u2264\u20090.01"), ("sample_rate_hz", 48_000, "48"),
    ("sample_rate_hz", 22_050, "22.05"), ("sample_rate_hz", 44_100, "44.1"), ("bandwidth_hz", 7_949.0, "7.9"),
    ("speakers", 2, "2"), ("duration_s", 12_345.6, "12\u202f345.6"),
])
def test_values_are_written_for_people(name: str, value: float | None, written: str) -> None:
    assert metric_text(words_of(name), value) == written


def test_changes_have_a_direction_only_where_there_is_one() -> None:
    snr, rate, silence = (words_of(name) for name in ("snr_db", "sample_rate_hz", "silence_ratio"))
    assert change_text(snr, 10.0, 12.34) == "+2.3"
    assert change_text(snr, 10.0, 10.04) == ""
    assert change_text(snr, None, 10.0) == ""
    assert direction(snr, 10.0, 30.0, ("bad", "good")) == "better"
    assert direction(snr, 30.0, 30.5, ("good", "good")) == "same"
    assert direction(snr, 30.0, 10.0, ("good", "bad")) == "worse"
    assert direction(rate, 16_000, 24_000, (None, None)) == ""
    assert direction(silence, 0.05, 0.15, ("good", "good")) == "", "still as it should be"
    assert number(1234.5, 1) == "1\u202f234.5"


def test_a_metric_is_not_called_good_because_another_raised_its_issue() -> None:
    """`noisy` is about snr_db here; what the network thinks of the background is then not judged."""
    found = records.judged(40.0, records.NOISY)
    assert mark(words_of("snr_db"), records.MEASURED, found) == "weak"
    assert mark(words_of("dnsmos_bak"), records.MEASURED, found) is None
    assert mark(words_of("dnsmos_bak"), records.MEASURED, records.judged(90.0)) == "good"
    assert mark(words_of("channels"), records.MEASURED, found) is None
    severe = replace(records.ECHO, severity="error")
    assert mark(words_of("reverb_rt60_s"), records.MEASURED, records.judged(40.0, severe)) == "bad"


# --- in a browser ------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def files(html: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("reports")
    long_name = "a_name_that_is_far_too_long_for_a_telephone_" * 4 + ".wav"
    many = report_html([
        examined(long_name, 88.0), examined("poor.wav", 30.0, (records.ECHO, records.NOISY, records.SHORT)),
        ReportEntry(long_name, error=("It holds no sound at all.", "Record it again.")),
    ])
    pages = {"one": html, "many": many, "hostile": hostile_page()}
    for name, content in pages.items():
        (folder / f"{name}.html").write_text(content, "utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in pages}


@pytest.mark.parametrize("name", ["one", "many", "hostile"])
@pytest.mark.parametrize(("width", "height", "scheme"), VIEWS)
def test_it_can_be_read(browser: Any, files: dict[str, str], name: str, width: int, height: int, scheme: str) -> None:
    with Visit(browser, files[name], width, height, scheme) as visit:
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        wide = visit.page.evaluate("""() => Array.from(document.querySelectorAll('main *:not(.vh)'))
            .filter(node => !node.closest('svg') && node.getBoundingClientRect().right > innerWidth + 1)
            .map(node => node.outerHTML.slice(0, 80))""")
        assert wide == []
        verdict = visit.page.locator(".verdict" if name == "one" else ".best p >> nth=1").first
        box = verdict.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= height
        contrasts = visit.page.evaluate(CONTRASTS)
        assert len(contrasts) > 50
        assert [found for found in contrasts if found[0] < 4.5] == []
        assert visit.said == []
        assert [url for url in visit.asked if not url.startswith("data:")] == [files[name]]
        assert visit.page.evaluate("window.hacked") is None


def test_the_dark_page_is_dark(browser: Any, files: dict[str, str]) -> None:
    brightness = {}
    for scheme in ("light", "dark"):
        with Visit(browser, files["one"], scheme=scheme) as visit:
            shot = Image.open(io.BytesIO(visit.page.screenshot())).convert("L")
            brightness[scheme] = float(np.mean(np.asarray(shot)))
            assert visit.page.evaluate("document.images[0].complete && document.images[0].naturalWidth > 0")
    assert brightness["light"] > 200
    assert brightness["dark"] < 70


def test_both_players_play_and_switch_at_the_same_words(browser: Any, files: dict[str, str]) -> None:
    """The second half was put first: 0.5 s of the result are 4.5 s of the recording."""
    with Visit(browser, files["one"]) as visit:
        page = visit.page
        page.wait_for_function("Array.from(document.querySelectorAll('audio')).every(each => each.readyState >= 2)")
        durations = page.evaluate("Array.from(document.querySelectorAll('audio')).map(each => each.duration)")
        assert durations == pytest.approx([8.0, 8.0], abs=0.1)
        button = page.get_by_role("button", name="Play and compare")
        button.click()
        page.wait_for_function("!document.querySelectorAll('audio')[0].paused")
        page.evaluate("document.querySelectorAll('audio')[0].currentTime = 4.5")
        page.get_by_role("button", name="Switch to after").click()
        page.wait_for_function("!document.querySelectorAll('audio')[1].paused")
        before, after = page.evaluate("Array.from(document.querySelectorAll('audio')).map(each => each.currentTime)")
        assert page.evaluate("document.querySelectorAll('audio')[0].paused")
        assert after == pytest.approx(before - 4.0, abs=0.5)
        page.get_by_role("button", name="Switch to before").click()
        page.wait_for_function("!document.querySelectorAll('audio')[0].paused")
        assert page.evaluate("document.querySelectorAll('audio')[0].currentTime") >= 4.4
        page.get_by_label("Both equally loud").check()
        assert page.evaluate("document.querySelectorAll('audio')[0].volume") == 1.0


def test_the_policy_holds_in_the_browser(browser: Any, files: dict[str, str]) -> None:
    """What a hole in the escaping would let in would still not run or load: a control that must be refused."""
    with Visit(browser, files["one"]) as visit:
        visit.refuses()


def test_it_can_be_printed(browser: Any, files: dict[str, str]) -> None:
    with Visit(browser, files["one"], scheme="dark") as visit:
        visit.prints()
        assert not visit.page.locator("audio").first.is_visible()
