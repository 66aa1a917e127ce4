"""The logs under ``logs/examples`` are what the scripts write today: they are made again, and compared."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from samples.make_logs import make

EXAMPLES = Path(__file__).resolve().parents[1] / "logs" / "examples"


def skeleton(log: str) -> list[str]:
    """The events of a log: level, logger and words, without figures, units and what only some runs have."""
    events = []
    for line in log.splitlines():
        if line.startswith("    ") or " - Time: " in line or "reached the model's ceiling" in line:
            continue
        line = re.sub(r"(Pages read from disk: \d+|CPU: \d+%), ", "", line.split(" - ", 1)[1])  # none of a moment
        line = re.sub(r"Run: \S+", "Run: #", line).replace("rehearsal-tiny", "rehearsal")
        line = re.sub(r"[+-]?\d+(\.\d+)?(e-\d+)?", "#", line)
        events.append(re.sub(r"# (KB|MB|GB)", "# B", line))
    return events


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("examples")
    return {path.name: path.read_text("utf-8") for path in make(folder, "rehearsal-tiny", earlier_runs=0)}


@pytest.mark.parametrize("name", ["a_clone.log", "a_refused_sample.log", "an_improved_sample.log"])
def test_the_example_is_what_is_written_today(made: dict[str, str], name: str) -> None:
    assert skeleton(made[name]) == skeleton((EXAMPLES / name).read_text("utf-8"))


def test_a_line_that_is_gone_or_new_would_be_seen(made: dict[str, str]) -> None:
    lines = made["a_clone.log"].splitlines()
    assert skeleton("\n".join(lines[:5] + lines[6:])) != skeleton(made["a_clone.log"])
    assert skeleton(made["a_clone.log"].replace("Model loaded", "Model was loaded")) != skeleton(made["a_clone.log"])
