"""Convolutions with fewer multiplications (Toom-Cook), as one LLVM function for each number of taps.

m neighbouring outputs of a convolution with r taps are a product of polynomials, and such a product is known from its
values at m + r - 1 points: m r multiplications become m + r - 1. (Toom 1963, Cook 1966; Winograd 1980 shows that no
fewer suffice; Lavin and Gray 2015, arXiv 1509.09308, use it for networks.) The words of this module:

tile: m outputs, and the m + r - 1 inputs they depend on; the tiles of a sequence lie m apart.
point: a small fraction, or infinity, at which the polynomials are evaluated. A tile's inputs, and once and for all
    the weights, are transformed to values at each point; there the convolution is a product [tiles, in] [in, out];
    a third small matrix makes the outputs of the products. More points save more and round worse.
piece: 11 taps (and a zero) are two pieces of 6: the sum of two convolutions. With r = m the second piece's input
    tile is the first's next one, so that it is transformed once.
phase: with a dilation of d, every d-th step is a sequence for itself: d phases, undilated.

A thread takes a group of 12 tiles at a time from the input as it lies there, [steps, channels], and keeps all between
input and output in its second-level cache. Steps beyond the ends are read from a row of zeros, and those of the last
tile that are too many are written to a row that nobody reads, so that nothing is padded or copied. Each output's
sums are taken in the same order however many threads there are. This module writes the code and knows no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from voicekit.native_code import Code

POINTERS = ("inputs", "weights", "bias", "outputs")
NUMBERS = ("added", "scratch", "room", "steps", "channels", "dilation", "padding", "tiles", "groups", "slope_before",
           "slope")  # fmt: skip
GROUP = {16: 12, 8: 6}  # tiles in one product, by lanes: two vectors of sums a tile must fit into the registers


@dataclass(frozen=True)
class Tiling:
    """How a convolution is cut; infinity is a point besides those given."""

    outputs: int
    taps: int  # of a piece
    pieces: int
    points: tuple[float, ...]

    @property
    def size(self) -> int:
        """Inputs of a tile, and points."""
        return self.outputs + self.taps - 1


# The points with which least is lost to rounding, of those that were tried.
TILINGS = {
    3: Tiling(6, 3, 1, (0, 1, -1, 2, -2, 1 / 2, -1 / 2)),
    7: Tiling(4, 7, 1, (0, 1, -1, -3, -4 / 3, -1 / 2, 1 / 3, 3 / 4, 2)),
    11: Tiling(6, 6, 2, (0, 1, -1, -5 / 2, -4 / 3, -1 / 2, 1 / 4, 3 / 5, 3 / 2, 3)),
}


def matrices(tiling: Tiling) -> tuple[Any, Any, Any]:
    """float64: of the outputs [m, points], of the weights [points, r], of the inputs [points, points]."""
    import numpy as np

    def powers(count: int) -> Any:
        infinity = [[0.0] * (count - 1) + [1.0]]
        return np.concatenate([np.power.outer(np.array(tiling.points), np.arange(count)), infinity])

    inputs = np.linalg.inv(powers(tiling.size)).T
    scale = 2.0 ** np.round(np.log2(np.abs(inputs).max(1, keepdims=True)))  # a power of two rounds nothing
    inputs[np.abs(inputs) < 1e-9] = 0.0  # what the inversion left of zeros
    return powers(tiling.outputs).T, powers(tiling.taps) * scale, inputs / scale


def scratch_rows(tiling: Tiling, lanes: int) -> int:
    """Rows of channels that a thread's memory has, see `_Scratch`."""
    return 2 + tiling.size * (GROUP[lanes] + tiling.pieces - 1 + GROUP[lanes])


# --- the function --------------------------------------------------------------------------------------------


class _Scratch:
    """A thread's own memory: a row of zeros, a row for what nobody reads, values at the points, products."""

    def __init__(self, code: Code, tiling: Tiling) -> None:
        get, at = code.arguments, code.at
        thread = at.sext(code.call("omp_get_thread_num", code.i32), code.i64)
        begin = code.address(at.inttoptr(get["scratch"], code.pointer), at.mul(thread, get["room"]))
        self.rows = GROUP[code.lanes]
        self.read_rows = self.rows + tiling.pieces - 1
        self.zeros, self.nowhere, self.values = (code.address(begin, _rows(code, row)) for row in range(3))
        self.products = code.address(self.values, _rows(code, tiling.size * self.read_rows))
        with code.loop(code.integer(0), get["channels"], code.lanes) as channel:
            code.store(code.number(0.0), self.zeros, channel)


