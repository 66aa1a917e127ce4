"""The improve command as a user meets it: files, folders, streams, exit codes, messages, the log.

The voice is samples/reference.wav, which the project made itself (synthetic speech).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import improve_voice_sample
from improve_voice_sample import Listener, analyze_voice_sample, main, optimize_voice_sample
from voicekit import denoising
from voicekit.assessment import Metrics
from voicekit.audio import Audio, read_recording, resample, to_mono
from voicekit.audio_writing import write_audio
from voicekit.errors import AudioError, OutputError
from voicekit.improvement import Improvement
from voicekit.planning import HARMLESS, STEPS, ImproveSettings
from voicekit.quality import loudness_lufs, true_peak_dbtp

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "samples" / "reference.wav"
RATE = 24_000

needs_a_denoiser = pytest.mark.skipif(not denoising.available(), reason="no denoiser has a package here")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def clean() -> Audio:
    return resample(to_mono(read_recording(REFERENCE)), RATE)


@pytest.fixture
def clean_file(clean: Audio, tmp_path: Path) -> Path:
    return write_audio(clean, tmp_path / "me.wav")


def noise_like(clean: Audio, snr_db: float) -> np.ndarray:
    noise = np.random.default_rng(7).standard_normal(len(clean.samples))
    return (np.std(clean.samples) * 10 ** (-snr_db / 20) * noise).astype(np.float32)


@pytest.fixture
def noisy_file(clean: Audio, tmp_path: Path) -> Path:
    return write_audio(Audio(clean.samples + noise_like(clean, 8.0), RATE), tmp_path / "noisy.wav")


def improve(*argv: str | Path) -> int:
    return main([*map(str, argv)])


def as_json(text: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return dict(json.loads(text, parse_constant=refuse))


class Keeps(Listener):
    """Keeps what `optimize_voice_sample` came to."""

    improvement: Improvement

    def done(self, improvement: Improvement) -> None:
        self.improvement = improvement


# --- the named functions --------------------------------------------------------------------------------------


def test_analysis_gives_every_metric_score_issues_and_advice(noisy_file: Path) -> None:
    found = analyze_voice_sample(noisy_file)
    assert set(found["metrics"]) == set(Metrics.__dataclass_fields__)
    assert found["metrics"]["snr_db"] == pytest.approx(9.5, abs=2.5)  # of the speech alone, not of the whole
    assert 0 <= found["score"] <= 100 and found["verdict"] in ("poor", "fair", "unusable")
    noisy = next(issue for issue in found["issues"] if issue["code"] == "noisy")
    assert noisy["severity"] in ("error", "warning") and noisy["mendable"]
    assert any("noise" in line for line in found["recommendations"])
    json.dumps(found, allow_nan=False)


def test_the_result_is_a_sample_as_promised(noisy_file: Path) -> None:
    before = noisy_file.read_bytes()
    path = optimize_voice_sample(noisy_file)
    assert path == str(noisy_file.with_name("noisy_improved.wav"))
    assert noisy_file.read_bytes() == before
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.subtype) == (24_000, 1, "PCM_16")
    written = to_mono(read_recording(path))
    loudness, peak = loudness_lufs(written), true_peak_dbtp(written)
    assert loudness is not None and peak is not None
    assert peak <= -2.9 and (abs(loudness + 20) < 0.5 or peak > -3.2)


@needs_a_denoiser
def test_a_noisy_sample_becomes_a_better_one(noisy_file: Path) -> None:
    keeps = Keeps()
    optimize_voice_sample(noisy_file, "out.wav", listener=keeps)
    before, after = keeps.improvement.before, keeps.improvement.after
    assert after.assessment.score > before.assessment.score + 10
    assert after.metrics.snr_db is not None and before.metrics.snr_db is not None
    assert after.metrics.snr_db > before.metrics.snr_db + 10
    assert {step.name for step in keeps.improvement.steps if step.applied} >= {"denoise", "loudness"}
    assert [step.name for step in keeps.improvement.steps] == list(STEPS)
    assert all(step.reason for step in keeps.improvement.steps)


def test_a_good_sample_gets_gain_trim_and_rate_at_most(tmp_path: Path) -> None:
    keeps = Keeps()
    optimize_voice_sample(REFERENCE, tmp_path / "a.wav", listener=keeps)
    assert keeps.improvement.before.assessment.raised == ()
    applied = {step.name for step in keeps.improvement.steps if step.applied}
    assert applied <= {"resample", "trim", "loudness"}
    source = resample(to_mono(read_recording(REFERENCE)), RATE)
    result = to_mono(read_recording(tmp_path / "a.wav"))
    kept = keeps.improvement.edits
    assert len(kept) == 1
    start = round(kept[0].start_s * RATE)
    laid_over = source.samples[start : start + len(result.samples)]
    gain = float(laid_over @ result.samples / (laid_over @ laid_over))
    inside = slice(RATE // 10, -RATE // 10)
    assert np.abs(result.samples[inside] - gain * laid_over[inside]).max() < 3 / 32768


@pytest.mark.parametrize("source", ["clean_file", "noisy_file"])
def test_a_second_time_changes_nothing(source: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    once = optimize_voice_sample(request.getfixturevalue(source), tmp_path / "once.wav")
    twice = optimize_voice_sample(once, tmp_path / "twice.wav")
    first, second = (to_mono(read_recording(path)) for path in (once, twice))
    assert abs(first.duration_s - second.duration_s) < 0.05
    levels = [loudness_lufs(audio) for audio in (first, second)]
    assert levels[0] is not None and levels[1] is not None and abs(levels[0] - levels[1]) < 0.5
    length = min(len(first.samples), len(second.samples))
    assert np.corrcoef(first.samples[:length], second.samples[:length])[0, 1] > 0.999


DEFECTS: dict[str, tuple[str, Callable[[Audio], np.ndarray]]] = {
    "clipped": ("declip", lambda audio: np.clip(audio.samples, -0.25 * peak(audio), 0.25 * peak(audio))),
    "dc_offset": ("dc_offset", lambda audio: audio.samples * 0.5 + 0.05),
    "too_quiet": ("loudness", lambda audio: audio.samples * 0.004),
    "hum": ("hum", lambda audio: audio.samples + hum(audio)),
    "out_of_phase": ("channel", lambda audio: np.stack([audio.samples, -audio.samples])),
    "mostly_silence": ("pauses", lambda audio: np.concatenate(
        [audio.samples[: 5 * RATE], np.zeros(9 * RATE), audio.samples[5 * RATE :]])),
}


def peak(audio: Audio) -> float:
    return float(np.abs(audio.samples).max())


def hum(audio: Audio) -> np.ndarray:
    time = np.arange(len(audio.samples)) / RATE
    return sum(0.05 / k * np.sin(2 * np.pi * 50 * k * time + k) for k in range(1, 7))


@pytest.mark.parametrize("code", DEFECTS)
def test_each_defect_is_named_and_mended(code: str, clean: Audio, tmp_path: Path) -> None:
    step, spoil = DEFECTS[code]
    soundfile.write(tmp_path / "bad.wav", np.atleast_2d(spoil(clean)).T, RATE, subtype="FLOAT")
    keeps = Keeps()
    optimize_voice_sample(tmp_path / "bad.wav", tmp_path / "out.wav", listener=keeps)
    before, after = keeps.improvement.before.assessment, keeps.improvement.after.assessment
    assert before.has(code), before.issues
    assert not after.has(code), after.issues
    assert after.score > before.score
    assert step in {each.name for each in keeps.improvement.steps if each.applied}


def test_clipping_is_mended_where_an_offset_was_taken_out_first(clean: Audio, tmp_path: Path) -> None:
    top = 0.2 * peak(clean)
    soundfile.write(tmp_path / "bad.wav", np.clip(clean.samples, -top, top) + 0.06, RATE, subtype="FLOAT")
    keeps = Keeps()
    optimize_voice_sample(tmp_path / "bad.wav", tmp_path / "out.wav", listener=keeps)
    assert {step.name for step in keeps.improvement.steps if step.applied} >= {"dc_offset", "declip"}
    assert not keeps.improvement.after.assessment.has("clipped")


def test_what_scores_less_is_made_again_without_risk(
    noisy_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No known recording comes out worse, so the first result is said to be worthless."""
    make, scores = improve_voice_sample._make, iter([0.0])

    def makes(*arguments: Any) -> Any:
        made = make(*arguments)
        judged = replace(made.after.assessment, score=next(scores, made.after.assessment.score))
        return replace(made, after=replace(made.after, assessment=judged))

    monkeypatch.setattr(improve_voice_sample, "_make", makes)
    keeps = Keeps()
    optimize_voice_sample(noisy_file, tmp_path / "out.wav", listener=keeps)
    assert {step.name for step in keeps.improvement.steps if step.applied} <= set(HARMLESS)
    denoise = next(step for step in keeps.improvement.steps if step.name == "denoise")
    assert denoise.reason == "it did not make it better" or not denoising.available()
    assert keeps.improvement.after.assessment.has("noisy")  # the file on the disk is the careful one


