"""What the GPT remembers: the keys and values of the voice, of each row's text and of the codes that were said.

Rows of a batch are right-aligned, so that all of them write at one position; XTTS gives a position to a code before
the layers, so it does not matter where in the cache it lies. The voice comes first in every row, and was heard once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicekit.native import Kernels

if TYPE_CHECKING:
    import torch

BLOCK = 128  # positions by which a cache grows


class Cache:
    """Keys and values of a batch: [layers, 2, rows, heads, positions, size], of which `length` positions are in use.

    voice: positions at the beginning that the voice takes, the same in every row.
    start: int64 [rows], the first position behind them that is not padding.
    """

    def __init__(self, store: torch.Tensor, kernels: Kernels | None = None) -> None:
        """`store`: keys and values so far, [layers, 2, rows, heads, positions, size]: the voice, or nothing yet."""
        import torch

        self._store, self._kernels = store, kernels
        self.voice = self.length = int(store.shape[4])
        self.start = torch.full((store.shape[2],), self.voice, dtype=torch.long, device=store.device)

    def as_voice(self) -> Cache:
        """The same, taken as the voice with which rows begin, and no larger than it is."""
        return Cache(self._store[..., : self.length, :].clone(), self._kernels)

    def for_rows(self, rows: int) -> Cache:
        """A cache of so many rows that begin with what this one, of a single row, holds."""
        heard = self._store[..., : self.length, :].expand(-1, -1, rows, -1, -1, -1)
        return Cache(heard, self._kernels)

    @property
    def rows(self) -> int:
        return int(self._store.shape[2])

    def reserve(self, positions: int) -> None:
        """Make room for so many positions in all."""
        layers, two, rows, heads, room, size = self._store.shape
        if positions > room or self._store.stride(2) == 0:  # a voice that all rows share is not written to
            grown = self._store.new_zeros((layers, two, rows, heads, -(-positions // BLOCK) * BLOCK, size))
            grown[..., : self.length, :] = self._store[..., : self.length, :]
            self._store = grown

    def attend(self, layer: int, qkv: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """Add the keys and values of [rows, t, 3, heads, size], and hear all of them: [rows * t, heads * size].

        bias: of `bias(t)`.
        """
        from torch.nn.functional import scaled_dot_product_attention

        rows, new = qkv.shape[:2]
        query, keys, values = qkv.permute(2, 0, 3, 1, 4)  # each [rows, heads, t, size]
        end = self.length + new
        both = self._store[layer]
        both[0, :, :, self.length : end] = keys
        both[1, :, :, self.length : end] = values
        keys, values = both[0, :, :, :end], both[1, :, :, :end]
        if new == 1 and self._kernels:
            return self._kernels.attend(query[:, :, 0], keys, values, self.start, self.voice)
        heard = scaled_dot_product_attention(query, keys.to(query.dtype), values.to(query.dtype), attn_mask=bias)
        return heard.transpose(1, 2).reshape(rows * new, -1)

    def drop(self, row: int) -> None:
        """Let a row go: the last one takes its place."""
        last = self.rows - 1
        if row != last:
            self._store[:, :, row, :, : self.length] = self._store[:, :, last, :, : self.length]
            self.start[row] = self.start[last]
        self._store, self.start = self._store[:, :, :last], self.start[:last]

    def put(self, row: int, other: Cache) -> None:
        """A row begins anew with what a cache of one row and the same voice holds, at most as long as this one."""
        begin = self.length - (other.length - self.voice)
        self._store[:, :, row, :, begin : self.length] = other._store[:, :, 0, :, self.voice : other.length]
        self.start[row] = begin

    def trim(self) -> None:
        """Forget positions behind the voice that are padding in every row."""
        unused = (int(self.start.min()) - self.voice) // BLOCK * BLOCK
        if unused:
            kept = self._store[..., self.voice + unused : self.length, :].clone()
            self.length -= unused
            self._store[..., self.voice : self.length, :] = kept
            self.start = self.start - unused

    def bias(self, new: int, dtype: torch.dtype) -> torch.Tensor | None:
        """What is added to scores for `new` positions: [rows, 1, new, all]; None where nothing is hidden."""
        import torch

        if new == 1 and (self._kernels or not bool((self.start > self.voice).any())):
            return None  # the kernels look at `start` themselves
        at = torch.arange(self.length + new, device=self.start.device)
        is_padding = (at >= self.voice) & (at < self.start[:, None])  # [rows, all]
        query = at[self.length :, None]
        hidden = (is_padding[:, None] & (at != query)) | (at > query)  # itself at least is heard
        bias = torch.zeros(hidden.shape, dtype=dtype, device=at.device)
        return bias.masked_fill_(hidden, -torch.inf)[:, None]
