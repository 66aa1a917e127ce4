"""The clone command as a user meets it: files, streams, exit codes, messages, the log.

Most tests call `main` in this process, on the real XTTS classes over the tiny untrained checkpoint.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import simple_voice_clone
from simple_voice_clone import CloneSettings, clone_voice_simple, main, preprocess_audio_for_best_quality
from tests.voices import talking
from voicekit import command_line, journal, run_records
from voicekit.audio import Audio, read_recording
from voicekit.audio_writing import write_audio
from voicekit.clone_flags import settings_of
from voicekit.cloning import MOST_SAMPLE_S
from voicekit.errors import AudioError, OutputError, VoiceError
from voicekit.quality import loudness_lufs, true_peak_dbtp
from voicekit.text import Gaps

ROOT = Path(__file__).resolve().parent.parent
TEXT = "Hello there, this is a test."
TWO_SEGMENTS = "The first paragraph is short.\n\nSo is the second one."

pytestmark = pytest.mark.usefixtures("tiny_checkpoint")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def clone(*argv: str | Path) -> int:
    return main(["--model", "rehearsal-tiny", *map(str, argv)])


def as_json(text: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return dict(json.loads(text, parse_constant=refuse))


def log_lines() -> list[str]:
    return (Path(os.environ["VOICE_CLONING_LOG_DIR"]) / "voice_cloning.log").read_text("utf-8").splitlines()


# --- the main job ---------------------------------------------------------------------------------------------


def test_a_text_and_a_recording_become_speech(voice_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clone("--text", TEXT, "--voice", voice_file, "--seed", "1") == 0
    out, err = capsys.readouterr()
    assert out == "cloned_voice.wav\n"
    assert "NOISE" in err
    info = soundfile.info("cloned_voice.wav")
    assert (info.samplerate, info.channels, info.subtype, info.format) == (24_000, 1, "PCM_16", "WAV")
    samples, _ = soundfile.read("cloned_voice.wav")
    assert 0.3 < len(samples) / 24_000 < 27.96
    assert 0.01 < np.abs(samples).max() < 1.0


def test_of_a_long_recording_only_the_beginning_is_read(tmp_path: Path) -> None:
    long, spoken = tmp_path / "long.flac", talking(20.0, 8_000).samples
    with soundfile.SoundFile(long, "w", 8_000, 1) as file:
        for _ in range(20):
            file.write(spoken)
    whole = long.read_bytes()
    long.write_bytes(whole[: int(0.9 * len(whole))])  # who reads all of it meets the damage at 360 s
    with pytest.raises(AudioError):
        read_recording(long)
    prepared = preprocess_audio_for_best_quality(long, tmp_path / "prepared.wav")
    assert 290 < soundfile.info(prepared).duration <= MOST_SAMPLE_S


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(voice_file: Path) -> None:
    for name, seed in (("a.wav", "7"), ("b.wav", "7"), ("c.wav", "8")):
        journal.remove_old(days=0)  # what was spoken before would be taken as it is
        assert clone("--text", TEXT, "--voice", voice_file, "--seed", seed, "-o", name) == 0
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()
    assert Path("a.wav").read_bytes() != Path("c.wav").read_bytes()


def test_json_tells_everything(voice_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clone("--text", TWO_SEGMENTS, "--voice", voice_file, "--json", "-o", "out.wav") == 0
    result = as_json(capsys.readouterr().out)
    assert set(result) == {
        "schema", "status", "output", "duration_s", "sample_rate", "language", "device", "precision", "seed", "model",
        "segments", "timings_s", "rtf", "memory_mb", "warnings", "run_id", "similarity", "subtitles",
        "batch_size", "reused",
    }
    assert (result["status"], result["output"], result["sample_rate"]) == ("ok", "out.wav", 24_000)
    assert isinstance(result["seed"], int)  # drawn, and told
    info = soundfile.info("out.wav")
    assert result["duration_s"] == pytest.approx(info.frames / 24_000, abs=1e-3)
    first, second = result["segments"]
    assert set(first) == {"index", "start_s", "end_s", "codes", "tries", "faults", "rejected", "gain_db", "reused",
                          "missing"}  # fmt: skip
    assert -1 <= result["similarity"] <= 1
    assert first["start_s"] == 0
    assert second["start_s"] > first["end_s"]  # a gap lies between them
    assert second["end_s"] == pytest.approx(result["duration_s"], abs=2e-3)


def test_times_by_stage_add_up_to_the_total(voice_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clone("--text", TEXT, "--voice", voice_file, "--json") == 0
    timings = as_json(capsys.readouterr().out)["timings_s"]
    total = timings.pop("total")
    assert set(timings) == {"import", "preprocess", "load_model", "condition_voice", "generate", "vocode", "write"}
    assert sum(timings.values()) == pytest.approx(total, rel=0.02)


def test_segments_are_joined_without_clicks_and_with_a_gap(
    voice_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clone("--text", TWO_SEGMENTS, "--voice", voice_file, "--json", "-o", "out.wav", "--seed", "2") == 0
    first, second = as_json(capsys.readouterr().out)["segments"]
    samples, rate = soundfile.read("out.wav")
    gap = samples[round(first["end_s"] * rate) : round(second["start_s"] * rate)]
    assert len(gap) / rate == pytest.approx(Gaps().paragraph_s, abs=0.002)
    assert not gap[24:-24].any()  # the times are told to the millisecond
    for edge in (first["start_s"], first["end_s"], second["start_s"], second["end_s"]):
        at = min(max(round(edge * rate), 0), len(samples) - 1)
        assert np.abs(samples[max(at - 2, 0) : at + 2]).max() < 0.01


def test_several_samples_all_count(voice_file: Path, other_voice_file: Path) -> None:
    for name, voices in (("one.wav", [voice_file]), ("two.wav", [voice_file, other_voice_file])):
        flags = [flag for voice in voices for flag in ("--voice", str(voice))]
        assert clone("--text", TEXT, *flags, "--temperature", "0", "-o", name) == 0
    assert Path("one.wav").read_bytes() != Path("two.wav").read_bytes()


def test_greedy_needs_no_seed(voice_file: Path) -> None:
    for name, seed in (("a.wav", "1"), ("b.wav", "2")):
        assert clone("--text", TEXT, "--voice", voice_file, "--temperature", "0", "--seed", seed, "-o", name) == 0
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()


def test_without_preprocessing_level_and_length_are_left_alone(voice_file: Path) -> None:
    quiet = write_audio(Audio(talking(8.0).samples * np.float32(0.1), 22_050), "quiet.wav")
    for name, flags in (("prepared.wav", []), ("as_is.wav", ["--no-preprocess"])):
        assert clone("--text", TEXT, "--voice", quiet, "--temperature", "0", "-o", name, *flags) == 0
    assert Path("prepared.wav").read_bytes() != Path("as_is.wav").read_bytes()


def test_narrow_precision_speaks_too(voice_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clone("--text", TEXT, "--voice", voice_file, "--precision", "bfloat16", "--json") == 0
    assert as_json(capsys.readouterr().out)["precision"] == "bfloat16"


def test_speed_changes_the_length(voice_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lengths = []
    for speed in ("1", "2"):
        assert clone("--text", TEXT, "--voice", voice_file, "--temperature", "0", "--speed", speed, "--json") == 0
        lengths.append(as_json(capsys.readouterr().out)["duration_s"])
    assert lengths[0] / lengths[1] == pytest.approx(2, rel=0.05)


# --- streams --------------------------------------------------------------------------------------------------


def test_text_from_stdin_and_audio_to_stdout(voice_file: Path) -> None:
    command = [sys.executable, str(ROOT / "simple_voice_clone.py"), "--text-file", "-", "--voice", str(voice_file),
               "--model", "rehearsal-tiny", "-o", "-"]
    done = subprocess.run(command, input=TEXT.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    samples, rate = soundfile.read(io.BytesIO(done.stdout))
    assert rate == 24_000
    assert len(samples) > 5_000
    assert os.listdir() == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk without room")
@pytest.mark.parametrize("flags", [["-o", "-"], ["--json", "-o", "out.wav"]])
def test_a_stdout_that_cannot_be_written_is_told(voice_file: Path, flags: list[str]) -> None:
    command = [sys.executable, str(ROOT / "simple_voice_clone.py"), "--text", TEXT, "--voice", str(voice_file),
               "--model", "rehearsal-tiny", *flags]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    said = done.stderr.decode()
    assert done.returncode == 1
    assert "cannot be written to stdout" in said
    assert "Traceback" not in said
    assert "Internal error" not in said


def test_text_files_with_a_byte_order_mark(voice_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.txt").write_bytes("\ufeffHello there, this is a test.".encode())
    Path("b.txt").write_bytes(TEXT.encode())
    for name in ("a", "b"):
        files = ("--text-file", f"{name}.txt", "-o", f"{name}.wav")
        assert clone(*files, "--voice", voice_file, "--temperature", "0") == 0
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()


def test_quiet_says_nothing(voice_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clone("--text", TEXT, "--voice", voice_file, "-q") == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("cloned_voice.wav\n", "")


# --- outputs --------------------------------------------------------------------------------------------------


def test_without_a_name_the_next_free_one_is_taken(voice_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert clone("--text", TEXT, "--voice", voice_file) == 0
    assert capsys.readouterr().out == "cloned_voice.wav\ncloned_voice_2.wav\n"


def test_an_existing_output_is_kept_without_force(voice_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.wav").write_bytes(b"precious")
    assert clone("--text", TEXT, "--voice", voice_file, "-o", "mine.wav") == 1
    assert Path("mine.wav").read_bytes() == b"precious"
    assert "--force" in capsys.readouterr().err
    assert clone("--text", TEXT, "--voice", voice_file, "-o", "mine.wav", "--force") == 0
    assert soundfile.info("mine.wav").frames > 0


def test_a_sample_is_never_overwritten_even_with_force(
    voice_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("me.wav").write_bytes(voice_file.read_bytes())
    Path("link.wav").symlink_to("me.wav")
    for name in ("me.wav", "link.wav"):
        assert clone("--text", TEXT, "--voice", "me.wav", "-o", name, "--force") == 1
    assert "is an input itself" in capsys.readouterr().err
    assert Path("me.wav").read_bytes() == voice_file.read_bytes()


def test_other_formats_by_the_ending(voice_file: Path) -> None:
    for ending in ("flac", "mp3", "ogg"):
        assert clone("--text", TEXT, "--voice", voice_file, "-o", f"out.{ending}") == 0
        assert soundfile.info(f"out.{ending}").frames > 5_000


def test_dry_run_writes_nothing(voice_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clone("--text", TWO_SEGMENTS, "--voice", voice_file, "--dry-run", "--json") == 0
    result = as_json(capsys.readouterr().out)
    assert (result["dry_run"], result["segment_count"], result["model_state"]) == (True, 2, "here")
    assert os.listdir() == []


def test_dry_run_of_the_release_never_downloads(voice_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--text", TEXT, "--voice", str(voice_file), "--dry-run"]) == 0
    assert "would be downloaded" in capsys.readouterr().err


# --- the wrong things a person types ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--text", "x"],
        ["--voice", "v.wav"],
        ["--text", "x", "--text-file", "y", "--voice", "v.wav"],
        ["--text", "x", "--voice", "v.wav", "--language", "klingon"],
        ["--text", "x", "--voice", "v.wav", "--temperature", "-1"],
        ["--text", "x", "--voice", "v.wav", "--temperature", "nan"],
        ["--text", "x", "--voice", "v.wav", "--top-p", "1.5"],
        ["--text", "x", "--voice", "v.wav", "--seed", "-3"],
        ["--text", "x", "--voice", "v.wav", "--device", "gpu"],
        ["--text", "x", "--voice", "v.wav", "--threads", "0"],
        ["--text", "x", "--voice", "v.wav", "--json", "-o", "-"],
        ["--text", "x", "--voice", "v.wav", "--tex", "y"],
        ["--text", "x", "--voice", "v.wav", "-q", "--debug"],
        ["--text", "x", "--voice", "v.wav", "-o", ""],
        ["--text", "x", "--voice", "v.wav", "--temperature", "1e-40"],
    ],
)
def test_wrong_usage_is_exit_2(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(flags)
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err
    assert os.listdir() == []


def make_bad_inputs() -> None:
    Path("empty.wav").write_bytes(b"")
    Path("text.wav").write_text("this is no audio")
    write_audio(Audio(np.zeros(48_000, np.float32), 24_000), "silent.wav")
    write_audio(Audio(talking(8.0).samples[:2_000], 22_050), "short.wav")
    Path("folder").mkdir()
    Path("broken").mkdir()
    Path("picture.txt").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"--text": ""}, 1, "nothing that can be spoken"),
        ({"--text": " ... "}, 1, "nothing that can be spoken"),
        ({"--text": None, "--text-file": "missing.txt"}, 1, "cannot be read"),
        ({"--text": None, "--text-file": ""}, 1, "cannot be read"),
        ({"--text": "w" * 300}, 1, "300 characters"),
        ({"-o": "x" * 300 + ".wav"}, 1, "no usable name"),
        ({"--text": None, "--text-file": "picture.txt"}, 1, "PNG"),
        ({"--voice": "missing.wav"}, 1, "no file"),
        ({"--voice": "empty.wav"}, 1, "empty"),
        ({"--voice": "text.wav"}, 1, "text.wav"),
        ({"--voice": "folder"}, 1, "folder"),
        ({"--voice": "silent.wav"}, 1, "silent"),
        ({"--voice": "short.wav"}, 1, "too short"),
        ({"-o": "nowhere/out.wav"}, 1, "no folder"),
        ({"-o": "out.xyz"}, 1, "known audio format"),
        ({"-o": "folder"}, 1, "folder"),
        ({"--model": "missing_model"}, 3, "no model folder"),
        ({"--model": "broken"}, 1, "config.json"),
        ({"--model": "xtts_v2", "--offline": None}, 3, "--offline"),
        ({"--model": "xtts_v2"}, 3, "--accept-license"),
        ({"--device": "cuda:99"}, 3, "CUDA"),
    ],
)
def test_bad_input_is_told_clearly(
    changes: dict[str, str | None],
    code: int,
    says: str,
    voice_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_bad_inputs()
    before = sorted(os.listdir())
    flags: dict[str, str | None] = {"--text": TEXT, "--voice": str(voice_file), "--model": "rehearsal-tiny"}
    flags |= {"-o": "out.wav", **changes}
    argv = [part for flag, value in flags.items() if value is not None for part in (flag, value)]
    argv += [flag for flag, value in flags.items() if value is None and flag == "--offline"]
    assert main(argv) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert "Traceback" not in err
    assert re.search(r"Log: .*voice_cloning\.log, run \d{8}-\d{6}-\w+", err)
    assert sorted(os.listdir()) == before


def test_errors_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert clone("--text", TEXT, "--voice", "missing.wav", "--json") == 1
    result = as_json(capsys.readouterr().out)
    assert result["status"] == "error"
    assert result["error"]["type"] == "AudioError"
    assert set(result) == {"schema", "status", "error", "run_id"}


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert clone("--text", TEXT, "--voice", "missing.wav", "--debug") == 1
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_is_130_and_leaves_nothing(
    voice_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The interrupt comes in the middle of speaking, when the decoder asks for its next code."""
    from voicekit import tts_model

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tts_model, "decode", interrupted)
    assert clone("--text", TEXT, "--voice", voice_file) == 130
    assert "Interrupted" in capsys.readouterr().err
    assert os.listdir() == []