def source(tiling: Tiling, lanes: int) -> str:
    """LLVM code of a convolution, with the arguments `POINTERS` and `NUMBERS`; threads share groups of tiles."""
    code = Code(POINTERS, NUMBERS, lanes)
    of_outputs, _, of_inputs = matrices(tiling)
    scratch = _Scratch(code, tiling)
    first, end = code.my_share(code.arguments["groups"])
    with code.loop(first, end) as group:
        begin = code.at.mul(group, code.integer(scratch.rows))
        with code.loop(code.integer(0), code.integer(scratch.read_rows)) as row:
            _transform(code, tiling, of_inputs, scratch, begin, row)
        with code.loop(code.integer(0), code.integer(tiling.size)) as point:
            _multiply(code, tiling, scratch, point)
        with code.loop(code.integer(0), code.integer(scratch.rows)) as row:
            _finish(code, tiling, of_outputs, scratch, begin, row)
    return code.finish()


def _rows(code: Code, count: Any) -> Any:
    """So many rows of channels, in values."""
    return code.at.mul(count if not isinstance(count, int) else code.integer(count), code.arguments["channels"])


def _step(code: Code, tiling: Tiling, tile: Any) -> tuple[Any, Any]:
    """The first output step of a tile, and what steps must be below: nothing, behind the last phase."""
    get, at = code.arguments, code.at
    phase, number = at.sdiv(tile, get["tiles"]), at.srem(tile, get["tiles"])
    step = at.add(at.mul(at.mul(number, code.integer(tiling.outputs)), get["dilation"]), phase)
    there = at.icmp_signed("<", phase, get["dilation"])
    return step, at.select(there, get["steps"], code.integer(0))


def _places(code: Code, tensor: Any, first: Any, count: int, end: Any, otherwise: Any) -> list[Any]:
    """Addresses of `count` steps, a dilation apart; of those that are not from 0 up to `end`, another."""
    at, places = code.at, []
    for number in range(count):
        step = at.add(first, at.mul(code.integer(number), code.arguments["dilation"]))
        inside = at.icmp_unsigned("<", step, end)
        places.append(at.select(inside, code.address(tensor, _rows(code, step)), otherwise))
    return places


def _transform(code: Code, tiling: Tiling, matrix: Any, scratch: _Scratch, begin: Any, row: Any) -> None:
    """One tile's inputs to its values at the points."""
    get, at = code.arguments, code.at
    step, end = _step(code, tiling, at.add(begin, row))
    places = _places(code, get["inputs"], at.sub(step, get["padding"]), tiling.size, end, scratch.zeros)
    slope = _slope(code, "slope_before")
    with code.loop(code.integer(0), get["channels"], code.lanes) as channel:
        inputs = [_leaky(code, code.load(place, channel), slope) for place in places]
        for point, value in enumerate(_times(code, matrix, inputs)):
            there = at.add(_rows(code, at.add(row, code.integer(point * scratch.read_rows))), channel)
            code.store(value, scratch.values, there)


def _multiply(code: Code, tiling: Tiling, scratch: _Scratch, point: Any) -> None:
    """The products at one point: one panel of weights after another."""
    get, at, width = code.arguments, code.at, 2 * code.lanes
    values = code.address(scratch.values, _rows(code, at.mul(point, code.integer(scratch.read_rows))))
    products = code.address(scratch.products, _rows(code, at.mul(point, code.integer(scratch.rows))))
    depth = _rows(code, tiling.pieces)
    weights = code.address(get["weights"], at.mul(point, at.mul(depth, get["channels"])))
    with code.loop(code.integer(0), get["channels"], width) as column:
        panel = code.address(weights, at.mul(depth, column))
        for row, pair in enumerate(_products(code, scratch.rows, depth, panel, values)):
            for half, total in enumerate(pair):
                there = at.add(_rows(code, row), at.add(column, code.integer(half * code.lanes)))
                code.store(total, products, there)


