"""What a stranger's files and names must not reach: other folders, a terminal, a shell, the network, the logs.

Pages, books and job files have tests of their own; here is what goes through the commands, and what holds for all code.
"""

from __future__ import annotations

import ast
import io
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

import improve_voice_sample
import simple_voice_clone
from tests import spoken_faults
from tests.pages import Page
from tests.test_epub_reading import BOMB, CONTAINER, build, navigation, ncx, page
from tests.test_layout import modules
from tests.voices import talking
from voicekit.audio_writing import write_audio
from voicekit.command_line import Messages
from voicekit.errors import TextError
from voicekit.jobs import read_jobs
from voicekit.manuscripts import read_manuscript
from voicekit.takes import Take
from voicekit.tts_model import TTSModel
from voicekit.utterances import Utterance

ROOT = Path(__file__).resolve().parent.parent
CONTROLS = "\x1b]0;owned\x07\x1b[2J\r\u202e\x9b31m"
FORGED = "2026-11-23 00:00:00,000 - INFO - forged - "
CANARIES = {"HF_TOKEN": "hf_canaryTokenOne", "HUGGING_FACE_HUB_TOKEN": "hf_canaryTokenTwo", "API_KEY": "canary-three"}

posix_only = pytest.mark.skipif(os.name == "nt", reason="names that Windows cannot have")


# --- job files ----------------------------------------------------------------------------------------------

CLIMBING = (
    "../a.wav", "a/../../a.wav", "a/../b.wav", "./../a.wav", "....//../a.wav", "/etc/a.wav", "//host/share/a.wav",
    "/a.wav", "C:\\a.wav", "C:a.wav", "c:/a.wav", "\\\\host\\share\\a.wav", "\\\\?\\C:\\a.wav", "\\\\.\\pipe\\a.wav",
    "\\a.wav", "..\\a.wav",
    "a\\..\\..\\b.wav", "a/..\\..\\b.wav", "out/a.wav", "up/a.wav", "file.wav", "deep/inner/a.wav",
    "said.wav", "told.wav", "round/a/../../../b.wav",
)  # fmt: skip
NO_NAMES = ("a\0.wav", "\0", "../\0", "a\ud800.wav", ".", "..", "a/..", "a/", "/", "//", "~/..")
STAYING = ("-rf.wav", "--output.wav", "-", "~.wav", "$(id).wav", "`id`.wav", "a;b.wav", "a|b.wav", "%2e%2e.wav",
           "...wav", "..a.wav", "a/-b.wav", "a\nb.wav", "con .wav")  # fmt: skip


def jobs_of(folder: Path, *outputs: str) -> Path:
    lines = [{"text": "Hello", "voice": "ann", "output": output} for output in outputs]
    (folder / "jobs.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    return folder / "jobs.jsonl"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An output root with links that lead out of it."""
    made, outside = tmp_path / "root", tmp_path / "outside"
    (made / "deep").mkdir(parents=True)
    outside.mkdir()
    links = {"out": outside, "up": "..", "file.wav": outside / "x.wav", "deep/inner": outside, "round": made,
             "said.srt": outside / "x.srt", "told.vtt": outside / "x.vtt"}  # fmt: skip
    for link, target in links.items():
        (made / link).symlink_to(target)
    return made


@posix_only
@pytest.mark.parametrize("output", CLIMBING)
def test_no_output_climbs_out_of_the_root(root: Path, output: str) -> None:
    good, (bad,) = read_jobs(jobs_of(root.parent, output), output_root=root)
    assert good == () and "leads out of the output root" in bad.message and bad.message.isprintable()


@pytest.mark.parametrize("output", NO_NAMES)
@pytest.mark.parametrize("with_root", [True, False])
def test_what_is_no_name_of_a_file_is_refused(root: Path, output: str, with_root: bool) -> None:
    good, (bad,) = read_jobs(jobs_of(root.parent, output), output_root=root if with_root else None)
    assert good == () and bad.message.isprintable() and bad.hint


@posix_only
@pytest.mark.parametrize("output", STAYING)
def test_odd_names_stay_inside_and_are_never_flags(root: Path, output: str) -> None:
    good, bad = read_jobs(jobs_of(root.parent, output), output_root=root)
    if output == "-":
        assert good == () and "stdout" in bad[0].message
    else:
        assert Path(good[0].output).is_relative_to(root) and os.path.isabs(good[0].output)


@posix_only
def test_subtitles_of_a_flag_are_not_written_through_a_link(
    root: Path, voice_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root.parent / "outside" / "x.srt").write_text("precious")
    lines = {"text": "Hello", "voice": str(voice_file), "output": "said.wav"}
    (root.parent / "jobs.jsonl").write_text(json.dumps(lines))
    flags = ["--jobs", str(root.parent / "jobs.jsonl"), "--output-root", str(root), "--subtitles", "srt", "--force"]
    assert simple_voice_clone.main([*flags, "--model", "rehearsal-tiny"]) == 1
    assert "leads out" in capsys.readouterr().err
    assert (root.parent / "outside" / "x.srt").read_text() == "precious"


# --- books ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/evil.txt", "..\\evil", "OEBPS/../../evil.txt", "C:\\evil.txt"])
def test_a_book_is_never_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(zipfile.ZipFile, "extract", None)
    monkeypatch.setattr(zipfile.ZipFile, "extractall", None)
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "book.epub").write_bytes(build({"a": page("<p>Whole.</p>")}, extra={name: "evil"}))
    before = sorted(tmp_path.rglob("*"))
    assert read_manuscript(folder / "book.epub").text == "Whole."
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("href", ["../../secret.xhtml", "/secret.xhtml", "file:///secret.xhtml", "http://127.0.0.1:9/a"])
def test_pages_are_only_those_inside_the_book(tmp_path: Path, href: str) -> None:
    (tmp_path / "secret.xhtml").write_text(page("<p>password</p>"))
    (tmp_path / "book.epub").write_bytes(build({"a": page("<p>Whole.</p>")}, renamed={"a.xhtml": href}))
    with pytest.raises(TextError, match="damaged"):
        read_manuscript(tmp_path / "book.epub")


