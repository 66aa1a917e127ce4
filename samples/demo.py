"""`make demo`: improve the bundled sample, then clone its voice from the improved one, and say which model spoke.

It never starts a download: where the released model is not in the cache yet, the tiny rehearsal
model speaks instead (noise), and this says how to get the real one.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from improve_voice_sample import main as improve  # noqa: E402
from simple_voice_clone import main as clone  # noqa: E402
from voicekit import checkpoint  # noqa: E402
from voicekit.audio_writing import free_name  # noqa: E402

TEXT = "This is a demonstration. The voice that you hear was taken from one short recording."
SAMPLE = ROOT / "samples" / "reference.wav"


def main() -> int:
    """Both scripts, one after the other; the exit code of the first that fails."""
    with tempfile.TemporaryDirectory(prefix="voice-demo-") as folder:
        improved = Path(folder) / "reference_improved.wav"
        print(f"Demo, 1 of 2: is {SAMPLE.relative_to(ROOT)} a good sample, and can it be made better?", flush=True)
        code = improve([str(SAMPLE), "-o", str(improved)])
        return code or speak_from(improved)


def speak_from(sample: Path) -> int:
    """Clones the voice of a sample with the model that is here."""
    released = checkpoint.find_released() is not None
    model = checkpoint.RELEASED if released else "rehearsal-tiny"
    output = free_name(ROOT / "demo.wav")
    print(f"\nDemo, 2 of 2: the voice of the improved sample, spoken by {model}.", flush=True)
    code = clone(["--text", TEXT, "--voice", str(sample), "--model", model, "-o", str(output), "--seed", "1"])
    if not released:
        print(
            "\nThat was the untrained rehearsal model, so it is noise. To hear the real one (1.9 GB, once):\n"
            '  python simple_voice_clone.py --text "Hello" --voice samples/reference.wav --accept-license\n'
            f"  (its licence allows non-commercial use: {checkpoint.LICENSE_URL})"
        )
    return code


if __name__ == "__main__":
    raise SystemExit(main())
