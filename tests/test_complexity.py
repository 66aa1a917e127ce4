"""voicekit.complexity: what is declared is true. Work is counted, not timed, while the input doubles, twice.

The meters are in tests/counted_work.py; the controls here show that they find an exponent that is known beforehand,
and that a wrong declaration fails.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import improve_voice_sample
import voicekit
from tests import counted_work, growing_inputs, growing_models
from tests.counted_work import Networks, count_python, count_torch, growth
from tests.growth_cases import CASES, CONTROLS, Case, Growth, counted_growth
from tests.voices import talking
from voicekit import command_line, denoising, speech_detection
from voicekit.complexity import DECLARED, Complexity, complexity, exponent, of_stage
from voicekit.gpt import LeanGPT
from voicekit.tts_model import VoiceSettings

TOLERANCE = 0.2
# Stages that declare nothing, and why that is right.
WITHOUT_GROWTH = {
    "import": "the packages are the same whatever the input",
    "report": "a picture has 700 columns, a player 60 s at most; both are of the three minutes that were read",
}

for _module in pkgutil.iter_modules(voicekit.__path__, "voicekit."):
    importlib.import_module(_module.name)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Gone after the test: files of this size are not to be kept for three sessions."""
    with tempfile.TemporaryDirectory(prefix="voice-cloning-growth-") as made:
        yield Path(made)


@pytest.fixture(scope="module")
def linear() -> Growth:
    """A growth as it was counted, of an operation that goes through its samples once."""
    case = next(case for case in CASES if case.operation == "voicekit.audio.to_mono")
    return counted_growth(case, Path())  # it needs no files


def deviations(declared: Complexity, found: Growth) -> list[str]:
    """What of a declaration the counts contradict."""
    laws = (("time", declared.time, found.time), ("space", declared.space, found.space))
    return [
        f"{declared.operation}: {what} is declared {law} in {declared.size} and counted as n^{power:.2f}: {found}"
        for what, law, power in laws
        if abs(power - exponent(law)) > TOLERANCE
    ]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_work_and_memory_grow_as_declared(case: Case, folder: Path) -> None:
    if case.operation == "voicekit.denoising.denoise" and not denoising.available():
        pytest.skip("no denoiser is installed for this Python")
    assert deviations(DECLARED[case.operation], counted_growth(case, folder)) == []


# --- nothing escapes ---------------------------------------------------------------------------------


def test_every_declaration_has_a_case_and_every_case_a_declaration() -> None:
    assert {case.operation for case in CASES} == set(DECLARED)


def test_every_stage_declares_its_growth_once_or_says_why_it_has_none() -> None:
    stages = {*command_line.STAGES, *improve_voice_sample.STAGES}
    declared = [each.stage for each in DECLARED.values() if each.stage]
    assert sorted([*declared, *WITHOUT_GROWTH]) == sorted(stages)


def test_the_stages_declaration_is_found() -> None:
    assert of_stage("generate") == Complexity("voicekit.decoding.decode", "codes", "O(n)", "O(n)", "generate")
    assert of_stage("import") is None


# --- the declarations themselves ---------------------------------------------------------------------


@pytest.mark.parametrize(("law", "power"), [
    ("O(1)", 0), ("O(log n)", 0), ("O(n)", 1), ("O(n log n)", 1), ("O(n^2)", 2), ("O(n^1.5)", 1.5), ("O(n^2 log n)", 2),
])  # fmt: skip
def test_a_law_is_read(law: str, power: float) -> None:
    assert exponent(law) == power


@pytest.mark.parametrize("law", ["n", "O(m)", "O(2^n)", "O(n) ", "", "O(n*n)", "O(nlog n)"])
def test_what_is_no_law_is_refused_at_once(law: str) -> None:
    with pytest.raises(ValueError, match="no growth law"):
        complexity(size="codes", time=law, space="O(1)")
    with pytest.raises(ValueError, match="no growth law"):
        complexity(size="codes", time="O(1)", space=law)


def test_a_declaration_leaves_the_function_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicekit.complexity.DECLARED", {})

    def operation() -> None:
        pass

    assert complexity(size="codes", time="O(n)", space="O(1)")(operation) is operation


