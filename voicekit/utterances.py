"""What is to be spoken, and how: settings, utterances, their seeds, and which of them share a batch. Pure."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from voicekit.decoding import Sampling

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

BATCH_SIZE = 12  # segments in a step, as many as the kernels take in one pass (bench/README.md)
ROUNDS = 4  # batches whose segments may follow each other into a row: a group, which is spoken before the next begins,
# and spoken again if it is interrupted. 8 would be 1 % faster on a hundred segments, and lose twice as much.


@dataclass(frozen=True)
class SpeechSettings:
    """Every value that shapes how a text is spoken; the defaults are the released config.json's.

    temperature: 0 is greedy; 0.65 to 0.75 is the usual range.
    top_k, top_p, repetition_penalty: see `decoding.Sampling`.
    speed: 0.5 to 2.0; the latents are stretched by its inverse (coqui's `inference(speed=)`).
    seed: 0 to 2**63 - 1; one seed, one result.
    """

    temperature: float = 0.75
    top_k: int = 50
    top_p: float = 0.85
    repetition_penalty: float = 5.0
    speed: float = 1.0
    seed: int = 0

    @property
    def sampling(self) -> Sampling:
        """The part that the choice of codes needs."""
        return Sampling(self.temperature, self.top_k, self.top_p, self.repetition_penalty)


@dataclass(frozen=True)
class Utterance:
    """One segment of a text, ready for the model.

    text: in plain forms, within the model's limits.
    language: one of XTTS's 17.
    seed: of the whole text, 0 to 2**63 - 1; number: its place in the text, from 0; attempt: which try this is, from 0.
    speed: 0.5 to 2.0.
    """

    text: str
    language: str
    seed: int
    number: int
    attempt: int = 0
    speed: float = 1.0


def groups(count: int, batch_size: int, *, first_alone: bool) -> Iterator[range]:
    """Which segments may follow each other into a row: a pure function, on which the bytes of a text depend.

    Groups are even: a last one of few segments would leave most rows empty.
    """
    first = 1 if first_alone and count > 1 else 0
    if first:
        yield range(first)
    pieces = -(-(count - first) // (batch_size * ROUNDS))
    cuts = [first + (count - first) * piece // pieces for piece in range(pieces + 1)] if pieces else []
    yield from (range(start, end) for start, end in itertools.pairwise(cuts))


def segment_generator(seed: int, index: int, attempt: int = 0) -> torch.Generator:
    """The randomness of one segment: depends on the seed, its place and the attempt, on nothing else."""
    import torch

    digest = hashlib.sha256(f"{seed}:{index}:{attempt}".encode()).digest()
    return torch.Generator(device="cpu").manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def in_order(ended: Iterable[tuple[int, T]]) -> Iterator[T]:
    """What ends in any order, by its place from 0: each as soon as it and those before it are there."""
    waiting: dict[int, T] = {}
    following = 0
    for place, each in ended:
        waiting[place] = each
        while following in waiting:
            yield waiting.pop(following)
            following += 1
