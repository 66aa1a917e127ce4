"""Which precision is chosen, and what each costs beside float32 (bench/precision.py says how it is compared)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.precision import LEAST_DB, TEXTS, Apart, compare
from voicekit import precision, remembered
from voicekit.checkpoint import from_folder
from voicekit.precision import Chosen, choose, fastest

pytest.importorskip("torch")

BOUNDS = {  # divergence in nats, the stop code's probability, latents and waveform in dB
    "float16": Apart(divergence=0.001, stop=0.01, latents_db=50.0, waveform_db=45.0),
    "bfloat16": Apart(divergence=0.15, stop=0.15, latents_db=33.0, waveform_db=LEAST_DB),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_narrow_precisions_think_what_float32_thinks(tiny_checkpoint: Path, voice_file: Path, name: str) -> None:
    for found in compare(from_folder(tiny_checkpoint), name, voice_file, TEXTS[:1]):
        bound = BOUNDS[name]
        assert 0 < found.divergence < bound.divergence
        assert 0 < found.stop < bound.stop
        assert found.latents_db > bound.latents_db
        assert found.waveform_db > bound.waveform_db


def test_control_four_bits_are_heard(tiny_checkpoint: Path, voice_file: Path) -> None:
    [found] = compare(from_folder(tiny_checkpoint), "float8", voice_file, TEXTS[:1])
    assert found.waveform_db < LEAST_DB - 6


@pytest.mark.parametrize(
    ("taken", "chosen"),
    [
        ({"float32": 20.0}, "float32"),
        ({"float32": 20.0, "float16": 10.0, "bfloat16": 12.0}, "float16"),
        ({"float32": 20.0, "float16": 19.5}, "float32"),  # not clearly faster
        ({"float32": 20.0, "float16": 25.0, "bfloat16": 8.0}, "bfloat16"),
    ],
)
def test_the_clearly_fastest_is_chosen(taken: dict[str, float], chosen: str) -> None:
    assert fastest(taken).name == chosen


def test_what_is_asked_for_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_measure", lambda: pytest.fail("measured"))
    assert choose("bfloat16", "cpu") == Chosen("bfloat16", "asked for")
    assert choose("auto", "mps").name == "float32"


@pytest.fixture
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "path_of", lambda name: tmp_path / "cache" / f"{name}.json")


@pytest.mark.usefixtures("_own_cache")
@pytest.mark.parametrize("damage", [None, "", "[]", '{"x": 1', "{}"])
def test_it_is_measured_once_and_again_where_the_memory_is_damaged(
    damage: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []

    def measure() -> dict[str, float]:
        measured.append(1)
        return {"float32": 20.0, "float16": 10.0}

    monkeypatch.setattr(precision, "_measure", measure)
    assert choose("auto", "cpu").name == choose("auto", "cpu").name == "float16"
    assert len(measured) == 1
    if damage is not None:
        remembered.path_of("precision").write_text(damage)
        assert choose("auto", "cpu").name == "float16"
        assert len(measured) == 2


@pytest.mark.usefixtures("_own_cache")
@pytest.mark.parametrize(
    "wrong", [{}, {"float32": "fast"}, {"float32": -1.0}, {"float16": 3.0}, [1], {"float32": 1.0, "x": 1.0}]
)
def test_a_figure_that_is_none_is_not_believed(wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_measure", lambda: {"float32": 20.0, "float16": 10.0})
    choose("auto", "cpu")
    known = remembered.read("precision")
    remembered.write("precision", dict.fromkeys(known, wrong))
    assert choose("auto", "cpu").name == "float16"


def test_the_probe_measures_what_is_native_here() -> None:
    import torch

    threads = torch.get_num_threads()
    taken = precision._measure()
    assert torch.get_num_threads() == threads
    assert taken.keys() == {name for name in ("float32", "float16", "bfloat16")
                            if name == "float32" or precision._is_native(name)}  # fmt: skip
    assert all(milliseconds > 0 for milliseconds in taken.values())


def test_a_cache_that_cannot_be_written_costs_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(remembered, "path_of", lambda name: tmp_path / "file" / f"{name}.json")
    remembered.write("anything", {"a": 1})
    assert remembered.read("anything") == {}
