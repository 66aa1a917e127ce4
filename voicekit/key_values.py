"""What the GPT remembers: the keys and values of the voice, of each row's text and of the codes that were said.

Rows of a batch are right-aligned, so that all of them write at one position; XTTS gives a position to a code before
the layers, so it does not matter where in the cache it lies. The voice comes first in every row, and was heard once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

BLOCK = 128  # positions by which a cache grows


class Cache:
    """Keys and values of a batch: [layers, 2, rows, heads, positions, size], of which `length` positions are in use.

    voice: positions at the beginning that the voice takes, the same in every row.
    start: int64 [rows], the first position behind them that is not padding.
    """

    def __init__(self, store: torch.Tensor) -> None:
        """`store`: keys and values so far, [layers, 2, rows, heads, positions, size]: the voice, or nothing yet."""
        import torch

        self._store = store
        self.voice = self.length = int(store.shape[4])
        self.start = torch.full((store.shape[2],), self.voice, dtype=torch.long, device=store.device)

    def as_voice(self) -> Cache:
        """The same, taken as the voice with which rows begin, and no larger than it is."""
        return Cache(self._store[..., : self.length, :].clone())

    def for_rows(self, rows: int) -> Cache:
        """A cache of so many rows that begin with what this one, of a single row, holds."""
        heard = self._store[..., : self.length, :].expand(-1, -1, rows, -1, -1, -1)
        return Cache(heard)

    @property
    def rows(self) -> int:
        """How many texts it holds side by side."""
        return int(self._store.shape[2])

    def begin(self, lengths: Sequence[int], room: int, *, clear: bool) -> None:
        """Each row gets a text of so many positions behind the voice, right-aligned; with room for more.

        clear: padding becomes zeros. `attend` needs that: what it gives no weight must be a number all the same.
        """
        longest = max(lengths)
        self._reserve(self.voice + longest + room)
        self.length = self.voice + longest
        for row, length in enumerate(lengths):
            self.start[row] = begin = self.length - length
            if clear:
                self._store[:, :, row, :, self.voice : begin] = 0

    def read(self, layer: int, qkv: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        """The texts' keys and values, and what their positions hear: [n, 3, heads, size] -> [n, heads * size]."""
        import torch

        rows = [self._read_row(layer, row, own) for row, own in enumerate(torch.split(qkv, list(lengths)))]
        return torch.cat(rows).flatten(1)

    def _read_row(self, layer: int, row: int, qkv: torch.Tensor) -> torch.Tensor:
        """Each position hears the voice, those of its text before it, and itself: [t, heads, size]."""
        import torch
        from torch.nn.functional import scaled_dot_product_attention

        query, keys, values = qkv.permute(1, 2, 0, 3)  # each [heads, t, size]
        both, begin = self._store[layer, :, row], self.length - len(qkv)
        both[0, :, begin : self.length] = keys
        both[1, :, begin : self.length] = values
        keys, values = (torch.cat([voice.to(own.dtype), own], dim=1)
                        for voice, own in zip(both[:, :, : self.voice], (keys, values), strict=True))  # fmt: skip
        may = torch.ones(len(qkv), self.voice + len(qkv), dtype=torch.bool, device=qkv.device).tril(self.voice)
        return scaled_dot_product_attention(query[None], keys[None], values[None], attn_mask=may)[0].transpose(0, 1)

    def extend(self) -> None:
        """One position more for each row, which a layer's newest key and value are to be written to."""
        self._reserve(self.length + 1)
        self.length += 1

    def held(self, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """A layer's keys and values, each [rows, heads, length, size]; they may be written to."""
        both = self._store[layer, :, :, :, : self.length]
        return both[0], both[1]

    def hidden(self) -> torch.Tensor | None:
        """What is added to the scores of padding, [rows, 1, 1, length]; None where there is none."""
        import torch

        if not bool((self.start > self.voice).any()):
            return None
        at = torch.arange(self.length, device=self.start.device)
        hidden = (at >= self.voice) & (at < self.start[:, None])
        bias = torch.zeros(hidden.shape, dtype=self._store.dtype, device=at.device)
        return bias.masked_fill_(hidden, -torch.inf)[:, None, None]

    def attend(self, layer: int, qkv: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """The newest position of each row hears all of them: [rows, 3, heads, size] -> [rows, heads * size].

        bias: of `hidden`. Padding is read, and weighed with nothing.
        """
        from torch.nn.functional import scaled_dot_product_attention

        query, key, value = qkv.unbind(1)  # each [rows, heads, size]
        keys, values = self.held(layer)
        keys[:, :, -1], values[:, :, -1] = key, value
        return scaled_dot_product_attention(query[:, :, None], keys, values, attn_mask=bias)[:, :, 0].flatten(1)

    def _reserve(self, positions: int) -> None:
        """Make room for so many positions in all."""
        layers, two, rows, heads, room, size = self._store.shape
        if positions > room or self._store.stride(2) == 0:  # a voice that all rows share is not written to
            # Not zeros: memory that nobody has written to is not touched, and costs nothing yet.
            grown = self._store.new_empty((layers, two, rows, heads, -(-positions // BLOCK) * BLOCK, size))
            grown[..., : self.length, :] = self._store[..., : self.length, :]
            self._store = grown

    def drop(self, row: int) -> None:
        """Let a row go: the last one takes its place."""
        last = self.rows - 1
        if row != last:
            self._store[:, :, row, :, : self.length] = self._store[:, :, last, :, : self.length]
            self.start[row] = self.start[last]
        self._store, self.start = self._store[:, :, :last], self.start[:last]

    def put(self, row: int, other: Cache, others_row: int = 0) -> None:
        """A row begins anew with the text of another cache's row, of the same voice and at most as long as this one."""
        text = other._store[:, :, others_row, :, int(other.start[others_row]) : other.length]
        begin = self.length - text.shape[3]
        self._store[:, :, row, :, begin : self.length] = text
        self.start[row] = begin

    def trim(self) -> None:
        """Forget positions behind the voice that are padding in every row."""
        unused = (int(self.start.min()) - self.voice) // BLOCK * BLOCK
        if unused:
            kept = self._store[..., self.voice + unused : self.length, :].clone()
            self.length -= unused
            self._store[..., self.voice : self.length, :] = kept
            self.start = self.start - unused
