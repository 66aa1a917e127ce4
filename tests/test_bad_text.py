"""Texts that are no texts, or are made to do harm: each is spoken, or refused with a reason, in every form it comes in.

Work is counted, or bounded by the processor time of this process, so that a busy machine changes no answer.
"""

from __future__ import annotations

import contextlib
import io
import json
import signal
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType, SimpleNamespace

import pytest

import simple_voice_clone
from tests import spoken_faults
from tests.bad_texts import LANGUAGES, TEXTS, BadText
from voicekit import cutting, request_building, text
from voicekit.chapters import Manuscript
from voicekit.cloning import CloneSettings, Request
from voicekit.errors import TextError
from voicekit.job_lines import BadLine, csv_lines, json_lines
from voicekit.manuscripts import decode_manuscript
from voicekit.page_text import passages
from voicekit.takes import Take
from voicekit.tts_model import TTSModel
from voicekit.utterances import Utterance

NEVER_SPOKEN = ("Cc", "Cf", "Cs", "Co", "Cn")  # control, format, surrogate, private, unassigned
JOINERS = "\u200c\u200d"
WATCHDOG_S = 10.0  # of processor time, where a second would do
FORMS = (".txt", ".md", ".srt", ".vtt", ".epub", ".csv")

all_texts = pytest.mark.parametrize("bad", TEXTS, ids=lambda bad: bad.name)


