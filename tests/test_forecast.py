"""Forecasts against runs whose cost is a law that the tests know; the ETA against runs of a known pace."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from voicekit.device_advice import device_advice
from voicekit.eta import Eta
from voicekit.forecast import Forecast, forecast

SECONDS_PER_CHARACTER, CODES_PER_S = 0.08, 20.0


def law(codes: float, rows: float, audio_s: float, sample_s: float) -> dict[str, float]:
    """What a run costs on the machine of these tests, seconds by stage."""
    return {
        "import": 2.0, "preprocess": 0.1 * sample_s, "load_model": 3.0, "condition_voice": 0.05 * sample_s,
        "generate": codes / rows * 0.036 + codes * 0.004, "vocode": codes * 0.007, "write": audio_s * 0.001,
    }  # fmt: skip


def a_run(characters: int, segments: int, *, noise: float = 1.0, sample_s: float = 10.0, batch_size: int | None = None,
          **changed: Any) -> dict[str, Any]:  # fmt: skip
    """A record as `run_history` keeps it."""
    audio_s = characters * SECONDS_PER_CHARACTER
    codes = round(audio_s * CODES_PER_S)
    seconds = law(codes, min(segments, batch_size or 12), audio_s, sample_s)
    seconds = {name: each * noise for name, each in seconds.items()}
    return {
        "schema": 2, "run_id": f"{characters}-{segments}-{noise}", "script": "simple_voice_clone", "status": "ok",
        "machine": {"id": "here", "cores": 2}, "language": "en", "device": "cpu", "precision": "float16",
        "model": "xtts_v2", "threads": 2, "flags": ["--text", "--voice"],
        "sizes": {"audio_s": audio_s, "codes": codes, "sample_s": sample_s, "heard_s": sample_s,
                  "text_length": characters, "segments": segments},
        "timings_s": {**seconds, "total": sum(seconds.values())}, "stages": {},
        **({"batch_size": batch_size} if batch_size else {}), **changed,
    }  # fmt: skip


def foretold(records: list[dict[str, Any]], characters: int, segments: int, **changed: Any) -> Forecast:
    wanted = {"model": "xtts_v2", "batch_size": 12, "sample_s": 10.0, "typical_s": 0.067 * characters, **changed}
    found = forecast(records, characters=characters, segments=segments, **wanted)
    assert found is not None
    return found


VARIED = [a_run(200, 1), a_run(900, 5), a_run(3_000, 20), a_run(12_000, 80)]


# --- the law is found -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("characters", "segments"), [(60, 1), (500, 3), (6_000, 40), (100_000, 600)])
def test_the_time_of_a_run_of_any_size(characters: int, segments: int) -> None:
    found = foretold(VARIED, characters, segments)
    audio_s = characters * SECONDS_PER_CHARACTER
    expected = law(audio_s * CODES_PER_S, min(segments, 12), audio_s, 10.0)
    assert found.speech_s.expected == pytest.approx(audio_s, rel=0.01)
    assert found.total_s is not None
    assert found.total_s.expected == pytest.approx(sum(expected.values()), rel=0.02)
    for name, seconds in expected.items():
        assert found.stages[name] == pytest.approx(seconds, rel=0.02), name
    assert found.speaking_s == pytest.approx(expected["generate"] + expected["vocode"], rel=0.02)
    assert (found.runs, found.speech_runs, found.device, found.precision) == (4, 4, "cpu", "float16")
    assert found.total_s.low < found.total_s.expected < found.total_s.high


def test_one_run_is_enough_and_says_less() -> None:
    one, many = foretold([a_run(3_000, 20)], 6_000, 40), foretold(VARIED * 5, 6_000, 40)
    assert one.total_s and many.total_s and one.runs == 1
    assert one.total_s.expected == pytest.approx(many.total_s.expected, rel=0.05)
    assert math.log(one.total_s.high / one.total_s.low) > 2 * math.log(many.total_s.high / many.total_s.low)


def test_from_long_texts_to_a_single_sentence() -> None:
    """Only wide batches are on record; a sentence alone is decoded far less cheaply, code for code."""
    found = foretold([a_run(3_000, 20), a_run(9_000, 60)], 100, 1)
    expected = law(160, 1, 8.0, 10.0)
    assert found.stages["generate"] == pytest.approx(expected["generate"], rel=0.25)


def test_the_cost_of_a_row_is_learnt() -> None:
    """On a machine where it is not what is usual: as on one that has no fast memory."""
    records = [a_run(200, 1), a_run(900, 5), a_run(3_000, 20)]
    for record in records:
        codes, rows = record["sizes"]["codes"], min(record["sizes"]["segments"], 12)
        record["timings_s"]["generate"] = codes / rows * 0.01 + codes * 0.03
    found = foretold(records, 1_500, 9, batch_size=3)
    assert found.stages["generate"] == pytest.approx(2_400 / 3 * 0.01 + 2_400 * 0.03, rel=0.02)


def test_a_smaller_batch_takes_longer() -> None:
    wide, narrow = foretold(VARIED, 6_000, 40), foretold(VARIED, 6_000, 40, batch_size=2)
    assert narrow.stages["generate"] == pytest.approx(law(9_600, 2, 480, 10)["generate"], rel=0.02)
    assert narrow.stages["generate"] > 1.5 * wide.stages["generate"]


def test_runs_tell_of_their_batch_size() -> None:
    records = [a_run(3_000, 20, batch_size=1), a_run(3_000, 20, batch_size=4), a_run(3_000, 20, batch_size=16)]
    assert foretold(records, 3_000, 20, batch_size=8).stages["generate"] == pytest.approx(
        law(4_800, 8, 240, 10)["generate"], rel=0.02)  # fmt: skip


def test_a_known_voice_is_not_heard_again() -> None:
    heard, known = foretold(VARIED, 500, 3), foretold(VARIED, 500, 3, voice_known=True)
    assert heard.total_s and known.total_s
    assert heard.total_s.expected - known.total_s.expected == pytest.approx(1.5, rel=0.02)  # of 10 s of sample
    assert known.stages["preprocess"] == known.stages["condition_voice"] == 0.0


def test_a_run_with_a_known_voice_does_not_make_hearing_cheap() -> None:
    quick = a_run(900, 5)
    quick["timings_s"].update(preprocess=0.01, condition_voice=0.0)
    for size in ("sample_s", "heard_s"):
        del quick["sizes"][size]
    found = foretold([*VARIED, *[{**quick, "run_id": str(n)} for n in range(9)]], 900, 5)
    assert found.stages["preprocess"] == pytest.approx(1.0, rel=0.02)


def test_known_codes_replace_the_estimate() -> None:
    found = foretold(VARIED, 3_000, 20, codes=10_000)
    assert found.stages["vocode"] == pytest.approx(70.0, rel=0.02)
    assert found.speech_s.low == found.speech_s.expected == found.speech_s.high
    assert found.speech_s.expected == pytest.approx(10_000 * 1024 / 22_050)  # one code, 1024 samples at 22,050 Hz


def test_speed_changes_the_length_and_not_the_codes() -> None:
    plain, fast = foretold(VARIED, 3_000, 20), foretold(VARIED, 3_000, 20, speed=2.0)
    assert fast.speech_s.expected == pytest.approx(plain.speech_s.expected / 2)
    assert fast.stages["generate"] == pytest.approx(plain.stages["generate"], rel=0.01)


@pytest.mark.parametrize("flag", ["--speed", "--tempo"])
def test_a_run_at_another_speed_tells_nothing_of_the_length(flag: str) -> None:
    stretched = a_run(3_000, 20, flags=["--text", flag])
    stretched["sizes"]["audio_s"] *= 2
    assert foretold([stretched], 3_000, 20).speech_runs == 0
    assert foretold([*VARIED, stretched], 3_000, 20).speech_s.expected == pytest.approx(240.0, rel=0.01)


def test_outliers_hardly_matter() -> None:
    """A machine that was asleep in one run, and another program in a second one."""
    records = [a_run(300 + 40 * n, 3 + n % 9) for n in range(12)]
    found = foretold([*records, a_run(900, 6, noise=40.0), a_run(400, 3, noise=5.0)], 800, 6)
    assert found.total_s
    assert found.total_s.expected == pytest.approx(sum(law(1_280, 6, 64, 10).values()), rel=0.15)


def test_four_of_five_runs_fall_into_the_range() -> None:
    """Runs whose time and length vary by a quarter; each is forecast from those before it."""
    chance = random.Random(3)
    inside = told = 0
    for _ in range(12):
        records: list[dict[str, Any]] = []
        for number in range(24):
            characters, noise = chance.randrange(200, 6_000), chance.lognormvariate(0.0, 0.22)
            run = a_run(characters, max(1, characters // 150), noise=noise, run_id=f"{number}")
            if number >= 5:
                found = foretold(records, characters, max(1, characters // 150))
                assert found.total_s
                told += 1
                inside += found.total_s.low <= run["timings_s"]["total"] <= found.total_s.high
            records.append(run)
    assert 0.7 < inside / told < 0.95


# --- which runs count -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", [
    {"model": "rehearsal"}, {"device": "cuda:0"}, {"precision": "float32"}, {"threads": 1},
    {"machine": {"id": "elsewhere"}}, {"status": "error"}, {"status": "killed"}, {"script": "improve_voice_sample"},
])  # fmt: skip
def test_runs_of_another_kind_are_left_out(other: dict[str, Any]) -> None:
    wanted = {"device": "cpu", "precision": "float16", "threads": 2, "machine": "here"}
    odd = [a_run(600 + n, 4, noise=9.0, **other) for n in range(9)]
    assert foretold(odd, 900, 5, **wanted).total_s is None
    assert foretold([*odd, *VARIED], 900, 5, **wanted).runs == 4


def test_what_is_left_to_choose_is_chosen_as_the_last_time() -> None:
    records = [*VARIED, *[a_run(900 + n, 5, noise=0.1, device="cuda:0", precision="bfloat16") for n in range(3)]]
    last = foretold(records, 900, 5)
    assert (last.device, last.precision, last.runs) == ("cuda:0", "bfloat16", 3)
    assert foretold(records, 900, 5, device="cpu").runs == 4
    assert foretold(records, 900, 5, device="cuda").runs == 3  # the first one


def test_a_dry_run_is_no_run() -> None:
    dry = a_run(900, 5, dry_run=True)
    dry["sizes"], dry["timings_s"] = {"text_length": 900, "segments": 5}, {"total": 0.2, "preprocess": 0.1}
    assert foretold([dry], 900, 5).total_s is None


def test_without_history_the_typical_length_is_told() -> None:
    found = foretold([], 1_000, 7, typical_s=67.0)
    assert found.speech_s.expected == 67.0
    assert found.speech_s.low < 60 < 75 < found.speech_s.high
    assert found.total_s is None and found.speaking_s is None and found.speech_runs == 0


def test_another_language_has_its_own_rate() -> None:
    found = foretold(VARIED, 100, 2, language="ja", typical_s=20.0)
    assert found.speech_s.expected == 20.0 and found.speech_runs == 0
    assert found.total_s is not None  # a code costs the same in any language


def test_nothing_to_speak() -> None:
    assert forecast(VARIED, model="xtts_v2", characters=0, segments=0, batch_size=12, typical_s=0.0) is None


@pytest.mark.parametrize("damage", [
    {"timings_s": None}, {"timings_s": {"generate": "long"}}, {"timings_s": {"generate": -1.0}}, {"sizes": []},
    {"sizes": {"codes": "many", "audio_s": 3}}, {"sizes": {"codes": 0, "audio_s": 0}}, {"flags": 5}, {"flags": None},
    {"batch_size": "12"}, {"batch_size": -3}, {"machine": "x"}, {"language": 5}, {"stages": 3}, {"model": ["a"]},
    {"timings_s": {"generate": 1e300}}, {"run_id": None}, {"script": None}, {"threads": "two"}, {"status": {}},
])  # fmt: skip
def test_damaged_records_cost_themselves_only(damage: dict[str, Any]) -> None:
    records = [{}, *VARIED, {**a_run(900, 5), **damage}, {"script": "simple_voice_clone", "status": "ok"}]
    found = foretold(records, 900, 5, device="cpu", precision="float16", threads=2, machine="here")
    assert found.total_s is not None
    assert all(math.isfinite(seconds) and seconds >= 0 for seconds in found.stages.values())
    assert found.total_s.expected == pytest.approx(sum(law(1_440, 5, 72, 10).values()), rel=0.05)


# --- advice ---------------------------------------------------------------------------------------------------


def test_nothing_to_advise() -> None:
    assert device_advice(VARIED, model="xtts_v2", device="cpu", threads=2, cores=2, available_mb=9_000,
                         needed_mb=2_600) is None  # fmt: skip


def test_each_advice_has_its_reason() -> None:
    slow = [a_run(900 + n, 5, noise=2.0, precision="float32") for n in range(3)]
    said = device_advice([*slow, *[a_run(901 + n, 5) for n in range(3)]], model="xtts_v2", device="cpu",
                         precision="float32", threads=1, cores=8, gpu_unused=True, available_mb=1_000.0,
                         needed_mb=2_600.0, machine="here") or ""  # fmt: skip
    assert "--device cuda" in said
    assert "1 of 8 cores" in said
    assert "--batch-size" in said
    assert "--precision float16 speaks 2.0 times as fast as float32" in said


def test_a_gpu_that_is_used_is_not_advised() -> None:
    assert device_advice([], model="xtts_v2", device="cuda:0", gpu_unused=True, threads=1, cores=8) is None


def test_precisions_are_compared_on_runs_alike() -> None:
    """A sentence in float32 and a book in float16 differ by their batches, not by their precision."""
    records = [a_run(100, 1, precision="float32"), a_run(9_000, 60), a_run(9_100, 60)]
    assert device_advice(records, model="xtts_v2", device="cpu", precision="float32") is None


# --- the ETA --------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def paced(eta: Eta, clock: Clock, pieces: int, seconds: float) -> list[tuple[float, float]]:
    """Speak 100 in equal pieces and steady time: what was told after each, and what was true."""
    told = []
    for piece in range(1, pieces + 1):
        clock.now += seconds / pieces
        remaining = eta.advance(100 / pieces)
        assert remaining is not None
        told.append((remaining, seconds * (1 - piece / pieces)))
    return told


def test_a_run_as_forecast_is_told_exactly() -> None:
    clock = Clock()
    eta = Eta(100, 60.0, clock)
    assert eta.remaining_s() == 60.0
    for told, true in paced(eta, clock, 10, 60.0):
        assert told == pytest.approx(true, abs=1e-6)


@pytest.mark.parametrize("factor", [0.4, 2.0, 5.0])
def test_a_run_of_another_pace_is_believed_more_and_more(factor: float) -> None:
    clock = Clock()
    eta = Eta(100, 60.0, clock)
    told = paced(eta, clock, 20, 60.0 * factor)
    wrong = [abs(found / true - 1) for found, true in told[:-1]]
    assert wrong == sorted(wrong, reverse=True)
    assert wrong[-1] < 0.02 and wrong[9] < 0.25
    assert told[-1][0] == 0.0


def test_without_a_forecast_the_first_piece_tells() -> None:
    clock = Clock()
    eta = Eta(100, None, clock)
    clock.now += 5
    assert eta.remaining_s() is None
    assert eta.advance(10) == pytest.approx(45.0)


def test_time_passes_between_the_pieces() -> None:
    clock = Clock()
    eta = Eta(100, 60.0, clock)
    clock.now += 10
    assert eta.remaining_s() == pytest.approx(50.0)


def test_a_piece_that_takes_for_ever_neither_ends_nor_goes_below_nothing() -> None:
    clock = Clock()
    eta = Eta(100, 60.0, clock)
    previous = math.inf
    for _ in range(200):
        left = eta.remaining_s()
        assert left is not None and 0 < left <= previous
        previous = left
        clock.now += 3


def test_more_than_all_is_all() -> None:
    clock = Clock()
    eta = Eta(100, 60.0, clock)
    assert eta.advance(-5) is not None and eta.share == 0.0
    assert eta.advance(1_000) == 0.0 and eta.share == 1.0
    with pytest.raises(ValueError):
        Eta(0, 60.0, clock)
