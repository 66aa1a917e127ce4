"""voicekit.jobs: what a person writes into a job file, right and wrong; nothing in it leads out of the output root."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from voicekit import jobs as jobs_module
from voicekit.errors import TextError
from voicekit.jobs import ALLOWED, BadLine, Job, read_jobs

FULL = {"text": "Hello", "voice": "ann", "output": "a.wav"}


def write(folder: Path, *lines: object, name: str = "jobs.jsonl") -> Path:
    file = folder / name
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), "utf-8")
    return file


def one(folder: Path, changes: Mapping[str, object]) -> Job | BadLine:
    """What one line gives; a field that is None is left out."""
    fields = {name: value for name, value in {**FULL, **changes}.items() if value is not None}
    good, bad = read_jobs(write(folder, fields))
    (read,) = (*good, *bad)
    return read


def bad(folder: Path, changes: Mapping[str, object]) -> BadLine:
    read = one(folder, changes)
    assert isinstance(read, BadLine), read
    assert read.message.endswith(".")
    assert read.hint
    return read


def good(folder: Path, **more: object) -> Job:
    read = one(folder, more)
    assert isinstance(read, Job), read
    return read


def test_a_file_of_jobs(tmp_path: Path) -> None:
    (tmp_path / "me.wav").write_bytes(b"x")
    file = write(
        tmp_path, "# made by hand", "",
        {"text": "Hello", "voice": "ann", "output": "a.wav"},
        {"text_file": "b.txt", "voice": ["me.wav", "ann"], "output": "out/b.mp3", "language": "zh", "seed": 7,
         "speed": 1.5},
        "{broken",
        {"text": "x", "output": "c.wav"},
    )
    good, bad = read_jobs(file)
    assert good == (
        Job(3, "Hello", None, ("ann",), str(tmp_path / "a.wav"), None, {}),
        Job(4, None, str(tmp_path / "b.txt"), (str(tmp_path / "me.wav"), "ann"), str(tmp_path / "out/b.mp3"), "zh-cn",
            {"seed": 7, "speed": 1.5}),
    )
    assert [line.line for line in bad] == [5, 6]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"colour": "red"}, "no field 'colour'"),
        ({"text": None}, "neither of text and text_file"),
        ({"text_file": "a.txt"}, "both of text and text_file"),
        ({"text": "  "}, "'text' is empty"),
        ({"text": 5}, "'text' is no text"),
        ({"text": None, "text_file": "-"}, "cannot be stdin"),
        ({"voice": None}, "no voice"), ({"voice": []}, "no voice"), ({"voice": ""}, "A voice is empty"),
        ({"voice": ["ann", " "]}, "A voice is empty"), ({"voice": 3}, "neither a text nor a list"),
        ({"voice": [3]}, "neither a text nor a list"),
        ({"output": None}, "no output"), ({"output": ""}, "'output' is empty"), ({"output": "-"}, "cannot be stdout"),
        ({"output": ".."}, "no name of a file"), ({"output": "out/"}, "no name of a file"),
        ({"output": "a\0b"}, "NUL"), ({"output": "a\ud800"}, "no name can have"),
        ({"language": "klingon"}, "does not speak 'klingon'"), ({"language": 1}, "'language' is no text"),
        ({"seed": -1}, "'seed' is -1"), ({"seed": 2**63}, "'seed' is"), ({"seed": 1.5}, "not a whole number"),
        ({"seed": True}, "not a whole number"), ({"seed": None, "top_k": 0}, "'top_k' is 0"),
        ({"temperature": 0.0001}, "'temperature' is 0.0001"), ({"temperature": 11}, "'temperature' is 11"),
        ({"top_p": 0}, "'top_p' is 0"), ({"repetition_penalty": 101}, "'repetition_penalty' is 101"),
        ({"speed": 2.1}, "'speed' is 2.1"), ({"speed": "fast"}, "not a number"), ({"tempo": [1]}, "not a number"),
        ({"speed": 10**400}, "not a number"), ({"subtitles": "ass"}, "'subtitles' is 'ass'"),
        ({"wav_format": "mp3"}, "'wav_format' is 'mp3'"), ({"wav_format": 16}, "'wav_format' is no text"),
        ({"sample_rate": 44100.5}, "not a whole number"), ({"title": "a" * 501}, "501 characters"),
    ],
)
def test_bad_fields(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    assert words in bad(tmp_path, changes).message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"text": "a", }', "at column 15"), ("text,voice", "at column 1"), ("[1]", "no object"), ('"a"', "no object"),
        ('{"speed": NaN}', "NaN is no number"), ('{"speed": -Infinity}', "-Infinity is no number"),
        ('{"text": "a", "text": "b"}', "'text' is there twice"), ("[" * 100_000, "nobody can use"),
        ('{"seed": ' + "1" * 5000 + "}", "nobody can use"),
    ],
)
def test_lines_that_are_no_json(tmp_path: Path, line: str, words: str) -> None:
    good, (first,) = read_jobs(write(tmp_path, line, FULL))
    assert (first.line, len(good)) == (1, 1)
    assert words in first.message


def test_settings_take_their_limits(tmp_path: Path) -> None:
    job = good(tmp_path, seed=2**63 - 1, temperature=0, top_k=50.0, top_p=1, speed=0.5, wav_format="pcm24", title="T")
    assert job.settings == {
        "seed": 2**63 - 1, "temperature": 0, "top_k": 50, "top_p": 1, "speed": 0.5, "wav_format": "pcm24", "title": "T",
    }
    assert isinstance(job.settings["top_k"], int)


@pytest.mark.parametrize("name", ["seed", "temperature", "top_k", "top_p", "repetition_penalty", "speed", "tempo",
                                  "sample_rate"])
def test_the_limits_are_those_of_the_flags(name: str) -> None:
    """At and just beyond each limit the command's own parser says the same."""
    import simple_voice_clone

    parser = simple_voice_clone.build_parser()
    flag = f"--{name.replace('_', '-')}"
    rule = ALLOWED[name]
    step = 1 if rule.whole else 1e-6  # type: ignore[union-attr]
    parser.parse_args(["--text", "x", "--voice", "v", flag, str(rule.low)])  # type: ignore[union-attr]
    with pytest.raises(SystemExit):
        parser.parse_args(["--text", "x", "--voice", "v", f"{flag}={rule.low - step}"])  # type: ignore[union-attr]
    if name != "top_k":
        parser.parse_args(["--text", "x", "--voice", "v", flag, str(rule.high)])  # type: ignore[union-attr]
        with pytest.raises(SystemExit):
            parser.parse_args(["--text", "x", "--voice", "v", flag, str(rule.high + step)])  # type: ignore[union-attr]


