"""The inner loops of a decode step as LLVM code: matrices that are read once, norms, and attention over a cache.

A step of a GPT is bound by memory, and torch's kernels for a few rows reach a third of what the memory gives: they
read narrow weights slowly, or spend their time on other shapes. Here a weight is loaded once, widened in a register,
and used for all rows; the next lines are fetched while these are computed with. Arithmetic is float32 throughout, and
each row's sums are taken in the same order whatever the other rows are, so that its result is the same to the bit.

A matrix reads its inputs in **blocks**, [blocks, depth, rows of a block]: one value of each row lies beside the other,
so that the rows of a block are served by one load of a weight. What goes before a matrix writes in blocks.

This module writes the code and knows no torch; `voicekit.native` compiles and calls it. Each function takes a list of
64-bit values, pointers before numbers, as they are named above it.
"""

from __future__ import annotations

import math
from typing import Any

from voicekit.native_code import Code

ROWS = (1, 2, 3, 4, 6, 8, 10, 12)  # of one block: two vectors of sums a row must fit into the registers
PREFETCH_BYTES = 4096  # how far ahead weights are asked for: 43 ms a step of 10 rows instead of 65 (bench/README.md)
UNROLLED = 4  # depths a turn; the depth is a multiple of it
STORE, ADD, GELU = range(3)  # what becomes of a product: it is written, added, or written in blocks after GELU

LINEAR = ("inputs", "weights", "bias", "outputs"), ("depth", "width", "panels", "blocks", "finish")
NORM = ("inputs", "weight", "bias", "outputs"), ("rows", "width", "block")
ATTENTION = (("qkv", "keys", "values", "outputs", "starts", "scores"),
             ("rows", "heads", "row_stride", "head_stride", "voice", "length", "score_stride", "block"))  # fmt: skip


def linear(rows: int, lanes: int, stored: str) -> str:
    """x W + bias, finished as `finish` says.

    inputs: float32 in blocks of `rows`; weights: [panels, depth, 2 * lanes] of `stored`; bias: float32 [width];
    outputs: float32 [blocks * rows, width], or with GELU in blocks of `rows`. Panels are shared among the threads.
    """
    code = Code(*LINEAR, lanes, stored)
    get, panel_width = code.arguments, 2 * lanes
    totals = code.room(2 * rows)
    first, end = code.my_share(get["panels"])
    with code.loop(first, end) as panel:
        column = code.at.mul(panel, code.integer(panel_width))
        weights = code.address(get["weights"], code.at.mul(column, get["depth"]), code.element)
        biases = [code.load(code.address(get["bias"], column), code.integer(lanes * half)) for half in (0, 1)]
        with code.loop(code.integer(0), get["blocks"]) as block:
            first_row = code.at.mul(block, code.integer(rows))
            inputs = code.address(get["inputs"], code.at.mul(first_row, get["depth"]))
            sums = [[code.variable(code.number(0.0)) for _ in (0, 1)] for _ in range(rows)]
            with code.loop(code.integer(0), get["depth"], UNROLLED) as depth:
                for turn in range(UNROLLED):
                    _multiply(code, code.at.add(depth, code.integer(turn)), weights, inputs, sums)
            for row, pair in enumerate(sums):
                for half, bias in enumerate(biases):
                    total = code.at.fadd(code.value(pair[half]), bias)
                    code.store(total, totals, code.integer((2 * row + half) * lanes))
            _finish(code, totals, block, rows, column)
    return code.finish()