def test_of_two_results_the_better_one_stays(
    noisy_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound is set where every result is made again; without denoising it is worse."""
    monkeypatch.setattr(improve_voice_sample, "LEAST_LOSS", -100.0)
    keeps = Keeps()
    written = optimize_voice_sample(noisy_file, tmp_path / "out.wav", listener=keeps)
    monkeypatch.undo()
    assert Path(written).read_bytes() == Path(optimize_voice_sample(noisy_file, tmp_path / "once.wav")).read_bytes()
    assert keeps.improvement.after.assessment.score > keeps.improvement.before.assessment.score


def test_the_edit_list_leads_back_to_the_source(clean: Audio, tmp_path: Path) -> None:
    quiet = np.random.default_rng(0).standard_normal(4 * RATE) * 1e-4
    source = np.concatenate([quiet, clean.samples[: 5 * RATE], quiet, quiet, clean.samples[5 * RATE :], quiet])
    soundfile.write(tmp_path / "gaps.wav", source, RATE, subtype="FLOAT")
    keeps = Keeps()
    result = to_mono(read_recording(optimize_voice_sample(tmp_path / "gaps.wav", tmp_path / "o.wav", listener=keeps)))
    laid = np.concatenate([source[round(kept.start_s * RATE) : round(kept.end_s * RATE)]
                           for kept in keeps.improvement.edits])
    assert len(keeps.improvement.edits) > 1 and len(laid) == len(result.samples)
    assert np.corrcoef(laid, result.samples)[0, 1] > 0.99


# --- what is refused ------------------------------------------------------------------------------------------


def write_bad(path: Path, kind: str) -> Path:
    rng = np.random.default_rng(0)
    samples: dict[str, np.ndarray] = {
        "silence": np.zeros(2 * RATE), "0.2 s": rng.standard_normal(RATE // 5) * 0.1,
        "NaN": np.full(2 * RATE, np.nan), "many channels": rng.standard_normal((2 * RATE, 32)) * 0.1,
        "noise": rng.standard_normal(4 * RATE) * 0.1,
    }
    if kind in samples:
        soundfile.write(path, samples[kind], RATE, subtype="FLOAT")
    else:
        path.write_bytes({"empty": b"", "text": b"I am no sound.\n" * 50, "header": REFERENCE.read_bytes()[:40]}[kind])
    return path


@pytest.mark.parametrize("kind", ["empty", "text", "header", "silence", "0.2 s", "NaN", "many channels", "noise"])
def test_bad_input_is_told_and_nothing_is_written(
    kind: str, tmp_path: Path, clean_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = write_bad(tmp_path / "bad.wav", kind)
    assert improve(bad, clean_file, "-o", tmp_path / "out", "--json") == 1
    said = capsys.readouterr()
    result = as_json(said.out)
    assert result["status"] == "error" and result["error"]["message"]
    first, second = result["samples"]
    assert first["status"] == "error" and first["output"] is None and isinstance(first["issues"], list)
    assert first["error"]["hint"] and "Error:" in said.err and "Traceback" not in said.err
    assert f"run {result['run_id']}" in said.err
    assert second["status"] == "ok" and Path(second["output"]).is_file()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["me_improved.wav"]


def test_noise_is_analysed_but_not_improved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise = write_bad(tmp_path / "noise.wav", "noise")
    assert improve(noise, "--analyze-only", "--json") == 0
    sample = as_json(capsys.readouterr().out)["samples"][0]
    issue = sample["issues"][0]
    assert (sample["status"], issue["code"], issue["severity"]) == ("ok", "no_speech", "error")
    assert improve(noise, "--json") == 1
    assert as_json(capsys.readouterr().out)["samples"][0]["issues"][0]["code"] == "no_speech"


def test_missing_files_and_empty_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert improve("nothing.wav") == 1
    assert improve(tmp_path / "empty", REFERENCE, "--analyze-only") == 1
    said = capsys.readouterr()
    assert "There is no file 'nothing.wav'" in said.err and "there is no recording" in said.err
    assert "reference.wav" in said.out  # the good one was done


def test_the_recording_is_never_overwritten(clean_file: Path) -> None:
    for overwrite in (False, True):
        with pytest.raises(OutputError):
            optimize_voice_sample(clean_file, clean_file, settings=ImproveSettings(overwrite=overwrite))
    with pytest.raises(AudioError):
        analyze_voice_sample(clean_file.with_name("other.wav"))


def test_an_existing_result_needs_force(clean_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert improve(clean_file, "-o", "out.wav", "-q") == 0
    made = Path("out.wav").read_bytes()
    assert improve(clean_file, "-o", "out.wav", "-q") == 1
    assert "--force" in capsys.readouterr().err
    assert improve(clean_file, "-o", "out.wav", "-q", "--force") == 0
    assert Path("out.wav").read_bytes() == made  # and the same input gives the same bytes


@pytest.mark.parametrize("argv", [[], ["a.wav", "--analyze-only", "-o", "b.wav"], ["a.wav", "--denoise", "much"],
                                  ["a.wav", "--min-score", "101"], [""], ["a.wav", "--bogus"]])
def test_wrong_usage(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(argv)
    assert left.value.code == 2


# --- the command ----------------------------------------------------------------------------------------------


def test_a_person_reads_verdict_scores_and_place(noisy_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert improve(noisy_file) == 0
    said = capsys.readouterr()
    assert said.out.strip() == str(noisy_file.with_name("noisy_improved.wav"))
    assert "before [" in said.err and "after  [" in said.err and "noisy_improved.wav" in said.err
    assert len(said.err.splitlines()) < 12


def test_analyze_only_writes_nothing(noisy_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert improve(noisy_file, "--analyze-only") == 0
    score, verdict, path = capsys.readouterr().out.split(maxsplit=2)
    assert 0 <= float(score) <= 100 and verdict and path.strip() == str(noisy_file)
    assert list(tmp_path.iterdir()) == [noisy_file]


def test_a_dry_run_says_the_plan_and_writes_nothing(
    noisy_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert improve(noisy_file, "--dry-run", "--json") == 0
    said = capsys.readouterr()
    plan = as_json(said.out)["samples"][0]["plan"]
    assert [step["name"] for step in plan] == list(STEPS) and all(step["reason"] for step in plan)
    assert {step["name"]: step["wanted"] for step in plan}["denoise"] == bool(denoising.available())
    assert "Plan (nothing was written)" in said.err
    assert improve(noisy_file, "--dry-run", "-o", "folder/") == 0
    assert list(tmp_path.iterdir()) == [noisy_file]


@pytest.mark.parametrize("dry", [["--dry-run"], []])
@pytest.mark.parametrize("place", ["none/deep/", "none/x.wav"])
def test_a_dry_run_refuses_the_places_that_the_run_does(
    noisy_file: Path, tmp_path: Path, place: str, dry: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert improve(noisy_file, "-o", f"{tmp_path}/{place}", *dry) == 1
    assert "none" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [noisy_file]


def test_a_folder_is_ranked_and_the_best_named(
    clean_file: Path, noisy_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("no recording")
    assert improve(tmp_path, "-o", tmp_path / "out", "--denoise", "off") == 0
    said = capsys.readouterr()
    assert f"Best of 2: {clean_file}" in said.err
    assert said.out.split() == [str(tmp_path / "out" / f"{name}_improved.wav") for name in ("me", "noisy")]
    assert improve(tmp_path) == 0
    assert improve(tmp_path, "--analyze-only", "--json") == 0
    inputs = [sample["input"] for sample in as_json(capsys.readouterr().out.splitlines()[-1])["samples"]]
    assert inputs == [str(clean_file), str(noisy_file)]  # results of an earlier run are left out


def test_equal_stems_get_names_of_their_own(clean: Audio, tmp_path: Path) -> None:
    paths = [write_audio(clean, tmp_path / name) for name in ("a.wav", "a.flac")]
    assert improve(*paths, "-o", tmp_path / "out", "-q") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a_improved.wav", "a_improved_2.wav"]


def test_no_recording_of_a_batch_is_a_result_of_another(clean: Audio, noisy_file: Path, tmp_path: Path) -> None:
    first = write_audio(clean, tmp_path / "a.wav")
    second = Path(shutil.copy(noisy_file, tmp_path / "a_improved.wav"))
    before = second.read_bytes()
    assert improve(first, second, "-o", tmp_path, "--force", "-q") == 0
    assert second.read_bytes() == before
    made = {path.name for path in tmp_path.glob("*.wav")} - {"a.wav", "a_improved.wav"}
    assert {"a_improved_2.wav", "a_improved_improved.wav"} <= made


def test_min_score_counts_the_result_and_keeps_the_file(noisy_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert improve(noisy_file, "--min-score", "1", "-o", "a.wav") == 0
    assert improve(noisy_file, "--min-score", "100", "-o", "b.wav") == 1
    assert Path("b.wav").is_file() and "Under 100 of 100" in capsys.readouterr().err
    assert improve(noisy_file, "--min-score", "99", "--analyze-only") == 1


def test_denoise_off_and_strong(noisy_file: Path, clean_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def denoised(path: Path, choice: str) -> dict[str, Any]:
        assert improve(path, "--denoise", choice, "-o", "x.wav", "--force", "--json", "-q") == 0
        steps = as_json(capsys.readouterr().out)["samples"][0]["steps"]
        return next(step for step in steps if step["name"] == "denoise")

    off = denoised(noisy_file, "off")
    assert (off["applied"], off["reason"]) == (False, "switched off")
    if denoising.available():
        assert "60 dB" in denoised(noisy_file, "strong")["reason"]
        assert "12 dB" in denoised(clean_file, "light")["reason"]


def test_without_dnsmos_its_metrics_are_null(noisy_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert improve(noisy_file, "--no-dnsmos", "--json") == 0
    sample = as_json(capsys.readouterr().out)["samples"][0]
    assert sample["metrics"]["before"]["dnsmos_ovrl"] is None
    assert "opinion" not in sample["score_parts"]["after"]


def test_json_is_whole(noisy_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert improve(noisy_file, "--json") == 0
    result = as_json(capsys.readouterr().out)
    assert result["schema"] == 1 and result["status"] == "ok" and result["run_id"]
    timings = result["timings_s"]
    parts = sum(seconds for stage, seconds in timings.items() if stage != "total")
    assert parts == pytest.approx(timings["total"], rel=0.05, abs=0.05)
    sample = result["samples"][0]
    assert {"input", "output", "status", "error", "score", "metrics", "issues", "steps", "edits"} <= set(sample)
    assert set(sample["score"]) == set(sample["metrics"]) == {"before", "after"}


def test_report_and_plot(noisy_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert improve(noisy_file, "--report", "r.html", "--plot", "p.png") == 0
    page = Path("r.html").read_text("utf-8")
    assert "noisy" in page and page.count("<audio") == 2
    assert Path("p.png").read_bytes().startswith(b"\x89PNG")
    assert improve(noisy_file, "--report", "r.html") == 1  # said before anything slow
    assert "exists already" in capsys.readouterr().err


def test_the_log_tells_each_metric_step_and_advice(noisy_file: Path, tmp_path: Path) -> None:
    assert improve(noisy_file, "--log-dir", tmp_path / "logs") == 0
    log = (tmp_path / "logs" / "voice_cloning.log").read_text("utf-8")
    for wanted in ("optimize_voice_sample() - START", "Input file: ", "Analysis step: Levels and noise - Duration: ",
                   "snr db: ", "Score: ", "Issue: noisy", "Recommendation: ",
                   "Optimisation step: loudness - Duration: ", "Optimisation step: dc_offset - skipped: ",
                   "Output file: ", "optimize_voice_sample() - END"):
        assert wanted in log, wanted


def test_help_is_light() -> None:
    """Nothing of torch or TTS is imported, not even by a whole run."""
    code = ("import sys; sys.path.insert(0, sys.argv[1]); import improve_voice_sample as f;"
            "f.main([sys.argv[2], '-o', 'x.wav', '-q', '--report', 'r.html']);"
            "print([m for m in ('torch', 'TTS', 'torchaudio', 'transformers', 'silero_vad') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code, str(ROOT), str(REFERENCE)], capture_output=True, text=True,
                          check=True)
    assert done.stdout.splitlines()[-1] == "[]"