@pytest.mark.parametrize("other", ["a.wav", "A.WAV", "./a.wav", "sub/../a.wav", "link/a.wav"])
def test_two_lines_with_one_output(tmp_path: Path, other: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    good, (second,) = read_jobs(write(tmp_path, FULL, {**FULL, "output": other}))
    assert [job.line for job in good] == [1]
    assert (second.line, second.message) == (2, "The output is that of line 1 already.")


# --- the output root ----------------------------------------------------------------------------------------


def test_outputs_lie_in_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    file = write(tmp_path, {"text_file": "a.txt", "voice": "ann", "output": "book/a.wav"})
    (job,), _ = read_jobs(file, output_root=str(root))
    assert (job.output, job.text_file) == (str(root / "book" / "a.wav"), str(tmp_path / "a.txt"))


@pytest.mark.parametrize(
    "output", ["../a.wav", "x/../../a.wav", "x/../a.wav", "/tmp/a.wav", "out/a.wav", "file.wav", "up/b.wav"]
)
def test_nothing_leaves_the_root(tmp_path: Path, output: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    (root / "up").symlink_to("..")
    (root / "file.wav").symlink_to(tmp_path / "secret.wav")
    good, (line,) = read_jobs(write(tmp_path, {**FULL, "output": output}), output_root=str(root))
    assert good == ()
    assert "leads out of the output root" in line.message


def test_an_absolute_output_is_refused_inside_the_root_too(tmp_path: Path) -> None:
    good, bad = read_jobs(write(tmp_path, {**FULL, "output": str(tmp_path / "a.wav")}), output_root=tmp_path)
    assert (len(good), len(bad)) == (0, 1)


def test_links_that_stay_inside_are_fine(tmp_path: Path) -> None:
    root = tmp_path / "real"
    (root / "books").mkdir(parents=True)
    (root / "latest").symlink_to("books")
    (tmp_path / "root").symlink_to(root)
    good, bad = read_jobs(write(tmp_path, {**FULL, "output": "latest/a.wav"}), output_root=tmp_path / "root")
    assert (os.path.realpath(good[0].output), bad) == (str(root / "books" / "a.wav"), ())


def test_a_root_beside_one_with_the_same_beginning(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root2").mkdir()
    (tmp_path / "root" / "x").symlink_to(tmp_path / "root2")
    good, bad = read_jobs(write(tmp_path, {**FULL, "output": "x/a.wav"}), output_root=tmp_path / "root")
    assert (len(good), len(bad)) == (0, 1)


def test_without_a_root_outputs_are_free(tmp_path: Path) -> None:
    assert good(tmp_path, output="../a.wav").output == str(tmp_path / "../a.wav")
    assert good(tmp_path, output="/elsewhere/a.wav").output == "/elsewhere/a.wav"


def test_names_are_taken_from_the_job_files_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "batch").mkdir()
    (tmp_path / "me.wav").write_bytes(b"of the current folder, and so not meant")
    write(tmp_path / "batch", {"text_file": "a.txt", "voice": "me.wav", "output": "a.wav"})
    monkeypatch.chdir(tmp_path)
    (job,), _ = read_jobs("batch/jobs.jsonl")
    assert (job.text_file, job.output) == (str(tmp_path / "batch/a.txt"), str(tmp_path / "batch/a.wav"))
    assert job.voices == ("me.wav",)


def test_a_voice_too_long_for_a_file_is_a_name(tmp_path: Path) -> None:
    assert good(tmp_path, voice="a" * 5000).voices == ("a" * 5000,)


# --- CSV ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_csv(tmp_path: Path, delimiter: str, mark: str) -> None:
    rows = [["Text", "voice", "output", "language", "seed", "speed"],
            ['"Hello, you; there\nand ""here"""', "ann", "a.wav", "de", "7", ""], [],
            ["Bye", '"ann;bob"', "b.wav", "", "", "1.5"]]
    file = tmp_path / "jobs.csv"
    file.write_text(mark + "\r\n".join(delimiter.join(row) for row in rows), "utf-8", newline="")
    good, bad = read_jobs(file)
    assert bad == ()
    assert [(job.line, job.text, job.voices, job.language, job.settings) for job in good] == [
        (2, 'Hello, you; there\nand "here"', ("ann",), "de", {"seed": 7}),
        (5, "Bye", ("ann", "bob"), None, {"speed": 1.5}),
    ]


def test_a_text_that_begins_with_a_hash_is_a_job(tmp_path: Path) -> None:
    rows = "# made by hand\ntext,voice,output\n#,,\n# a remark\n\"#1 is here.\",ann,a.wav\n"
    good, bad = read_jobs(write(tmp_path, rows, name="jobs.csv"))
    assert [job.text for job in good] == ["#1 is here."] and not bad


def test_csv_of_a_spreadsheet_in_utf_16(tmp_path: Path) -> None:
    file = tmp_path / "jobs.csv"
    file.write_bytes("text\tvoice\toutput\nŽluť\tann\ta.wav\n".encode("utf-16"))
    assert read_jobs(file)[0][0].text == "Žluť"


def test_bad_rows_of_csv(tmp_path: Path) -> None:
    file = write(tmp_path, "text,voice,output,seed", "Hello, there,ann,a.wav,,", "Hello,ann,a.wav,x",
                 'He "quoted",ann,b.wav', '"Hello"x,ann,c.wav', "Hello,ann,d.wav", "x,ann,e.wav,1,more",
                 name="jobs.csv")
    good, bad = read_jobs(file)
    assert [Path(job.output).name for job in good] == ["b.wav", "d.wav"]
    assert [(line.line, line.message.split(":")[0]) for line in bad] == [
        (2, "The setting 'seed' is not a whole number."), (3, "The setting 'seed' is not a whole number."),
        (5, "The row is no CSV"), (7, "The row has 5 cells, and the header 4."),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [("Hello,ann,a.wav\n", "no header"), ("text,voice,output,text\n", "'text' is there twice"),
     ("text,voice,output\n", "no job")],
)
def test_csv_without_jobs(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(TextError, match=words):
        read_jobs(write(tmp_path, content, name="jobs.csv"))


# --- the file as a whole ------------------------------------------------------------------------------------


def test_files_that_are_no_job_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty, picture, latin, large = (tmp_path / name for name in ("empty.jsonl", "p.jsonl", "l.jsonl", "large.jsonl"))
    empty.write_text("\n# nothing\n")
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    latin.write_bytes('{"text": "Straße über"}'.encode("cp1252"))
    large.write_text("#" * 101)
    cases = [(tmp_path / "none.jsonl", "cannot be read"), (tmp_path, "cannot be read"), (empty, "no job"),
             (picture, "PNG"), (latin, "not UTF-8")]
    for file, words in cases:
        with pytest.raises(TextError, match=words):
            read_jobs(file)
    monkeypatch.setattr(jobs_module, "MAX_TEXT_BYTES", 100)
    with pytest.raises(TextError, match="over"):
        read_jobs(large)


def test_a_mark_and_other_line_ends(tmp_path: Path) -> None:
    (tmp_path / "jobs.jsonl").write_bytes(b"\xef\xbb\xbf" + json.dumps(FULL).encode() + b"\r\n\r\n")
    assert len(read_jobs(tmp_path / "jobs.jsonl")[0]) == 1
