"""Issues at their bounds, the score's order, and what a verdict says."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from voicekit.assessment import CURVES, RAISED, RULES, SEVERITIES, Metrics, assess, metric_values, recommendations
from voicekit.quality import UNEVEN_LEVEL_LU

CODES = {"too_short", "too_quiet", "too_loud", "clipped", "noisy", "hum", "reverberant", "narrow_band", "dc_offset",
         "mostly_silence", "no_speech", "several_speakers", "out_of_phase", "uneven_level"}  # DESIGN section 3

GOOD = Metrics(
    duration_s=15.0, speech_s=12.5, silence_ratio=0.17, longest_pause_s=0.5, channels=1, sample_rate_hz=48_000,
    bandwidth_hz=15_000.0, loudness_lufs=-20.0, true_peak_dbtp=-3.0, speech_rms_dbfs=-20.0, noise_floor_dbfs=-65.0,
    snr_db=45.0, heard_snr_db=45.0, level_spread_lu=3.0, clipped_ratio=0.0, dc_offset=0.0, hum_db=0.0,
    reverb_rt60_s=0.25, speakers=1, dnsmos_sig=3.7, dnsmos_bak=4.1, dnsmos_ovrl=3.4,
)

WORSE = {  # an issue -> a metric and its values, from mild to severe
    "too_short": ("speech_s", (5.0, 4.0, 1.5)), "noisy": ("heard_snr_db", (25.0, 15.0, 5.0)),
    "clipped": ("clipped_ratio", (0.0002, 0.005, 0.2)), "reverberant": ("reverb_rt60_s", (0.5, 0.7, 1.2)),
    "hum": ("hum_db", (5.0, 12.0, 30.0)), "narrow_band": ("bandwidth_hz", (6_500.0, 5_000.0, 3_400.0)),
    "several_speakers": ("speakers", (2,)), "too_quiet": ("speech_rms_dbfs", (-32.0, -42.0, -62.0)),
    "too_loud": ("speech_rms_dbfs", (-12.0, -8.0)), "uneven_level": ("level_spread_lu", (6.5, 9.5, 15.0)),
    "mostly_silence": ("silence_ratio", (0.3, 0.45, 0.8)), "dc_offset": ("dc_offset", (-0.005, 0.05, -0.2)),
    "out_of_phase": ("channel_correlation", (-0.1, -0.5, -1.0)),
}


def test_every_code_of_the_contract_has_a_rule() -> None:
    assert {rule.code for rule in RULES} == CODES
    assert {severity for rule in RULES for severity in rule.bounds} <= set(SEVERITIES)


def test_a_good_sample_raises_nothing() -> None:
    found = assess(GOOD)
    assert (found.raised, found.verdict) == ((), "excellent")
    assert found.score > 95
    assert recommendations(found) == []


@pytest.mark.parametrize("code", WORSE)
def test_the_score_falls_with_every_step_for_the_worse(code: str) -> None:
    metric, values = WORSE[code]
    also = {"snr_db": values} if metric == "heard_snr_db" else {}
    scores = [assess(GOOD).score]
    for place, value in enumerate(values):
        worse = {metric: value} | {name: each[place] for name, each in also.items()}
        scores.append(assess(replace(GOOD, **worse)).score)
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == len(scores), scores


@pytest.mark.parametrize("code", WORSE)
def test_the_severe_level_is_raised_with_its_numbers(code: str) -> None:
    metric, values = WORSE[code]
    broken = {metric: values[-1]} | ({"snr_db": values[-1]} if code == "noisy" else {})
    issue = next(issue for issue in assess(replace(GOOD, **broken)).issues if issue.code == code)
    assert issue.severity in RAISED
    assert issue.value == pytest.approx(abs(values[-1]) if code == "dc_offset" else values[-1])
    assert issue.message and issue.fix and "{" not in issue.message


def test_a_code_comes_once_with_its_worst_severity() -> None:
    found = assess(replace(GOOD, snr_db=5.0, heard_snr_db=5.0, dnsmos_bak=1.2))
    assert [(issue.code, issue.severity) for issue in found.issues] == [("noisy", "error")]


@pytest.mark.parametrize(("snr_db", "bak", "is_noisy"), [
    (45.0, 2.0, True), (12.0, 4.2, True), (18.7, 4.13, False), (18.7, None, True), (22.9, 3.2, False),
    (21.0, 3.1, True), (21.0, None, False), (26.0, 3.0, False),
])
def test_two_witnesses_of_noise(snr_db: float, bak: float | None, is_noisy: bool) -> None:
    assert assess(replace(GOOD, snr_db=snr_db, dnsmos_bak=bak)).has("noisy") == is_noisy


def test_an_uneven_level_is_one_that_is_evened() -> None:
    rule = next(rule for rule in RULES if rule.code == "uneven_level")
    assert rule.bounds["warning"] == UNEVEN_LEVEL_LU


def test_where_nobody_speaks_nothing_else_is_said() -> None:
    found = assess(replace(GOOD, speech_s=0.0, silence_ratio=1.0, snr_db=None, heard_snr_db=None, speech_rms_dbfs=None))
    assert [issue.code for issue in found.issues] == ["no_speech"]
    assert found.verdict == "unusable"


def test_what_was_not_measured_neither_helps_nor_harms() -> None:
    bare = Metrics(duration_s=15.0, speech_s=12.5, silence_ratio=0.17, longest_pause_s=0.5, channels=1,
                   sample_rate_hz=48_000)
    assert assess(bare).score == pytest.approx(100.0)
    assert assess(bare).issues == ()


def test_the_score_is_the_product_of_its_parts() -> None:
    found = assess(replace(GOOD, heard_snr_db=12.0, clipped_ratio=0.02))
    assert found.score == pytest.approx(100 * math.prod(found.parts.values()), abs=0.1)
    assert all(0 <= quality <= 1 for quality in found.parts.values())


def test_curves_are_named_once_sorted_and_sourced() -> None:
    assert len({curve.part for curve in CURVES}) == len(CURVES)
    for curve in CURVES:
        at = [point for point, _ in curve.points]
        assert at == sorted(at) and curve.source
        assert hasattr(GOOD, curve.metric)


def test_metric_values_are_plain_and_rounded() -> None:
    values = metric_values(replace(GOOD, snr_db=12.345678))
    assert values["snr_db"] == 12.3457 and values["channels"] == 1 and values["hum_hz"] is None
