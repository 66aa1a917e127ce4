"""What the documents show is what the programs do."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import sys
from pathlib import Path

import pytest

import improve_voice_sample
import logger_config
import simple_voice_clone
from tests.diagrams.drawing import plain
from voicekit import command_line, complexity, guards, mending, run_history, sample_results
from voicekit.assessment import CURVES, RULES, Assessment, Metrics
from voicekit.metric_words import WORDS
from voicekit.planning import ATTENUATION_DB, LONG_S, STEPS, attenuation_db

ROOT = Path(__file__).resolve().parent.parent
FACES = {"simple_voice_clone.py": simple_voice_clone, "improve_voice_sample.py": improve_voice_sample}
DOCUMENTS = ("README.md", "architecture.md", "dfd.md", "samples/README.md", "docs/logs.md")
EXAMPLE_LOGS = sorted((ROOT / "logs" / "examples").glob("*.log"))
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - (DEBUG|INFO|WARNING|ERROR|CRITICAL) - [A-Za-z0-9_.]+ - .+")
CURVE_OF = {curve.part: curve for curve in CURVES}
WORDS_OF = {words.name: words for words in WORDS}


def text_of(document: str) -> str:
    return (ROOT / document).read_text("utf-8")


def table_under(document: str, heading: str) -> list[list[str]]:
    """The cells of the first table after a heading, without its head; backticks taken off."""
    rest = text_of(document).split(f"\n{heading}\n", 1)[1]
    lines = rest[rest.index("\n| ") + 1 :].split("\n\n", 1)[0].splitlines()
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines[2:]]
    return [[cell.strip().replace("`", "") for cell in row] for row in rows]


def numbers(text: str) -> set[float]:
    return {float(found) for found in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?", text)}


def shown(metric: str, value: float) -> float:
    """A metric's value as people read it: percent for shares, kHz for bandwidths."""
    words = WORDS_OF.get(metric)
    return round(value * words.scale, 6) if words else value


# --- example logs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EXAMPLE_LOGS, ids=lambda path: path.name)
def test_example_logs_have_the_format_and_no_home(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) > 10
    assert all(LINE.fullmatch(line) or line.startswith("    ") for line in lines)
    assert not re.search(r"/(home|root|Users|work)/", "\n".join(lines))


def test_the_example_logs_that_the_readme_tells_of_are_there() -> None:
    assert [path.name for path in EXAMPLE_LOGS] == ["a_clone.log", "a_refused_sample.log", "an_improved_sample.log"]
    assert "Three real logs" in text_of("README.md")


def test_the_improved_sample_log_tells_of_every_step_in_order() -> None:
    log = text_of("logs/examples/an_improved_sample.log")
    assert re.findall(r"Optimisation step: (\w+) - ", log) == list(STEPS)
    assert "Issue: noisy" in log and re.search(r"Score: \d+\.\d -> \d+\.\d", log)
    for function in ("optimize_voice_sample() - START", "optimize_voice_sample() - END"):
        assert function in log


# --- flags ---------------------------------------------------------------------------------------------------


def flags_of(parser: argparse.ArgumentParser) -> set[str]:
    return {flag for action in parser._actions for flag in action.option_strings}


@pytest.mark.parametrize("face", FACES)
def test_the_readme_names_only_flags_that_exist(face: str) -> None:
    commands = [line.split("#")[0] for line in text_of("README.md").splitlines() if f"python {face}" in line]
    used = {flag for line in commands for flag in re.findall(r"(?<!\S)--?[a-z][\w-]*", line)}
    assert used and used <= flags_of(FACES[face].build_parser()) | {"-"}


@pytest.mark.parametrize("face", FACES)
def test_the_readme_names_every_flag(face: str) -> None:
    named = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", text_of("README.md")))
    assert flags_of(FACES[face].build_parser()) <= named


def test_the_flag_tables_name_no_flag_that_is_gone() -> None:
    known = set().union(*(flags_of(face.build_parser()) for face in FACES.values()))
    for heading in ("### Flags", "## Cloning", "## Flags of both scripts"):
        for flags, _ in table_under("README.md", heading):
            assert set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", flags)) <= known, flags


@pytest.mark.parametrize("face", FACES)
def test_the_help_begins_with_examples(face: str) -> None:
    told = FACES[face].build_parser().format_help()
    assert told.index(sys.modules[FACES[face].build_parser.__module__].EXAMPLES) < told.index("options:\n")


# --- the verdict -------------------------------------------------------------------------------------------


