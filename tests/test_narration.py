"""voicekit.narration: each known fault of XTTS is met by another take, the best one is kept, nothing is spoken twice.

Faults are put in where the model speaks: a model that says what the test dictates, take by take.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from tests import spoken_faults
from voicekit.decoding import Sampling
from voicekit.journal import Journal, Spoken, remove_old
from voicekit.narration import Speaker, narrate
from voicekit.speech_plan import Group, Reading, plan
from voicekit.takes import Take
from voicekit.utterances import Utterance

SAMPLING = Sampling(0.75, 50, 0.85, 5.0)
GREEDY = Sampling(0.0, 50, 0.85, 5.0)
VOICE: Any = object()
SPEAKERS = [Speaker(VOICE, {"voice": "a"})]
FAULTY = {
    "loop": spoken_faults.looping,
    "babble": spoken_faults.babbling,
    "ceiling": spoken_faults.never_stopping,
    "silence": spoken_faults.falling_silent,
}


class Dictated:
    """A model that says what it is told: for each utterance its takes in turn, and good ones after the last."""

    def __init__(self, takes: dict[int, list[Take]] | None = None) -> None:
        self.takes = takes or {}
        self.asked: list[tuple[int, int]] = []  # the number of an utterance, and which attempt

    def utter(
        self, utterances: Sequence[Utterance], voice: object, sampling: Sampling, rows: int
    ) -> Iterator[tuple[int, Take]]:
        assert voice is VOICE
        for place, spoken in reversed(list(enumerate(utterances))):  # the last one ends first
            self.asked.append((spoken.number, spoken.attempt))
            dictated = self.takes.get(spoken.number, [])
            good = spoken_faults.good(spoken.text, seed=100 * spoken.number + spoken.attempt)
            yield place, dictated[spoken.attempt] if spoken.attempt < len(dictated) else good


def groups_of(count: int, *, sampling: Sampling = SAMPLING, tries: int = 3, rows: int = 4) -> tuple[Group, ...]:
    utterances = tuple(Utterance(spoken_faults.TEXT, "en", 7, number) for number in range(count))
    return plan([Reading(0, sampling, utterances)], rows, tries)


def spoken(model: Any, groups: Sequence[Group], key: str = "k", redone: dict[str, int] | None = None) -> list[Spoken]:
    made = list(narrate(model, groups, SPEAKERS, Journal(key), redone or {}))
    assert [line.index for line, _ in made] == list(range(len(made)))
    return [each for _, each in made]


def same(first: Spoken, second: Spoken) -> bool:
    return np.array_equal(first.audio.samples, second.audio.samples)


@pytest.mark.parametrize("fault", FAULTY)
def test_a_faulty_take_is_spoken_again_and_the_good_one_kept(fault: str) -> None:
    model = Dictated({1: [FAULTY[fault]()]})
    control = spoken(Dictated(), groups_of(3))
    remove_old(days=0)
    mended = spoken(model, groups_of(3))
    assert model.asked == [(2, 0), (1, 0), (0, 0), (1, 1)]  # only the faulty one is spoken again
    assert [each.tries for each in mended] == [1, 2, 1]
    assert mended[1].faults == () and len(mended[1].rejected) == 1
    assert same(mended[0], control[0]) and same(mended[2], control[2])
    assert abs(mended[1].audio.duration_s - control[1].audio.duration_s) < 0.5  # as long as it ought to be


def test_where_no_take_passes_the_best_one_is_kept_and_said_to_be_faulty() -> None:
    bad = [spoken_faults.never_stopping(), spoken_faults.babbling(seconds=2.5), spoken_faults.looping(times=6)]
    (kept,) = spoken(Dictated({0: bad}), groups_of(1))
    assert kept.tries == 3 and len(kept.rejected) == 2
    assert kept.faults and "ceiling" not in kept.faults
    assert kept.stopped


def test_without_retries_there_is_one_take() -> None:
    model = Dictated({0: [spoken_faults.looping()]})
    (kept,) = spoken(model, groups_of(1, tries=1))
    assert (model.asked, kept.tries, "loop" in kept.faults) == ([(0, 0)], 1, True)


def test_greedy_never_speaks_again_and_loses_no_more_than_plain_silence() -> None:
    babble = spoken_faults.babbling()
    model = Dictated({0: [babble]})
    (kept,) = spoken(model, groups_of(1, sampling=GREEDY))
    assert model.asked == [(0, 0)]
    sound = np.flatnonzero(np.abs(babble.audio.samples) > 10 ** (-50 / 20))
    assert kept.audio.duration_s >= (sound[-1] - sound[0]) / babble.audio.sample_rate


def test_noise_is_never_refused_or_shortened() -> None:
    noise = spoken_faults.noise(6.0)
    (kept,) = spoken(Dictated({0: [noise, noise, noise]}), groups_of(1))
    assert kept.audio.duration_s == pytest.approx(6.0, abs=0.05)


def test_every_segment_has_the_same_loudness() -> None:
    from voicekit.quality import loudness_lufs

    quiet, loud = (spoken_faults.good(seed=seed) for seed in (1, 2))
    loud.audio.samples[:] *= np.float32(2.0)
    made = spoken(Dictated({0: [quiet], 1: [loud]}), groups_of(2))
    first, second = (loudness_lufs(each.audio) for each in made)
    assert first is not None and second is not None
    assert abs(first - second) < 1.0
    assert made[0].gain_db - made[1].gain_db == pytest.approx(6.0, abs=1.0)  # 20 lg 2


def test_a_group_that_was_spoken_is_taken_as_it_is() -> None:
    groups = groups_of(5, rows=4)
    first = spoken(Dictated(), groups)
    silent = Dictated()
    again = spoken(silent, groups)
    assert silent.asked == []
    assert all(same(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("ended_after", [0, 3, 40, 63, 64, 65])
def test_a_run_that_was_cut_goes_on_with_the_same_sound(ended_after: int) -> None:
    """Cut between two segments, wherever: finished groups are not spoken again, the one that was cut is, whole."""
    groups = groups_of(70, rows=8)
    sizes = [len(group.lines) for group in groups]
    assert len(groups) == 3
    whole = spoken(Dictated(), groups)
    remove_old(days=0)
    cut = narrate(Dictated(), groups, SPEAKERS, Journal("k"), {})  # type: ignore[arg-type]
    for _ in range(ended_after):
        next(cut)
    cut.close()
    rest = Dictated()
    resumed = spoken(rest, groups)
    assert all(same(a, b) for a, b in zip(whole, resumed, strict=True))
    done = [number for number, _ in enumerate(sizes) if sum(sizes[: number + 1]) < ended_after]
    assert len(rest.asked) == 70 - sum(sizes[number] for number in done)


def test_a_segment_that_is_asked_for_again_is_another_take_and_the_only_change() -> None:
    groups = groups_of(3)
    before = spoken(Dictated(), groups)
    model = Dictated()
    after = spoken(model, groups, redone={"0:1": 1})
    assert model.asked == [(1, 3)]  # behind the three takes that the first run may have had
    assert same(before[0], after[0]) and same(before[2], after[2]) and not same(before[1], after[1])
    further = Dictated()
    last = spoken(further, groups, redone={"0:1": 1, "0:2": 1})
    assert further.asked == [(2, 3)]
    assert same(after[1], last[1]) and not same(after[2], last[2])
    assert spoken(Dictated(), groups)[1].audio.samples.size == before[1].audio.samples.size  # the first run's is there


def test_a_tempo_changes_the_length_and_not_the_level() -> None:
    utterances = (Utterance(spoken_faults.TEXT, "en", 7, 0),)
    (plain,), (fast,) = (
        spoken(Dictated(), plan([Reading(0, SAMPLING, utterances, tempo)], 4, 3)) for tempo in (1.0, 1.25)
    )
    assert plain.audio.duration_s / fast.audio.duration_s == pytest.approx(1.25, abs=0.02)