def test_the_answer_to_a_wrong_flag_or_a_missing_file_needs_no_torch() -> None:
    """Half a second is a figure for the bench; what decides it is that nothing heavy is imported."""
    script = str(ROOT / "simple_voice_clone.py")
    for argv in (["--help"], ["--nonsense"], ["--text", "x", "--voice", "missing.wav"]):
        command = [sys.executable, "-X", "importtime", script, *argv]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        imported = set(re.findall(r"\|\s+([\w.]+)$", done.stderr, re.MULTILINE))
        assert "argparse" in imported
        assert not imported & {"torch", "TTS", "librosa", "scipy", "transformers", "huggingface_hub", "rich"}


# --- the named functions ---------------------------------------------------------------------------------------


def test_preprocessing_gives_what_it_promises() -> None:
    stereo = np.stack([talking(9.0, 48_000).samples * 0.2, talking(9.0, 48_000).samples * 0.2], axis=1)
    padded = np.concatenate([np.zeros((72_000, 2)), stereo, np.zeros((72_000, 2))])
    soundfile.write("in.wav", padded, 48_000, subtype="PCM_24")
    path = preprocess_audio_for_best_quality("in.wav", "out.wav")
    assert path == "out.wav"
    samples, rate = soundfile.read(path, dtype="float32")
    assert (samples.ndim, rate) == (1, 22_050)
    audio = Audio(samples, rate)
    level, peak = loudness_lufs(audio), true_peak_dbtp(audio)
    assert level is not None
    assert peak is not None
    assert peak <= -2.95
    assert abs(level + 20) < 0.15 or abs(peak + 3) < 0.15  # at the target, or as near as the peak allows
    assert audio.duration_s < 9.5  # the silence at its ends is gone


