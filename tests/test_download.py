"""The download of the release: every byte, once, from a hub that breaks off, lies or is not there.

The hub is that of failing_hub.py; each download is a process of its own. Only the release's figures are
others than in the product: its files are small here. test_hostile_hub.py has the rarer faults.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.failing_hub import BRANCH, FIRST, OTHER_COMMIT, PINNED, SECOND, Hub, serving
from voicekit.checkpoint import REPOSITORIES
from voicekit.download import _point

ROOT = Path(__file__).resolve().parents[1]
# Larger than all that is on its way in a connection, so that a cut shows in the middle.
WEIGHTS = random.Random(5).randbytes(3 * 2**20 + 12_345)
FILES = {"config.json": b'{"model": "xtts"}\n', "vocab.json": b"{}" * 5_000, "model.pth": WEIGHTS}
FIGURES = [(name, len(content), hashlib.sha256(content).hexdigest()) for name, content in FILES.items()]
CUT_AT = 2**20 + 4_321

COMMAND = """
import json, sys
from pathlib import Path
from logger_config import setup_logging
from voicekit import checkpoint
from voicekit.errors import VoiceError

checkpoint.RELEASED_FILES = tuple(checkpoint.ReleasedFile(*figures) for figures in json.loads(sys.argv[1]))
setup_logging()
try:
    found = checkpoint.resolve("xtts_v2", offline="--offline" in sys.argv, licence_accepted=lambda: True)
    answer = [str(found.config), str(found.vocab), str(found.weights)]
except VoiceError as error:
    answer = {"type": type(error).__name__, "message": error.message, "hint": error.hint, "code": error.exit_code}
Path(sys.argv[2]).write_text(json.dumps(answer), "utf-8")
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub({FIRST: dict(FILES)})) as running:
        yield running


@dataclass
class Outcome:
    answer: Any
    stdout: str
    stderr: str
    log: str


