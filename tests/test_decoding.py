"""voicekit.decoding: how a code is chosen, against Hugging Face's own processors."""

from __future__ import annotations

import itertools

import pytest

from voicekit.decoding import Sampling, choose_codes, process_scores

CODES = 1_026


def generator(seed: int = 0):  # type: ignore[no-untyped-def]
    import torch

    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p", "penalty"),
    [*itertools.product((0.5, 0.75, 1.3), (1, 50, 2_000), (0.3, 0.85, 1.0), (1.0, 5.0)), (0.75, 0, 0.85, 10.0)],
)
def test_scores_are_hugging_faces(temperature: float, top_k: int, top_p: float, penalty: float) -> None:
    import torch
    from transformers.generation import logits_process as hf

    logits = torch.randn(CODES, generator=generator(1)) * 4
    history = torch.tensor([[1, 1, 1, 1024, 7, 99, 7]])
    seen = torch.zeros(CODES, dtype=torch.bool)
    seen[history[0]] = True
    expected = hf.RepetitionPenaltyLogitsProcessor(penalty)(history, logits[None].clone())
    expected = hf.TemperatureLogitsWarper(temperature)(history, expected)
    if top_k:
        expected = hf.TopKLogitsWarper(top_k)(history, expected)
    if top_p < 1:
        expected = hf.TopPLogitsWarper(top_p)(history, expected)
    other = torch.randn(CODES, generator=generator(2)) * 4  # a row beside it changes nothing
    rows, both_seen = torch.stack([other, logits]), torch.stack([~seen, seen])
    ours = process_scores(rows, both_seen, Sampling(temperature, top_k, top_p, penalty))
    assert torch.equal(ours[1], expected[0])


def test_greedy_takes_the_likeliest_after_the_penalty_and_no_randomness() -> None:
    import torch

    logits, seen = torch.zeros(CODES), torch.zeros(CODES, dtype=torch.bool)
    logits[5], logits[9] = 3.0, 2.0
    source = generator()
    before = source.get_state()
    greedy = Sampling(0.0, 50, 0.85, 5.0)
    assert choose_codes(logits[None], seen[None], greedy, [source]) == [5]
    seen[5] = True  # 3.0 / 5 is less than 2.0
    assert choose_codes(logits[None], seen[None], greedy, [source]) == [9]
    assert torch.equal(source.get_state(), before)


def test_draws_follow_the_probabilities() -> None:
    """A chi-square bound: 4,000 draws from four codes."""
    import torch

    wanted = torch.tensor([0.5, 0.25, 0.15, 0.1])
    logits = torch.full((CODES,), -1e4)  # as good as never
    logits[:4] = wanted.log()
    seen, source = torch.zeros(CODES, dtype=torch.bool), generator(3)
    sampling = Sampling(1.0, 0, 1.0, 1.0)
    codes = torch.tensor([choose_codes(logits[None], seen[None], sampling, [source]) for _ in range(4_000)]).flatten()
    drawn = torch.bincount(codes, minlength=4)
    chi_square = (((drawn - 4_000 * wanted) ** 2) / (4_000 * wanted)).sum()
    assert len(drawn) == 4
    assert chi_square < 16.3  # the 99.9 % point at 3 degrees of freedom


def test_the_same_generator_draws_the_same_codes() -> None:
    import torch

    logits, seen = torch.randn(CODES, generator=generator(2)), torch.zeros(CODES, dtype=torch.bool)
    sampling = Sampling(0.75, 50, 0.85, 5.0)

    def draw(seed: int) -> list[int]:
        source = generator(seed)
        return [choose_codes(logits[None], seen[None], sampling, [source])[0] for _ in range(30)]

    assert draw(4) == draw(4)
    assert draw(4) != draw(5)


def test_each_row_draws_with_its_own_generator() -> None:
    import torch

    logits, seen = torch.randn(3, CODES, generator=generator(2)), torch.zeros(3, CODES, dtype=torch.bool)
    sampling = Sampling(0.75, 50, 0.85, 5.0)
    alone = [choose_codes(logits[[row]], seen[[row]], sampling, [generator(row)])[0] for row in range(3)]
    assert choose_codes(logits, seen, sampling, [generator(row) for row in range(3)]) == alone