def test_preprocessing_twice_changes_nothing_more() -> None:
    write_audio(talking(9.0), "in.wav")
    once = soundfile.read(preprocess_audio_for_best_quality("in.wav", "once.wav"), dtype="float32")[0]
    twice = soundfile.read(preprocess_audio_for_best_quality("once.wav", "twice.wav"), dtype="float32")[0]
    assert abs(len(once) - len(twice)) < 0.05 * 22_050
    a, b = loudness_lufs(Audio(once, 22_050)), loudness_lufs(Audio(twice, 22_050))
    assert a is not None
    assert b is not None
    assert abs(a - b) < 0.5


def test_clone_voice_simple_gives_the_path_and_raises_its_own_errors(voice_file: Path) -> None:
    settings = CloneSettings(model="rehearsal-tiny", seed=1)
    path = clone_voice_simple(TEXT, voice_file, "api.wav", settings=settings)
    assert path == "api.wav"
    assert soundfile.info(path).frames > 5_000
    with pytest.raises(OutputError):
        clone_voice_simple(TEXT, voice_file, "api.wav", settings=settings)
    with pytest.raises(AudioError):
        clone_voice_simple(TEXT, "missing.wav", "other.wav", settings=settings)
    with pytest.raises(VoiceError):
        clone_voice_simple(TEXT, voice_file, "other.wav", language="xx", settings=settings)