@pytest.fixture(autouse=True)
def _watchdog() -> Iterator[None]:
    """Ends a test that computes without end."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def bark(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"over {WATCHDOG_S:g} s of work")

    before = signal.signal(signal.SIGVTALRM, bark)
    signal.setitimer(signal.ITIMER_VIRTUAL, WATCHDOG_S)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


def requested(read: Manuscript, language: str) -> Request:
    (request,) = request_building.of_manuscript(read, Request("", ("me.wav",), "o.wav", language), chapters=False)
    return request


def planned(read: Manuscript, language: str) -> tuple[text.Segment, ...]:
    return cutting.cut(requested(read, language), text.roughly, cutting.lexicon_of(CloneSettings()), 1).segments


def given(content: str, language: str) -> Manuscript:
    return request_building.read_text(content, None, language, lambda most: b"", 0)


def letters(shown: str) -> str:
    return "".join(character for character in shown if unicodedata.category(character)[0] == "L")


def assert_has_a_reason(error: TextError) -> None:
    assert error.message.endswith(".") and error.hint.endswith((".", "?")), error.message
    assert len(error.message) < 300 and error.message.isprintable() and error.hint.isprintable()


def assert_can_be_spoken(segments: Sequence[text.Segment], language: str) -> None:
    assert segments
    for segment in segments:
        rough = text.roughly(segment.text, segment.language or language)
        assert rough.characters <= text.MAX_CHARACTERS[segment.language or language] and rough.tokens <= text.MAX_TOKENS
        assert any(unicodedata.category(each)[0] in "LN" for each in segment.text)
        odd = {each for each in segment.text if unicodedata.category(each) in NEVER_SPOKEN} - set(JOINERS)
        assert odd == set()


# --- the planning path --------------------------------------------------------------------------------------


@all_texts
def test_it_is_spoken_or_refused_in_every_language(bad: BadText) -> None:
    for language in LANGUAGES:
        if bad.spoken:
            assert_can_be_spoken(planned(given(bad.text, language), language), language)
            continue
        with pytest.raises(TextError) as refused:
            planned(given(bad.text, language), language)
        assert_has_a_reason(refused.value)


@pytest.mark.parametrize(
    "bad", [each for each in TEXTS if each.spoken and "[" not in each.text], ids=lambda bad: bad.name
)
def test_no_letter_is_lost(bad: BadText) -> None:
    """Subtitles show every letter that was given, in its order."""
    shown = "".join(segment.source for segment in planned(given(bad.text, "en"), "en"))
    assert letters(shown) == letters(unicodedata.normalize("NFC", bad.text))


@all_texts
@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_holds_it_is_read_or_refused(bad: BadText, form: str) -> None:
    head = {".srt": "1\n00:00:01,000 --> 00:00:02,000\n", ".vtt": "WEBVTT\n\n00:01.000 --> 00:02.000\n"}.get(form, "")
    data = (head + bad.text).encode("utf-8", "surrogatepass")
    try:
        segments = planned(decode_manuscript(data, "file", form, "en"), "en")
    except TextError as refused:
        assert_has_a_reason(refused)
    else:
        assert_can_be_spoken(segments, "en")


@pytest.mark.parametrize("codec", ["utf-16", "utf-32", "utf-16-be", "cp1252", "shift_jis", "koi8_r", "utf-7"])
@pytest.mark.parametrize("ending", [b"", b"\xff", b"\x80\x81", b"\0"])
def test_bytes_of_any_encoding_are_read_or_refused(codec: str, ending: bytes) -> None:
    for bad in TEXTS:
        try:
            segments = planned(decode_manuscript(bad.text[:400].encode(codec, "ignore") + ending, "file"), "en")
        except TextError as refused:
            assert_has_a_reason(refused)
        else:
            assert_can_be_spoken(segments, "en")


# --- the command --------------------------------------------------------------------------------------------


def assert_told_well(err: str, code: int) -> None:
    assert "Internal error" not in err and "Traceback" not in err
    assert all(line.isprintable() for line in err.split("\n"))
    assert ("Error: " in err) == (code == 1)


@pytest.mark.parametrize("bad", [each for each in TEXTS if each.text], ids=lambda bad: bad.name)
def test_the_command_plans_it_or_ends_with_1(
    bad: BadText, voice_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--text=" + bad.text, "--voice", str(voice_file), "--model", "rehearsal-tiny", "--dry-run"]
    code = simple_voice_clone.main([*flags, "-o", str(tmp_path / "o.wav"), "--log-dir", str(tmp_path / "logs")])
    assert code == (0 if bad.spoken else 1)
    assert_told_well(capsys.readouterr().err, code)


def test_an_empty_text_is_refused_by_name(voice_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = simple_voice_clone.main(["--text", "", "--voice", str(voice_file), "--dry-run"])
    except SystemExit as leaving:
        code = int(str(leaving.code))
    assert code in (1, 2)
    assert "Internal error" not in capsys.readouterr().err


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Noise instead of speech; the list is of what the model was asked to say."""
    asked: list[str] = []

    def utter(tts: TTSModel, utterances: Sequence[Utterance], *_: object) -> Iterator[tuple[int, Take]]:
        for place, each in enumerate(utterances):
            asked.append(each.text)
            assert len(tts.tokens(each.text, each.language)) <= text.MAX_TOKENS, "the model's own count"
            yield place, spoken_faults.noise(0.1, seed=place)

    monkeypatch.setattr(TTSModel, "utter", utter)
    return asked


