"""The layout is a contract: what imports what, what stays light, who may print."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FACES = ("simple_voice_clone", "improve_voice_sample")

# Lower layers first; a module may import, at module level, only from layers before its own.
LAYERS = (
    ("voicekit.errors", "voicekit.complexity", "voicekit.memory", "voicekit.private_text",
     "voicekit.run_statistics", "voicekit.remembered", "voicekit.native_kernels", "voicekit.xtts_config"),
    ("voicekit.run_history", "voicekit.native", "voicekit.native_convolution", "voicekit.xtts_modules"),
    ("voicekit.log_lines", "voicekit.stage_clock", "voicekit.matrices", "voicekit.key_values",
     "voicekit.convolutions"),
    ("voicekit.log_files", "voicekit.log_values", "voicekit.crash_reports"),
    ("voicekit.machine", "voicekit.gpt", "voicekit.hifigan"),
    ("voicekit.run_frame",),
    ("logger_config", "voicekit.audio_reading", "voicekit.text", "voicekit.download", "voicekit.publishing",
     "voicekit.bundled", "voicekit.run_records", "voicekit.precision"),
    ("voicekit.audio", "voicekit.checkpoint"),
    ("voicekit.audio_state", "voicekit.run_report", "voicekit.run_text"),
    ("voicekit.quality", "voicekit.joining", "voicekit.loading", "voicekit.decoding", "voicekit.vocoding",
     "voicekit.noise", "voicekit.defects", "voicekit.reverberation", "voicekit.screening", "voicekit.edits",
     "voicekit.declipping", "voicekit.hum_removal", "voicekit.assessment", "voicekit.speech_detection",
     "voicekit.denoising"),
    ("voicekit.restoration", "voicekit.tts_model", "voicekit.rehearsal_tokenizer", "voicekit.guards",
     "voicekit.stretches", "voicekit.speakers", "voicekit.dnsmos", "voicekit.improvement"),
    ("voicekit.measurement",),
    ("voicekit.planning", "voicekit.metric_words", "voicekit.run_reasons"),
    ("voicekit.mending", "voicekit.verdict", "voicekit.pictures", "voicekit.report_page"),
    ("voicekit.report_sample", "voicekit.run_plots"),
    ("voicekit.report_verdict", "voicekit.report_details", "voicekit.run_page"),
    ("voicekit.report",),
    ("voicekit.rehearsal_weights",),
    ("voicekit.rehearsal_checks",),
    ("voicekit.rehearsal", "voicekit.cloning"),
    ("voicekit.command_line",),
    FACES,
)
RANK = {module: rank for rank, layer in enumerate(LAYERS) for module in layer}


def modules() -> dict[str, ast.Module]:
    files = {path.stem: path for path in ROOT.glob("*.py")}
    files |= {f"voicekit.{path.stem}": path for path in (ROOT / "voicekit").glob("*.py") if path.stem != "__init__"}
    return {name: ast.parse(path.read_text("utf-8")) for name, path in files.items()}


def imports_at_module_level(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "voicekit":
            found |= {f"voicekit.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found & set(RANK)


def test_every_module_has_its_layer() -> None:
    assert set(modules()) <= set(RANK)


@pytest.mark.parametrize("name", sorted(modules()))
def test_imports_point_one_way(name: str) -> None:
    for imported in imports_at_module_level(modules()[name]):
        assert RANK[imported] < RANK[name], f"{name} imports {imported}"


def test_no_face_imports_another() -> None:
    for face in FACES:
        assert not imports_at_module_level(modules()[face]) & set(FACES)


def test_only_the_command_line_prints_or_parses() -> None:
    for name, tree in modules().items():
        if not name.startswith("voicekit.") or name == "voicekit.command_line":
            continue
        called = {node.func.id for node in ast.walk(tree)
                  if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert "print" not in called, name
        assert "argparse" not in imported, name


def test_only_logger_config_configures_logging() -> None:
    for name, tree in modules().items():
        attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        if name != "logger_config":
            assert not attributes & {"basicConfig", "addHandler", "captureWarnings"}, name


def test_nothing_touches_sys_modules_of_others() -> None:
    """Stubbing a package in sys.modules would change it for everybody; looking one up is fine."""
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, (ast.Assign, ast.Delete)):
                targets = node.targets
                assert not any("sys.modules" in ast.unparse(target) for target in targets), name


@pytest.mark.parametrize("face", FACES)
def test_importing_a_face_stays_light(face: str) -> None:
    """What takes seconds to import is imported where it is used: `--help` is answered at once."""
    heavy = ("torch", "TTS", "transformers", "librosa", "scipy", "matplotlib", "av", "pydub", "huggingface_hub", "rich",
             "onnxruntime")
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {face}"
    code += f"; print([m for m in {heavy!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_the_root_holds_what_was_asked_for() -> None:
    wanted = ("simple_voice_clone.py", "improve_voice_sample.py", "logger_config.py", "architecture.md",
              "dfd.md", "README.md", "requirements.txt",
              "logs", "tests", "LICENSE", "pyproject.toml", "Makefile", ".ci/run")
    assert [name for name in wanted if not (ROOT / name).exists()] == []


def test_every_requirement_is_pinned() -> None:
    lines = [line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines()]
    assert all("==" in line for line in lines if line)