def test_the_readme_tells_of_every_issue_its_bounds_and_who_mends_it() -> None:
    """One row a rule, in the rules' order; the columns after the second are note, warning, error."""
    rows = table_under("README.md", "### What can be wrong")
    assert [row[0] for row in rows] == [rule.code for rule in RULES]
    for rule, (code, what, *cells, mender) in zip(RULES, rows, strict=True):
        bounds = {severity: {shown(rule.metric, bound)} for severity, bound in rule.bounds.items()}
        told = {severity: numbers(cell) for severity, cell in zip(("info", "warning", "error"), cells, strict=True)}
        assert {severity: found for severity, found in told.items() if found} == bounds, code
        assert what.endswith(", over" if rule.above else ", under"), code
        assert ("unless" in what) == (rule.unless is not None), code
        assert rule.unless is None or rule.unless[1] in numbers(what), code
        assert mender.startswith("the tool" if rule.mendable else "a new recording"), code


def test_the_readme_tells_of_every_part_of_the_score() -> None:
    section = text_of("README.md").split("### What the verdict means", 1)[1].split("\n### ", 1)[0]
    parts = re.findall(r"^\| (\w+) \| `(\w+)` \| ([^|]*) \| ([^|]*) \|$", section, re.MULTILINE)
    assert [(part, metric) for part, metric, _, _ in parts] == [(curve.part, curve.metric) for curve in CURVES]
    for part, metric, full, less in parts:
        for quality, value in re.findall(r"(0\.\d+) at (-?[\d.]+)", less):
            metrics = _metrics(metric, float(value) / WORDS_OF[metric].scale)
            assert CURVE_OF[part].quality(metrics) == pytest.approx(float(quality), abs=0.006), (part, value)
        for value in numbers(full):
            assert CURVE_OF[part].quality(_metrics(metric, value / WORDS_OF[metric].scale)) == 1.0, (part, value)


def _metrics(metric: str, value: float) -> Metrics:
    ideal = {"duration_s": 12.0, "speech_s": 10.0, "silence_ratio": 0.1, "longest_pause_s": 0.3, "channels": 1,
             "sample_rate_hz": 24_000}
    return Metrics(**{**ideal, metric: value})  # type: ignore[arg-type]


def test_the_readme_tells_the_bounds_of_the_verdicts() -> None:
    rows = table_under("README.md", "### What the verdict means")
    assert [row[0] for row in rows] == ["excellent", "good", "fair", "poor", "unusable"]
    for word, scores, _ in rows:
        if found := re.match(r"(\d+) to (\d+)", scores):
            low, high = (float(number) for number in found.groups())
            assert Assessment(low, {}, ()).verdict == Assessment(high - 0.1, {}, ()).verdict == word
    assert Assessment(19.9, {}, ()).verdict == "unusable" and rows[-1][1].startswith("under 20")


# --- steps, metrics, results -------------------------------------------------------------------------------


def test_the_documents_tell_of_every_step_in_order() -> None:
    assert [row[0] for row in table_under("README.md", "### What is done, and when")] == list(STEPS)
    section = text_of("dfd.md").split("The steps, in their order.", 1)[1]
    assert tuple(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)[: len(STEPS)]) == STEPS
    chart = text_of("dfd.md").split("## 4. ", 1)[1].split("```", 2)[1]
    drawn = [name for name in re.findall(r"\w+", " ".join(re.findall(r'\w+\["([^"]*)"\]', chart))) if name in STEPS]
    assert drawn == list(STEPS)


def test_the_readme_tells_the_bounds_of_the_guards() -> None:
    told = text_of("README.md").split("A step can do harm", 1)[1].split("**Denoisers.**", 1)[0]
    bounds = {
        min(guards.MAX_LEVEL_CHANGE_DB[1]), min(guards.MAX_BAND_CHANGE_DB[1]), max(guards.MIN_ENVELOPE_CORRELATION[1]),
        guards.MIN_NOISE_DROP_DB, mending.MIN_HUM_DROP_DB, mending.WORSE_OVRL, mending.LIGHT_DB,
    }
    assert bounds <= numbers(told)
    steps = {row[0]: " ".join(row) for row in table_under("README.md", "### What is done, and when")}
    auto = {attenuation_db(_metrics("heard_snr_db", snr_db), "auto") for snr_db in (-20.0, 60.0)}
    assert auto | set(ATTENUATION_DB.values()) <= numbers(steps["denoise"])
    assert LONG_S in numbers(steps["stretch"])


def test_the_data_flow_tells_of_every_metric() -> None:
    named = re.findall(r"\w+", " ".join(row[0] for row in table_under("dfd.md", "### Metrics")))
    assert sorted(named) == sorted(Metrics.__dataclass_fields__)


def test_the_readme_tells_of_every_field_of_a_sample() -> None:
    fields = re.findall(r"\w+", " ".join(row[0] for row in table_under("README.md", "### JSON")))
    answer = sample_results.as_json(sample_results.Treated("me.wav"))
    assert sorted(fields) == sorted(answer)


def test_the_readme_imports_what_exists() -> None:
    blocks = re.findall(r"```python\n(.*?)```", text_of("README.md"), re.DOTALL)
    assert blocks
    for node in ast.walk(ast.parse("\n".join(blocks))):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            assert all(hasattr(module, alias.name) for alias in node.names), node.module