# --- controls: the meters find what is known beforehand ----------------------------------------------


def nothing(n: int) -> object:
    return n


def each_once(n: int) -> object:
    return sum(1 for _ in range(n))


def each_with_each(n: int) -> object:
    return sum(1 for _ in range(n) for _ in range(n))


def array_once(n: int) -> object:
    return np.square(np.zeros(100 * n))


def array_of_pairs(n: int) -> object:
    values = np.arange(n)
    return int((values[:, None] > values).sum())


def array_again_and_again(n: int) -> object:
    values = np.zeros(n)
    return [largest(values) for _ in range(n)]


def largest(values: np.ndarray) -> float:
    return float(values.max())


def rest_again_and_again(n: int) -> object:
    rest = list(range(n))
    while rest:
        rest = rest[1:]
    return rest


def text_again_and_again(n: int) -> object:
    text = "a" * n
    return [text[start:].startswith("b") for start in range(n)]


@pytest.mark.parametrize(("operate", "first", "time", "space"), [
    (nothing, 1_000, 0, 0), (each_once, 2_000, 1, 0), (each_with_each, 40, 2, 0), (array_once, 1_000, 1, 1),
    (array_of_pairs, 1_200, 2, 2), (array_again_and_again, 1_000, 2, None), (rest_again_and_again, 1_000, 2, None),
    (text_again_and_again, 5_000, 2, None),
])  # fmt: skip
def test_the_meter_of_python_finds_what_is_known(
    operate: Callable[[int], object], first: int, time: float, space: float | None
) -> None:
    sizes = [first, 2 * first, 4 * first]
    count_python(functools.partial(operate, first))  # the meter's own first steps
    works = [count_python(functools.partial(operate, size)) for size in sizes]
    assert growth(sizes, [work.steps for work in works]) == pytest.approx(time, abs=TOLERANCE), works
    if space is not None:
        assert growth(sizes, [counted_work.memory(work) for work in works]) == pytest.approx(space, abs=TOLERANCE)


def matrix_product(n: int) -> object:
    import torch

    return torch.zeros(n, n) @ torch.zeros(n, n)


def cache_that_is_copied(n: int) -> object:
    import torch

    cache = torch.zeros(0)
    for _ in range(n):
        cache = torch.cat([cache, torch.zeros(1)])
    return cache


def steps_that_are_forgotten(n: int) -> object:
    import torch

    return [float(torch.zeros(20_000).sum()) for _ in range(n)]