def test_input_files_are_never_changed(voice_file: Path) -> None:
    before = (voice_file.read_bytes(), voice_file.stat().st_mtime_ns)
    assert clone("--text", TEXT, "--voice", voice_file) == 0
    assert (voice_file.read_bytes(), voice_file.stat().st_mtime_ns) == before


# --- the log --------------------------------------------------------------------------------------------------

LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - (DEBUG|INFO|WARNING|ERROR|CRITICAL) - [A-Za-z0-9_.]+ - .+$")
PHRASES = (
    r"clone_voice_simple\(\) - START",
    r"Input: text_length=27, speaker_audio=.*, language=en",
    r"Audio preprocessing started",
    r"Preprocessing step: Converted to mono - Duration: [\d.]+s",
    r"Preprocessing step: Sample rate optimization - Duration: [\d.]+s",
    r"Preprocessing step: Silence trimming - Duration: [\d.]+s",
    r"Preprocessing step: Compression - Duration: [\d.]+s",
    r"Preprocessing step: Normalization - Duration: [\d.]+s",
    r"Preprocessing completed - Total time: [\d.]+s, Memory: [\d.]+ [KMG]B",
    r"Model loading started",
    r"Model loaded - Duration: [\d.]+s, Memory: [\d.]+ [KMG]B, GPU: .+",
    r"Voice cloning started",
    r"Voice cloning completed - Duration: [\d.]+s",
    r"Output saved: cloned_voice\.wav, Duration: [\d.]+s",
    r"clone_voice_simple\(\) - END - Total execution time: [\d.]+s",
)


