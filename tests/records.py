"""Analyses and improvements made by hand, so that what shows them is tested without what measures."""

from __future__ import annotations

from dataclasses import replace

from tests.voices import talking
from voicekit.assessment import Assessment, Issue, Metrics
from voicekit.audio import Audio
from voicekit.edits import Kept
from voicekit.improvement import Analysis, Improvement, Step

NOISY = Issue("noisy", "warning", 14.2, 20.0, "The voice is 14 dB above the noise.", "Denoising helps.", True)
ECHO = Issue("reverberant", "warning", 0.75, 0.6, "The room is heard.", "Go nearer to the microphone.", False)
SHORT = Issue("too_short", "info", 6.2, 9.0, "There are 6.2 s of speech.", "Read aloud for 15 seconds.", False)

MEASURED = Metrics(
    duration_s=8.0, speech_s=6.2, silence_ratio=0.225, longest_pause_s=0.6, channels=1, sample_rate_hz=22_050,
    bandwidth_hz=4_100.0, loudness_lufs=-26.4, true_peak_dbtp=-10.4, speech_rms_dbfs=-24.0, noise_floor_dbfs=-38.2,
    snr_db=14.2, heard_snr_db=14.2, level_spread_lu=3.1, clipped_ratio=0.00002, dc_offset=0.0, hum_db=2.0,
    reverb_rt60_s=0.75, speakers=1, dnsmos_sig=3.1, dnsmos_bak=2.4, dnsmos_ovrl=2.5,
)  # channel_correlation and hum_hz could not be told


def judged(score: float, *issues: Issue) -> Assessment:
    return Assessment(score, {"length": 0.92, "noise": 0.55, "room": 0.47, "hum": 1.0}, issues)


def analysis(
    audio: Audio, *, path: str = "/home/somebody/voice.wav", score: float = 38.0,
    issues: tuple[Issue, ...] = (ECHO, NOISY, SHORT), start_s: float = 0.0,
) -> Analysis:
    """Of `talking`: phrases of 2.4 s every 3 s; `start_s`: where in its file the audio begins."""
    seconds = audio.duration_s
    speech = tuple((at, min(at + 2.4, seconds)) for at in range(0, int(seconds), 3))
    metrics = replace(MEASURED, duration_s=start_s + seconds)
    return Analysis(path, metrics, judged(score, *issues), speech, (start_s, start_s + seconds))


def improvement(before: Analysis, after_audio: Audio) -> Improvement:
    """What `before` became: its noise is gone, its echo is not; its second half was put first."""
    output = "/home/somebody/voice_improved.wav"
    after = analysis(after_audio, path=output, score=72.0, issues=(ECHO, SHORT))
    after = replace(after, metrics=replace(after.metrics, snr_db=38.4, heard_snr_db=38.4, noise_floor_dbfs=-61.0))
    steps = (
        Step("Denoised", True, "the voice was 14 dB above the noise", 0.41),
        Step("Hum taken out", False, "no hum was found", 0.0),
    )
    start_s, half_s = before.examined[0], after_audio.duration_s / 2
    edits = (Kept(start_s + half_s, start_s + 2 * half_s), Kept(start_s, start_s + half_s))
    return Improvement(output, before, after, steps, edits)


def pair(seconds: float = 8.0) -> tuple[Audio, Audio]:
    """A recording and what it became."""
    return talking(seconds, 22_050), talking(seconds, 24_000)