@dataclass
class Machine:
    """A user's machine: its cache, its log, and the command that wants the release."""

    folder: Path

    @property
    def cache(self) -> Path:
        return self.folder / "hf" / "hub"

    def start(self, hub_url: str, *arguments: str, name: str = "answer", **environment: str) -> subprocess.Popen[str]:
        own = {
            "HF_HOME": str(self.folder / "hf"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "XDG_DATA_HOME": str(self.folder / "data"),
            "VOICE_CLONING_LOG_DIR": str(self.folder / f"logs-{name}"),
            "HF_ENDPOINT": hub_url,
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "no_proxy": "127.0.0.1",
        }
        figures, answer = json.dumps(FIGURES), str(self.folder / f"{name}.json")
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, figures, answer, *arguments],
            cwd=ROOT, env={**os.environ, **own, **environment}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def finish(self, process: subprocess.Popen[str], name: str = "answer") -> Outcome:
        stdout, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
        answer = json.loads((self.folder / f"{name}.json").read_text("utf-8"))
        return Outcome(answer, stdout, stderr, (self.folder / f"logs-{name}" / "voice_cloning.log").read_text("utf-8"))

    def run(self, hub_url: str, *arguments: str, **environment: str) -> Outcome:
        return self.finish(self.start(hub_url, *arguments, **environment))

    def left_over(self) -> list[str]:
        """Incomplete files in the cache."""
        return sorted(path.name for path in self.cache.glob("models--*/blobs/*.incomplete"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def contents(answer: Any) -> list[bytes]:
    assert isinstance(answer, list), answer
    return [Path(path).read_bytes() for path in answer]


RIGHT = list(FILES.values())


def test_the_release_lands_in_the_cache_and_is_found_there_without_the_hub(hub: Hub, machine: Machine) -> None:
    outcome = machine.run(hub.url)
    assert contents(outcome.answer) == RIGHT
    assert {Path(path).parent for path in outcome.answer} == {
        machine.cache / "models--coqui--XTTS-v2" / "snapshots" / PINNED
    }
    assert outcome.stdout == ""
    assert "Model download started: coqui/XTTS-v2" in outcome.log
    done = next(line for line in outcome.log.splitlines() if "Model downloaded" in line)
    assert f"bytes: {sum(map(len, RIGHT))}" in done
    assert " MB/s" in done and "rate: 0.0 MB/s" not in done
    assert machine.left_over() == []

    asked = len(hub.asked)
    again = machine.run("http://127.0.0.1:9", "--offline")
    assert again.answer == outcome.answer
    assert machine.run(hub.url).answer == outcome.answer  # nor is the hub asked when it could be
    assert len(hub.asked) == asked


def test_huggingface_hubs_own_reader_finds_what_was_put_into_its_cache(hub: Hub, machine: Machine) -> None:
    from huggingface_hub import hf_hub_download, scan_cache_dir

    machine.run(hub.url)
    for name, content in FILES.items():
        path = hf_hub_download(FIRST, name, revision=PINNED, cache_dir=machine.cache, local_files_only=True)
        assert Path(path).read_bytes() == content
    report = scan_cache_dir(machine.cache)
    assert report.warnings == []
    assert [(repo.repo_id, repo.nb_files) for repo in report.repos] == [(FIRST, 3)]


def test_a_cut_download_goes_on_with_a_range_in_the_next_run(hub: Hub, machine: Machine) -> None:
    hub.cut_after, hub.then_status = [CUT_AT], 503
    first = machine.run(hub.url)
    assert (first.answer["type"], first.answer["code"]) == ("ModelUnavailable", 3)
    assert "model.pth" in first.answer["message"] and "goes on where it stopped" in first.answer["hint"]
    assert machine.left_over() == [f"{FIGURES[2][2]}.incomplete"]
    small, asked = hub.gets("config.json"), len(hub.asked)

    hub.then_status = 0
    second = machine.run(hub.url)
    assert contents(second.answer) == RIGHT
    ranges = [range_ for method, path, range_ in hub.asked[asked:] if method == "GET" and path.endswith("model.pth")]
    assert ranges == [f"bytes={CUT_AT}-"]
    assert hub.gets("config.json") == small  # what was complete is not fetched again
    assert f"bytes: {len(WEIGHTS) - CUT_AT}," in second.log
    assert machine.left_over() == []


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_cut_in_between_does_not_end_the_run(hub: Hub, machine: Machine, reset: bool) -> None:
    hub.cut_after, hub.reset = [CUT_AT], reset
    outcome = machine.run(hub.url)
    assert contents(outcome.answer) == RIGHT
    first, second = hub.gets("model.pth")
    assert first is None and second is not None
    had = int(second.removeprefix("bytes=").removesuffix("-"))  # a reset may throw away the last that was sent
    assert had == CUT_AT or (reset and 0 < had < CUT_AT)
    assert not [path for _, path, _ in hub.asked if SECOND in path]


def test_another_repository_goes_on_where_the_first_broke_off(hub: Hub, machine: Machine) -> None:
    hub.files[SECOND] = dict(FILES)
    hub.cut_after, hub.then_status = [CUT_AT], 503
    machine.run(hub.url)
    hub.then_status = 0
    del hub.files[FIRST]
    outcome = machine.run(hub.url)
    assert contents(outcome.answer) == RIGHT
    assert hub.gets("model.pth")[-1] == f"bytes={CUT_AT}-"
    assert machine.left_over() == []


@pytest.mark.parametrize("lost", [["config.json", "vocab.json", "model.pth"], ["model.pth"]], ids=["all", "one"])
def test_what_the_first_repository_lacks_comes_from_the_second(hub: Hub, machine: Machine, lost: list[str]) -> None:
    hub.files[SECOND] = dict(FILES)
    for name in lost:
        del hub.files[FIRST][name]
    outcome = machine.run(hub.url)
    assert contents(outcome.answer) == RIGHT
    in_second = machine.cache / "models--tts-hub--XTTS-v2"
    assert [in_second in Path(path).parents for path in outcome.answer] == [name in lost for name in FILES]
    assert (in_second / "refs" / BRANCH).read_text() == OTHER_COMMIT
    assert machine.run(hub.url, "--offline").answer == outcome.answer


def test_wrong_bytes_are_refused_and_not_kept(hub: Hub, machine: Machine) -> None:
    hub.files[FIRST]["model.pth"] = bytes(len(WEIGHTS))
    outcome = machine.run(hub.url)
    assert (outcome.answer["type"], outcome.answer["code"]) == ("ModelError", 1)
    assert "model.pth" in outcome.answer["message"] and FIGURES[2][2] in outcome.answer["message"]
    names = {path.name for path in machine.cache.rglob("*") if path.is_file()}
    assert {"config.json", "vocab.json"} <= names
    assert not {name for name in names if name.endswith((".pth", ".incomplete"))}
    assert machine.run(hub.url, "--offline").answer["type"] == "ModelUnavailable"


def test_a_file_of_another_size_is_refused_before_it_is_fetched(hub: Hub, machine: Machine) -> None:
    hub.files[FIRST]["model.pth"] = WEIGHTS + b"more"
    outcome = machine.run(hub.url)
    assert (outcome.answer["type"], outcome.answer["code"]) == ("ModelError", 1)
    assert str(len(WEIGHTS) + 4) in outcome.answer["message"]
    assert hub.gets("model.pth") == []


@pytest.mark.parametrize("change", [WEIGHTS + b"more", WEIGHTS[:-9]], ids=["longer", "shorter"])
def test_a_size_that_only_shows_at_the_end_is_refused_too(hub: Hub, machine: Machine, change: bytes) -> None:
    hub.claims_size = False
    hub.files[FIRST]["model.pth"] = change
    for _ in range(2):  # and the next run does not take what the first has left
        outcome = machine.run(hub.url)
        assert outcome.answer["type"] in ("ModelError", "ModelUnavailable")
    hub.files[FIRST]["model.pth"] = WEIGHTS
    machine.run(hub.url)
    assert contents(machine.run(hub.url).answer) == RIGHT


def test_wrong_bytes_of_the_first_repository_do_not_hide_the_seconds(hub: Hub, machine: Machine) -> None:
    hub.files[SECOND] = dict(FILES)
    hub.files[FIRST]["vocab.json"] = FILES["vocab.json"][::-1]
    assert contents(machine.run(hub.url).answer) == RIGHT


@pytest.mark.parametrize("size", [CUT_AT, len(WEIGHTS) + 5], ids=["other bytes", "too long"])
def test_a_damaged_incomplete_file_is_not_believed(hub: Hub, machine: Machine, size: int) -> None:
    blobs = machine.cache / "models--coqui--XTTS-v2" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{FIGURES[2][2]}.incomplete").write_bytes(b"\x55" * size)
    first = machine.run(hub.url)
    if size < len(WEIGHTS):  # noticed by the hash when all is there, and begun anew by the next run
        assert first.answer["type"] == "ModelError"
        assert machine.left_over() == []
        first = machine.run(hub.url)
    assert contents(first.answer) == RIGHT
    assert hub.gets("model.pth")[-1] is None


def test_links_that_lead_nowhere_are_mended(hub: Hub, machine: Machine) -> None:
    paths = [Path(path) for path in machine.run(hub.url).answer]
    paths[2].resolve().unlink()
    assert paths[2].is_symlink() and not paths[2].exists()
    assert contents(machine.run(hub.url).answer) == RIGHT
    assert paths[2].is_symlink()


def test_two_runs_at_once_fetch_the_weights_once(hub: Hub, machine: Machine) -> None:
    processes = {name: machine.start(hub.url, name=name) for name in ("one", "other")}
    outcomes = [machine.finish(process, name) for name, process in processes.items()]
    assert [contents(outcome.answer) for outcome in outcomes] == [RIGHT, RIGHT]
    assert len(hub.gets("model.pth")) == 1


def test_a_redirect_is_followed_without_the_users_token(hub: Hub, machine: Machine) -> None:
    with serving(Hub({FIRST: dict(FILES)})) as content_server:
        hub.elsewhere = content_server.url
        outcome = machine.run(hub.url, HF_TOKEN="hf_" + "x" * 34)
        assert contents(outcome.answer) == RIGHT
        assert content_server.gets("model.pth?signed=1") == [None]
        assert hub.authorised  # the control: the hub itself is shown the token
        assert content_server.authorised == []
    assert "hf_xxx" not in outcome.log + outcome.stderr


def test_no_hub_is_said_with_what_to_do(machine: Machine) -> None:
    with socket.socket() as unused:  # bound, not listening: every connection is refused
        unused.bind(("127.0.0.1", 0))
        outcome = machine.run(f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert (outcome.answer["type"], outcome.answer["code"]) == ("ModelUnavailable", 3)
    for repository, _ in REPOSITORIES:
        assert repository in outcome.answer["message"]
    assert "Check the network" in outcome.answer["hint"]
    assert outcome.stdout == ""
    assert "Traceback" not in outcome.stderr


def test_a_hub_that_never_answers_is_given_up(hub: Hub, machine: Machine) -> None:
    hub.silent = threading.Event()
    try:
        outcome = machine.run(hub.url, HF_HUB_ETAG_TIMEOUT="1")
    finally:
        hub.silent.set()
    assert (outcome.answer["type"], outcome.answer["code"]) == ("ModelUnavailable", 3)
    assert "Timeout" in outcome.answer["message"]


def test_what_is_no_hub_is_said(machine: Machine) -> None:
    class Portal(http.server.BaseHTTPRequestHandler):
        """The login page of a hotel's network: 200 for everything."""

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Portal) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        outcome = machine.run(f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
    assert (outcome.answer["type"], outcome.answer["code"]) in [("ModelUnavailable", 3)]


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [(["--offline"], {}), ([], {"HF_HUB_OFFLINE": "1"}), ([], {"TRANSFORMERS_OFFLINE": "1", "HF_HUB_OFFLINE": ""})],
    ids=["--offline", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"],
)
def test_offline_asks_nobody_and_says_why(
    hub: Hub, machine: Machine, arguments: list[str], environment: dict[str, str]
) -> None:
    outcome = machine.run(hub.url, *arguments, **environment)
    assert (outcome.answer["type"], outcome.answer["code"]) == ("ModelUnavailable", 3)
    assert [*arguments, *environment][0] in outcome.answer["message"]
    assert hub.asked == []


def test_a_cache_that_cannot_be_written_is_no_matter_of_the_network(hub: Hub, machine: Machine) -> None:
    (machine.folder / "hf").write_text("a file where the folder should be")
    outcome = machine.run(hub.url)
    assert (outcome.answer["type"], outcome.answer["code"]) == ("ModelUnavailable", 3)
    assert "HF_HOME" in outcome.answer["hint"]
    assert not [path for _, path, _ in hub.asked if SECOND in path]


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_where_links_are_not_allowed_the_file_itself_is_in_the_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    blob, pointer = tmp_path / "blobs" / "hash", tmp_path / "snapshots" / "commit" / "model.pth"
    for path in (blob, pointer):
        path.parent.mkdir(parents=True)
    blob.write_bytes(WEIGHTS)
    if not links:

        def refused(*_: Any, **__: Any) -> None:
            raise OSError("A required privilege is not held by the client")

        monkeypatch.setattr(Path, "symlink_to", refused)
    _point(pointer, blob)
    assert pointer.read_bytes() == WEIGHTS
    assert pointer.is_symlink() is links
    assert blob.exists() is links  # never two copies of 1.9 GB
