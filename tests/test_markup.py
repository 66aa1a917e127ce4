"""voicekit.markup: tags are taken out and hold where they stand; all else is text."""

from __future__ import annotations

import pytest

from voicekit.errors import TextError
from voicekit.markup import Run, carried, runs, without_tags
from voicekit.text import LANGUAGES


def parse(text: str) -> list[Run]:
    return list(runs(text, LANGUAGES))


def test_a_text_without_tags_is_one_run() -> None:
    for text in ("Plain.", "a [note] and [1] and [pauses:3] [pause 3] [language] x".replace("[language] ", "")):
        assert parse(text) == [Run(text)]


@pytest.mark.parametrize(
    ("tag", "seconds"),
    [("[pause]", 1.0), ("[pause:1.5]", 1.5), ("[PAUSE: 2 ]", 2.0), ("[pause:0,5]", 0.5), ("[pause:60]", 60.0),
     ("[pause:2s]", 2.0), ("[pause:.5]", 0.5)],
)  # fmt: skip
def test_pauses(tag: str, seconds: float) -> None:
    assert parse(f"One {tag} two") == [Run("One ", seconds), Run(" two")]


def test_pauses_in_a_row_are_the_longest() -> None:
    assert parse("One [pause:1] [pause:3][pause:2] two") == [Run("One  ", 3.0), Run(" two")]


def test_settings_hold_until_they_are_changed() -> None:
    assert parse("a [speed:0.9]b [language:DE]c [speed]d [Language]e") == [
        Run("a "), Run("b ", speed=0.9), Run("c ", speed=0.9, language="de"), Run("d ", language="de"), Run("e"),
    ]  # fmt: skip


@pytest.mark.parametrize(("written", "code"), [("zh", "zh-cn"), ("zh-CN", "zh-cn"), ("pt-BR", "pt"), (" fr ", "fr")])
def test_language_codes(written: str, code: str) -> None:
    assert parse(f"[language:{written}]x") == [Run("x", language=code)]


def test_a_stop_behind_a_closing_tag_belongs_to_the_words_before_it() -> None:
    assert parse("[language:fr]Oui[language], he said.") == [Run("Oui,", language="fr"), Run(" he said.")]
    assert parse("[language:fr]Oui[language].5") == [Run("Oui", language="fr"), Run(".5")]


def test_a_backslash_has_a_tag_spoken() -> None:
    assert parse(r"Write \[pause:1] here") == [Run("Write [pause:1] here")]


@pytest.mark.parametrize(
    "tag",
    ["[pause:abc]", "[pause:-1]", "[pause:61]", "[pause:]", "[pause:1e9]", "[pause:nan]", "[speed:9]", "[speed:0.4]",
     "[speed:fast]", "[speed:]", "[language:xx]", "[language:]", "[language:klingon]"],
)  # fmt: skip
def test_an_impossible_value_is_refused_with_a_hint(tag: str) -> None:
    with pytest.raises(TextError) as refused:
        parse(f"One {tag} two")
    assert tag.partition(":")[0] in refused.value.message
    assert refused.value.hint


def test_nothing_of_the_text_is_lost() -> None:
    text = "a[pause]b [x] [speed:1.1] c\n\n[language:fr]d[language] \\[pause] ["
    joined = "".join(run.text for run in parse(text))
    assert joined == "ab [x]  c\n\nd [pause] ["


def test_without_tags() -> None:
    assert without_tags(r"[speed:0.9]a [pause] [note] \[pause:1] b[language]") == "a  [note] [pause:1] b"


def test_texts_that_are_spoken_apart_sound_as_they_would_together() -> None:
    texts = ["[pause:1]a[speed:0.9]", "b[Language:DE]", r"c [pause] \[speed:2] [speed]", "d", "[language]e", "f"]
    apart = [run for text in carried(texts) for run in parse(text)]
    assert [run for run in apart if run.text or run.pause_s] == [
        Run("", 1.0), Run("a"), Run("b", speed=0.9), Run("c ", 1.0, 0.9, "de"), Run(" [speed:2] ", 0.0, 0.9, "de"),
        Run("d", language="de"), Run("e"), Run("f"),
    ]  # fmt: skip
    assert carried(["a [pause]", "b"]) == ("a [pause]", "b")
