"""A place of its own for real runs of the commands: inputs, outputs, caches, logs and temporary files, all apart."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CLONE, IMPROVE = ROOT / "simple_voice_clone.py", ROOT / "improve_voice_sample.py"
FOLDERS = {"XDG_CACHE_HOME": "cache", "XDG_DATA_HOME": "data", "XDG_STATE_HOME": "state", "HF_HOME": "hub",
           "TMPDIR": "tmp", "VOICE_CLONING_LOG_DIR": "logs"}  # fmt: skip
TEXT = "A dog barks.\n\nA cat sleeps.\n\nA cow."


@dataclass(frozen=True)
class Place:
    """A folder with all of these in it; commands run in `out`."""

    root: Path

    @classmethod
    def make(cls, root: Path, voice: Path, checkpoint: Path) -> Place:
        """`checkpoint`: of the tiny model, which is linked and not copied."""
        for name in ("in", "out", *FOLDERS.values()):
            (root / name).mkdir(parents=True)
        models = root / "cache" / "voice-cloning" / "rehearsal"
        models.mkdir(parents=True)
        (models / checkpoint.name).symlink_to(checkpoint)
        shutil.copy(voice, root / "in" / "voice.wav")
        (root / "in" / "text.txt").write_text(TEXT, "utf-8")
        return cls(root)

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def environment(self) -> dict[str, str]:
        own = {name: str(self.root / folder) for name, folder in FOLDERS.items()}
        return {**os.environ, **own, "OMP_NUM_THREADS": "1"}

    def start(
        self,
        command: list[str],
        *,
        name: str = "std",
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        preexec_fn: Callable[[], object] | None = None,
    ) -> subprocess.Popen[bytes]:
        """A run under way; its stdout and stderr are in files beside `out`, where nothing is lost with it.

        Args:
            name: of these files, where several runs are under way.
            prefix: a command that starts the command; environment: what it has besides its place's.
            preexec_fn: see `subprocess.Popen`.
        """
        if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell's background job; children would inherit it
            signal.signal(signal.SIGINT, signal.default_int_handler)
        with open(self.root / f"{name}out", "wb") as out, open(self.root / f"{name}err", "wb") as err:
            return subprocess.Popen(
                [*prefix, sys.executable, *command], stdout=out, stderr=err, stdin=subprocess.DEVNULL, cwd=self.out,
                env={**self.environment, **(environment or {})}, preexec_fn=preexec_fn,  # noqa: PLW1509 - no threads
            )  # fmt: skip

    def run(self, command: list[str], **more: Any) -> tuple[int, str]:
        """A whole run: its exit code and what it told."""
        with self.start(command, **more) as process:
            return process.wait(), self.told()

    def told(self, name: str = "std") -> str:
        return (self.root / f"{name}err").read_text("utf-8", "replace")

    def log(self) -> str:
        path = self.root / "logs" / "voice_cloning.log"
        return path.read_bytes().decode("utf-8") if path.exists() else ""

    def inputs(self) -> dict[str, str]:
        """The SHA-256 of each input."""
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (self.root / "in").iterdir()
                if not path.name.endswith(".results.jsonl")}  # fmt: skip

    def outputs(self) -> dict[str, bytes]:
        """What has a final name."""
        return {path.name: path.read_bytes() for path in self.out.iterdir() if not path.name.startswith(".")}

    def groups(self) -> set[str]:
        """What a killed run had spoken, by name."""
        folder = self.root / "cache" / "voice-cloning" / "journal" / "groups"
        return {path.name for path in folder.glob("*.safetensors")}

    def litter(self) -> list[str]:
        """What no finished run leaves: hidden things where our files lie, anything that is temporary, open markers.

        Not PulseAudio's folder, which its library makes for a user without a home.
        """
        places = [self.out, *(self.root / each / "voice-cloning" for each in ("cache", "data"))]
        hidden = [path for place in places for path in place.rglob(".*")]
        temporary = [path for path in (self.root / "tmp").iterdir() if not path.name.startswith("pulse-")]
        markers = (self.root / "logs").glob("running/*")
        return [str(path.relative_to(self.root)) for path in (*hidden, *temporary, *markers)]


def clone(*flags: str) -> list[str]:
    """Speak the three groups of the place's text with the tiny model."""
    settings = ["--model", "rehearsal-tiny", "--seed", "1", "--threads", "1", "--batch-size", "1", "--debug"]
    text = [] if "--jobs" in flags or "--text" in flags else ["--text-file", "../in/text.txt"]
    voice = [] if "--jobs" in flags or "--voice" in flags else ["--voice", "../in/voice.wav"]
    return [str(CLONE), *text, *voice, *settings, *flags]


def improve(*flags: str) -> list[str]:
    """Improve the place's recording, quickly."""
    return [str(IMPROVE), "../in/voice.wav", "--no-dnsmos", "--threads", "1", "--debug", *flags]
