"""The TTS model component: load XTTS v2, condition it on a voice, let it speak.

It works on coqui's own classes (`Xtts`, its GPT, its HiFi-GAN, its tokenizer), never through
`TTS.api` or `Synthesizer`, and on arrays: it reads no audio file, writes none, and prints nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from logger_config import span, timed
from voicekit.audio import Audio, resample
from voicekit.checkpoint import Checkpoint
from voicekit.complexity import complexity
from voicekit.decoding import Decoded, Sampling, Segment, decode, embed_text, require_numbers
from voicekit.devices import Device, choose_device
from voicekit.errors import AudioError, ModelUnavailable, TextError
from voicekit.kept_weights import NOTHING_KEPT, KeptWeights
from voicekit.key_values import Cache
from voicekit.loading import generator, kept, lean_gpt, load_xtts, release_pages
from voicekit.log_values import size
from voicekit.memory import MB
from voicekit.numerals import expanded, spoken_form
from voicekit.precision import Chosen, choose
from voicekit.takes import Take
from voicekit.text import Measured
from voicekit.utterances import BATCH_SIZE, SpeechSettings, Utterance, groups, in_order, segment_generator
from voicekit.vocoding import vocode
from voicekit.xtts_config import XTTSConfig
from voicekit.xtts_modules import CONDITIONING_RATE_HZ, MIN_CHUNK_S, conditioning_latents, speaker_embedding

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

OUTPUT_RATE_HZ = 24_000
HEARD_S = 12  # of a result, when it is compared with the voice's samples: what a speaker encoder needs


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

    @classmethod
    def of(cls, config: XTTSConfig) -> VoiceSettings:
        """The checkpoint's own."""
        return cls(config.gpt_cond_len, config.gpt_cond_chunk_len, config.max_ref_len, config.sound_norm_refs)


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