# --- the page on logs ----------------------------------------------------------------------------------------


def test_the_page_on_logs_names_every_key_of_a_record(tmp_path: Path) -> None:
    with logger_config.run("s", [], log_dir=tmp_path) as this_run, logger_config.span("g", stage="generate") as step:
        step.count(codes=1)
        this_run.record(**dict.fromkeys(command_line._FOR_HISTORY, "x"))
    (record,) = run_history.read_runs(tmp_path)
    page = text_of("docs/logs.md")
    rows = {key for keys, _ in table_under("docs/logs.md", "## runs.jsonl") for key in keys.split(", ")}
    assert rows == set(record) - {"schema"} | {"last_stage", "crash"}
    for part in ("memory_mb", "log"):
        assert all(f"`{key}`" in page for key in record[part]), part
    assert all(f"`{key}`" in page for key in record["stages"]["generate"])


def test_the_page_on_logs_names_every_variable_and_no_other() -> None:
    code = "".join(text_of(f"{path.relative_to(ROOT)}") for path in [*ROOT.glob("*.py"), *ROOT.glob("voicekit/*.py")])
    used = set(re.findall(r'"(VOICE_CLONING_\w+)"', code))
    assert used == set(re.findall(r"VOICE_CLONING_[A-Z_]+", text_of("docs/logs.md")))


def test_the_page_on_logs_names_every_level_and_flag() -> None:
    levels = {level for level, _ in table_under("docs/logs.md", "## A line") if level.isupper()}
    assert levels == {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
    shown = text_of("docs/logs.md")
    for flag in flags_of(logger_config._parser()) - {"-h", "--help", "--force"}:
        assert f"{flag}" in shown, flag


def test_the_python_of_the_page_on_logs_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", text_of("docs/logs.md"), re.DOTALL)
    exec(compile(code, "docs/logs.md", "exec"), {"__name__": "page"})
    complexity.DECLARED.pop("page.denoise")


def test_the_tests_that_hold_the_promises_exist() -> None:
    files = {path.name: path.read_text("utf-8") for path in (ROOT / "tests").glob("test_*.py")}
    defined = set(re.findall(r"^def (test_\w+)", "\n".join(files.values()), re.MULTILINE)) | set(files)
    rows = table_under("README.md", "## What is promised")
    assert len(rows) >= 18
    for promise, held in rows:
        assert held and set(held.split(", ")) <= defined, promise


def test_the_messages_of_the_troubleshooting_are_the_codes() -> None:
    texts = [node.value for path in [*ROOT.glob("*.py"), *ROOT.glob("voicekit/*.py")]
             for node in ast.walk(ast.parse(path.read_text("utf-8")))
             if isinstance(node, ast.Constant) and isinstance(node.value, str)]  # fmt: skip
    said = "".join(texts)
    for message, _ in table_under("README.md", "## When something goes wrong"):
        for part in message.split(" ... "):
            assert part.strip() in said, message


# --- the map, the links ------------------------------------------------------------------------


def test_the_module_map_has_every_module_once() -> None:
    rows = text_of("architecture.md").split("## The module map", 1)[1].split("\n## ", 1)[0]
    named = re.findall(r"`(?:voicekit/)?(\w+\.py)`", "".join(re.findall(r"^\| (`.*?) \|", rows, re.MULTILINE)))
    modules = [path.name for path in [*ROOT.glob("*.py"), *(ROOT / "voicekit").glob("*.py")]]
    assert sorted(named) == sorted(set(modules) - {"__init__.py"})


def test_the_module_map_names_no_module_that_is_gone() -> None:
    for name in re.findall(r"`(?:voicekit/)?(\w+\.py)`", text_of("architecture.md")):
        places = (ROOT, ROOT / "voicekit", ROOT / "tests")
        assert any((place / name).exists() for place in places), name


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_inside_the_repository_lead_somewhere(document: str) -> None:
    folder = (ROOT / document).parent
    for target in re.findall(r"\]\(([^):]+)\)", text_of(document)):
        file, _, anchor = target.partition("#")
        page = folder / file if file else ROOT / document
        assert page.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target


def test_the_data_flow_names_functions_that_exist() -> None:
    trees = [ast.parse(path.read_text("utf-8")) for path in [*ROOT.glob("*.py"), *(ROOT / "voicekit").glob("*.py")]]
    nodes = (node for tree in trees for node in ast.walk(tree))
    defined = {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for document in ("dfd.md", "architecture.md"):
        assert set(re.findall(r"(\w+)\(\)", plain(text_of(document)))) <= defined, document


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_documents_tell_of_no_machine_and_of_nothing_to_come(document: str) -> None:
    text = text_of(document)
    assert not re.search(r"/(home|root|Users|work|tmp)/", text)
    assert not re.search(r"to_come|not in the tree|next step of the project", text)