@pytest.mark.usefixtures("tiny_checkpoint")
@pytest.mark.parametrize("language", ["en", "ru", "ja"])
def test_a_list_of_them_is_spoken_as_far_as_it_can_be(
    language: str, quick: list[str], voice_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the real tokenizer and all stages but the networks."""
    short = [bad for bad in TEXTS if len(bad.text) <= 400]
    lines = [{"text": bad.text, "output": f"{number}.wav", "language": language, "voice": str(voice_file)}
             for number, bad in enumerate(short)]  # fmt: skip
    (tmp_path / "jobs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    flags = ["--jobs", str(tmp_path / "jobs.jsonl"), "--model", "rehearsal-tiny", "--log-dir", str(tmp_path / "logs")]
    assert simple_voice_clone.main([*flags, "--json"]) == 1
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert [each["line"] - 1 for each in result["failed"]] == [n for n, bad in enumerate(short) if not bad.spoken]
    assert all(each["error"]["message"].endswith(".") and each["error"]["hint"] for each in result["failed"])
    assert sorted(path.name for path in tmp_path.glob("*.wav")) == sorted(
        f"{n}.wav" for n, bad in enumerate(short) if bad.spoken)  # fmt: skip
    assert "Internal error" not in captured.err and quick
    assert all(line.isprintable() for line in captured.err.split("\n"))


# --- size -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["and so it went on ", "Ja, nein. ", "漢字", "a1,b", "[pause:1] a ", "a", "a-b/", "1"])
def test_one_line_is_measured_in_proportion_to_its_length(unit: str) -> None:
    """`test_complexity` counts all work of the splitter; this counts what the model's tokenizer is asked for."""
    asked = []
    for size in (20_000, 40_000):
        read = decode_manuscript((unit * size)[:size].encode(), "file")
        counts: list[int] = []

        def counting(piece: str, language: str, counts: list[int] = counts) -> text.Measured:
            counts.append(len(piece))
            return text.roughly(piece, language)

        with contextlib.suppress(TextError):  # one word
            cutting.cut(requested(read, "en"), counting, cutting.lexicon_of(CloneSettings()), 1)
        asked.append(sum(counts))
    assert asked[0] > 1_000 and asked[1] < 2.2 * asked[0] and asked[1] < 10 * 40_000


@pytest.mark.parametrize("unit", [b"a", b".", b" ", b"\0", "\u202e".encode(), b"9", b"a-", "あ".encode()])
def test_ten_megabytes_of_nothing_are_refused_early(
    unit: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, voice_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Over the size that is taken: whatever it is, it is not looked at."""
    stdin = SimpleNamespace(buffer=io.BytesIO(unit * (text.MAX_TEXT_BYTES // len(unit) + 1)), isatty=lambda: False)
    monkeypatch.setattr("sys.stdin", stdin)
    flags = ["--text-file", "-", "--voice", str(voice_file), "--model", "rehearsal-tiny", "--dry-run"]
    assert simple_voice_clone.main([*flags, "-o", str(tmp_path / "o.wav")]) == 1
    assert "is over 20 MB" in capsys.readouterr().err


def test_a_number_after_a_mark_is_parted_between_its_digits() -> None:
    """Ten digits come to 120 characters in words, and Japanese takes 71."""
    assert "".join(each.text for each in planned(given("ISBN 978-4101010014", "ja"), "ja")).count("4") == 2


# --- files made to stop a reader ------------------------------------------------------------------------------


def test_a_hundred_thousand_fields_are_no_work() -> None:
    names = ",".join(f'"field{number}": 1' for number in range(100_000))
    (line,) = json_lines("{" + names + "}")
    assert not isinstance(line, BadLine) and len(line.fields) == 100_000
    (twice,) = json_lines("{" + names + ', "field7": 2}')
    assert isinstance(twice, BadLine) and "'field7' is there twice" in twice.message


def test_a_hundred_thousand_columns_are_no_work() -> None:
    names = ",".join(f"field{number}" for number in range(100_000))
    assert list(csv_lines(f"text,{names}\n", ("text",))) == []
    with pytest.raises(TextError, match="'field7' is there twice"):
        list(csv_lines(f"text,{names},field7\n", ("text",)))


@pytest.mark.parametrize(
    "line", ["[" * 200_000, '{"a":' * 200_000, '{"seed":' + "9" * 200_000 + "}", '"' + "\\" * 99_999]
)
def test_json_that_is_deep_or_long_is_a_bad_line(line: str) -> None:
    (bad,) = json_lines(line)
    assert isinstance(bad, BadLine) and bad.message.endswith(".") and bad.hint


@pytest.mark.parametrize("quoted", ["", '"', "'"])
def test_an_element_of_nothing_but_attributes_is_refused(quoted: str) -> None:
    attributes = " ".join(f"a{number}={quoted}b{quoted}" for number in range(100_000))
    broken = "<html><body><p " + attributes + ">Hello"  # what is no XML is read as HTML
    with pytest.raises(ValueError, match="attributes"):
        passages(broken.encode(), frozenset())


def test_a_large_picture_in_a_page_is_no_attack() -> None:
    image = "iVBORw0KGgo=\n" * 20_000
    page = f'<html><body><p>Before <img alt="" src="data:image/png;base64,{image}"> after.'
    (passage,) = passages(page.encode(), frozenset())
    assert passage.paragraphs == ["Before after."]


