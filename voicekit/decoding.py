"""The GPT decode: a prefix of embeddings in, audio codes and their latents out.

The hidden state from which a code is chosen is also the latent that the vocoder needs for that
code, so both are collected in one pass; coqui's `Xtts.inference` runs the whole GPT a second time
to get the latents again. Greedy and in float32 the codes equal coqui's (tests/test_parity.py).

This module knows the GPT and numbers. It knows no text, no audio, no files and no devices but
the one that its tensors lie on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voicekit.complexity import complexity

if TYPE_CHECKING:
    import torch

# coqui's compute_embeddings fills the prefix positions with this id; Hugging Face's repetition
# penalty then counts it as "seen", and so must we for equal codes.
PREFIX_PLACEHOLDER_ID = 1


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


def text_prefix(gpt: Any, conditioning: torch.Tensor, token_ids: list[int]) -> torch.Tensor:
    """Embed the voice and the text: float32 [1, 32 + tokens + 2, width].

    Args:
        gpt: coqui's XTTS `GPT`.
        conditioning: float32 [1, 32, width], the voice's conditioning latents.
        token_ids: the text's BPE ids without start and stop.
    """
    import torch

    ids = [gpt.start_text_token, *token_ids, gpt.stop_text_token]
    text = torch.tensor([ids], device=conditioning.device)
    embedded = gpt.text_embedding(text) + gpt.text_pos_embedding(text)
    return torch.cat([conditioning, embedded], dim=1)  # the voice comes first: [1, 32 + T, width]


def process_scores(logits: torch.Tensor, seen: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """The scores from which a code is drawn, in Hugging Face's order: penalty, temperature, top-k, top-p.

    Args:
        logits: float32 [codes], on the CPU.
        seen: bool [codes], True for ids that the repetition penalty counts.
        sampling: the settings; greedy ones get the penalty only.

    Returns:
        float32 [codes]; -inf where a code cannot be drawn.
    """
    import torch

    penalised = torch.where(logits < 0, logits * sampling.repetition_penalty, logits / sampling.repetition_penalty)
    scores = torch.where(seen, penalised, logits)
    if sampling.greedy:
        return scores
    scores = scores / sampling.temperature
    if 0 < sampling.top_k < scores.numel():
        kth = torch.topk(scores, sampling.top_k).values[-1]
        scores = scores.masked_fill(scores < kth, -torch.inf)
    if sampling.top_p < 1.0:
        ordered, order = torch.sort(scores, descending=False)
        outside = ordered.softmax(dim=-1).cumsum(dim=-1) <= 1.0 - sampling.top_p
        outside[-1] = False  # the likeliest code always stays
        scores = scores.masked_fill(torch.zeros_like(outside).scatter(0, order, outside), -torch.inf)
    return scores


def choose_code(
    logits: torch.Tensor, seen: torch.Tensor, sampling: Sampling, generator: torch.Generator
) -> int:
    """Draw one code (see `process_scores`); the likeliest where greedy, which leaves the generator alone."""
    import torch

    scores = process_scores(logits, seen, sampling)
    if sampling.greedy:
        return int(scores.argmax())
    return int(torch.multinomial(scores.softmax(dim=-1), 1, generator=generator))


@complexity(size="codes", time="O(n)", space="O(n)", stage="generate")
def decode(gpt: Any, prefix: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> Decoded:
    """Speak one segment: codes until the stop code or the model's ceiling (602 codes as released).

    One pass a code, each reading all GPT weights once (memory-bound) and O(prefix + n) of key/value
    cache, which as released is so much less that up to 602 codes all work grows as n^1.03; space is the
    cache (246 kB a position in float32 as released).

    Args:
        gpt: coqui's XTTS `GPT`, in evaluation mode.
        prefix: float32 [1, P, width] of `text_prefix`.
        sampling: how codes are chosen.
        generator: a CPU generator, seeded for this segment.
    """
    import torch
    from transformers import DynamicCache

    cache = DynamicCache(config=gpt.gpt.config)
    weights_dtype = next(gpt.gpt.parameters()).dtype
    seen = torch.zeros(gpt.num_audio_tokens, dtype=torch.bool)
    seen[[PREFIX_PLACEHOLDER_ID, gpt.start_audio_token]] = True
    codes: list[int] = []
    latents: list[torch.Tensor] = []

    step_input = torch.cat([prefix, _embed_code(gpt, gpt.start_audio_token, 0)], dim=1)
    while len(codes) < gpt.max_gen_mel_tokens:
        states = gpt.gpt(
            inputs_embeds=step_input.to(weights_dtype), past_key_values=cache, use_cache=True, return_dict=True
        ).last_hidden_state
        latent = gpt.final_norm(states[:, -1].float())  # [1, width]
        code = choose_code(gpt.mel_head(latent)[0].cpu(), seen, sampling, generator)
        latents.append(latent)
        codes.append(code)
        if code == gpt.stop_audio_token:
            break
        seen[code] = True
        step_input = _embed_code(gpt, code, len(codes))
    return Decoded(torch.tensor(codes), torch.cat(latents), stopped=codes[-1] == gpt.stop_audio_token)


def _embed_code(gpt: Any, code: int, position: int) -> torch.Tensor:
    """Embed one code at its position among the codes (the start code has position 0): [1, 1, width]."""
    import torch

    device = gpt.mel_embedding.weight.device
    embedded = gpt.mel_embedding(torch.tensor([[code]], device=device))
    placed: torch.Tensor = embedded + gpt.mel_pos_embedding.get_fixed_embedding(position, device)
    return placed