def _products(code: Code, rows: int, depth: Any, panel: Any, values: Any) -> list[list[Any]]:
    """Rows times a panel. The second piece's row of a tile is the next tile's, which lies behind: a longer row."""
    at = code.at
    places = [code.address(values, _rows(code, row)) for row in range(rows)]
    sums = [[code.variable(code.number(0.0)) for _ in (0, 1)] for _ in places]
    with code.loop(code.integer(0), depth) as channel:
        begin = at.mul(channel, code.integer(2 * code.lanes))
        halves = [code.load(panel, at.add(begin, code.integer(half * code.lanes))) for half in (0, 1)]
        for place, pair in zip(places, sums, strict=True):
            one = code.everywhere(at.load(code.address(place, channel), typ=code.f32, align=4))
            for half, total in zip(halves, pair, strict=True):
                at.store(code.multiply_add(one, half, code.value(total)), total)
    return [[code.value(each) for each in pair] for pair in sums]


def _finish(code: Code, tiling: Tiling, matrix: Any, scratch: _Scratch, begin: Any, row: Any) -> None:
    """One tile's products to its outputs, with bias and leaky ReLU, and what is to be added."""
    get, at = code.arguments, code.at
    step, end = _step(code, tiling, at.add(begin, row))
    places = _places(code, get["outputs"], step, tiling.outputs, end, scratch.nowhere)
    adds = at.icmp_signed("!=", get["added"], code.integer(0))
    sums = at.inttoptr(get["added"], code.pointer)
    added = _places(code, sums, step, tiling.outputs, at.select(adds, end, code.integer(0)), scratch.zeros)
    slope = _slope(code, "slope")
    with code.loop(code.integer(0), get["channels"], code.lanes) as channel:
        rows = [at.add(row, code.integer(point * scratch.rows)) for point in range(tiling.size)]
        products = [code.load(scratch.products, at.add(_rows(code, each), channel)) for each in rows]
        bias = code.load(get["bias"], channel)
        for output, place, total in zip(_times(code, matrix, products), places, added, strict=True):
            value = _leaky(code, at.fadd(output, bias), slope)
            code.store(at.fadd(value, code.load(total, channel)), place, channel)


def _slope(code: Code, name: str) -> Any:
    bits = code.at.trunc(code.arguments[name], code.i32)
    return code.everywhere(code.at.bitcast(bits, code.f32))


def _leaky(code: Code, x: Any, slope: Any) -> Any:
    """A leaky ReLU with a slope of at most 1."""
    small = code.at.fmul(x, slope)
    return code.at.select(code.at.fcmp_ordered(">", x, small), x, small)


# --- small matrices that are known when the code is written --------------------------------------------------


def _times(code: Code, matrix: Any, vectors: list[Any]) -> list[Any]:
    """A matrix times vectors. Rows or columns of points p and -p differ only in signs, and share half of the work."""
    matrix, vectors = matrix.copy(), list(vectors)
    for first, second in _opposites(matrix.T):  # a x + a' y = (a + a') / 2 (x + y) + (a - a') / 2 (x - y)
        x, y = vectors[first], vectors[second]
        vectors[first], vectors[second] = code.at.fadd(x, y), code.at.fsub(x, y)
        _halve(matrix.T, first, second)
    pairs = _opposites(matrix)
    for first, second in pairs:
        _halve(matrix, first, second)
    results = [_weighted_sum(code, row, vectors) for row in matrix]
    for first, second in pairs:
        even, odd = results[first], results[second]
        results[first], results[second] = code.at.fadd(even, odd), code.at.fsub(even, odd)
    return results


def _opposites(matrix: Any) -> list[tuple[int, int]]:
    """Pairs of rows that are equal but for signs."""
    import numpy as np

    free, pairs = list(range(len(matrix))), []
    while free:
        first, *free = free
        second = next((each for each in free if np.allclose(abs(matrix[first]), abs(matrix[each]))), None)
        if second is not None:
            free.remove(second)
            pairs.append((first, second))
    return pairs


def _halve(matrix: Any, first: int, second: int) -> None:
    """Two rows become half of their sum and half of their difference: where they are opposites, each half zeros."""
    a, b = matrix[first].copy(), matrix[second].copy()
    matrix[first], matrix[second] = (a + b) / 2, (a - b) / 2


def _weighted_sum(code: Code, weights: Any, vectors: list[Any]) -> Any:
    total = None
    for weight, vector in zip(weights.tolist(), vectors, strict=True):
        if abs(weight) < 1e-9:
            continue
        if total is None:
            total = code.at.fmul(vector, code.number(weight))
        else:
            total = code.multiply_add(vector, code.number(weight), total)
    assert total is not None
    return total
