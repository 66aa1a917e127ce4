"""The two inner loops of a decode step as LLVM code: matrices that are read once, and attention over a cache.

A step of a GPT is bound by memory, and torch's kernels for a few rows reach a third of what the memory gives: they
read narrow weights slowly, or spend their time on other shapes. Here a weight is loaded once, widened in a register,
and used for all rows; the next lines are fetched while these are computed with. Arithmetic is float32 throughout, and
each row's sums are taken in the same order whatever the other rows are, so that its result is the same to the bit.

This module writes the code (llvmlite's builder) and knows no torch; `voicekit.native` compiles and calls it. Each
function takes one pointer to a list of 64-bit values, the arguments named in `LINEAR` and `ATTENTION`, as OpenMP
calls it on every thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

# pointers first, then numbers
LINEAR = ("inputs", "weights", "bias", "outputs", "depth", "width", "panels", "blocks", "adds")
ATTENTION = ("queries", "keys", "values", "outputs", "starts", "scores", "rows", "heads", "query_stride", "row_stride",
             "head_stride", "voice", "length", "score_stride")  # fmt: skip
_POINTERS = ("inputs", "weights", "bias", "outputs", "queries", "keys", "values", "starts", "scores")
STORED = {"float32": 4, "float16": 2}  # what weights and caches may be kept in, and its bytes
ROWS = (1, 2, 3, 4, 6, 8, 10, 12)  # of one pass: two vectors of sums a row must fit into the registers
PREFETCH_BYTES = 4096  # how far ahead weights are asked for: 43 ms a step of 10 rows instead of 65 (bench/README.md)
UNROLLED = 4  # depths a turn; the depth is a multiple of it


class Code:
    """One function `run(list of arguments)` that is being written; `lanes` float32 values make a vector."""

    def __init__(self, names: Sequence[str], lanes: int, stored: str) -> None:
        from llvmlite import ir

        self.ir, self.lanes, self.stored = ir, lanes, stored
        self.i32, self.i64, self.f32, self.pointer = ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.PointerType()
        self.vector = ir.VectorType(self.f32, lanes)
        self.element = {"float32": self.f32, "float16": ir.HalfType()}[stored]
        self.element_bytes = STORED[stored]
        self.module = ir.Module(name="voicekit")
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [self.pointer]), name="run")
        self.at = ir.IRBuilder(function.append_basic_block())
        self.arguments = {name: self._argument(function.args[0], number, name) for number, name in enumerate(names)}
        self._entry = function.entry_basic_block

    def _argument(self, arguments: Any, number: int, name: str) -> Any:
        kind = self.pointer if name in _POINTERS else self.i64
        return self.at.load(self.at.gep(arguments, [self.integer(number)], source_etype=self.i64), typ=kind)

    def integer(self, value: int) -> Any:
        """A 64-bit number."""
        return self.i64(value)

    def number(self, value: float) -> Any:
        """A vector of one value."""
        return self.ir.Constant(self.vector, [self.f32(value)] * self.lanes)

    def my_share(self, count: Any) -> tuple[Any, Any]:
        """Which of `count` pieces are this thread's: from, up to."""
        thread, threads = (self.at.sext(self.call(name, self.i32), self.i64)
                           for name in ("omp_get_thread_num", "omp_get_num_threads"))  # fmt: skip
        first = self.at.sdiv(self.at.mul(thread, count), threads)
        return first, self.at.sdiv(self.at.mul(self.at.add(thread, self.integer(1)), count), threads)

    def call(self, name: str, result: Any, *arguments: Any) -> Any:
        """What a function of LLVM or of OpenMP gives; it is declared at its first call."""
        known = self.module.globals.get(name)
        function = known or self.ir.Function(
            self.module, self.ir.FunctionType(result, [each.type for each in arguments]), name=name
        )
        return self.at.call(function, arguments)

    def variable(self, value: Any) -> Any:
        """A place for a value that changes; it becomes a register."""
        with self.at.goto_block(self._entry):
            if self._entry.instructions:
                self.at.position_before(self._entry.instructions[0])
            place = self.at.alloca(value.type)
        self.at.store(value, place)
        return place

    def value(self, place: Any) -> Any:
        """What is in a place of `variable` now."""
        return self.at.load(place, typ=place.allocated_type)

    @contextmanager
    def loop(self, first: Any, end: Any, step: int = 1) -> Iterator[Any]:
        """for i in range(first, end, step)."""
        counter = self.variable(first)
        head, body, after = (self.at.append_basic_block() for _ in range(3))
        self.at.branch(head)
        self.at.position_at_end(head)
        number = self.value(counter)
        self.at.cbranch(self.at.icmp_signed("<", number, end), body, after)
        self.at.position_at_end(body)
        yield number
        self.at.store(self.at.add(number, self.integer(step)), counter)
        self.at.branch(head)
        self.at.position_at_end(after)

    def address(self, pointer: Any, offset: Any, element: Any = None) -> Any:
        """`offset` elements (float32 unless said) behind a pointer."""
        return self.at.gep(pointer, [offset], source_etype=element or self.f32)

    def load(self, pointer: Any, offset: Any) -> Any:
        """A vector of float32 from there."""
        return self.at.load(self.address(pointer, offset), typ=self.vector, align=4)

    def load_stored(self, pointer: Any, offset: Any) -> Any:
        """A vector of what the weights and the cache are kept in, widened to float32."""
        stored = self.ir.VectorType(self.element, self.lanes)
        loaded = self.at.load(self.address(pointer, offset, self.element), typ=stored, align=self.element_bytes)
        return loaded if self.stored == "float32" else self.at.fpext(loaded, self.vector)

    def store(self, value: Any, pointer: Any, offset: Any) -> None:
        """Write a vector of float32 behind a pointer, `offset` values on."""
        self.at.store(value, self.address(pointer, offset), align=4)

    def everywhere(self, scalar: Any) -> Any:
        """A vector of one value that is known at run time."""
        one = self.at.insert_element(self.ir.Constant(self.vector, self.ir.Undefined), scalar, self.i32(0))
        nowhere = self.ir.Constant(self.vector, self.ir.Undefined)
        return self.at.shuffle_vector(one, nowhere, self.ir.Constant(self.ir.VectorType(self.i32, self.lanes),
                                                                     [self.i32(0)] * self.lanes))  # fmt: skip

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """a b + c of vectors, rounded once."""
        return self.call(f"llvm.fma.v{self.lanes}f32", self.vector, a, b, c)

    def total(self, vector: Any) -> Any:
        """The sum of a vector's values, by halves."""
        return self._reduce(vector, self.at.fadd)

    def greatest(self, vector: Any) -> Any:
        """The greatest of a vector's values, by halves."""

        def larger(a: Any, b: Any) -> Any:
            return self.at.select(self.at.fcmp_ordered(">", a, b), a, b)

        return self._reduce(vector, larger)

    def _reduce(self, vector: Any, join: Callable[[Any, Any], Any]) -> Any:
        width = self.lanes
        while width > 1:
            width //= 2
            nowhere = self.ir.Constant(vector.type, self.ir.Undefined)
            parts = [self.ir.Constant(self.ir.VectorType(self.i32, width), [self.i32(start + i) for i in range(width)])
                     for start in (0, width)]  # fmt: skip
            low, high = (self.at.shuffle_vector(vector, nowhere, part) for part in parts)
            vector = join(low, high)
        return self.at.extract_element(vector, self.i32(0))

    def exponential(self, x: Any) -> Any:
        """e^x for x <= 0, to float32 rounding: 2^n times a polynomial of what is left (|f| <= ln(2) / 2)."""
        lowest = self.number(-87.0)
        x = self.at.select(self.at.fcmp_ordered(">", x, lowest), x, lowest)
        scaled = self.at.fmul(x, self.number(1 / math.log(2)))
        whole = self.call(f"llvm.rint.v{self.lanes}f32", self.vector, scaled)
        rest = self.multiply_add(whole, self.number(-0.693359375), x)  # ln(2) in two parts: the first is exact
        rest = self.multiply_add(whole, self.number(0.693359375 - math.log(2)), rest)
        result = self.number(1 / math.factorial(7))
        for power in range(6, -1, -1):
            result = self.multiply_add(result, rest, self.number(1 / math.factorial(power)))
        integers = self.ir.VectorType(self.i32, self.lanes)
        biased = self.at.add(self.at.fptosi(whole, integers), self.ir.Constant(integers, [self.i32(127)] * self.lanes))
        shifted = self.at.shl(biased, self.ir.Constant(integers, [self.i32(23)] * self.lanes))
        return self.at.fmul(result, self.at.bitcast(shifted, self.vector))

    def finish(self) -> str:
        """Return from `run`; the module as LLVM text."""
        self.at.ret_void()
        return str(self.module)