@pytest.mark.parametrize(("operate", "first", "time", "space"), [
    (matrix_product, 100, 3, 2), (cache_that_is_copied, 200, 2, None), (steps_that_are_forgotten, 10, 1, 0),
])  # fmt: skip
def test_the_meter_of_torch_finds_what_is_known(
    operate: Callable[[int], object], first: int, time: float, space: float | None
) -> None:
    sizes = [first, 2 * first, 4 * first]
    works = [count_torch(functools.partial(operate, size)) for size in sizes]
    assert growth(sizes, [work.steps for work in works]) == pytest.approx(time, abs=TOLERANCE), works
    if space is not None:
        assert growth(sizes, [counted_work.memory(work) for work in works]) == pytest.approx(space, abs=0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process read and holds of its own")
@pytest.mark.parametrize("disturbed", [0, 1, 2, 4])
def test_the_meter_of_the_process_counts_what_is_held_whatever_one_run_takes_besides(disturbed: int) -> None:
    kept: list[bytes] = []
    held_bytes, runs = 32 * 2**20, iter(range(counted_work.PROCESS_RUNS))

    def hold() -> object:
        if next(runs) == disturbed:
            kept.append(b"\1" * held_bytes)
        return b"\1" * held_bytes

    assert counted_work.count_process(hold).held_bytes == pytest.approx(held_bytes, rel=0.1)
    assert len(kept[0]) == held_bytes


def test_torchs_own_formula_counts_a_products_multiply_adds() -> None:
    import torch

    a, b = torch.zeros(7, 11), torch.zeros(11, 13)
    work = count_torch(lambda: a @ b)
    assert work.steps == 7 * 11 * 13 + 7 * 11 + 11 * 13 + 7 * 13
    assert work.held_bytes == 4 * 7 * 13


@pytest.mark.parametrize(("time", "space", "wrong"), [
    ("O(n)", "O(n)", 0), ("O(n^2)", "O(n)", 1), ("O(1)", "O(n)", 1), ("O(n)", "O(1)", 1), ("O(n)", "O(n^2)", 1),
    ("O(n^1.5)", "O(n)", 1), ("O(log n)", "O(log n)", 2), ("O(n log n)", "O(n)", 0),
])  # fmt: skip
def test_a_wrong_declaration_fails(time: str, space: str, wrong: int, linear: Growth) -> None:
    assert len(deviations(Complexity("voicekit.audio.to_mono", "samples", time, space), linear)) == wrong


# --- what a case alone does not show -----------------------------------------------------------------


def test_a_code_takes_one_pass_through_the_gpt(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    real = LeanGPT._through

    def counted(self: LeanGPT, x: Any, attend: Any) -> Any:
        passes.append(len(x))
        return real(self, x, attend)

    monkeypatch.setattr(LeanGPT, "_through", counted)
    growing_models.decoding(23, folder, width=64)()
    assert passes == [growing_models.VOICE, growing_models.TEXT] + [1] * 23


def test_attention_over_the_cache_is_counted(folder: Path) -> None:
    """Its square shows where the layers are narrow; at the released width it is a few per cent up to 602 codes."""
    sizes = [150, 300, 600]
    works = [count_torch(growing_models.decoding(codes, folder, width=64)) for codes in sizes]
    assert growth(sizes, [work.steps for work in works]) > 1.1


def test_what_is_not_heard_of_a_sample_costs_nothing() -> None:
    model, settings = growing_models.tiny_model(), VoiceSettings(gpt_cond_len_s=4, max_ref_len_s=4)
    heard, longer = talking(4.0), talking(16.0)
    counts = [count_torch(functools.partial(model.condition, [each], settings)) for each in (heard, longer)]
    assert counts[0] == counts[1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process read and holds of its own")
@pytest.mark.parametrize("case", CONTROLS, ids=str)
def test_loading_grows_where_weights_cannot_be_mapped(case: Case, folder: Path) -> None:
    """The control of `load_xtts`: it costs the same at any size because nothing of the file is read or copied."""
    assert deviations(DECLARED[case.operation], counted_growth(case, folder))


def heard_by_networks(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, runs: Sequence[Callable[[], object]]
) -> list[Networks]:
    """What the networks that a function of a module gives were fed in each run."""
    found, give = [], getattr(module, name)
    for run in runs:
        networks = Networks()
        found.append(networks)
        with monkeypatch.context() as patched:
            patched.setattr(module, name, lambda *place, around=networks.around: _around(give(*place), around))
            run()
    return found


def _around(given: Any, around: Callable[[Any], Any]) -> Any:
    return tuple(map(around, given)) if isinstance(given, tuple) else around(given)


def test_the_speech_network_hears_every_window_once(monkeypatch: pytest.MonkeyPatch) -> None:
    minutes = [1, 2, 4]
    given = [growing_inputs.voice(each * 60 * growing_inputs.RATE_HZ) for each in minutes]
    runs = [functools.partial(speech_detection.speech_probability, audio) for audio in given]
    heard = heard_by_networks(monkeypatch, speech_detection, "bundled_network", runs)
    assert growth(minutes, [each.values for each in heard]) == pytest.approx(1, abs=0.05)
    assert len({each.most_values for each in heard}) == 1


@pytest.mark.skipif("deepfilternet" not in denoising.available(), reason="no package of it for this Python")
def test_the_denoisers_networks_hear_a_chunk_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denoising, "CHUNK_S", 1.0)  # 30 s are cut in the same way
    seconds = [4, 8, 16]
    given = [growing_inputs.noisy(each * growing_inputs.RATE_HZ) for each in seconds]
    runs = [functools.partial(denoising.denoise, audio, engine="deepfilternet", threads=1) for audio in given]
    heard = heard_by_networks(monkeypatch, denoising, "_deepfilternet_networks", runs)
    assert growth(seconds, [each.values for each in heard]) == pytest.approx(1, abs=TOLERANCE)
    assert len({each.most_values for each in heard}) == 1
