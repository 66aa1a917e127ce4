"""The examination of an installation: what is broken on purpose is found, told with a remedy, and stops nothing."""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from voicekit import doctor, doctor_checks, doctor_machine, native
from voicekit.audio import Audio
from voicekit.audio_writing import write_audio
from voicekit.doctor import Finding, examine, exit_code
from voicekit.errors import ModelUnavailable


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


def only(findings: Iterator[Finding]) -> Finding:
    (finding,) = list(findings)
    return finding


def states(findings: Iterator[Finding]) -> dict[str, str]:
    return {each.name: each.state for each in findings}


# --- packages -------------------------------------------------------------------------------------------------


def install(folder: Path, name: str, version: str) -> None:
    """What pip leaves of a distribution."""
    about = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_this_installation_is_as_the_requirements_say() -> None:
    """True wherever the tests run; a package that is missing or another one would be named."""
    lines = doctor_checks.pinned_lines()
    assert len(lines) > 20
    found = list(doctor_checks.requirements(lines))
    assert [each.name for each in found] == ["Packages"] and found[0].state == "ok", found


def test_missing_and_other_versions_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, version in (("voice-one", "1.0.0"), ("voice-two", "2.1.0"), ("voice-cuda", "3.0+cu130")):
        install(tmp_path, name, version)
    monkeypatch.syspath_prepend(str(tmp_path))
    lines = ["# a comment", "", "voice-one==1.0.0  # as tested", "voice-two==2.0.0", "voice-three==1",
             "voice-cuda==3.0", "voice-four==1; python_version < '3'",
             "voice-five==1; sys_platform == 'nowhere'"]  # fmt: skip
    found = list(doctor_checks.requirements(lines))
    assert {each.name: each.state for each in found} == {
        "voice-two": "warning", "voice-three": "broken", "Packages": "warning"}  # fmt: skip
    assert "2.1.0; 2.0.0 is what was tested" in found[0].detail
    assert found[-1].detail == "2 of 4 packages are as tested"
    assert all("pip install" in each.fix for each in found)


def test_the_abandoned_package_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(doctor_checks.old_tts()) == []  # coqui-tts, which is here, is another one
    install(tmp_path, "TTS", "0.22.0")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = only(doctor_checks.old_tts())
    assert found.state == "broken" and "TTS 0.22.0" in found.detail and "uninstall -y TTS coqui-tts" in found.fix