def with_entity(xml: str, prologue: str, name: str) -> str:
    """The file with a DOCTYPE, and each text in it an entity's."""
    body = re.sub(r"<!DOCTYPE[^>]*>|<\?xml[^>]*>", "", xml)
    return f'<?xml version="1.0"?>{prologue}{body}'.replace("</", f"&{name};</")


@pytest.mark.parametrize("late", ["", f"<!--{'x' * 5000}-->"], ids=["early", "late"])
@pytest.mark.parametrize("where", ["META-INF/container.xml", "OEBPS/book.opf", "OEBPS/nav.xhtml", "OEBPS/toc.ncx",
                                   "META-INF/encryption.xml", "OEBPS/a.xhtml"])  # fmt: skip
@pytest.mark.parametrize("kind", ["bomb", "file"])
def test_no_file_of_a_book_expands_entities(tmp_path: Path, where: str, kind: str, late: str) -> None:
    (tmp_path / "secret").write_text("password")
    external = f"<!DOCTYPE html [<!ENTITY f SYSTEM 'file://{tmp_path}/secret'>]>"
    whole = build({"a": page("<p>Whole.</p>")}, nav=navigation("a.xhtml|One"), toc=ncx(a="One"),
                  extra={"META-INF/encryption.xml": "<encryption></encryption>"})  # fmt: skip
    with zipfile.ZipFile(io.BytesIO(whole)) as book, zipfile.ZipFile(tmp_path / "book.epub", "w") as bombed:
        for name in book.namelist():
            text = book.read(name).decode()
            prologue, entity = (BOMB, "a11") if kind == "bomb" else (external, "f")
            bombed.writestr(name, with_entity(text, late + prologue, entity) if name == where else text)
    try:
        read = read_manuscript(tmp_path / "book.epub")
    except TextError as refused:
        shown = refused.message
    else:
        shown = " ".join([read.text, str(read.title), *(str(chapter.title) for chapter in read.chapters)])
    assert "password" not in shown and "hahaha" not in shown and len(shown) < 500


def test_the_books_of_these_tests_are_books(tmp_path: Path) -> None:
    """The control: without an entity the same files are read."""
    whole = build({"a": page("<p>Whole.</p>")}, nav=navigation("a.xhtml|One"), toc=ncx(a="One"))
    (tmp_path / "book.epub").write_bytes(whole)
    assert read_manuscript(tmp_path / "book.epub").text == "Whole." and "rootfile" in CONTAINER


# --- other programs -----------------------------------------------------------------------------------------

SHELLS = {"system", "popen", "startfile", "getoutput", "getstatusoutput", "create_subprocess_shell", "fork", "forkpty"}
STARTS = {"run", "Popen", "call", "check_call", "check_output"}


def calls() -> Iterator[tuple[str, ast.Call, str]]:
    """Each call of the product: its module, itself, and the name of what is called."""
    for name, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield name, node, ast.unparse(node.func)


