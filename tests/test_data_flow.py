"""What the diagrams and the data flow say is what the code does: names, signatures, steps, figures, shapes, times."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

import improve_voice_sample
import simple_voice_clone
from tests.diagrams.drawing import ALL, ROOT, Diagram, labels, one, plain
from voicekit import (
    audio_reading,
    checkpoint,
    levelling,
    manuscripts,
    planning,
    quality,
    restoration,
    screening,
    take_ends,
    takes,
    tempo,
    text,
    utterances,
)
from voicekit.measurement import HEARD_S
from voicekit.tts_model import OUTPUT_RATE_HZ
from voicekit.xtts_config import ModelArguments
from voicekit.xtts_modules import SPARE_CODES

DATA_FLOW = (ROOT / "dfd.md").read_text("utf-8")
NAMED = (simple_voice_clone.preprocess_audio_for_best_quality, simple_voice_clone.clone_voice_simple,
         improve_voice_sample.analyze_voice_sample, improve_voice_sample.optimize_voice_sample)  # fmt: skip

# Capitals that are no class of ours: names from outside, first words of steps and of log lines.
PROPER = {
    "Hugging", "Face", "HiFi", "PyAV", "Hz", "User", "Note", "System", "Input", "Output", "Stage", "Complexity", "Time",
    "Read", "Converted", "Sample", "Silence", "Compression", "Normalization", "Wrote",
}  # fmt: skip
SEQUENCES = [each for each in ALL if each.source.startswith("sequence")]
OUTSIDE = {"user", "files", "logs/", "model.pth", "NAME.results.jsonl", "Hugging Face", "Hugging Face cache"}


# --- functions and steps -------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", NAMED, ids=lambda each: each.__name__)
def test_the_headings_have_the_signatures(function: Callable[..., Any]) -> None:
    name, signature = function.__name__, inspect.signature(function)
    (shown,) = re.findall(rf"^## \d\. `{name}(\(.*) -> (\w+)`$", DATA_FLOW, re.MULTILINE)
    drawn = ast.parse(f"def shown{shown[0]}: ...").body[0]
    assert isinstance(drawn, ast.FunctionDef)
    parameters = signature.parameters.values()
    keyword_only = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
    assert [each.arg for each in drawn.args.kwonlyargs] == keyword_only
    assert [each.arg for each in drawn.args.args] == [each.name for each in parameters if each.name not in keyword_only]
    pairs = zip(reversed(drawn.args.args), reversed(drawn.args.defaults), strict=False)
    for argument, default in [*pairs, *zip(drawn.args.kwonlyargs, drawn.args.kw_defaults, strict=True)]:
        assert default is None or ast.literal_eval(default) == signature.parameters[argument.arg].default
    assert shown[1] == str(signature.return_annotation).partition("[")[0]


def test_the_preprocessing_shows_every_step_in_order() -> None:
    source = inspect.getsource(simple_voice_clone.preprocess_audio_for_best_quality)
    steps = re.findall(r'_step\("([^"]+)"\)', source)
    assert len(steps) == 7
    assert [label for label in labels(one("dfd.md", "1. ")) if label in steps] == steps


@pytest.mark.parametrize("number", range(1, 6))
def test_each_component_tells_what_it_takes_does_gives_and_refuses(number: int) -> None:
    section = DATA_FLOW.split(f"\n## {number}. ", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (\w+) \| (.{20,}) \|$", section.split("\n| | |\n|---|---|\n", 1)[1], re.MULTILINE)
    assert [name for name, _ in rows[:4]] == ["input", "processing", "output", "errors"]
    raised = set(re.findall(r"`(\w+(?:Error|Unavailable))`", rows[3][1]))
    assert raised and raised <= set(OURS)


def test_the_retry_and_its_page_name_every_fault() -> None:
    section = DATA_FLOW.split("### A retry", 1)[1].split("\n##", 1)[0]
    made = re.findall(r'Fault\("(\w+)"', inspect.getsource(takes))
    assert set(re.findall(r"`(\w+)`", section)) >= set(made)
    assert set(re.findall(r"\b(too_long|too_short|loop|babble|silence|ceiling)\b", section)) == set(made)


# --- names -----------------------------------------------------------------------------------------------------


def defined() -> dict[str, set[str]]:
    """Every module, class and function of ours, with the names that each module and class defines itself."""
    found: dict[str, set[str]] = {}
    for path in [*ROOT.glob("*.py"), *(ROOT / "voicekit").glob("*.py")]:
        tree = ast.parse(path.read_text("utf-8"))
        kinds = (ast.FunctionDef, ast.ClassDef)
        found[path.stem] = {node.name for node in tree.body if isinstance(node, kinds)}
        for node in ast.walk(tree):
            if isinstance(node, kinds):
                found.setdefault(node.name, set()).update(inner.name for inner in node.body if isinstance(inner, kinds))
    return found


OURS = defined()


@pytest.mark.parametrize("diagram", ALL, ids=lambda each: each.name)
def test_names_in_a_diagram_exist(diagram: Diagram) -> None:
    source = plain(diagram.source)
    for owner, name in re.findall(r"(?:(\w+)\.)?(\w+)\(\)", source):
        assert name in (OURS.get(owner, set()) if owner else OURS), f"{owner}.{name}()"
    words = set(re.findall(r"\b[A-Z][a-z]+(?:[A-Z][a-z]*)*\b", re.sub(r"^(flowchart|sequence).*", "", source)))
    assert words - PROPER - set(OURS) == set()


@pytest.mark.parametrize("diagram", SEQUENCES, ids=lambda each: each.name)
def test_who_takes_part_exists(diagram: Diagram) -> None:
    taking_part = re.findall(r"^  (?:actor|participant) \w+ as (.+)$", diagram.source, re.MULTILINE)
    for name in map(plain, taking_part):
        parts = {part.removesuffix("()").split(".")[-1] for part in name.split(", ")}
        assert name in OUTSIDE or parts <= set(OURS), name


def test_the_engine_shows_modules_that_exist() -> None:
    engine = one("architecture.md", "The whole", 1)
    boxes = re.findall(r'^  \w+\["[^"]*?<br/>([^"]+)"\]$', engine.source, re.MULTILINE)
    modules = {name for box in boxes for name in plain(box).split(", ")}
    assert len(modules) > 12
    assert [name for name in modules if not (ROOT / "voicekit" / f"{name}.py").exists()] == []


# --- figures ---------------------------------------------------------------------------------------------------


def known_figures() -> set[str]:
    """Every figure with its unit that a diagram may tell, out of the code's constants."""
    sizes = ModelArguments()
    released = sum(file.size_bytes for file in checkpoint.RELEASED_FILES)
    kept_s = inspect.signature(restoration.trim_silence).parameters["keep_s"].default
    depths = planning.ATTENUATION_BY_SNR[1]
    return {
        f"{simple_voice_clone.SAMPLE_RATE_HZ:,} Hz", f"{OUTPUT_RATE_HZ:,} Hz", f"{planning.OUTPUT_RATE_HZ:,} Hz",
        f"{audio_reading.MAX_SAMPLE_RATE_HZ // 1000} kHz", f"{kept_s:g} s", f"{quality.UNEVEN_LEVEL_LU:g} LU",
        f"{simple_voice_clone.TARGET_LUFS:g} LUFS", f"{simple_voice_clone.MAX_TRUE_PEAK_DBTP:g} dBTP",
        f"{levelling.TARGET_LUFS:g} LUFS", f"{levelling.MAX_TRUE_PEAK_DBTP:g} dBTP",
        f"{take_ends.MAX_BABBLE_S:g} s", f"{HEARD_S:g} s", f"{screening.EXCERPT_S:g} s", f"{planning.LONG_S:g} s",
        f"{max(depths):g} dB", f"{len(planning.STEPS)} steps", f"{utterances.BATCH_SIZE} rows",
        f"{utterances.ROUNDS} batches", f"{sizes.gpt_max_audio_tokens - SPARE_CODES} codes",
        f"{sizes.gpt_layers} layers", f"{text.MAX_TEXT_BYTES >> 20} MB", f"{manuscripts.MAX_BOOK_BYTES >> 20} MB",
        f"{released / 1e9:.1f} GB",
    }  # fmt: skip


