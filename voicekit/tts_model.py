"""The TTS model component: load XTTS v2, condition it on a voice, let it speak.

It works on coqui's own classes (`Xtts`, its GPT, its HiFi-GAN, its tokenizer), never through
`TTS.api` or `Synthesizer`, and on arrays: it reads no audio file, writes none, and prints nothing.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from logger_config import span, timed
from voicekit.audio import Audio
from voicekit.checkpoint import Checkpoint
from voicekit.complexity import complexity
from voicekit.decoding import Decoded, Sampling, Segment, decode, embed_text
from voicekit.errors import AudioError, ModelUnavailable, TextError
from voicekit.key_values import Cache
from voicekit.loading import generator, import_model, lean_gpt, load_xtts, release_pages
from voicekit.precision import Chosen, choose
from voicekit.vocoding import vocode
from voicekit.xtts_modules import CONDITIONING_RATE_HZ as CONDITIONING_RATE_HZ  # told on: the faces prepare samples
from voicekit.xtts_modules import MIN_CHUNK_S, conditioning_latents, speaker_embedding

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

OUTPUT_RATE_HZ = 24_000
BATCH_SIZE = 12  # segments in a step, as many as the kernels take in one pass (bench/README.md)
SPINS = "10000"  # turns, some 30 us, that a thread of GNU's OpenMP waits for the next work before it sleeps
ROUNDS = 8  # batches whose segments may follow each other into a row: a group, which is spoken before the next begins


@dataclass(frozen=True)
class Device:
    """Where the model runs, and why there."""

    name: str
    reason: str


@dataclass(frozen=True)
class VoiceSettings:
    """How much of the samples is heard; the defaults are the released config.json's.

    gpt_cond_len_s: seconds from the start of each sample that the GPT hears.
    gpt_cond_chunk_len_s: they are heard in chunks of this length, whose latents are averaged.
    max_ref_len_s: seconds from the start of each sample that count at all.
    sound_norm_refs: scale each sample's peak to 0.75 first.
    """

    gpt_cond_len_s: int = 30
    gpt_cond_chunk_len_s: int = 4
    max_ref_len_s: int = 30
    sound_norm_refs: bool = False


@dataclass(frozen=True)
class SpeechSettings:
    """Every value that shapes how a text is spoken; the defaults are the released config.json's.

    temperature: 0 is greedy; 0.65 to 0.75 is the usual range.
    top_k, top_p, repetition_penalty: see `decoding.Sampling`.
    speed: 0.5 to 2.0; the latents are stretched by its inverse (coqui's `inference(speed=)`).
    seed: 0 to 2**63 - 1; one seed, one result.
    """

    temperature: float = 0.75
    top_k: int = 50
    top_p: float = 0.85
    repetition_penalty: float = 5.0
    speed: float = 1.0
    seed: int = 0

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.temperature, self.top_k, self.top_p, self.repetition_penalty)


@dataclass(frozen=True)
class Voice:
    """What XTTS knows of a speaker.

    conditioning: float32 [1, 32, width], CPU, for the GPT.
    speaker_embedding: float32 [1, 512, 1], CPU, for the vocoder.
    heard_s: seconds of the samples that went into it.
    """

    conditioning: torch.Tensor
    speaker_embedding: torch.Tensor
    heard_s: float


@dataclass(frozen=True)
class Speech:
    """One spoken segment: its place in the text, its audio, how many codes it took, whether it ended by itself."""

    index: int
    audio: Audio
    codes: int
    stopped: bool


def import_packages(threads: int | None = None) -> None:
    """Import torch and coqui's classes (1.5 s), and set torch's threads: never more than there are cores.

    Threads that share a core wait for each other by spinning: twice too many are many times slower. OpenMP's spin for
    milliseconds by default, in which another program's turn passes; with `SPINS` a step costs the same on an idle
    machine, and twice as much beside two busy programs instead of thirty times (bench/README.md).
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)  # read when torch loads its OpenMP
    import_model()
    if threads:
        import torch

        torch.set_num_threads(min(threads, os.cpu_count() or 1))