@pytest.mark.parametrize(("versions", "state"), [
    (("2.11.0+cu130", "2.11.0", "0.11.0"), "ok"), (("2.11.0", "2.10.0", "0.11.0"), "broken"),
    (("2.11.0", "2.11.0", None), "broken"), (("2.11.0", "2.11.1", "0.11.0"), "ok"),
    (("2.1.0", "2.11.0", "0.11.0"), "broken"),
])  # fmt: skip
def test_packages_that_are_built_for_each_other(
    versions: tuple[str | None, ...], state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = dict(zip(("torch", "torchaudio", "torchcodec"), versions, strict=True))
    monkeypatch.setattr(doctor_checks, "installed_version", found.get)
    assert only(doctor_checks.torch_family()).state == state


def test_a_package_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "voice_broken.py").write_text("raise OSError('libsomething.so: no such file')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = list(doctor_checks.imports({"numpy": "arrays", "voice_broken": "a test", "voice_absent": "another"}))
    assert [(each.name, each.state) for each in found] == [("voice_broken", "broken"), ("voice_absent", "broken")]
    assert "libsomething.so" in found[0].detail and "a test" in found[0].detail


def test_everything_that_is_used_can_be_imported() -> None:
    assert only(doctor_checks.imports()).state == "ok"


def test_words_are_read_out() -> None:
    found = {each.name: each for each in doctor_checks.text_packages()}
    assert {each.state for each in found.values()} == {"ok"}, found
    assert "ni3hao3" in found["Text: Chinese"].detail and "eumseong" in found["Text: Korean"].detail


def test_a_language_without_its_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cutlet", None)  # an import of it fails
    found = {each.name: each for each in doctor_checks.text_packages()}
    assert found["Text: Japanese"].state == "broken" and found["Text: Japanese"].fix
    assert found["Text: Chinese"].state == found["Text: Korean"].state == "ok"


def test_extras_are_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "voice_extra.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = list(doctor_checks.extras({"voice_none": ("voice-none", "x"), "voice_extra": ("voice-extra", "y")}))
    assert [each.state for each in found] == ["ok", "warning"]
    assert "pip install voice-none" in found[0].fix and "PortAudio" in found[1].detail


# --- torch ----------------------------------------------------------------------------------------------------

BROKEN_TORCH = {
    "missing library": ("raise ImportError('libcudart.so.13: cannot open shared object file')", "libcudart.so.13"),
    "other processor": ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "another processor"),
    "wrong numbers": ("class tensor:\n def __init__(s, x): pass\n def __matmul__(s, o): return s\n"
                      " def flatten(s): return s\n def tolist(s): return [0.0]", "torch cannot be used"),
}  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("kind", BROKEN_TORCH)
def test_a_broken_torch_is_told_and_ends_nothing(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, told = BROKEN_TORCH[kind]
    (tmp_path / "torch.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = only(doctor_checks.torch_works())
    assert found.state == "broken" and told in found.detail and found.fix


def test_a_torch_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").write_text("import time; time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(doctor_checks, "_TORCH_TIMEOUT_S", 0.5)
    found = only(doctor_checks.torch_works())
    assert found.state == "broken" and "does not answer" in found.detail


def test_without_torch_the_rest_is_examined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    spoken: list[Path] = []
    found = states(examine(log_dir=tmp_path / "logs", model="rehearsal-tiny", speak=lambda *each: spoken.extend(each)))
    assert found["torch"] == found["Small clone"] == "broken"
    assert found["Python"] == found["Model"] == found["Folder: logs"] == "ok"
    assert "GPU" not in found and "Precision" not in found  # they would import it here
    assert spoken == []


# --- the machine ----------------------------------------------------------------------------------------------


def test_folders_that_can_and_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    found = {each.name: each for each in doctor_machine.folders(tmp_path / "logs")}
    assert [each.state for each in found.values()] == ["ok", "ok", "warning"]
    assert "XDG_DATA_HOME" in found["Folder: data"].fix
    assert list((tmp_path / "logs").iterdir()) == []  # nothing is left behind


def test_why_there_are_no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    found = only(doctor_machine.native_kernels())
    assert found.state == "warning" and "riscv64" in found.detail
    monkeypatch.undo()
    expected = "ok" if native.kernels() else "warning"
    assert only(doctor_machine.native_kernels()).state == expected


def test_ffmpeg_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert only(doctor_machine.ffmpeg()).state == "warning"
    program = tmp_path / ("ffmpeg.exe" if os.name == "nt" else "ffmpeg")
    program.write_text("")
    program.chmod(0o755)
    assert only(doctor_machine.ffmpeg()).state == "ok"


@pytest.mark.parametrize(("driver", "cuda", "state", "told"), [
    (True, None, "warning", "built for the CPU only"), (True, "13.0", "warning", "built for CUDA 13.0"),
    (False, "13.0", "ok", "none"), (False, None, "ok", "none"),
])  # fmt: skip
def test_a_gpu_that_torch_does_not_see(
    driver: bool, cuda: str | None, state: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr("voicekit.machine.has_nvidia_gpu", lambda: driver)
    found = only(doctor_machine.gpu())
    assert found.state == state and told in found.detail
    assert bool(found.fix) == (state == "warning")


# --- the model ------------------------------------------------------------------------------------------------


def a_folder(folder: Path, weights: bytes) -> str:
    folder.mkdir()
    for name, data in (("config.json", b"{}"), ("vocab.json", b"{}"), ("model.pth", weights)):
        (folder / name).write_bytes(data)
    return str(folder)


def test_the_weights_of_a_folder(tmp_path: Path) -> None:
    archive = tmp_path / "whole.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("model/data.pkl", bytes(90_000))
    whole = archive.read_bytes()
    cases = {"whole": (whole, "ok", "is here"), "cut": (whole[:-200], "broken", "is cut"),
             "page": (b"<html>not found</html>", "broken", "no file of torch"),
             "old": (b"\x80\x02}q\x00.", "ok", "is here")}  # fmt: skip
    for name, (weights, state, told) in cases.items():
        found = only(doctor_machine.model_state(a_folder(tmp_path / name, weights), offline=True))
        assert found.state == state and told in found.detail, name


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable):
        list(doctor_machine.model_state(str(tmp_path / "none"), offline=True))
    found = only(doctor._guarded("Model", lambda: doctor_machine.model_state(str(tmp_path / "none"), offline=True)))
    assert found.state == "broken" and "There is no model folder" in found.detail and "--model" in found.fix


def test_the_release_that_would_be_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(doctor_machine, "_free_mb", lambda folder: 50_000.0)
    found = only(doctor_machine.model_state("xtts_v2", offline=True))
    assert found.state == "warning" and "1.9 GB" in found.detail
    online = states(doctor_machine.model_state("xtts_v2", offline=False))  # the tests' hub is a port where nobody is
    assert online == {"Model": "warning", "Hub": "broken"}
    monkeypatch.setattr(doctor_machine, "_free_mb", lambda folder: 900.0)
    assert only(doctor_machine.model_state("xtts_v2", offline=False)).state == "broken"


def test_the_licence_is_asked_of_the_release_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COQUI_TOS_AGREED", raising=False)
    assert list(doctor_machine.licence("rehearsal-tiny")) == []
    assert only(doctor_machine.licence("xtts_v2")).state == "warning"
    monkeypatch.setenv("COQUI_TOS_AGREED", "1")
    assert only(doctor_machine.licence("xtts_v2")).state == "ok"


# --- all of it ------------------------------------------------------------------------------------------------


def sound(seconds: float, level: float) -> Audio:
    time = np.arange(round(24_000 * seconds)) / 24_000
    return Audio((level * np.sin(2 * np.pi * 200 * time)).astype(np.float32), 24_000)


@pytest.mark.parametrize(("seconds", "level", "state"), [(2.0, 0.3, "ok"), (2.0, 0.0, "broken"), (0.01, 0.3, "broken")])
def test_what_was_spoken_is_listened_to(seconds: float, level: float, state: str) -> None:
    heard: list[Path] = []

    def speak(sample: Path, output: Path) -> None:
        assert sample.stat().st_size > 100_000
        heard.append(output)
        write_audio(sound(seconds, level), output)

    assert only(doctor_machine.small_clone(speak)).state == state
    assert not heard[0].parent.exists()


def test_a_clone_without_a_file_and_one_that_fails() -> None:
    assert only(doctor_machine.small_clone(lambda *_: None)).state == "broken"

    def fails(*_: Path) -> None:
        raise ModelUnavailable("The tiny model is gone.", "Bring it back.")

    found = only(doctor._guarded("Small clone", lambda: doctor_machine.small_clone(fails)))
    assert (found.state, found.detail, found.fix) == ("broken", "The tiny model is gone.", "Bring it back.")


def test_the_sample_is_taken_for_sound() -> None:
    sample = doctor_machine.sample_sound()
    assert sample.duration_s == 7.0 and sample.sample_rate == 22_050
    assert np.abs(sample.samples).max() == pytest.approx(0.3) and sample.samples.dtype == np.float32


def test_a_check_that_fails_is_a_finding_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half() -> Iterator[Finding]:
        yield Finding("Precision", "ok", "half")
        raise ZeroDivisionError("a defect\nof two lines")

    monkeypatch.setattr(doctor_machine, "fastest_precision", half)
    monkeypatch.setattr(doctor_checks, "extras", lambda: 1 / 0)
    found = list(examine(log_dir=tmp_path / "logs", model="rehearsal-tiny",
                         speak=lambda _, output: write_audio(sound(1.0, 0.3), output)))  # fmt: skip
    precision = [each for each in found if each.name == "Precision"]
    assert [each.state for each in precision] == ["ok", "broken"]
    assert precision[1].detail == "the check failed: ZeroDivisionError: a defect"
    names = [each.name for each in found]
    assert names.index("Python") < names.index("torch") < names.index("Model") < names.index("Extras")
    assert found[-1].name == "Small clone" and found[-1].state == "ok"
    assert exit_code(found) == 3


def test_exit_codes() -> None:
    assert exit_code([]) == exit_code([Finding("a", "ok", ""), Finding("b", "warning", "")]) == 0
    assert exit_code([Finding("a", "broken", ""), Finding("b", "ok", "")]) == 3


def test_findings_come_one_by_one(tmp_path: Path) -> None:
    """A person sees the first before the last is known."""
    first = next(examine(log_dir=tmp_path / "logs", speak=lambda *_: pytest.fail("too early")))
    assert first.name == "Python" and platform_is_named(first.detail)


def platform_is_named(detail: str) -> bool:
    return f"{sys.version_info.major}.{sys.version_info.minor}" in detail