def test_no_shell_is_started() -> None:
    for name, call, called in calls():
        owner, _, function = called.rpartition(".")
        assert not (owner in ("os", "subprocess", "asyncio", "pty") and function in SHELLS), (name, called)
        assert not (owner == "os" and function.startswith(("exec", "spawn", "posix_spawn"))), (name, called)
        assert "shell" not in {keyword.arg for keyword in call.keywords}, (name, called)


def test_other_programs_get_a_list_that_no_input_is_in() -> None:
    """The interpreter itself, with constants; that a list begins with a name or a path leaves no flag to an input."""
    started = [(name, call) for name, call, called in calls() if called in {f"subprocess.{each}" for each in STARTS}]
    assert started, "else this test looks at nothing"
    for name, call in started:
        (command,) = call.args
        assert isinstance(command, ast.List), name
        assert ast.unparse(command.elts[0]) == "sys.executable", name
        tree = modules()[name]
        constants = {ast.unparse(target) for node in ast.walk(tree) if isinstance(node, ast.Assign)
                     and isinstance(node.value, ast.Constant) for target in node.targets}  # fmt: skip
        assert all(isinstance(each, ast.Constant) or ast.unparse(each) in constants for each in command.elts[1:]), name


def test_nothing_is_evaluated_or_unpickled() -> None:
    for name, call, called in calls():
        assert called not in ("eval", "exec", "compile", "__import__", "marshal.loads", "yaml.load"), (name, called)
        assert not called.startswith(("pickle.", "shelve.", "dill.", "joblib.")), (name, called)
        if called == "torch.load":
            assert "weights_only=True" in ast.unparse(call), name


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="FFmpeg is not here")
def test_a_name_with_a_dash_is_no_flag_of_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    real = subprocess.Popen.__init__

    def noted(self: Any, command: Any, *rest: Any, **options: Any) -> None:
        started.append((command, options.get("shell", False)))
        real(self, command, *rest, **options)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(subprocess.Popen, "__init__", noted)
    write_audio(talking(1.0), "-filter_complex.m4a")
    assert Path("-filter_complex.m4a").stat().st_size > 1000 and started
    for command, shell in started:
        assert isinstance(command, list) and not shell
        assert not any(str(each).startswith("-filter") for each in command)


# --- terminals and logs ---------------------------------------------------------------------------------------


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def assert_harmless(shown: str) -> None:
    """Nothing but printable characters in lines."""
    assert all(line.isprintable() for line in shown.split("\n")), ascii(shown)


def test_messages_show_controls_as_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Tty()
    messages = Messages(stream=stream)
    monkeypatch.setattr(sys, "stdin", Tty("y\n"))
    messages.say(f"Sample: {CONTROLS}\nError: forged")
    messages.error(CONTROLS)
    messages.working(f"{CONTROLS}...")
    assert messages.confirm(f"Do you accept {CONTROLS}?\nReally?")
    shown = stream.getvalue().replace("\r\033[K", "", 1)  # the one that `working` is made of
    assert_harmless(shown)
    assert shown.count("\n") == 3 and "\\x1b]0;owned\\x07" in shown and "\\nError: forged" in shown


@posix_only
@pytest.mark.parametrize(
    "name", [f"a{CONTROLS}.wav", f"a\n{FORGED}.wav", "a\n    Traceback\nError: forged.wav", "a\udcff\x1b.wav"],
    ids=["controls", "forged", "lines", "bytes"],
)  # fmt: skip
@pytest.mark.parametrize("there", [True, False])
def test_names_reach_neither_terminal_nor_log_raw(
    tmp_path: Path, voice_file: Path, capsys: pytest.CaptureFixture[str], name: str, there: bool
) -> None:
    sample, logs = tmp_path / name, tmp_path / "logs"
    (tmp_path / "b").mkdir()
    if there:
        shutil.copy(voice_file, sample)
    (tmp_path / "jobs.jsonl").write_text("\n".join(json.dumps(
        {"text": "Hello", "voice": name, "output": output, "title": name}) for output in ("o.wav", f"{name}.mp9")))
    shared = ["--debug", "--dry-run", "--log-dir", str(logs)]
    speak = ["--model", "rehearsal-tiny", *shared]
    codes = [
        simple_voice_clone.main(["--text", "Hello.", "--voice", str(sample), "-o", str(tmp_path / "o.wav"), *speak]),
        simple_voice_clone.main(["--text-file", str(tmp_path / f"{name}.txt"), "--voice", str(sample), *speak]),
        simple_voice_clone.main(["--jobs", str(tmp_path / "jobs.jsonl"), *speak]),
        improve_voice_sample.main([str(sample), "--no-dnsmos", "-o", str(tmp_path / "b" / name), *shared]),
    ]
    captured = capsys.readouterr()
    assert codes == [int(not there), 1, 1, int(not there)]
    assert_harmless(captured.err)
    assert not any(line.startswith(("Error: forged", FORGED)) for line in captured.err.split("\n"))
    assert "Internal error" not in captured.err
    written = (logs / "voice_cloning.log").read_text("utf-8")
    assert_harmless(written)
    for line in written.rstrip("\n").split("\n"):
        assert re.match(r"\d{4}-\d\d-\d\d |    ", line) and not line.startswith(FORGED)
    for record in (logs / "runs.jsonl").read_text("utf-8").splitlines():
        assert json.loads(record)["script"] in ("simple_voice_clone", "improve_voice_sample")