def choose_device(wanted: str) -> Device:
    """Choose where to run: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        ModelUnavailable: the wanted device is not here, or torch cannot use it.
    """
    import torch

    if wanted == "auto":
        if torch.cuda.is_available():
            return Device("cuda:0", f"CUDA is available: {torch.cuda.get_device_name(0)}")
        if torch.backends.mps.is_available():
            return Device("mps", "Apple's GPU is available")
        built = "torch finds no CUDA GPU" if torch.version.cuda else "this torch is built for the CPU only"
        return Device("cpu", built)
    if wanted.startswith("cuda"):
        index = int(wanted.partition(":")[2] or 0)
        if index >= torch.cuda.device_count():
            raise ModelUnavailable(
                f"There is no CUDA device {index}: torch {torch.__version__} sees {torch.cuda.device_count()}.",
                "Use --device auto, or install a torch built for your GPU.",
            )
        return Device(f"cuda:{index}", f"asked for: {torch.cuda.get_device_name(index)}")
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise ModelUnavailable("This machine has no Apple GPU that torch can use.", "Use --device auto.")
    return Device(wanted, "asked for")


class TTSModel:
    """XTTS v2, ready to speak: `TTSModel.load(...)`, then `condition`, then `speak`."""

    def __init__(self, xtts: Any, precision: Chosen, checkpoint: Checkpoint, device: Device) -> None:
        """`xtts`: of `loading.load_xtts`, on the device; its GPT and its vocoder are taken out of it."""
        self._gpt, self._generator = lean_gpt(xtts, precision.name), generator(xtts)
        self._xtts = xtts
        self.checkpoint = checkpoint
        self.device = device
        self.precision = precision.name
        self.precision_reason = precision.reason

    @classmethod
    @timed
    def load(cls, checkpoint: Checkpoint, device: str = "auto", precision: str = "auto") -> TTSModel:
        """Map a checkpoint and make it speak on a device.

        Args:
            checkpoint: see `voicekit.checkpoint` and `voicekit.rehearsal`.
            device: auto, cpu, cuda, cuda:N, mps.
            precision: of the GPT's layers: auto (see `voicekit.precision`), float32, bfloat16, float16. Norms,
                the head, sampling and the vocoder stay float32.

        Raises:
            ModelError, ModelUnavailable: see `loading.load_xtts` and `choose_device`.
        """
        chosen = choose_device(device)
        layers = choose(precision, chosen.name)
        xtts = load_xtts(checkpoint)
        if chosen.name != "cpu":
            xtts.to(chosen.name)
        if chosen.name == "mps":
            # MPS refuses the speaker encoder's mel ("Output channels > 65536"); it is small, so it stays here.
            xtts.hifigan_decoder.speaker_encoder.to("cpu")
        return cls(xtts, layers, checkpoint, chosen)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that the checkpoint's configuration names."""
        return tuple(self._xtts.config.languages)

    @property
    def arithmetic(self) -> str:
        """Which code runs the GPT's layers, and which the vocoder."""
        return f"{self._gpt.arithmetic}; vocoder: {self._generator.arithmetic}"

    @property
    def parameter_bytes(self) -> int:
        """Bytes of all parameters, mapped ones included."""
        rest = sum(int(parameter.nbytes) for parameter in self._xtts.parameters())
        return rest + self._gpt.parameter_bytes + int(self._generator.parameter_bytes)

    def speech_settings(self, **wanted: float | None) -> SpeechSettings:
        """The checkpoint's own settings, with what the caller wants in their place (None: the checkpoint's)."""
        config = self._xtts.config
        own = {name: getattr(config, name) for name in ("temperature", "top_k", "top_p", "repetition_penalty")}
        return SpeechSettings(**{**own, **{name: value for name, value in wanted.items() if value is not None}})

    def voice_settings(self) -> VoiceSettings:
        """The checkpoint's own conditioning settings."""
        config = self._xtts.config
        return VoiceSettings(
            config.gpt_cond_len, config.gpt_cond_chunk_len, config.max_ref_len, config.sound_norm_refs
        )

    def tokens(self, text: str, language: str) -> list[int]:
        """The text's BPE ids, as coqui makes them: stripped, lower case, numbers and symbols read out.

        Raises:
            TextError: coqui's text normalisation cannot read it in this language.
            ModelUnavailable: the language needs a package that is missing.
        """
        tokenizer = self._xtts.tokenizer
        try:
            return list(tokenizer.encode(text.strip().lower(), lang=language))
        except ImportError as error:
            raise ModelUnavailable(
                f"The language {language} needs a package that is not installed ({error}).",
                "python -m pip install -r requirements.txt",
            ) from error
        except Exception as error:  # num2words raises what it likes: NotImplementedError, OverflowError, KeyError
            raise TextError(
                f"A number or symbol of the text cannot be read out in '{language}' ({type(error).__name__}).",
                "Write the numbers of the text in words.",
            ) from error

    def count_tokens(self, text: str, language: str) -> int:
        """How many BPE tokens a text makes."""
        return len(self.tokens(text, language))

    @timed(inputs=("samples",))
    @complexity(size="heard_s", time="O(n)", space="O(n)", stage="condition_voice")
    def condition(self, samples: Sequence[Audio], settings: VoiceSettings) -> Voice:
        """Hear a speaker: one or several samples of one voice, all of which count.

        Each sample is heard from its start: `max_ref_len_s` of it for the speaker embedding,
        `gpt_cond_len_s` for the GPT, in chunks whose latents are averaged. Of several samples each
        chunk counts alike, so a longer sample weighs more; embeddings are averaged by seconds. (coqui
        joins all samples and hears the first `gpt_cond_len_s` only, so a long first file silences the
        others.) For one sample this is exactly coqui's `get_conditioning_latents`.

        Args:
            samples: mono audio at 22,050 Hz, at least one of them `MIN_CHUNK_S` long.

        Raises:
            AudioError: no sample is long enough to be heard.
        """
        import torch

        long_enough = [sample for sample in samples if sample.duration_s >= MIN_CHUNK_S]
        if not long_enough:
            raise AudioError(
                f"The voice sample is too short: {sum(sample.duration_s for sample in samples):.2f} s of audio.",
                "Use 6 to 30 seconds of one person speaking.",
            )
        with torch.inference_mode():
            heard = [self._hear(sample, settings) for sample in long_enough]
            chunks = [_chunk_count(seconds, settings) for _, _, seconds in heard]
            conditioning = _mean([latents for latents, _, _ in heard], chunks)
            embedding = _mean([embedding for _, embedding, _ in heard], [seconds for _, _, seconds in heard])
        self._forget_ears()
        return Voice(conditioning.cpu(), embedding.cpu(), sum(seconds for _, _, seconds in heard))

    def _forget_ears(self) -> None:
        """The parts that only hear (220 MB as released) rest until the next voice."""
        gpt, encoder = self._xtts.gpt, self._xtts.hifigan_decoder.speaker_encoder
        for part in (gpt.conditioning_encoder, gpt.conditioning_perceiver, encoder):
            release_pages(part.parameters())

    def _hear(self, sample: Audio, settings: VoiceSettings) -> tuple[torch.Tensor, torch.Tensor, float]:
        """One sample -> GPT latents [1, 32, width], speaker embedding [1, 512, 1], seconds heard."""
        import torch

        if sample.sample_rate != CONDITIONING_RATE_HZ:
            raise ValueError(f"a sample must have {CONDITIONING_RATE_HZ} Hz, not {sample.sample_rate}")
        audio = torch.from_numpy(sample.samples)[None, : CONDITIONING_RATE_HZ * settings.max_ref_len_s]
        if settings.sound_norm_refs:
            audio = audio / audio.abs().max() * 0.75
        latents = conditioning_latents(self._xtts, audio, settings.gpt_cond_len_s, settings.gpt_cond_chunk_len_s)
        return latents, speaker_embedding(self._xtts, audio), audio.shape[1] / CONDITIONING_RATE_HZ

    @timed(inputs=("texts", "language"))
    def speak(
        self,
        texts: Sequence[str],
        voice: Voice,
        language: str,
        settings: SpeechSettings,
        batch_size: int = BATCH_SIZE,
        *,
        first_alone: bool = False,
    ) -> Iterator[Speech]:
        """Speak segments, several at a time, yielding them in order, each as soon as it and those before it are done.

        Args:
            texts: segments within the model's limits (see `voicekit.text.segments`).
            voice: of `condition`.
            language: one of `languages`.
            settings: all sampling values; the segment's own seed is derived from the one in it.
            batch_size: the most segments that are decoded together. Where a GPU has no memory for so many, half
                as many are, which the log says.
            first_alone: somebody listens: the first segment is spoken before the others begin.

        Raises:
            TextError: a segment cannot be tokenised or is over the model's token limit.
        """
        heard = self._hear_voice(voice)
        for group in groups(len(texts), batch_size, first_alone=first_alone):
            waiting: dict[int, Decoded] = {}
            following = group.start  # the next one in order
            for index, decoded in self._decode(texts, group, heard, language, settings, batch_size):
                waiting[index] = decoded
                while following in waiting:
                    yield self._vocode(following, waiting.pop(following), voice, settings.speed)
                    following += 1

    def _hear_voice(self, voice: Voice) -> Cache:
        import torch

        with span("Voice heard", stage="generate", level=logging.DEBUG), torch.inference_mode():
            return self._gpt.hear(voice.conditioning.to(self.device.name))

    def _decode(
        self, texts: Sequence[str], group: range, heard: Cache, language: str, settings: SpeechSettings, rows: int
    ) -> Iterator[tuple[int, Decoded]]:
        """Segments of a group by their number in the whole text, in the order in which they end."""
        import torch

        left = list(group)
        decoding: Iterator[tuple[int, Decoded]] | None = None
        while left:
            # Not around the loop: inference mode is the thread's, and the caller works between two segments.
            with span("Generate", stage="generate", level=logging.DEBUG) as step, torch.inference_mode():
                try:
                    if decoding is None:
                        numbers = tuple(left)
                        segments = [self._segment(texts[each], language, settings.seed, each) for each in numbers]
                        decoding = decode(self._gpt, heard, segments, settings.sampling, rows)
                    place, decoded = next(decoding)
                except torch.OutOfMemoryError:
                    if rows == 1:
                        raise
                    rows, decoding = rows // 2, None
                    logger.warning("The GPU has no memory for %d segments at a time: going on with %d",
                                   2 * rows, rows)  # fmt: skip
                    continue
                step.count(codes=len(decoded.codes))
                step.note(segment=numbers[place] + 1, stopped=decoded.stopped)
            left.remove(numbers[place])
            yield numbers[place], decoded

    def _segment(self, text: str, language: str, seed: int, number: int) -> Segment:
        embedded = embed_text(self._gpt, self._checked(text, language))
        return Segment(embedded, segment_generator(seed, number))

    def _vocode(self, index: int, decoded: Decoded, voice: Voice, speed: float) -> Speech:
        import torch

        with (
            span("Vocode", done=f"Segment {index + 1} vocoded", stage="vocode", level=logging.DEBUG) as step,
            torch.inference_mode(),
        ):
            step.count(codes=len(decoded.codes))
            embedding = voice.speaker_embedding.to(self.device.name)
            waveform = vocode(self._generator, decoded.latents, embedding, speed=speed)
            audio = Audio(waveform.numpy(), OUTPUT_RATE_HZ)
        return Speech(index, audio, len(decoded.codes), decoded.stopped)

    def _checked(self, text: str, language: str) -> list[int]:
        tokens = self.tokens(text, language)
        limit = self._xtts.args.gpt_max_text_tokens
        if len(tokens) >= limit:
            raise TextError(f"A segment makes {len(tokens)} tokens; the model takes {limit - 1}.", "Shorten it.")
        return tokens


