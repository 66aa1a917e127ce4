"""The layout is a contract: what imports what, what stays light, who may print."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FACES = ("simple_voice_clone", "improve_voice_sample")

# Lower layers first; a module may import, at module level, only from layers before its own.
LAYERS = (
    ("voicekit.alphabets", "voicekit.assessment", "voicekit.chapters", "voicekit.complexity", "voicekit.doctor_checks",
     "voicekit.errors", "voicekit.eta", "voicekit.file_signatures", "voicekit.held_files", "voicekit.interrupts",
     "voicekit.key_values", "voicekit.log_values", "voicekit.memory", "voicekit.native_code", "voicekit.number_words",
     "voicekit.private_text", "voicekit.report_page", "voicekit.rewritten", "voicekit.run_statistics",
     "voicekit.scratch_folders", "voicekit.sentences", "voicekit.speaking_rate", "voicekit.standard_output",
     "voicekit.subtitles", "voicekit.tag_containers", "voicekit.wav_format", "voicekit.xml_reading",
     "voicekit.xtts_config"),
    ("voicekit.audio_reading", "voicekit.bundled", "voicekit.epub_archive", "voicekit.foreign_files",
     "voicekit.job_lines", "voicekit.job_paths", "voicekit.job_settings", "voicekit.log_lines", "voicekit.machine",
     "voicekit.markup", "voicekit.memory_shortage", "voicekit.metadata",
     "voicekit.metric_words", "voicekit.native_convolution", "voicekit.native_kernels", "voicekit.numerals",
     "voicekit.packing", "voicekit.page_text", "voicekit.plain_reading", "voicekit.plain_text", "voicekit.playback",
     "voicekit.publishing", "voicekit.receiving", "voicekit.remembered", "voicekit.run_history", "voicekit.run_plots",
     "voicekit.run_records", "voicekit.sample_files", "voicekit.stage_clock", "voicekit.subtitle_reading",
     "voicekit.text_encodings", "voicekit.text_files", "voicekit.vocoding", "voicekit.xtts_modules"),
    ("voicekit.audio", "voicekit.audio_encoders", "voicekit.crash_reports", "voicekit.download",
     "voicekit.epub_contents", "voicekit.job_results", "voicekit.lexicon", "voicekit.log_files",
     "voicekit.markdown_reading", "voicekit.native", "voicekit.run_costs", "voicekit.run_report", "voicekit.run_text",
     "voicekit.voice_files"),
    ("voicekit.audio_state", "voicekit.audio_writing", "voicekit.declipping", "voicekit.defects", "voicekit.denoising",
     "voicekit.dnsmos", "voicekit.edits", "voicekit.epub_reading", "voicekit.forecast", "voicekit.hum_removal",
     "voicekit.joining", "voicekit.journal", "voicekit.kept_weights", "voicekit.loops", "voicekit.noise",
     "voicekit.quality", "voicekit.reverberation", "voicekit.run_frame", "voicekit.run_page", "voicekit.run_reasons",
     "voicekit.screening", "voicekit.speech_detection", "voicekit.tempo", "voicekit.text", "voicekit.verification"),
    ("logger_config", "voicekit.convolutions", "voicekit.device_advice", "voicekit.guards", "voicekit.improvement",
     "voicekit.jobs", "voicekit.levelling", "voicekit.manuscripts", "voicekit.matrices",
     "voicekit.rehearsal_tokenizer", "voicekit.restoration", "voicekit.speakers", "voicekit.stretches",
     "voicekit.takes"),
    ("voicekit.checkpoint", "voicekit.command_line", "voicekit.gpt", "voicekit.hifigan", "voicekit.language_check",
     "voicekit.measurement", "voicekit.precision", "voicekit.report_sample", "voicekit.take_ends"),
    ("voicekit.conditioning_cache", "voicekit.decoding", "voicekit.pictures", "voicekit.planning", "voicekit.profiles",
     "voicekit.report_details", "voicekit.report_verdict"),
    ("voicekit.loading", "voicekit.mending", "voicekit.report", "voicekit.utterances",
     "voicekit.verdict"),
    ("voicekit.cloning", "voicekit.devices", "voicekit.rehearsal_weights", "voicekit.sample_results",
     "voicekit.speech_plan"),
    ("voicekit.clone_flags", "voicekit.cutting", "voicekit.rehearsal_checks", "voicekit.tts_model"),
    ("voicekit.outputs", "voicekit.rehearsal", "voicekit.voices"),
    ("voicekit.clone_plans", "voicekit.doctor_machine", "voicekit.leftovers", "voicekit.model_finding",
     "voicekit.tasks"),
    ("voicekit.clone_results", "voicekit.delivery", "voicekit.doctor", "voicekit.narration", "voicekit.resuming"),
    ("voicekit.admission", "voicekit.housekeeping", "voicekit.request_building"),
    FACES,
)
RANK = {module: rank for rank, layer in enumerate(LAYERS) for module in layer}


@functools.cache
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
        if not name.startswith("voicekit.") or name in ("voicekit.command_line", "voicekit.clone_flags"):
            continue
        called = {node.func.id for node in ast.walk(tree)
                  if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert "print" not in called, name
        assert "argparse" not in imported, name


def undocumented(tree: ast.Module, documented: frozenset[str]) -> list[str]:
    """Public names without a docstring; what overrides or fulfils a documented one says it there."""
    found = []
    for node in tree.body:
        for part in [node, *(node.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_") else [])]:
            if isinstance(part, (ast.FunctionDef, ast.ClassDef)) and not part.name.startswith("_"):
                overrides = part is not node and part.name in documented
                overrides |= "overload" in {ast.unparse(each) for each in part.decorator_list}
                found += [part.name] if not ast.get_docstring(part) and not overrides else []
    return found


def test_everything_public_says_what_it_is() -> None:
    methods = [part for tree in modules().values() for node in tree.body if isinstance(node, ast.ClassDef)
               for part in node.body if isinstance(part, ast.FunctionDef)]  # fmt: skip
    documented = frozenset(part.name for part in methods if ast.get_docstring(part))
    foreign = frozenset({"emit", "close", "format", "handleError"})  # of logging's handlers and formatters
    missing = {name: undocumented(tree, documented | foreign) for name, tree in modules().items()}
    assert {name: names for name, names in missing.items() if names} == {}
    assert all(ast.get_docstring(tree) for tree in modules().values())


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