@pytest.mark.parametrize("main", [simple_voice_clone.main, improve_voice_sample.main], ids=["clone", "improve"])
@pytest.mark.parametrize("flags", [[f"--no-such{CONTROLS}"], ["--threads", CONTROLS], [f"--{CONTROLS}=1", "a"]])
def test_wrong_usage_is_quoted_harmlessly(main: Any, flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(flags)
    assert leaving.value.code == 2
    assert_harmless(capsys.readouterr().err)


@posix_only
def test_a_result_is_escaped_for_a_terminal_and_exact_for_a_program(
    tmp_path: Path, voice_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = str(tmp_path / f"o{CONTROLS}.wav")
    shown = []
    for stream in (Tty(), io.StringIO()):
        monkeypatch.setattr(sys, "stdout", stream)
        assert simple_voice_clone.main(["--text", "Hello.", "--voice", str(voice_file), "-o", output, "--dry-run", "-q",
                                        "--model", "rehearsal-tiny"]) == 0  # fmt: skip
        shown.append(stream.getvalue())
    assert_harmless(shown[0])
    assert shown[1] == f"{output}\n"


# --- pages ------------------------------------------------------------------------------------------------------


@posix_only
def test_a_report_of_hostile_names_holds_no_tag_of_theirs(
    tmp_path: Path, voice_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the command to the page: names of files as they lie on the disk."""
    names = ['<img src=x onerror=alert(1)>.wav', '"><script>alert(1)<!--.wav', "' onload='a.wav", "&lt;b&gt;\x1b.wav"]
    for name in names[:2]:
        shutil.copy(voice_file, tmp_path / name)
    (tmp_path / names[2]).write_bytes(b"no sound")
    (tmp_path / names[3]).write_bytes(b"")
    flags = ["--analyze-only", "--no-dnsmos", "--report", str(tmp_path / "report.html"), "-q"]
    assert improve_voice_sample.main([*(str(tmp_path / name) for name in names), *flags]) == 1
    assert_harmless(capsys.readouterr().err)
    found = Page((tmp_path / "report.html").read_text("utf-8"))
    assert len(found.all("script")) == 1 and found.text.count("onerror=alert(1)") >= 1
    for tag, attributes in found.tags:
        assert not [each for each in attributes if each.startswith("on") or each == "style"], tag
        for each in ("src", "href", "srcset", "action", "data"):
            assert attributes.get(each, "#").startswith(("data:", "#")), (tag, each)
    (policy,) = [each["content"] for each in found.all("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")


# --- what a run tells, and whom it asks ----------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    def utter(tts: TTSModel, utterances: Sequence[Utterance], *_: object) -> Iterator[tuple[int, Take]]:
        for place, _each in enumerate(utterances):
            yield place, spoken_faults.noise(0.2, seed=place)

    monkeypatch.setattr(TTSModel, "utter", utter)


@pytest.mark.usefixtures("tiny_checkpoint", "quick")
@pytest.mark.parametrize("crashes", [False, True])
def test_no_secret_of_the_environment_and_no_home_is_written(
    tmp_path: Path, voice_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], crashes: bool
) -> None:
    home = tmp_path / "homes" / "canaryname"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    for variable, value in CANARIES.items():
        monkeypatch.setenv(variable, value)
    shutil.copy(voice_file, home / "me.wav")
    if crashes:
        def broken(*_: object, **__: object) -> NoReturn:
            raise RuntimeError(f"cannot open {home}/me.wav")

        monkeypatch.setattr(TTSModel, "utter", broken)
    logs = tmp_path / "logs"
    flags = ["--debug", "--log-dir", str(logs)]
    codes = [
        simple_voice_clone.main(["--text", "Hello.", "--voice", str(home / "me.wav"), "-o", str(home / "o.wav"),
                                 "--model", "rehearsal-tiny", *flags]),
        improve_voice_sample.main([str(home / "me.wav"), "--no-dnsmos", *flags]),
    ]  # fmt: skip
    logging.shutdown()
    assert codes == [int(crashes), 0]
    written = "\n".join(path.read_text("utf-8", "replace") for path in logs.rglob("*") if path.is_file())
    assert "~/me.wav" in written and ("RuntimeError" in written) is crashes
    assert "canaryname" not in written
    told = written + capsys.readouterr().err
    assert not [value for value in CANARIES.values() if value in told]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No socket reaches anybody; the list is of who was looked for."""
    found: list[str] = []

    def deny(name: str) -> Any:
        def denied(*arguments: Any, **_: Any) -> NoReturn:
            found.append(f"{name} {arguments[-1]!r}")
            raise OSError("no network here")

        return denied

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, deny(name))
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, deny(name))
    return found


@pytest.mark.usefixtures("tiny_checkpoint", "quick")
def test_neither_command_looks_for_a_network(tmp_path: Path, voice_file: Path, asked: list[str]) -> None:
    clone = ["--text", "Hello.", "--voice", str(voice_file), "-o", str(tmp_path / "o.wav"), "--model", "rehearsal-tiny"]
    assert simple_voice_clone.main(clone) == 0
    assert simple_voice_clone.main(["--list-voices"]) == 0
    assert improve_voice_sample.main([str(voice_file), "-o", str(tmp_path / "better.wav"),
                                      "--report", str(tmp_path / "report.html")]) == 0  # fmt: skip
    assert asked == []
    with pytest.raises(OSError):  # the control: whoever asks is noticed
        socket.create_connection(("127.0.0.1", 9))
    assert len(asked) == 1


def test_a_process_of_its_own_opens_no_socket(tmp_path: Path, voice_file: Path) -> None:
    """From the first import on, threads included: the interpreter itself tells of each socket."""
    code = (
        "import sys; seen = []\n"
        "sys.addaudithook(lambda event, _: seen.append(event) if event.startswith('socket.') else None)\n"
        "import socket; socket.socket().close(); control = len(seen); seen.clear()\n"
        "import simple_voice_clone as s, improve_voice_sample as i\n"
        f"v = {str(voice_file)!r}\n"
        f"a = s.main(['--text', 'Hello.', '--voice', v, '-o', {str(tmp_path / 'o.wav')!r}, '--dry-run', '-q'])\n"
        "b = i.main([v, '--analyze-only', '-q'])\n"
        "found = [e for e in seen if e in ('socket.connect', 'socket.getaddrinfo', 'socket.bind')]\n"
        "print('result', control, a, b, found)\n"
    )  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.search(r"^result [1-9] 0 0 \[\]$", done.stdout, re.MULTILINE), done.stdout + done.stderr


# --- packages -----------------------------------------------------------------------------------------------------

_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)")


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, set[str]]:
    """Each package of the lock, and its versions (one for each kind of machine)."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "requirements.lock").read_text("utf-8").splitlines():
        if pin := _PIN.match(line):
            found.setdefault(plain(pin[1]), set()).add(pin[2])
    return found


def direct() -> dict[str, str]:
    """What requirements.txt and the group of the tests pin."""
    group = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]["dev"]
    lines = [*(ROOT / "requirements.txt").read_text("utf-8").splitlines(), *group]
    return {plain(pin[1]): pin[2] for line in lines if (pin := _PIN.match(line))}


def test_the_lock_holds_every_direct_pin() -> None:
    assert len(direct()) > 30
    assert {name: version for name, version in direct().items() if version not in locked().get(name, ())} == {}


def test_every_package_of_the_lock_is_pinned_and_hashed() -> None:
    text = (ROOT / "requirements.lock").read_text("utf-8")
    entries = re.split(r"\n(?=[^\s#])", re.sub(r"(?m)^\s*#.*\n", "", text).strip())
    assert len(entries) >= len(locked()) > len(direct())
    for entry in entries:
        assert _PIN.match(entry), entry[:80]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry[:80]


def test_the_lock_names_no_place() -> None:
    """Neither an address nor a machine's folder; pip asks whom its user has chosen."""
    text = (ROOT / "requirements.lock").read_text("utf-8")
    assert not re.search(r"://|--index-url|--find-links|--trusted-host|(?<![\w.])/(?:home|tmp|work|opt|Users)/", text)