def _chunk_count(heard_s: float, settings: VoiceSettings) -> int:
    """How many chunks of a sample the GPT hears; a last one under `MIN_CHUNK_S` is dropped."""
    whole, rest = divmod(min(heard_s, settings.gpt_cond_len_s), settings.gpt_cond_chunk_len_s)
    return int(whole) + (rest >= MIN_CHUNK_S)


def _mean(tensors: Sequence[torch.Tensor], weights: Sequence[float]) -> torch.Tensor:
    """Weighted mean; a single tensor comes back as it is, bit for bit."""
    import torch

    if len(tensors) == 1:
        return tensors[0]
    shares = torch.tensor(weights, dtype=torch.float32) / sum(weights)
    return torch.stack([tensor * float(share) for tensor, share in zip(tensors, shares, strict=True)]).sum(dim=0)


def groups(count: int, batch_size: int, *, first_alone: bool) -> Iterator[range]:
    """Which segments may follow each other into a row: a pure function, on which the bytes of a text depend.

    Groups are even: a last one of few segments would leave most rows empty.
    """
    first = 1 if first_alone and count > 1 else 0
    if first:
        yield range(first)
    pieces = -(-(count - first) // (batch_size * ROUNDS))
    cuts = [first + (count - first) * piece // pieces for piece in range(pieces + 1)] if pieces else []
    yield from (range(start, end) for start, end in itertools.pairwise(cuts))


def segment_generator(seed: int, index: int, attempt: int = 0) -> torch.Generator:
    """The randomness of one segment: depends on the seed, its place and the attempt, on nothing else."""
    import torch

    digest = hashlib.sha256(f"{seed}:{index}:{attempt}".encode()).digest()
    return torch.Generator(device="cpu").manual_seed(int.from_bytes(digest[:8], "big") >> 1)
