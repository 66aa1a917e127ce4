"""A function in LLVM's language, written step by step: what the kernels of this project are made with.

Each is one function `run` that takes a pointer to a list of 64-bit values, as OpenMP calls it on every thread. This
module knows llvmlite's builder and what vectors do; which arithmetic it is for, it does not know.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

STORED = {"float32": 4, "float16": 2}  # what weights and caches may be kept in, and its bytes


class Code:
    """One function `run(list of arguments)` that is being written.

    Args:
        pointers, numbers: the names of its arguments, in their order.
        lanes: float32 values that make a vector.
        stored: of `STORED`, what `load_stored` widens.
    """

    def __init__(self, pointers: Sequence[str], numbers: Sequence[str], lanes: int, stored: str = "float32") -> None:
        from llvmlite import ir

        self.ir, self.lanes, self.stored = ir, lanes, stored
        self.i32, self.i64, self.f32, self.pointer = ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.PointerType()
        self.vector = ir.VectorType(self.f32, lanes)
        self.element = {"float32": self.f32, "float16": ir.HalfType()}[stored]
        self.element_bytes = STORED[stored]
        self.module = ir.Module(name="voicekit")
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [self.pointer]), name="run")
        self.at = ir.IRBuilder(function.append_basic_block())
        kinds = {**dict.fromkeys(pointers, self.pointer), **dict.fromkeys(numbers, self.i64)}
        self.arguments = {name: self._argument(function.args[0], number, kind)
                          for number, (name, kind) in enumerate(kinds.items())}  # fmt: skip
        self._entry = function.entry_basic_block

    def _argument(self, arguments: Any, number: int, kind: Any) -> Any:
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
        place = self._on_the_stack(value.type)
        self.at.store(value, place)
        return place

    def room(self, count: int) -> Any:
        """A pointer to so many vectors of this thread's."""
        return self._on_the_stack(self.vector, count)

    def _on_the_stack(self, kind: Any, count: int = 1) -> Any:
        with self.at.goto_block(self._entry):
            if self._entry.instructions:
                self.at.position_before(self._entry.instructions[0])
            return self.at.alloca(kind, count)

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

    def store_narrow(self, value: Any, pointer: Any, offset: Any) -> None:
        """Write a vector of float32 as what the cache is kept in, rounded to the nearest."""
        if self.stored != "float32":
            value = self.at.fptrunc(value, self.ir.VectorType(self.element, self.lanes))
        self.at.store(value, self.address(pointer, offset, self.element), align=self.element_bytes)

    def store_apart(self, value: Any, pointer: Any, offset: Any, stride: Any) -> None:
        """Write a vector of float32 behind a pointer, each value `stride` values behind the one before."""
        for lane in range(self.lanes):
            there = self.at.add(offset, self.at.mul(stride, self.integer(lane)))
            self.at.store(self.at.extract_element(value, self.i32(lane)), self.address(pointer, there), align=4)

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

