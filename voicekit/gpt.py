"""XTTS's GPT as its matrices: many segments a step, over a cache that grows in blocks.

coqui's class runs Hugging Face's GPT-2 between its embeddings and its head. This one runs the same layers over the same
parameters and nothing else: no module tree, no mask where no row is padded, float32 weights as they are mapped.
Rows of a batch are right-aligned, so that all of them write at one position; XTTS gives a position to a code before the
layers, so it does not matter where in the cache it lies. It knows tensors and codes; no text, no sampling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

BLOCK = 128  # positions by which a cache grows
NORM_EPSILON = 1e-5  # of all norms of XTTS's GPT
ROWS_EXPECTED = 16  # in a step, for oneDNN's choice of a layout


@dataclass(frozen=True, eq=False)
class Linear:
    """x W + b.

    weight: [in, out] as GPT-2's files hold it (float32); [out, in] where it was narrowed; or what oneDNN made of that
        (`_packed`), which its bfloat16 kernels read a third faster than a plain matrix.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    layout: str  # "as stored", "turned" or "packed"

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """[n, in] -> [n, out]."""
        import torch

        if self.layout == "as stored":
            return torch.addmm(self.bias, x, self.weight)
        if self.layout == "turned":
            return torch.nn.functional.linear(x, self.weight, self.bias)
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        return product


Norm = tuple["torch.Tensor", "torch.Tensor"]


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer: norm, attention, norm, two matrices with GELU between."""

    norm_1: Norm
    qkv: Linear
    out: Linear
    norm_2: Norm
    up: Linear
    down: Linear


class Cache:
    """Keys and values of a batch: [layers, 2, rows, heads, positions, size], of which `length` positions are in use.

    start: int64 [rows], the first position of each row that is not padding.
    """

    def __init__(self, gpt: LeanGPT, rows: int) -> None:
        import torch

        bias = gpt.layers[0].qkv.bias
        self.length = 0
        self.start = torch.zeros(rows, dtype=torch.long, device=bias.device)
        self._store = bias.new_zeros((len(gpt.layers), 2, rows, gpt.heads, 0, gpt.width // gpt.heads))

    @property
    def rows(self) -> int:
        return int(self._store.shape[2])

    def reserve(self, positions: int) -> None:
        """Make room for so many positions in all."""
        layers, two, rows, heads, room, size = self._store.shape
        if positions > room:
            grown = self._store.new_zeros((layers, two, rows, heads, -(-positions // BLOCK) * BLOCK, size))
            grown[..., : self.length, :] = self._store[..., : self.length, :]
            self._store = grown

    def write(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Add [rows, heads, t, size] behind what is there; all keys and values of the layer, these included."""
        end = self.length + keys.shape[2]
        both = self._store[layer]
        both[0, :, :, self.length : end] = keys
        both[1, :, :, self.length : end] = values
        return both[0, :, :, :end], both[1, :, :, :end]

    def drop(self, row: int) -> None:
        """Let a row go: the last one takes its place."""
        last = self.rows - 1
        if row != last:
            self._store[:, :, row, :, : self.length] = self._store[:, :, last, :, : self.length]
            self.start[row] = self.start[last]
        self._store, self.start = self._store[:, :, :last], self.start[:last]

    def put(self, row: int, other: Cache) -> None:
        """A row begins anew with what another cache of one row holds, at most as long as this one."""
        begin = self.length - other.length
        self._store[:, :, row, :, begin : self.length] = other._store[:, :, 0, :, : other.length]
        self.start[row] = begin

    def trim(self) -> None:
        """Forget positions at the beginning that are padding in every row."""
        unused = int(self.start.min()) // BLOCK * BLOCK
        if unused:
            self._store[..., : self.length - unused, :] = self._store[..., unused : self.length, :].clone()
            self.length -= unused
            self.start = self.start - unused

    def bias(self, new: int) -> torch.Tensor | None:
        """What is added to scores for `new` positions: [rows, 1, new, all]; None where nothing is hidden."""
        import torch

        total = self.length + new
        at = torch.arange(total, device=self.start.device)
        is_padding = at[None, None, :] < self.start[:, None, None]  # [rows, 1, all]
        if new == 1:
            if not bool(self.start.any()):
                return None
            hidden = is_padding
        else:
            query = at[self.length :, None]
            hidden = (is_padding & (at[None, None, :] != query)) | (at[None, None, :] > query)  # itself at least
        bias = torch.zeros(hidden.shape, dtype=self._store.dtype, device=at.device)
        return bias.masked_fill_(hidden, -torch.inf)[:, None]