def linear(rows: int, lanes: int, stored: str) -> str:
    """outputs = inputs W + bias, or outputs += that where `adds` is 1.

    inputs: float32 [blocks, depth, rows]; weights: [panels, depth, 2 * lanes] of `stored`;
    bias: float32 [width]; outputs: float32 [blocks * rows, width]. Panels are shared among the threads.
    """
    code = Code(LINEAR, lanes, stored)
    get, panel_width = code.arguments, 2 * lanes
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
            for row in range(rows):
                begin = code.at.add(code.at.mul(code.at.add(first_row, code.integer(row)), get["width"]), column)
                for half in (0, 1):
                    place = code.at.add(begin, code.integer(lanes * half))
                    _finish_sum(code, code.at.fadd(code.value(sums[row][half]), biases[half]), place)
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


def _finish_sum(code: Code, vector: Any, place: Any) -> None:
    outputs = code.arguments["outputs"]
    adds = code.at.icmp_signed("!=", code.arguments["adds"], code.integer(0))
    with code.at.if_else(adds) as (then, otherwise):
        with then:
            code.store(code.at.fadd(code.load(outputs, place), vector), outputs, place)
        with otherwise:
            code.store(vector, outputs, place)


def attention(size: int, lanes: int, stored: str) -> str:
    """softmax(q K / sqrt(size)) V for one query a row; positions from `voice` up to a row's start are not heard.

    queries: float32, row r and head h at r * query_stride + h * size; keys, values: `stored`, at
    r * row_stride + h * head_stride + position * size; starts: int64 [rows]; scores: float32 room of
    `score_stride` values a thread; outputs: float32 [rows, heads * size]. Rows and heads are shared among the threads.
    """
    code = Code(ATTENTION, lanes, stored)
    get = code.arguments
    first, end = code.my_share(code.at.mul(get["rows"], get["heads"]))
    thread = code.at.sext(code.call("omp_get_thread_num", code.i32), code.i64)
    scores = code.address(get["scores"], code.at.mul(thread, get["score_stride"]))
    with code.loop(first, end) as unit:
        row, head = code.at.sdiv(unit, get["heads"]), code.at.srem(unit, get["heads"])
        begin = code.at.add(code.at.mul(row, get["row_stride"]), code.at.mul(head, get["head_stride"]))
        keys, values = (code.address(get[name], begin, code.element) for name in ("keys", "values"))
        place = code.at.add(code.at.mul(row, get["query_stride"]), code.at.mul(head, code.integer(size)))
        scale = code.number(1 / math.sqrt(size))
        query = [code.at.fmul(code.load(get["queries"], code.at.add(place, code.integer(part))), scale)
                 for part in range(0, size, lanes)]  # fmt: skip
        start = code.at.load(code.address(get["starts"], row, code.i64), typ=code.i64)
        ranges = ((code.integer(0), get["voice"]), (start, get["length"]))
        count, peak = _score(code, query, keys, ranges, scores)
        share = code.everywhere(code.at.fdiv(code.f32(1.0), _exponentials(code, scores, count, peak)))
        heard = _weigh(code, values, ranges, scores, len(query))
        for part, place_of_sum in enumerate(heard):
            there = code.at.add(code.at.mul(unit, code.integer(size)), code.integer(part * lanes))
            code.store(code.at.fmul(code.value(place_of_sum), share), get["outputs"], there)
    return code.finish()


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
