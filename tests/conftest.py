"""What all tests share: folders of their own, a tiny checkpoint, and a voice.

No test touches the user's caches, data, logs or network: the whole session (and each command that
a test starts) has them under one temporary folder.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import logger_config
from tests.pages import CHROMIUM
from tests.voices import talking
from voicekit import conditioning_cache, journal, private_text
from voicekit.audio_writing import write_audio
from voicekit.checkpoint import LicenceRecord

_FOLDERS = ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "HF_HOME", "VOICE_CLONING_LOG_DIR")
_SESSION = tempfile.TemporaryDirectory(prefix="voice-cloning-tests-")
for _name in _FOLDERS:  # before anything imports huggingface_hub, which reads them at its import
    os.environ[_name] = str(Path(_SESSION.name) / _name.lower())
# One thread: on matrices this small a second one only waits, and on a busy machine for long (10x measured).
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"  # nobody listens there: no test reaches the hub
os.environ.pop("COQUI_TOS_AGREED", None)


@pytest.fixture(scope="session", autouse=True)
def _session_folder() -> Iterator[None]:
    yield
    _SESSION.cleanup()


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Put the process's logging back as a test found it; what a test registered as private is forgotten."""
    root = logging.getLogger()
    level, levels = root.level, {name: logging.getLogger(name).level for name in logger_config.LOGGER_LEVELS}
    yield
    for handler in [each for each in root.handlers if hasattr(each, logger_config._OURS)]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)
    logging.captureWarnings(False)
    private_text.forget()


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    """What a test spoke, heard or agreed to is not there for the next one, which would test nothing."""
    journal.remove_old(days=0)
    conditioning_cache.clear()
    LicenceRecord.of_user().path.unlink(missing_ok=True)


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log folder in use at DEBUG; the console shows warnings."""
    for variable in ("VOICE_CLONING_LOG_DIR", "VOICE_CLONING_LOG_LEVEL", "VOICE_CLONING_CONSOLE_LEVEL"):
        monkeypatch.delenv(variable, raising=False)
    assert logger_config.setup_logging(tmp_path / "logs", file_level=logging.DEBUG) == tmp_path / "logs"
    return tmp_path / "logs"


@pytest.fixture(scope="session")
def tiny_checkpoint() -> Path:
    """The folder of the `rehearsal-tiny` checkpoint, built once a session where the commands find it too."""
    from voicekit import rehearsal

    return rehearsal.ensure("rehearsal-tiny")


@pytest.fixture(scope="session")
def voice_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A voice sample of 8 s: WAV, mono, 22,050 Hz."""
    return write_audio(talking(8.0), tmp_path_factory.mktemp("voices") / "voice.wav")


@pytest.fixture(scope="session")
def other_voice_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another voice: higher, other formants' motion."""
    return write_audio(talking(7.0, pitch_hz=210.0, seed=5), tmp_path_factory.mktemp("voices") / "other.wav")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, for the tests of a module."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def tiny_state(tiny_checkpoint: Path) -> dict[str, Any]:
    """The tensors of the tiny checkpoint as its file has them; do not change them in place."""
    import torch

    return dict(torch.load(tiny_checkpoint / "model.pth", weights_only=True)["model"])


@pytest.fixture(scope="module")
def tiny_config(tiny_checkpoint: Path) -> dict[str, Any]:
    """The tiny checkpoint's config.json."""
    return dict(json.loads((tiny_checkpoint / "config.json").read_text("utf-8")))
