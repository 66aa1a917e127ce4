"""A whole run whose text is a canary: every logger at DEBUG, a crash in the middle, and no word of it in the logs."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import logger_config
import simple_voice_clone
from tests.canaries import SENTENCES, traces

ROOT = Path(__file__).resolve().parent.parent
CANARY = SENTENCES["latin"] + " 1984."


def everything_in(folder: Path) -> str:
    return "\n".join(path.read_text("utf-8", errors="replace") for path in folder.rglob("*") if path.is_file())


def chatter(text: str) -> None:
    """What packages of others have been seen to do with the text that they are given."""
    for name in ("TTS.tts.layers.xtts.tokenizer", "numba.core", "some.package", "root"):
        for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
            logging.getLogger(name).log(level, "Input: %s", [text])
    logging.getLogger("urllib3").debug(json.dumps({"text": text}))
    warnings.warn(f"odd characters in {text!r}", stacklevel=1)


@pytest.mark.parametrize("crashes", [False, True])
def test_no_word_of_the_text_reaches_the_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Path, voice_file: Path, crashes: bool
) -> None:
    monkeypatch.setattr(logger_config, "LOGGER_LEVELS", dict.fromkeys(logger_config.LOGGER_LEVELS, logging.DEBUG))
    from voicekit import tts_model

    real = tts_model.TTSModel.tokens
    heard: list[str] = []

    def tokens(self: tts_model.TTSModel, text: str, language: str) -> list[int]:
        heard.append(text)
        chatter(text)
        if crashes:
            try:
                raise KeyError(text.split()[0])
            except KeyError as error:
                raise RuntimeError(f"cannot say {text}") from error
        return real(self, text, language)

    monkeypatch.setattr(tts_model.TTSModel, "tokens", tokens)
    logs = tmp_path / "logs"
    command = ["--text", CANARY, "--voice", str(voice_file), "--model", "rehearsal-tiny", "--debug",
               "--log-dir", str(logs), "-o", str(tmp_path / "o.wav")]  # fmt: skip
    assert simple_voice_clone.main(command) == int(crashes)
    written = everything_in(logs)
    assert heard and traces(CANARY, " ".join(heard))  # the control: this is what would be found
    assert "some.package - Input: " in written and "py.warnings" in written  # they did reach the log
    assert ("RuntimeError" in written) is crashes
    assert traces(CANARY, written) == []


def test_onnxruntime_reports_to_nobody(tmp_path: Path) -> None:
    """As soon as a network is loaded it makes a queue of events in the cache folder, unless it is told not to."""
    code = (
        "import sys; from voicekit.speech_detection import detect_speech; from tests.voices import talking;"
        " detect_speech(talking(3.0)); print('onnxruntime' in sys.modules)"
    )
    for told, files in ((None, False), ("0", True)):  # the control: with its own default there is something to see
        home = tmp_path / str(told)
        home.mkdir()
        # An environment of its own: where `CI` is set, onnxruntime is silent by itself, and the control shows nothing.
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_CACHE_HOME": str(home)}
        environment |= {"ORT_DISABLE_TELEMETRY": told} if told else {}
        ran = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True)
        assert ran.stdout == "True\n", ran.stderr
        assert any("onnxruntime" in str(path) for path in home.rglob("*")) == files