def _multiply(code: Code, depth: Any, weights: Any, inputs: Any, sums: list[list[Any]]) -> None:
    """One depth of a panel: two vectors of weights with one input of each row."""
    rows, panel_width = len(sums), 2 * code.lanes
    place = code.at.mul(depth, code.integer(panel_width))
    ahead = code.at.add(place, code.integer(PREFETCH_BYTES // code.element_bytes))
    for line in range(0, panel_width * code.element_bytes, 64):
        there = code.at.add(ahead, code.integer(line // code.element_bytes))
        code.call("llvm.prefetch.p0", code.ir.VoidType(), code.address(weights, there, code.element),
                  code.i32(0), code.i32(3), code.i32(1))  # fmt: skip
    halves = [code.load_stored(weights, code.at.add(place, code.integer(code.lanes * half))) for half in (0, 1)]
    begin = code.at.mul(depth, code.integer(rows))
    for row in range(rows):
        given = code.at.load(code.address(inputs, code.at.add(begin, code.integer(row))), typ=code.f32, align=4)
        one = code.everywhere(given)
        for half in (0, 1):
            place_of_sum = sums[row][half]
            code.at.store(code.multiply_add(one, halves[half], code.value(place_of_sum)), place_of_sum)


def _finish(code: Code, totals: Any, block: Any, rows: int, column: Any) -> None:
    """A block's sums in a panel, two vectors a row, to where, and as what, they are wanted."""
    at, get = code.at, code.arguments
    with code.loop(code.integer(0), code.integer(2 * rows)) as number:
        total = code.load(totals, at.mul(number, code.integer(code.lanes)))
        row, half = at.sdiv(number, code.integer(2)), at.srem(number, code.integer(2))
        first = at.add(column, at.mul(half, code.integer(code.lanes)))
        with at.if_else(at.icmp_signed("==", get["finish"], code.integer(GELU))) as (is_gelu, otherwise):
            with is_gelu:
                begin = at.mul(at.add(at.mul(block, get["width"]), first), code.integer(rows))
                code.store_apart(_gelu(code, total), get["outputs"], at.add(begin, row), code.integer(rows))
            with otherwise:
                place = at.add(at.mul(at.add(at.mul(block, code.integer(rows)), row), get["width"]), first)
                adds = at.icmp_signed("==", get["finish"], code.integer(ADD))
                before = at.select(adds, code.load(get["outputs"], place), code.number(0.0))
                code.store(at.fadd(before, total), get["outputs"], place)


def _gelu(code: Code, x: Any) -> Any:
    """x / (1 + e^(-2u)) with u = sqrt(2 / pi) (x + 0.044715 x^3), which is GELU by tanh (Hendrycks and Gimpel 2016)."""
    at = code.at
    cubic = code.multiply_add(at.fmul(code.number(0.044715), x), at.fmul(x, x), x)
    twice = at.fmul(code.number(2 * math.sqrt(2 / math.pi)), cubic)
    positive = at.fcmp_ordered(">", twice, code.number(0.0))
    small = code.exponential(at.select(positive, at.fsub(code.number(0.0), twice), twice))
    share = at.fdiv(at.select(positive, code.number(1.0), small), at.fadd(code.number(1.0), small))
    return at.fmul(x, share)


def norm(epsilon: float, lanes: int, stored: str = "float32") -> str:
    """(x - mean) / sqrt(variance + epsilon) * weight + bias of each row, in blocks of `block` rows.

    inputs: float32 [rows, width]; weight, bias: float32 [width]. Rows are shared among the threads.
    """
    code = Code(*NORM, lanes, stored)
    get, at = code.arguments, code.at
    first, end = code.my_share(get["rows"])
    width = at.sitofp(get["width"], code.f32)
    with code.loop(first, end) as row:
        inputs = code.address(get["inputs"], at.mul(row, get["width"]))
        mean = code.everywhere(at.fdiv(_sum_of(code, inputs, lambda x: x), width))

        def square(x: Any, mean: Any = mean) -> Any:
            apart = at.fsub(x, mean)
            return at.fmul(apart, apart)

        variance = at.fdiv(_sum_of(code, inputs, square), width)
        deviation = code.call("llvm.sqrt.f32", code.f32, at.fadd(variance, code.f32(epsilon)))
        share = code.everywhere(at.fdiv(code.f32(1.0), deviation))
        with code.loop(code.integer(0), get["width"], lanes) as column:
            normed = at.fmul(at.fsub(code.load(inputs, column), mean), share)
            weight, bias = (code.load(get[name], column) for name in ("weight", "bias"))
            _store_in_blocks(code, code.multiply_add(normed, weight, bias), row, column, get["width"])
    return code.finish()


def _sum_of(code: Code, inputs: Any, of: Any) -> Any:
    """The sum over a row of what `of` makes of a vector."""
    total = code.variable(code.number(0.0))
    with code.loop(code.integer(0), code.arguments["width"], code.lanes) as column:
        code.at.store(code.at.fadd(code.value(total), of(code.load(inputs, column))), total)
    return code.total(code.value(total))


def _store_in_blocks(code: Code, vector: Any, row: Any, column: Any, width: Any) -> None:
    """Values of a row from `column` on, into `outputs` in blocks of `block` rows."""
    at, block = code.at, code.arguments["block"]
    begin = at.add(at.mul(at.sdiv(row, block), width), column)
    place = at.add(at.mul(begin, block), at.srem(row, block))
    code.store_apart(vector, code.arguments["outputs"], place, block)


def attention(size: int, lanes: int, stored: str) -> str:
    """softmax(q K / sqrt(size)) V for one query a row; positions from `voice` up to a row's start are not heard.

    qkv: float32 [rows, 3, heads, size], the newest position of each row, whose key and value go into the cache first;
    keys, values: `stored`, at r * row_stride + h * head_stride + position * size; starts: int64 [rows]; scores: float32
    room of `score_stride` values a thread; outputs: float32 [rows, heads * size] in blocks of `block` rows. Rows and
    heads are shared among the threads.
    """
    code = Code(*ATTENTION, lanes, stored)
    get, at = code.arguments, code.at
    first, end = code.my_share(at.mul(get["rows"], get["heads"]))
    thread = at.sext(code.call("omp_get_thread_num", code.i32), code.i64)
    scores = code.address(get["scores"], at.mul(thread, get["score_stride"]))
    width = at.mul(get["heads"], code.integer(size))
    with code.loop(first, end) as unit:
        row, head = at.sdiv(unit, get["heads"]), at.srem(unit, get["heads"])
        begin = at.add(at.mul(row, get["row_stride"]), at.mul(head, get["head_stride"]))
        keys, values = (code.address(get[name], begin, code.element) for name in ("keys", "values"))
        column = at.mul(head, code.integer(size))
        query, *newest = (_parts(code, at.add(at.mul(width, at.add(at.mul(row, code.integer(3)), code.integer(part))),
                                              column), size) for part in range(3))  # fmt: skip
        for place, vectors in zip((keys, values), newest, strict=True):
            for part, vector in enumerate(vectors):
                there = at.mul(at.sub(get["length"], code.integer(1)), code.integer(size))
                code.store_narrow(vector, place, at.add(there, code.integer(part * lanes)))
        query = [at.fmul(part, code.number(1 / math.sqrt(size))) for part in query]
        start = at.load(code.address(get["starts"], row, code.i64), typ=code.i64)
        ranges = ((code.integer(0), get["voice"]), (start, get["length"]))
        count, peak = _score(code, query, keys, ranges, scores)
        share = code.everywhere(at.fdiv(code.f32(1.0), _exponentials(code, scores, count, peak)))
        heard = _weigh(code, values, ranges, scores, len(query))
        for part, place in enumerate(heard):
            there = at.add(column, code.integer(part * lanes))
            _store_in_blocks(code, at.fmul(code.value(place), share), row, there, width)
    return code.finish()


def _parts(code: Code, begin: Any, size: int) -> list[Any]:
    """A head's vectors from there on in `qkv`."""
    return [code.load(code.arguments["qkv"], code.at.add(begin, code.integer(part)))
            for part in range(0, size, code.lanes)]  # fmt: skip


def _score(code: Code, query: list[Any], keys: Any, ranges: Any, scores: Any) -> tuple[Any, Any]:
    """q k of each position that is heard, one after another in `scores`; how many, and the greatest."""
    peak, count = code.variable(code.f32(-math.inf)), code.variable(code.integer(0))
    for first, end in ranges:
        with code.loop(first, end) as position:
            begin = code.at.mul(position, code.integer(len(query) * code.lanes))
            products = code.number(0.0)
            for part, vector in enumerate(query):
                key = code.load_stored(keys, code.at.add(begin, code.integer(part * code.lanes)))
                products = code.multiply_add(vector, key, products)
            score, number = code.total(products), code.value(count)
            code.at.store(score, code.address(scores, number))
            code.at.store(code.at.add(number, code.integer(1)), count)
            before = code.value(peak)
            code.at.store(code.at.select(code.at.fcmp_ordered(">", score, before), score, before), peak)
    code.store(code.number(-math.inf), scores, code.value(count))  # what the last vector has too much
    return code.value(count), code.value(peak)


def _exponentials(code: Code, scores: Any, count: Any, peak: Any) -> Any:
    """Scores become e^(score - peak); their sum."""
    total, greatest = code.variable(code.number(0.0)), code.everywhere(peak)
    with code.loop(code.integer(0), count, code.lanes) as place:
        above = code.load(scores, place)
        weights = code.exponential(code.at.fsub(above, greatest))
        heard = code.at.fcmp_ordered(">", above, code.number(-math.inf))
        weights = code.at.select(heard, weights, code.number(0.0))
        code.store(weights, scores, place)
        code.at.store(code.at.fadd(code.value(total), weights), total)
    return code.total(code.value(total))


def _weigh(code: Code, values: Any, ranges: Any, scores: Any, parts: int) -> list[Any]:
    """The values of the positions that are heard, each by its weight: where their sums lie."""
    sums = [code.variable(code.number(0.0)) for _ in range(parts)]
    count = code.variable(code.integer(0))
    for first, end in ranges:
        with code.loop(first, end) as position:
            number = code.value(count)
            weight = code.everywhere(code.at.load(code.address(scores, number), typ=code.f32, align=4))
            code.at.store(code.at.add(number, code.integer(1)), count)
            begin = code.at.mul(position, code.integer(parts * code.lanes))
            for part, place in enumerate(sums):
                value = code.load_stored(values, code.at.add(begin, code.integer(part * code.lanes)))
                code.at.store(code.multiply_add(weight, value, code.value(place)), place)
    return sums
