"""What the documents show is what the program does."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from simple_voice_clone import EXAMPLES, build_parser

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE_LOGS = sorted((ROOT / "logs" / "examples").glob("*.log"))
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - (DEBUG|INFO|WARNING|ERROR|CRITICAL) - [A-Za-z0-9_.]+ - .+")


@pytest.mark.parametrize("path", EXAMPLE_LOGS, ids=lambda path: path.name)
def test_example_logs_have_the_format_and_no_home(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) > 10
    assert all(LINE.fullmatch(line) or line.startswith("    ") for line in lines)
    assert not re.search(r"/(home|root|Users)/", "\n".join(lines))


def test_there_are_two_example_logs() -> None:
    assert len(EXAMPLE_LOGS) == 2


def test_the_readme_names_only_flags_that_exist() -> None:
    known = {flag for action in build_parser()._actions for flag in action.option_strings}
    readme = (ROOT / "README.md").read_text("utf-8")
    commands = [line for line in readme.splitlines() if "simple_voice_clone.py" in line]
    used = {flag for line in commands for flag in re.findall(r"(?<!\S)--?[a-z][\w-]*", line)}
    assert used <= known
    assert {"--text", "--voice"} <= used


def test_the_help_begins_with_examples() -> None:
    assert build_parser().format_help().index(EXAMPLES) < build_parser().format_help().index("options:\n")


def test_the_module_map_names_every_module() -> None:
    map_ = (ROOT / "architecture.md").read_text("utf-8")
    for path in (ROOT / "voicekit").glob("*.py"):
        if path.stem != "__init__":
            assert path.name in map_, path.name


@pytest.mark.parametrize("document", ["architecture.md", "dfd.md", "README.md"])
def test_links_inside_the_repository_lead_somewhere(document: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / document).read_text("utf-8")):
        assert (ROOT / target).exists(), target


def test_the_data_flow_names_functions_that_exist() -> None:
    trees = [ast.parse(path.read_text("utf-8")) for path in [*ROOT.glob("*.py"), *(ROOT / "voicekit").glob("*.py")]]
    nodes = (node for tree in trees for node in ast.walk(tree))
    defined = {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    to_come = {"analyze_voice_sample", "optimize_voice_sample"}  # the second script's
    named = set(re.findall(r"(\w+)\(\)", (ROOT / "dfd.md").read_text("utf-8")))
    assert named <= defined | to_come
