"""XTTS's GPT as its matrices: many segments a step, over a cache that grows in blocks.

coqui's class runs Hugging Face's GPT-2 between its embeddings and its head. This one runs the same layers over the same
parameters and nothing else: no module tree, no mask where no row is padded, matrices in the layout that is fast for a
few rows (`voicekit.matrices`), the voice heard once for all rows (`voicekit.key_values`). It knows tensors and codes;
no text, no sampling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voicekit.kept_weights import NOTHING_KEPT, KeptWeights
from voicekit.key_values import Cache
from voicekit.matrices import GivenBack, Layout, Matrix
from voicekit.native import Kernels
from voicekit.native_kernels import ADD, GELU

if TYPE_CHECKING:
    import torch

NORM_EPSILON = 1e-5  # of all norms of XTTS's GPT

Norm = tuple["torch.Tensor", "torch.Tensor"]


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer: norm, attention, norm, two matrices with GELU between."""

    norm_1: Norm
    qkv: Matrix
    out: Matrix
    norm_2: Norm
    up: Matrix
    down: Matrix


class LeanGPT:
    """XTTS's GPT, ready to decode.

    Args:
        gpt: coqui's `GPT`; its embeddings, last norm and head are used as they are (float32).
        dtype: of the layers' matrices and the cache; norms and the sums between layers are float32.
        kernels: of `voicekit.native`, for float32 and float16 on the CPU; None uses torch's operators.
        given_back: is handed each parameter that was copied to another layout and is not needed any more.
        kept: what an earlier run laid out.
    """

    def __init__(
        self, gpt: Any, dtype: torch.dtype, kernels: Kernels | None = None, given_back: GivenBack = lambda _: None,
        kept: KeptWeights = NOTHING_KEPT,
    ) -> None:  # fmt: skip
        self.coqui, self.dtype = gpt, dtype
        self.heads, self.width = gpt.heads, gpt.model_dim
        self.stop_code, self.start_code = int(gpt.stop_audio_token), int(gpt.start_audio_token)
        self.codes, self.most_codes = int(gpt.num_audio_tokens), int(gpt.max_gen_mel_tokens)
        on_cpu = gpt.mel_embedding.weight.device.type == "cpu"
        fits = kernels is not None and kernels.takes(dtype) and kernels.fits(self.width // self.heads, self.width)
        self._kernels = kernels if on_cpu and fits else None
        layout = Layout(dtype, self._kernels, given_back, kept)
        self.layers = [_layer(block, f"gpt.h.{number}", layout) for number, block in enumerate(gpt.gpt.h)]
        self._last_norm = _norm(gpt.gpt.ln_f)

    @property
    def arithmetic(self) -> str:
        """Which code runs the layers, for the log."""
        return "native kernels" if self._kernels else "torch"

    @property
    def parameter_bytes(self) -> int:
        """Bytes of the layers' matrices and norms."""
        return sum(_bytes(layer) for layer in self.layers)

    def embed_codes(self, codes: Sequence[int], positions: Sequence[int]) -> torch.Tensor:
        """A code of each row at its position among the codes (the start code has position 0): [rows, width]."""
        import torch

        device = self.coqui.mel_embedding.weight.device
        embedded = self.coqui.mel_embedding(torch.tensor(codes, device=device))
        placed: torch.Tensor = embedded + self.coqui.mel_pos_embedding.emb(torch.tensor(positions, device=device))
        return placed

    def hear(self, conditioning: torch.Tensor) -> Cache:
        """The voice, float32 [1, 32, width], as a cache of one row from which others begin (`Cache.for_rows`)."""
        shape = (len(self.layers), 2, 1, self.heads, 0, self.width // self.heads)
        heard = Cache(conditioning.new_zeros(shape, dtype=self.dtype))
        self.read([conditioning[0]], heard)
        return heard.as_voice()

    def read(self, texts: Sequence[torch.Tensor], cache: Cache, room: int = 0) -> None:
        """Texts, float32 [t, width], one a row, into a cache that holds the voice; with room for so many codes more.

        All positions of all rows go through the matrices together, without padding.
        """
        import torch

        lengths = [len(text) for text in texts]
        cache.begin(lengths, room, clear=self._kernels is None)
        self._through(torch.cat(list(texts)), lambda layer, qkv: cache.read(layer, qkv, lengths))

    def step(self, embedded: torch.Tensor, cache: Cache) -> torch.Tensor:
        """One position more for each row, float32 [rows, width] -> its states [rows, width], float32."""
        from torch.nn.functional import layer_norm

        cache.extend()
        if self._kernels:
            states = self._natively(self._kernels, embedded, cache)
        else:
            hidden = cache.hidden()
            states = self._through(embedded.clone(), lambda layer, qkv: cache.attend(layer, qkv, hidden))
        return layer_norm(states, (self.width,), *self._last_norm, NORM_EPSILON)

    def _through(self, x: torch.Tensor, attend: Callable[[int, torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """All layers over positions [n, width]; `attend` takes a layer's number and its [n, 3, heads, size].

        Sums are taken in place: x is written to.
        """
        from torch.nn.functional import gelu, layer_norm

        for number, layer in enumerate(self.layers):
            y = layer.qkv(layer_norm(x, (self.width,), *layer.norm_1, NORM_EPSILON))
            x = layer.out.add(attend(number, y.view(len(x), 3, self.heads, -1)), x)
            y = layer.up(layer_norm(x, (self.width,), *layer.norm_2, NORM_EPSILON))
            x = layer.down.add(gelu(y, approximate="tanh"), x)
        return x

    def _natively(self, kernels: Kernels, embedded: torch.Tensor, cache: Cache) -> torch.Tensor:
        """What `_through` does, for one position of each row, in the kernels' own layouts: [rows, width]."""
        rows = len(embedded)
        blocks, block = kernels.blocks(rows)
        x = embedded.new_zeros((blocks * block, self.width))
        x[:rows] = embedded
        y, z = (embedded.new_empty((blocks, each, block)) for each in (self.width, 4 * self.width))
        qkv = embedded.new_empty((blocks * block, 3, self.width))
        for number, layer in enumerate(self.layers):
            kernels.norm(x, *layer.norm_1, NORM_EPSILON, y)
            kernels.product(y, layer.qkv.weight, layer.qkv.bias, qkv)
            kernels.attend(qkv, cache.held(number), cache.start, cache.voice, y)
            kernels.product(y, layer.out.weight, layer.out.bias, x, ADD)
            kernels.norm(x, *layer.norm_2, NORM_EPSILON, y)
            kernels.product(y, layer.up.weight, layer.up.bias, z, GELU)
            kernels.product(z, layer.down.weight, layer.down.bias, x, ADD)
        return x[:rows]

    def latents(self, states: torch.Tensor) -> torch.Tensor:
        """What the vocoder needs, and from which the next code is chosen: [rows, width]."""
        normed: torch.Tensor = self.coqui.final_norm(states)
        return normed

    def logits(self, latents: torch.Tensor) -> torch.Tensor:
        """Scores of the next code: float32 [rows, codes]."""
        scores: torch.Tensor = self.coqui.mel_head(latents)
        return scores


def _layer(block: Any, name: str, layout: Layout) -> Layer:
    qkv, out = (layout.matrix(getattr(block.attn, part), f"{name}.attn.{part}") for part in ("c_attn", "c_proj"))
    up, down = (layout.matrix(getattr(block.mlp, part), f"{name}.mlp.{part}") for part in ("c_fc", "c_proj"))
    return Layer(_norm(block.ln_1), qkv, out, _norm(block.ln_2), up, down)


def _norm(module: Any) -> Norm:
    return module.weight.detach(), module.bias.detach()


def _bytes(layer: Layer) -> int:
    norms = sum(each.nbytes for each in (*layer.norm_1, *layer.norm_2))
    return norms + sum(each.nbytes for each in (layer.qkv, layer.out, layer.up, layer.down))
