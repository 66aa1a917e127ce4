"""voicekit.utterances: which segments share a group, what each one's randomness depends on, and their order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from voicekit.decoding import Sampling
from voicekit.utterances import ROUNDS, SpeechSettings, groups, in_order, segment_generator


def test_the_defaults_are_the_released_config() -> None:
    settings = SpeechSettings()
    assert (settings.temperature, settings.top_k, settings.top_p, settings.repetition_penalty) == (0.75, 50, 0.85, 5.0)
    assert (settings.speed, settings.seed) == (1.0, 0)
    assert SpeechSettings(0.1, 2, 0.3, 4.0, 1.5, 6).sampling == Sampling(0.1, 2, 0.3, 4.0)


def test_the_plan_of_a_text_is_a_function_of_its_length() -> None:
    assert list(groups(3, 8, first_alone=False)) == [range(3)]
    assert list(groups(32, 8, first_alone=False)) == [range(32)]
    assert list(groups(35, 8, first_alone=False)) == [range(17), range(17, 35)]
    assert list(groups(35, 8, first_alone=True)) == [range(1), range(1, 18), range(18, 35)]
    assert list(groups(1, 8, first_alone=True)) == [range(1)]
    assert list(groups(0, 8, first_alone=True)) == []


@pytest.mark.parametrize("first_alone", [False, True])
@pytest.mark.parametrize("batch_size", [1, 2, 12, 256])
def test_groups_hold_every_segment_once_and_are_even(batch_size: int, first_alone: bool) -> None:
    for count in (0, 1, 2, 7, 8, 9, 16, 17, 95, 96, 97, 98, 1000):
        found = list(groups(count, batch_size, first_alone=first_alone))
        assert list(itertools.chain(*found)) == list(range(count))
        rest = found[1:] if first_alone and count > 1 else found
        assert rest == found or len(found[0]) == 1
        sizes = [len(group) for group in rest]
        assert not sizes or (min(sizes) >= 1 and max(sizes) <= ROUNDS * batch_size and max(sizes) - min(sizes) <= 1)


def test_segments_attempts_and_seeds_have_their_own_randomness() -> None:
    import torch

    drawn = {key: tuple(torch.rand(4, generator=segment_generator(*key)).tolist())
             for key in ((0, 0), (0, 1), (1, 0), (0, 0, 1), (0, 1, 1), (1, 11), (11, 1), (2**63 - 1, 0))}  # fmt: skip
    assert len(set(drawn.values())) == len(drawn)
    assert drawn[0, 0] == tuple(torch.rand(4, generator=segment_generator(0, 0, 0)).tolist())


def test_what_ends_in_any_order_is_given_in_its_own_and_as_soon_as_it_can_be() -> None:
    taken: list[int] = []

    def ending() -> Iterator[tuple[int, str]]:
        for place in (1, 0, 3, 2, 4):
            taken.append(place)
            yield place, f"{place}."

    seen = [(each, list(taken)) for each in in_order(ending())]
    assert [each for each, _ in seen] == ["0.", "1.", "2.", "3.", "4."]
    assert [so_far for _, so_far in seen] == [[1, 0], [1, 0], [1, 0, 3, 2], [1, 0, 3, 2], [1, 0, 3, 2, 4]]
    assert list(in_order([])) == []
