"""`make demo`: clone the bundled sample's voice with the model that is here, and say which one spoke.

It never starts a download: where the released model is not in the cache yet, the tiny rehearsal
model speaks instead (noise), and this says how to get the real one.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from simple_voice_clone import main as clone  # noqa: E402
from voicekit import checkpoint  # noqa: E402
from voicekit.audio import free_name  # noqa: E402

TEXT = "This is a demonstration. The voice that you hear was taken from one short recording."


def main() -> int:
    released = checkpoint.find_released() is not None
    model = checkpoint.RELEASED if released else "rehearsal-tiny"
    output = free_name(ROOT / "demo.wav")
    sample = ROOT / "samples" / "reference.wav"
    print(f"Demo: the voice of {sample.relative_to(ROOT)}, spoken by {model}.")
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