class LeanGPT:
    """XTTS's GPT, ready to decode.

    Args:
        gpt: coqui's `GPT`; its embeddings, last norm and head are used as they are (float32).
        dtype: of the layers' matrices and the cache; norms and the sums between layers are float32.
        given_back: is handed each parameter that was copied to another dtype and is not needed any more.
    """

    def __init__(
        self, gpt: Any, dtype: torch.dtype, given_back: Callable[[list[torch.Tensor]], None] = lambda _: None
    ) -> None:
        self.coqui, self.dtype = gpt, dtype
        self.heads, self.width = gpt.gpt.config.n_head, gpt.model_dim
        self.stop_code, self.start_code = int(gpt.stop_audio_token), int(gpt.start_audio_token)
        self.codes, self.most_codes = int(gpt.num_audio_tokens), int(gpt.max_gen_mel_tokens)
        self.layers = [_layer(block, dtype, given_back) for block in gpt.gpt.h]
        self._last_norm = _norm(gpt.gpt.ln_f)

    @property
    def parameter_bytes(self) -> int:
        """Bytes of the layers' matrices and norms."""
        tensors = [each for layer in self.layers for each in _tensors(layer)]
        return sum(each.numel() * each.element_size() for each in tensors)  # oneDNN's layout tells no bytes

    def embed_codes(self, codes: Sequence[int], positions: Sequence[int]) -> torch.Tensor:
        """A code of each row at its position among the codes (the start code has position 0): [rows, 1, width]."""
        import torch

        device = self.coqui.mel_embedding.weight.device
        embedded = self.coqui.mel_embedding(torch.tensor(codes, device=device))
        placed: torch.Tensor = embedded + self.coqui.mel_pos_embedding.emb(torch.tensor(positions, device=device))
        return placed[:, None]

    def run(self, embedded: torch.Tensor, cache: Cache) -> torch.Tensor:
        """[rows, t, width] float32 behind what the cache holds -> the last states [rows, width], float32."""
        from torch.nn.functional import gelu, layer_norm, scaled_dot_product_attention

        rows, new, width = embedded.shape
        cache.reserve(cache.length + new)
        bias = cache.bias(new)
        x = embedded.reshape(rows * new, width)
        for number, layer in enumerate(self.layers):
            y = layer.qkv(layer_norm(x, (width,), *layer.norm_1, NORM_EPSILON).to(self.dtype))
            query, keys, values = y.view(rows, new, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            keys, values = cache.write(number, keys, values)
            heard = scaled_dot_product_attention(query, keys, values, attn_mask=bias)
            x = x + layer.out(heard.transpose(1, 2).reshape(rows * new, width))
            y = layer.up(layer_norm(x, (width,), *layer.norm_2, NORM_EPSILON).to(self.dtype))
            x = x + layer.down(gelu(y, approximate="tanh"))
        cache.length += new
        return layer_norm(x.view(rows, new, width)[:, -1], (width,), *self._last_norm, NORM_EPSILON)

    def latents(self, states: torch.Tensor) -> torch.Tensor:
        """What the vocoder needs, and from which the next code is chosen: [rows, width]."""
        normed: torch.Tensor = self.coqui.final_norm(states)
        return normed

    def logits(self, latents: torch.Tensor) -> torch.Tensor:
        """Scores of the next code: float32 [rows, codes]."""
        scores: torch.Tensor = self.coqui.mel_head(latents)
        return scores


def _layer(block: Any, dtype: torch.dtype, given_back: Callable[[list[torch.Tensor]], None]) -> Layer:
    def linear(module: Any) -> Linear:
        wide = module.weight.detach()
        if wide.dtype == dtype:
            return Linear(wide, module.bias.detach(), "as stored")
        turned, bias = wide.to(dtype).t().contiguous(), module.bias.detach().to(dtype)
        packed = _packed(turned)
        given_back([wide])
        return Linear(turned, bias, "turned") if packed is None else Linear(packed, bias, "packed")

    attention, mlp = block.attn, block.mlp
    return Layer(_norm(block.ln_1), linear(attention.c_attn), linear(attention.c_proj),
                 _norm(block.ln_2), linear(mlp.c_fc), linear(mlp.c_proj))  # fmt: skip


def _packed(weight: torch.Tensor) -> torch.Tensor | None:
    """A bfloat16 matrix in oneDNN's own layout, if this processor and this torch have it (torch's compiler uses it)."""
    import torch

    if weight.dtype != torch.bfloat16 or weight.device.type != "cpu":
        return None
    try:
        if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return None
        packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, ROWS_EXPECTED)
    except (AttributeError, RuntimeError):  # operators that another torch does not have, or does not build in
        return None
    return packed


def _norm(module: Any) -> Norm:
    return module.weight.detach(), module.bias.detach()


def _tensors(layer: Layer) -> list[torch.Tensor]:
    matrices = (layer.qkv, layer.out, layer.up, layer.down)
    return [*layer.norm_1, *layer.norm_2, *(tensor for each in matrices for tensor in (each.weight, each.bias))]
