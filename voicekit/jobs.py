"""A job file -> the jobs in it, each checked, and the lines that give none, each with its reason.

JSONL or CSV, by the ending. A line says what is spoken (`text` or `text_file`), in which `voice`, into which
`output`, and may add `language` and settings. Nothing is spoken here, and no other file is opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from voicekit import job_paths
from voicekit.errors import TextError
from voicekit.job_lines import BadLine, RawJob, csv_lines, json_lines
from voicekit.job_settings import ALLOWED, Value, checked
from voicekit.text import MAX_TEXT_BYTES, normalise_language
from voicekit.text_encodings import decode
from voicekit.text_files import read_whole

__all__ = ["ALLOWED", "BadLine", "Job", "read_jobs"]

FIELDS = ("text", "text_file", "voice", "output", "language")
_CSV = (".csv", ".tsv")
_CSV_VOICES = ";"  # between several voices of one cell
_STDIO = "-"


@dataclass(frozen=True)
class Job:
    """One line of a job file.

    line: counts from 1.
    text, text_file: one of them; the file's path may not exist.
    voices: at least one: the path of a recording that exists, or else a name as it was given.
    output: the path of the result.
    language: one of XTTS's codes; None: not given.
    settings: only names of `ALLOWED`, with values that they take.
    """

    line: int
    text: str | None
    text_file: str | None
    voices: tuple[str, ...]
    output: str
    language: str | None
    settings: Mapping[str, Value]


def read_jobs(
    path: str | os.PathLike[str], *, output_root: str | os.PathLike[str] | None = None, subtitles: str | None = None
) -> tuple[tuple[Job, ...], tuple[BadLine, ...]]:
    """The jobs of a file, and its bad lines, both in the file's order.

    Args:
        path: a .csv or .tsv file, else JSONL; UTF-8. Relative paths in it are taken from its folder.
        output_root: the folder that outputs are taken from instead, and which they cannot leave.
        subtitles: srt or vtt: the kind of lines that name none; None: those have none.

    Raises:
        TextError: the file cannot be read, is no text or over 20 MB, or holds no line that could be a job.
    """
    source, folder = os.fspath(path), Path(os.path.abspath(path)).parent
    text = _text(source)
    is_csv = Path(path).suffix.lower() in _CSV
    lines = csv_lines(text, (*FIELDS, *ALLOWED)) if is_csv else json_lines(text)
    root = None if output_root is None else Path(output_root)
    jobs: list[Job] = []
    bad: list[BadLine] = []
    taken: dict[str, int] = {}
    for read in _read(lines, folder, root, is_csv=is_csv):
        if isinstance(read, BadLine):
            bad.append(read)
        elif (first := min(taken.setdefault(place, read.line) for place in _places(read, subtitles))) < read.line:
            bad.append(BadLine(read.line, f"The output is that of line {first} already.", "Choose another name."))
        else:
            jobs.append(read)
    if not jobs and not bad:
        raise TextError(f"The job file {source!r} holds no job.", "Write one a line.")
    return tuple(jobs), tuple(bad)


def _text(source: str) -> str:
    data = read_whole(source, MAX_TEXT_BYTES, "job file", "Cut it into several.")
    text, encoding = decode(data, source)
    if not encoding.startswith("utf"):  # a guess could change a file's name
        raise TextError(f"The job file {source!r} is not UTF-8.", "Save it as UTF-8.")
    return text.replace("\r\n", "\n")


def _read(
    lines: Iterator[RawJob | BadLine], folder: Path, root: Path | None, *, is_csv: bool
) -> Iterator[Job | BadLine]:
    for raw in lines:
        if isinstance(raw, BadLine):
            yield raw
            continue
        try:
            yield _job(raw, folder, root, is_csv=is_csv)
        except TextError as error:
            yield BadLine(raw.line, error.message, error.hint)


def _job(raw: RawJob, folder: Path, root: Path | None, *, is_csv: bool) -> Job:
    fields = raw.fields
    if unknown := next((name for name in fields if name not in FIELDS and name not in ALLOWED), None):
        raise TextError(f"There is no field {unknown[:40]!r}.", f"There are {', '.join((*FIELDS, *ALLOWED))}.")
    text, text_file = _words(fields, "text"), _words(fields, "text_file")
    if (text is None) == (text_file is None):
        raise TextError(f"The line has {'neither' if text is None else 'both'} of text and text_file.", "Give one.")
    if text_file == _STDIO:
        raise TextError("The text_file of a job cannot be stdin.", "Give a file.")
    output = _words(fields, "output")
    if output is None:
        raise TextError("The line has no output.", "Name the file to write.")
    if output == _STDIO:
        raise TextError("The output of a job cannot be stdout.", "Name the file to write.")
    language = _words(fields, "language")
    return Job(
        raw.line, text, text_file and job_paths.beside(folder, text_file),
        tuple(job_paths.voice(folder, name) for name in _voices(fields.get("voice"), is_csv=is_csv)),
        job_paths.output(folder, output, root), language and normalise_language(language),
        {name: checked(name, value) for name, value in fields.items() if name in ALLOWED},
    )


def _words(fields: Mapping[str, object], name: str) -> str | None:
    """A field's text; None where it is not there."""
    if name not in fields:
        return None
    value = fields[name]
    if not isinstance(value, str):
        raise TextError(f"The field {name!r} is no text.", "Put it in quotation marks.")
    if not value.strip():
        raise TextError(f"The field {name!r} is empty.", "Fill it, or leave it out.")
    return value if name == "text" else value.strip()


def _places(job: Job, subtitles: object) -> list[str]:
    """What the job writes: its output, and the subtitles beside it."""
    kind = job.settings.get("subtitles", subtitles)
    beside = [f"{os.path.splitext(job.output)[0]}.{kind}"] if kind else []
    return [job_paths.identity(path) for path in (job.output, *beside)]


def _voices(value: object, *, is_csv: bool) -> list[str]:
    if isinstance(value, str):
        value = value.split(_CSV_VOICES) if is_csv else [value]
    if value is None or value == []:
        raise TextError("The line has no voice.", "Name a recording, or a saved voice.")
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise TextError("The field 'voice' is neither a text nor a list of texts.", "Name one recording or several.")
    names = [name.strip() for name in value]
    if not all(names):
        raise TextError("A voice is empty.", "Name a recording, or a saved voice.")
    return names