def test_the_log_holds_the_contract_in_order(voice_file: Path) -> None:
    already = len(log_lines())
    assert clone("--text", TEXT[:27], "--voice", voice_file) == 0
    lines = log_lines()[already:]
    assert all(LINE.match(line) or line.startswith("    ") for line in lines)
    messages = [line.split(" - ", 3)[3] for line in lines if " - simple_voice_clone - " in line]
    at = 0
    for phrase in PHRASES:
        found = next((i for i, message in enumerate(messages[at:], at) if re.match(phrase, message)), None)
        assert found is not None, f"{phrase!r} is missing, or out of order"
        at = found + 1


def test_the_log_never_holds_the_spoken_words(voice_file: Path) -> None:
    secret = "Xylophone umbrellas whisper quietly"
    assert clone("--text", secret, "--voice", voice_file, "--debug") == 0
    assert clone("--text", "y" * 400 + secret, "--voice", voice_file, "--debug") == 1
    logs = Path(os.environ["VOICE_CLONING_LOG_DIR"])
    for path in logs.rglob("*"):
        if path.is_file():
            assert "xylophone" not in path.read_text("utf-8", errors="replace").lower(), path.name


def test_the_history_has_one_line_a_run(voice_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert clone("--text", TEXT, "--voice", voice_file, "--json") == 0
    run_id = as_json(capsys.readouterr().out)["run_id"]
    records = (Path(os.environ["VOICE_CLONING_LOG_DIR"]) / "runs.jsonl").read_text("utf-8").splitlines()
    mine = [as_json(line) for line in records if run_id in line]
    assert len(mine) == 1
    assert mine[0]["exit_code"] == 0
    assert mine[0]["timings_s"]["generate"] > 0
    assert mine[0]["settings"] == {"tempo": 1.0}


@pytest.mark.parametrize(("given", "kept"), [
    ((), {"tempo": 1.0}),
    (("--tempo", "0.8", "--speed", "1.5"), {"tempo": 0.8, "speed": 1.5}),
    (("--sample-rate", "48000"), {"tempo": 1.0, "sample_rate": 48_000}),
    (("-o", "annas voice.MP3"), {"tempo": 1.0, "format": ".mp3"}),
    (("-o", "letter.anna"), {"tempo": 1.0}),
])  # fmt: skip
def test_the_history_knows_the_settings_that_change_the_work(given: tuple[str, ...], kept: dict[str, object]) -> None:
    """By value, for runs are compared by them; of a file's name only an ending that is a format."""
    args = simple_voice_clone.build_parser().parse_args(["--text", "x", "--voice", "v", *given])
    assert command_line._work_settings(args) == kept
    assert args.batch_size == run_records._SETTINGS["batch_size"][1], "the history's default is the flag's"


def test_the_parser_and_the_settings_agree() -> None:
    """Every field of the settings can be given on the command line, under the same default."""
    args = simple_voice_clone.build_parser().parse_args(["--text", "x", "--voice", "v"])
    assert settings_of(args) == CloneSettings()
