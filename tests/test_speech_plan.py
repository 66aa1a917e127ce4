"""Groups and their digests: all that changes a sound counts, and nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from voicekit.decoding import Sampling
from voicekit.speech_plan import Group, Line, Reading, plan
from voicekit.utterances import Utterance

ROOT = Path(__file__).resolve().parent.parent
WARM, GREEDY = Sampling(0.75, 50, 0.85, 5.0), Sampling(0.0, 50, 0.85, 5.0)
SAID = Utterance("Hello there.", "en", 7, 0)
AFTER = Utterance("And again.", "en", 7, 1)
CIRCUMSTANCES: dict[str, object] = {
    "voice": "v" * 64, "model": "m" * 64, "precision": "float32", "device": "cpu", "arithmetic": "native",
    "threads": 2, "versions": ["1", "2"],
}  # fmt: skip
GROUP = Group(0, WARM, (Line(0, 0, SAID), Line(0, 1, AFTER)), 12, 3)

OF_UTTERANCE: dict[str, Any] = {
    "text": "Hello, there.", "language": "de", "seed": 8, "number": 5, "attempt": 1, "speed": 1.1,
}  # fmt: skip
OF_SAMPLING: dict[str, Any] = {"temperature": 0.7, "top_k": 40, "top_p": 0.8, "repetition_penalty": 4.0}
OF_GROUP: dict[str, Any] = {"rows": 11, "tries": 2, "tempo": 1.2}
OF_CIRCUMSTANCES: dict[str, Any] = {
    "voice": "w" * 64, "model": "n" * 64, "precision": "bfloat16", "device": "cuda:0", "arithmetic": "torch",
    "threads": 1, "versions": ["1", "3"],
}  # fmt: skip


def test_every_field_that_there_is_is_tried_below() -> None:
    """A new one must be thought about here: does it sound?"""
    assert {each.name for each in fields(Utterance)} == set(OF_UTTERANCE)
    assert {each.name for each in fields(Sampling)} == set(OF_SAMPLING)
    assert {each.name for each in fields(Group)} == {*OF_GROUP, "voice", "sampling", "lines"}


def with_utterance(name: str, place: int) -> Group:
    lines = list(GROUP.lines)
    lines[place] = replace(lines[place], utterance=replace(lines[place].utterance, **{name: OF_UTTERANCE[name]}))
    return replace(GROUP, lines=tuple(lines))


def test_every_single_thing_that_sounds_changes_the_digest() -> None:
    groups = [with_utterance(name, place) for name in OF_UTTERANCE for place in (0, 1)]
    groups += [replace(GROUP, sampling=replace(WARM, **{name: value})) for name, value in OF_SAMPLING.items()]
    groups += [replace(GROUP, **{name: value}) for name, value in OF_GROUP.items()]
    groups += [replace(GROUP, lines=GROUP.lines[:1]), replace(GROUP, lines=GROUP.lines[::-1])]
    digests = [each.digest(CIRCUMSTANCES) for each in (GROUP, *groups)]
    digests += [GROUP.digest({**CIRCUMSTANCES, name: value}) for name, value in OF_CIRCUMSTANCES.items()]
    digests += [GROUP.digest({name: value for name, value in CIRCUMSTANCES.items() if name != "threads"})]
    assert len(set(digests)) == len(digests)
    assert all(len(each) == 64 and set(each) <= set("0123456789abcdef") for each in digests)


def test_nothing_else_changes_the_digest() -> None:
    """Which request a line is of, and what number its voice has, is not heard."""
    silent = [
        replace(GROUP, voice=3),
        replace(GROUP, lines=tuple(replace(line, reading=4, index=line.index + 9) for line in GROUP.lines)),
    ]
    expected = GROUP.digest(CIRCUMSTANCES)
    assert [each.digest(CIRCUMSTANCES) for each in silent] == [expected] * 2
    assert GROUP.digest(dict(reversed(CIRCUMSTANCES.items()))) == expected


def test_a_digest_is_the_same_tomorrow() -> None:
    """Another process, in which hashes of texts are others."""
    code = ("from tests.test_speech_plan import CIRCUMSTANCES, GROUP\n"
            "print(GROUP.digest(CIRCUMSTANCES))")  # fmt: skip
    found = {
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, cwd=ROOT,
                       capture_output=True, text=True, check=True).stdout.strip()
        for seed in ("1", "2")
    }  # fmt: skip
    assert found == {GROUP.digest(CIRCUMSTANCES)}


# --- the plan -------------------------------------------------------------------------------------------------


def reading(count: int, voice: int = 0, sampling: Sampling = WARM, tempo: float = 1.0, name: str = "a") -> Reading:
    return Reading(voice, sampling, tuple(Utterance(f"{name}{n}", "en", 7, n) for n in range(count)), tempo)


def texts(groups: tuple[Group, ...]) -> list[list[str]]:
    return [[line.utterance.text for line in group.lines] for group in groups]


def test_texts_of_one_voice_are_spoken_together() -> None:
    (group,) = plan([reading(2), reading(1, name="b")], 12, 3)
    assert texts((group,)) == [["a0", "a1", "b0"]]
    assert [(line.reading, line.index) for line in group.lines] == [(0, 0), (0, 1), (1, 0)]
    assert (group.rows, group.tries, group.tempo) == (12, 3, 1.0)


@pytest.mark.parametrize("other", [
    lambda: reading(2, name="b", voice=1),
    lambda: reading(2, name="b", sampling=replace(WARM, temperature=0.5)),
    lambda: reading(2, name="b", tempo=1.5),
])  # fmt: skip
def test_what_is_spoken_otherwise_is_spoken_apart(other: Callable[[], Reading]) -> None:
    groups = plan([reading(2), other(), reading(1, name="c")], 12, 3)
    assert texts(groups) == [["a0", "a1", "c0"], ["b0", "b1"]]
    assert (groups[1].voice, groups[1].sampling, groups[1].tempo) == (other().voice, other().sampling, other().tempo)


def test_greedy_has_one_try() -> None:
    assert [group.tries for group in plan([reading(1), reading(1, sampling=GREEDY)], 12, 3)] == [3, 1]


def test_who_listens_hears_the_very_first_segment_alone_and_no_other() -> None:
    groups = plan([reading(3), reading(3, voice=1, name="b"), reading(2, name="c")], 12, 3, first_alone=True)
    assert texts(groups) == [["a0"], ["a1", "a2", "c0", "c1"], ["b0", "b1", "b2"]]
    single = plan([reading(1), reading(3, voice=1, name="b")], 12, 3, first_alone=True)
    assert texts(single) == [["a0"], ["b0", "b1", "b2"]]
    assert texts(plan([reading(3)], 12, 3)) == [["a0", "a1", "a2"]]


@pytest.mark.parametrize("first_alone", [False, True])
def test_every_line_is_spoken_once_and_in_order(first_alone: bool) -> None:
    readings = [reading(count, voice=count % 3, name=f"{number}.") for number, count in enumerate((1, 40, 7, 100, 2))]
    groups = plan(readings, 2, 3, first_alone=first_alone)
    lines = [line for group in groups for line in group.lines]
    for number, each in enumerate(readings):
        own = [line for line in lines if line.reading == number]
        assert [line.index for line in own] == list(range(len(each.utterances)))
        assert [line.utterance for line in own] == list(each.utterances)
    assert len(lines) == 150
    for group in groups:
        assert {readings[line.reading].voice for line in group.lines} == {group.voice}
        assert len(group.lines) <= 2 * 8  # what a cut costs: no more than this is spoken again


def test_nothing_is_no_plan() -> None:
    assert plan([], 12, 3, first_alone=True) == ()
