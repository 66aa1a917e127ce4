"""The GPT decode: embedded texts and a voice in, audio codes and their latents out, many segments at once.

A step reads all weights of the GPT, which takes as long for one segment as for several: so segments are decoded
together, and where one ends the next takes its place. The hidden state from which a code is chosen is also the latent
that the vocoder needs for that code, so both are collected in one pass; coqui's `Xtts.inference` runs the whole GPT a
second time to get the latents again. Greedy and in float32 the codes equal coqui's (tests/test_parity.py).

This module knows the GPT and numbers. It knows no text, no audio, no files and no devices but
the one that its tensors lie on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voicekit.complexity import complexity
from voicekit.errors import ModelError
from voicekit.gpt import LeanGPT
from voicekit.key_values import Cache

if TYPE_CHECKING:
    import torch

# coqui's compute_embeddings fills the prefix positions with this id; Hugging Face's repetition
# penalty then counts it as "seen", and so must we for equal codes.
PREFIX_PLACEHOLDER_ID = 1
READ_AHEAD = 4  # texts that are read together when a row is free: one pass over the weights for all of them
CODES_A_TOKEN = 6  # room in the cache at the start; a text makes 4 to 5 codes a token, and the cache can grow


@dataclass(frozen=True)
class Sampling:
    """How the next code is chosen.

    temperature: above 0; 0 means greedy (the most likely code, no randomness).
    top_k: keep the k most likely codes, 1 or more; 0 keeps all.
    top_p: keep the smallest set of codes whose probabilities add up to this, in (0, 1].
    repetition_penalty: above 0; codes already seen have positive scores divided and negative
        scores multiplied by it (Keskar et al. 2019, arXiv 1909.05858); 1 means none.
    """

    temperature: float
    top_k: int
    top_p: float
    repetition_penalty: float

    @property
    def greedy(self) -> bool:
        """Whether the likeliest code is always taken."""
        return self.temperature == 0.0


@dataclass(frozen=True)
class Decoded:
    """What the GPT said for one segment.

    codes: int64 [n], the stop code included when it came; one code is 1,024 samples at 22,050 Hz
        (46.4 ms).
    latents: float32 [n, width], the GPT's final hidden state before each code, on the GPT's device.
    stopped: False when the ceiling of codes was reached without a stop code.
    """

    codes: torch.Tensor
    latents: torch.Tensor
    stopped: bool


def embed_text(gpt: LeanGPT, token_ids: list[int]) -> torch.Tensor:
    """A text as the GPT takes it, float32 [tokens + 2, width], from its BPE ids without start and stop."""
    import torch

    coqui = gpt.coqui
    ids = [coqui.start_text_token, *token_ids, coqui.stop_text_token]
    text = torch.tensor([ids], device=coqui.text_embedding.weight.device)
    embedded: torch.Tensor = coqui.text_embedding(text) + coqui.text_pos_embedding(text)
    return embedded[0]


def process_scores(logits: torch.Tensor, seen: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """The scores from which codes are drawn, in Hugging Face's order: penalty, temperature, top-k, top-p.

    Args:
        logits: float32 [rows, codes], on the CPU.
        seen: bool [rows, codes], True for ids that the repetition penalty counts.
        sampling: the settings; greedy ones get the penalty only.

    Returns:
        float32 [rows, codes]; -inf where a code cannot be drawn.
    """
    import torch

    penalised = torch.where(logits < 0, logits * sampling.repetition_penalty, logits / sampling.repetition_penalty)
    scores = torch.where(seen, penalised, logits)
    if sampling.greedy:
        return scores
    scores = scores / sampling.temperature
    if 0 < sampling.top_k < scores.shape[-1]:
        kth = torch.topk(scores, sampling.top_k).values[..., -1:]
        scores = scores.masked_fill(scores < kth, -torch.inf)
    if sampling.top_p < 1.0:
        ordered, order = torch.sort(scores, descending=False)
        outside = ordered.softmax(dim=-1).cumsum(dim=-1) <= 1.0 - sampling.top_p
        outside[..., -1] = False  # the likeliest code always stays
        scores = scores.masked_fill(torch.zeros_like(outside).scatter(-1, order, outside), -torch.inf)
    return scores


def require_numbers(tensor: torch.Tensor) -> torch.Tensor:
    """The same tensor, if all of it are numbers.

    Raises:
        ModelError: NaN or infinity, which only damaged weights make.
    """
    if not bool(tensor.isfinite().all()):
        raise ModelError("The model's weights are damaged: what it computes are no numbers.",
                         "Copy its files anew, or give another folder with --model DIR.")  # fmt: skip
    return tensor


def choose_codes(
    logits: torch.Tensor, seen: torch.Tensor, sampling: Sampling, generators: Sequence[torch.Generator]
) -> list[int]:
    """Draw a code for each row by its own generator (see `process_scores`); greedy takes the likeliest, and none.

    Raises:
        ModelError: see `require_numbers`.
    """
    import torch

    scores = process_scores(require_numbers(logits), seen, sampling)
    if sampling.greedy:
        return [int(code) for code in scores.argmax(dim=-1)]
    chances = scores.softmax(dim=-1)
    return [int(torch.multinomial(row, 1, generator=own)) for row, own in zip(chances, generators, strict=True)]


@dataclass(frozen=True, eq=False)
class Segment:
    """What is decoded: a text of `embed_text`, float32 [T, width], and a CPU generator seeded for it."""

    text: torch.Tensor
    generator: torch.Generator


@complexity(size="codes", time="O(n)", space="O(n)", stage="generate")
def decode(
    gpt: LeanGPT, voice: Cache, segments: Sequence[Segment], sampling: Sampling, rows: int
) -> Iterator[tuple[int, Decoded]]:
    """Speak segments, `rows` at a time: codes until the stop code or the model's ceiling (602 codes as released).

    The longest texts come first, and a segment that ends makes room for the next. Which segments share a step, and
    in which row, depends on nothing but the texts, the codes and `rows`: the same inputs give the same bytes.

    Time O(n) steps of all codes, each reading all GPT weights once (memory-bound) and what its rows hold in the cache;
    space O(rows * longest) cache (246 kB a position and row in float32 as released) and the latents of what is spoken.

    Args:
        voice: of `LeanGPT.hear`; all segments are spoken in it.
        sampling: how codes are chosen.
        rows: the most segments in a step, 1 or more.

    Yields:
        The number of a segment and what the GPT said for it, in the order in which they end.
    """
    order = sorted(range(len(segments)), key=lambda number: -len(segments[number].text))
    waiting = deque(order)
    first = [(number, segments[number]) for number in (waiting.popleft() for _ in order[:rows])]
    batch, ahead = _Batch(gpt, voice, sampling, first), deque[_Read]()
    while batch.rows:
        for row in reversed(batch.step()):  # the last first: a row that goes is replaced by the last one
            ended = batch.rows[row]
            yield ended.number, ended.decoded(gpt.stop_code)
            if not ahead and waiting:
                ahead.extend(batch.read([(number, segments[number]) for number in _next(waiting)]))
            if ahead:
                batch.join(row, ahead.popleft())
            else:
                batch.drop(row)


def _next(waiting: deque[int]) -> list[int]:
    return [waiting.popleft() for _ in range(min(READ_AHEAD, len(waiting)))]


@dataclass(eq=False)
class _Row:
    """One segment while it is spoken."""

    number: int
    segment: Segment
    codes: list[int] = field(default_factory=list)
    latents: list[torch.Tensor] = field(default_factory=list)

    def decoded(self, stop_code: int) -> Decoded:
        import torch

        return Decoded(torch.tensor(self.codes), torch.stack(self.latents), stopped=self.codes[-1] == stop_code)


@dataclass(frozen=True, eq=False)
class _Read:
    """A segment whose text lies in a row of a cache, and that waits for its turn."""

    number: int
    segment: Segment
    texts: Cache
    row: int


class _Batch:
    """Segments that share their steps, and what the GPT remembers of them."""

    def __init__(
        self, gpt: LeanGPT, voice: Cache, sampling: Sampling, first: Sequence[tuple[int, Segment]]
    ) -> None:
        import torch

        self.rows = [_Row(number, segment) for number, segment in first]
        self._gpt, self._voice, self._sampling = gpt, voice, sampling
        self._seen = torch.zeros(len(first), gpt.codes, dtype=torch.bool)
        self._seen[:, [PREFIX_PLACEHOLDER_ID, gpt.start_code]] = True
        self._cache = voice.for_rows(len(first))
        texts = [segment.text for _, segment in first]
        if texts:
            longest = max(len(text) for text in texts)
            gpt.read(texts, self._cache, room=CODES_A_TOKEN * longest)

    def step(self) -> list[int]:
        """One code more for each row; the rows that have ended with it."""
        latest = [row.codes[-1] if row.codes else self._gpt.start_code for row in self.rows]
        embedded = self._gpt.embed_codes(latest, [len(row.codes) for row in self.rows])
        latents = self._gpt.latents(self._gpt.step(embedded, self._cache))
        logits = self._gpt.logits(latents).cpu()
        codes = choose_codes(logits, self._seen, self._sampling, [row.segment.generator for row in self.rows])
        for place, (row, code) in enumerate(zip(self.rows, codes, strict=True)):
            row.codes.append(code)
            row.latents.append(latents[place].clone())  # a row of its own: the others' may go
            self._seen[place, code] = True
        return [place for place, row in enumerate(self.rows) if self._has_ended(row)]

    def read(self, following: Sequence[tuple[int, Segment]]) -> list[_Read]:
        """Segments that begin when a row is free: their texts are read now, in one pass."""
        texts = self._voice.for_rows(len(following))
        self._gpt.read([segment.text for _, segment in following], texts)
        return [_Read(number, segment, texts, row) for row, (number, segment) in enumerate(following)]

    def join(self, place: int, begun: _Read) -> None:
        """A segment begins in the row of one that has ended; its text is no longer than what the cache holds."""
        self._cache.put(place, begun.texts, begun.row)
        self._cache.trim()
        self.rows[place] = _Row(begun.number, begun.segment)
        self._seen[place] = False
        self._seen[place, [PREFIX_PLACEHOLDER_ID, self._gpt.start_code]] = True

    def drop(self, place: int) -> None:
        """A row goes; the last one takes its place."""
        self.rows[place], self._seen[place] = self.rows[-1], self._seen[-1].clone()
        self.rows.pop()
        self._seen = self._seen[:-1]
        self._cache.drop(place)

    def _has_ended(self, row: _Row) -> bool:
        return row.codes[-1] == self._gpt.stop_code or len(row.codes) >= self._gpt.most_codes
