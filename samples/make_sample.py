"""Makes ``reference.wav`` beside this file: about ten seconds of synthetic speech by espeak-ng.

Needs the program espeak-ng (``apt-get install espeak-ng``, ``brew install espeak-ng``). Run from anywhere:
``python samples/make_sample.py``. An existing file is replaced.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from voicekit.audio import read_recording, to_mono  # noqa: E402
from voicekit.audio_writing import write_audio  # noqa: E402
from voicekit.restoration import normalise_loudness, trim_silence  # noqa: E402

TEXT = (
    "Good morning. The train was late again, so I walked along the river and watched the boats. "
    "Nobody hurries there, and that is why I like it. Shall we go back?"
)
VOICE, WORDS_A_MINUTE, WORD_GAP = "en-us", "175", "2"  # WORD_GAP: units of 10 ms between words


def main() -> int:
    """Speaks, trims the ends, sets the loudness, writes; espeak-ng speaks at 22,050 Hz, mono."""
    with tempfile.TemporaryDirectory() as folder:
        spoken = Path(folder, "spoken.wav")
        options = ["-v", VOICE, "-s", WORDS_A_MINUTE, "-g", WORD_GAP, "-w", str(spoken)]
        subprocess.run(["espeak-ng", *options, TEXT], check=True)
        audio = normalise_loudness(trim_silence(to_mono(read_recording(spoken))))
    print(write_audio(audio, HERE / "reference.wav", overwrite=True), f"{audio.duration_s:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
