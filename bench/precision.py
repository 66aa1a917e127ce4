"""What a narrow precision costs: two GPTs that are made to say the same codes, and how far their thoughts lie apart.

Free running they part at the first code that differs, after which nothing can be compared. So the exact GPT (float32)
speaks greedily, and each other one is fed its codes. Compared are the distribution of the next code, the stop code's
probability, the latents, and the waveform that the same vocoder makes of them. A default must keep `LEAST_DB`.
The control is float8: four bits of a weight.

    python bench/precision.py [--model rehearsal] [--voice FILE]

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from voicekit import rehearsal  # noqa: E402
from voicekit.audio import mean_channels, read_recording, resample_like_coqui  # noqa: E402
from voicekit.checkpoint import Checkpoint, from_folder  # noqa: E402
from voicekit.decoding import Sampling, Segment, decode, embed_text  # noqa: E402
from voicekit.gpt import LeanGPT  # noqa: E402
from voicekit.tts_model import TTSModel, Voice  # noqa: E402
from voicekit.vocoding import vocode  # noqa: E402
from voicekit.xtts_modules import CONDITIONING_RATE_HZ  # noqa: E402

LEAST_DB = 30.0  # of a waveform beside float32's, that a default precision must keep
TEXTS = (
    "The old lighthouse keeper climbed the stairs every evening, and lit the lamp before the first star came.",
    "One night it stopped, and the whole village woke at the same moment.",
)


@dataclass(frozen=True)
class Forced:
    """log_chances: float32 [n, codes], of each next code; latents: float32 [n, width]; waveform: float32 [samples]."""

    log_chances: torch.Tensor
    latents: torch.Tensor
    waveform: torch.Tensor


@dataclass(frozen=True)
class Apart:
    """How far a narrow GPT is from the exact one.

    divergence: the greatest Kullback-Leibler divergence of a next code's distribution, in nats.
    stop: the greatest difference of the stop code's probability.
    latents_db, waveform_db: SNR beside the exact ones; the waveform's with its mean removed.
    """

    divergence: float
    stop: float
    latents_db: float
    waveform_db: float


def greedy_codes(model: TTSModel, text: str, language: str, voice: Voice) -> list[int]:
    gpt = model._gpt
    with torch.inference_mode():
        segment = Segment(embed_text(gpt, model.tokens(text, language)), torch.Generator())
        [(_, decoded)] = decode(gpt, gpt.hear(voice.conditioning), [segment], Sampling(0.0, 50, 0.85, 5.0), 1)
    return [int(code) for code in decoded.codes]


def force(model: TTSModel, gpt: LeanGPT, text: str, language: str, voice: Voice, codes: list[int]) -> Forced:
    """What `gpt` thinks at each step while it says `codes`; `model` tokenises and vocodes."""
    latents, chances = [], []
    with torch.inference_mode():
        cache = gpt.hear(voice.conditioning).for_rows(1)
        gpt.read([embed_text(gpt, model.tokens(text, language))], cache)
        for position, code in enumerate([gpt.start_code, *codes[:-1]]):
            latents.append(gpt.latents(gpt.step(gpt.embed_codes([code], [position]), cache)))
            chances.append(gpt.logits(latents[-1]).log_softmax(-1))
        joined = torch.cat(latents)
        waveform = vocode(model._generator, joined, voice.speaker_embedding)
    return Forced(torch.cat(chances), joined, waveform)


def apart(narrow: Forced, exact: Forced, stop_code: int) -> Apart:
    chances = exact.log_chances.exp()
    divergence = (chances * (exact.log_chances - narrow.log_chances)).sum(-1)
    stop = (narrow.log_chances.exp() - chances)[:, stop_code].abs()
    waves = [each.waveform - each.waveform.mean() for each in (narrow, exact)]
    return Apart(float(divergence.max()), float(stop.max()), snr_db(narrow.latents, exact.latents), snr_db(*waves))


def snr_db(narrow: torch.Tensor, exact: torch.Tensor) -> float:
    narrow, exact = narrow.double(), exact.double()
    return float(10 * torch.log10(exact.square().sum() / (narrow - exact).square().sum()))


def rounded_to_float8(model: TTSModel) -> None:
    """The control: every matrix of the layers keeps four bits of its weights."""
    for layer in model._gpt.layers:
        for matrix in (layer.qkv, layer.out, layer.up, layer.down):
            weight = matrix.weight
            weight.copy_(weight.float().to(torch.float8_e4m3fn).to(weight.dtype))


def compare(checkpoint: Checkpoint, precision: str, voice_file: Path, texts: tuple[str, ...]) -> list[Apart]:
    """A precision beside float32 on each text; `float8` is the control."""
    exact, narrow = (TTSModel.load(checkpoint, "cpu", name)
                     for name in ("float32", "float32" if precision == "float8" else precision))  # fmt: skip
    if precision == "float8":
        rounded_to_float8(narrow)
    sample = resample_like_coqui(mean_channels(read_recording(voice_file)), CONDITIONING_RATE_HZ)
    voice = exact.condition([sample], exact.voice_settings())
    found = []
    for text in texts:
        codes = greedy_codes(exact, text, "en", voice)
        forced = [force(exact, model._gpt, text, "en", voice, codes) for model in (narrow, exact)]
        found.append(apart(forced[0], forced[1], exact._gpt.stop_code))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default="rehearsal", help="rehearsal, rehearsal-tiny or a folder")
    parser.add_argument("--voice", type=Path, default=ROOT / "samples" / "reference.wav")
    args = parser.parse_args()
    folder = rehearsal.ensure(args.model) if args.model in rehearsal.NAMES else Path(args.model).resolve()
    report: dict[str, Any] = {"bench": "precision", "model": args.model, "least_db": LEAST_DB}
    print(f"{'beside float32':<16}{'KL, nats':>10}{'stop':>10}{'latents, dB':>13}{'waveform, dB':>14}")
    for precision in ("float16", "bfloat16", "float8"):
        found = compare(from_folder(folder), precision, args.voice, TEXTS)
        for each in found:
            print(f"{precision:<16}{each.divergence:>10.1e}{each.stop:>10.1e}{each.latents_db:>13.1f}"
                  f"{each.waveform_db:>14.1f}")  # fmt: skip
        report[precision] = [asdict(each) for each in found]
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