class TTSModel:
    """XTTS v2, ready to speak: `TTSModel.load(...)`, then `condition`, then `speak`."""

    def __init__(
        self, xtts: Any, precision: Chosen, checkpoint: Checkpoint, device: Device, laid_out: KeptWeights
    ) -> None:
        """`xtts`: of `loading.load_xtts`, on the device; its GPT and its vocoder are taken out of it."""
        self._gpt, self._generator = lean_gpt(xtts, precision.name, laid_out), generator(xtts, laid_out)
        self._laid_out = laid_out
        self._xtts = xtts
        self._heard: tuple[Voice, Cache] | None = None
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
        laid_out = kept(checkpoint, layers.name) if chosen.name == "cpu" else NOTHING_KEPT
        return cls(xtts, layers, checkpoint, chosen, laid_out)

    def keep_layout(self) -> None:
        """Write the weights as this machine runs them into the user's cache, for the next start.

        Nothing is written where they came from there, and where the disk is nearly full.
        """
        if self._laid_out.is_new:
            with span("Keep the weights", done="Weights kept for the next start", stage="load_model") as step:
                step.note(file=size(self._laid_out.keep() / MB))

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
        return VoiceSettings.of(self._xtts.config)

    def tokens(self, text: str, language: str) -> list[int]:
        """The text's BPE ids, as coqui makes them: stripped, lower case, numbers and symbols read out.

        Raises:
            ModelUnavailable: the language needs a package that is missing.
        """
        return self._encode(self._prepared(text, language), language)

    def measure(self, text: str, language: str) -> Measured:
        """How many characters a text has when all is read out, and how many BPE tokens it makes."""
        return Measured(len(expanded(text, language)), len(self.tokens(text, language)))

    def unknown(self, text: str, language: str) -> int:
        """How many tokens of a text stand for characters that the model has no sign for: other scripts, symbols."""
        sign = self._xtts.tokenizer.tokenizer.token_to_id("[UNK]")
        return self.tokens(text, language).count(sign)

    def _prepared(self, text: str, language: str) -> str:
        """The text as it is tokenised; what coqui cannot read out is read out before."""
        readable = spoken_form(text, language).strip().lower()
        try:
            return str(self._xtts.tokenizer.preprocess_text(readable, language.split("-")[0]))
        except ImportError as error:
            raise ModelUnavailable(
                f"The language {language} needs a package that is not installed ({error}).",
                "python -m pip install -r requirements.txt",
            ) from error

    def _encode(self, prepared: str, language: str) -> list[int]:
        """As coqui's `VoiceBpeTokenizer.encode` after its own preprocessing (tests/test_tts_model.py)."""
        marked = f"[{language}]{prepared}".replace(" ", "[SPACE]")
        return list(self._xtts.tokenizer.tokenizer.encode(marked).ids)

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
            ModelError: the weights are damaged (`decoding.require_numbers`).
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
        seconds = sum(seconds for _, _, seconds in heard)
        return Voice(require_numbers(conditioning.cpu()), require_numbers(embedding.cpu()), seconds)

    def similarity(self, audio: Audio, voice: Voice) -> float:
        """How alike a recording and a voice's samples sound to XTTS's own speaker encoder: cosine, -1 to 1.

        The voice's embedding is of its samples and stays the same, so that results can be compared with each other.
        Of the recording the first `HEARD_S` seconds count.
        """
        import torch

        with span("Similarity", stage="write", level=logging.DEBUG), torch.inference_mode():
            heard = resample(Audio(audio.samples[: HEARD_S * audio.sample_rate], audio.sample_rate),
                             CONDITIONING_RATE_HZ)  # fmt: skip
            print_ = speaker_embedding(self._xtts, torch.from_numpy(heard.samples)[None]).flatten().cpu()
            cosine = torch.nn.functional.cosine_similarity(print_, voice.speaker_embedding.flatten(), dim=0)
        self._forget_ears()
        return float(cosine)

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
        utterances = [Utterance(text, language, settings.seed, number, speed=settings.speed)
                      for number, text in enumerate(texts)]  # fmt: skip
        for group in groups(len(texts), batch_size, first_alone=first_alone):
            ended = self.utter(utterances[group.start : group.stop], voice, settings.sampling, batch_size)
            for number, take in enumerate(in_order(ended), group.start):
                yield Speech(number, take.audio, len(take.codes), take.stopped)

    def utter(
        self, utterances: Sequence[Utterance], voice: Voice, sampling: Sampling, rows: int
    ) -> Iterator[tuple[int, Take]]:
        """Speak a group of utterances, `rows` at a time.

        Yields:
            The place of an utterance in the group and what was spoken, in the order in which they end.

        Raises:
            TextError: an utterance cannot be tokenised or is over the model's token limit.
        """
        heard = self._hear_voice(voice)
        for place, decoded in self._decode(utterances, heard, sampling, rows):
            yield place, self._vocode(decoded, voice, utterances[place])

    def _hear_voice(self, voice: Voice) -> Cache:
        """The voice as the GPT remembers it; that of the last one is kept."""
        import torch

        if self._heard is None or self._heard[0] is not voice:
            with span("Voice heard", stage="generate", level=logging.DEBUG), torch.inference_mode():
                self._heard = voice, self._gpt.hear(voice.conditioning.to(self.device.name))
        return self._heard[1]

    def _decode(
        self, utterances: Sequence[Utterance], heard: Cache, sampling: Sampling, rows: int
    ) -> Iterator[tuple[int, Decoded]]:
        """Utterances by their place in the group, in the order in which they end."""
        import torch

        left = list(range(len(utterances)))
        decoding: Iterator[tuple[int, Decoded]] | None = None
        while left:
            # Not around the loop: inference mode is the thread's, and the caller works between two segments.
            with span("Generate", stage="generate", level=logging.DEBUG) as step, torch.inference_mode():
                try:
                    if decoding is None:
                        places = tuple(left)
                        segments = [self._segment(utterances[each]) for each in places]
                        decoding = decode(self._gpt, heard, segments, sampling, rows)
                    ended, decoded = next(decoding)
                except torch.OutOfMemoryError:
                    if rows == 1:
                        raise
                    rows, decoding = rows // 2, None
                    logger.warning("The GPU has no memory for %d segments at a time: going on with %d",
                                   2 * rows, rows)  # fmt: skip
                    continue
                place = places[ended]
                step.count(codes=len(decoded.codes))
                step.note(segment=utterances[place].number + 1, stopped=decoded.stopped)
            left.remove(place)
            yield place, decoded

    def _segment(self, utterance: Utterance) -> Segment:
        embedded = embed_text(self._gpt, self._checked(utterance.text, utterance.language))
        return Segment(embedded, segment_generator(utterance.seed, utterance.number, utterance.attempt))

    def _vocode(self, decoded: Decoded, voice: Voice, utterance: Utterance) -> Take:
        import torch

        done = f"Segment {utterance.number + 1} vocoded"
        with span("Vocode", done=done, stage="vocode", level=logging.DEBUG) as step, torch.inference_mode():
            step.count(codes=len(decoded.codes))
            embedding = voice.speaker_embedding.to(self.device.name)
            waveform = require_numbers(vocode(self._generator, decoded.latents, embedding, speed=utterance.speed))
            audio = Audio(waveform.numpy(), OUTPUT_RATE_HZ)
        return Take(audio, decoded.codes.numpy(), decoded.stopped)

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