@pytest.mark.parametrize("diagram", [each for each in ALL if each.heading != "A retry"], ids=lambda each: each.name)
def test_figures_in_a_diagram_are_those_of_the_code(diagram: Diagram) -> None:
    units = "k?Hz|LUFS|dBTP|LU|s|MB|GB|dB|rows|batches|codes|steps|layers"
    told = set(re.findall(rf"-?\d[\d,.]*\d* (?:{units})\b", plain(diagram.source)))
    assert told - known_figures() == set()


def test_the_shapes_are_those_of_the_released_model() -> None:
    sizes, model = ModelArguments(), one("dfd.md", "5. ").source
    width, heads = sizes.gpt_n_model_channels, sizes.gpt_n_heads
    samples = sizes.gpt_code_stride_len * sizes.output_sample_rate / sizes.input_sample_rate
    for shape in (f"[1, 32, {width}]", f"[1, {sizes.d_vector_dim}, 1]", f"[T + 2, {width}]", f"[n, {width}]",
                  f"[{sizes.gpt_layers}, 2, 1, {heads}, 32, {width // heads}]", f"[n x {samples:,.1f}]"):  # fmt: skip
        assert shape in model, shape
    low, high = min(planning.ATTENUATION_BY_SNR[1]), max(planning.ATTENUATION_BY_SNR[1])
    assert f"noise {low:g} to {high:g} dB lower" in plain(one("dfd.md", "4. ").source)
    assert f"{tempo.SLOWEST:g} to {tempo.FASTEST:g}" in one("dfd.md", "2. ", 1).source


@pytest.mark.parametrize(("log", "place"), [("a_clone", 0), ("an_improved_sample", 1)])
def test_the_table_of_time_and_memory_is_the_example_log(log: str, place: int) -> None:
    lines = (ROOT / "logs" / "examples" / f"{log}.log").read_text("utf-8")
    section = DATA_FLOW.split("## Where time and memory go", 1)[1]
    table = section.split("| stage |")[1 + place]
    told = re.findall(r"^\| `(\w+)` \| [^|]* \| (\S+) \| (\S+) \| (\S+ .B) \| .*\|$", table, re.MULTILINE)
    stages = re.findall(r"Stage: (\w+) - Duration: (\S+) \((\d+%) of the run\).*?Peak: (\S+ .B)", lines)
    assert len(told) >= 4
    assert set(told) <= set(stages), stages
    total = re.findall(r"Total execution time: (\S+)$", lines, re.MULTILINE)[-1]
    peak = re.findall(r"Memory peak: (.+)$", lines, re.MULTILINE)[-1]
    assert f"Total: {total}, peak {peak}." in section
    growths = dict(re.findall(r"Complexity: (\w+) - declared: time O\((\w+)\)", lines))
    for stage, _, _, _ in told:
        assert stage not in growths or f"| O({growths[stage]}) in" in table.split(f"| `{stage}` |")[1].split("\n")[0]
