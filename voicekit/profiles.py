"""Voices that people keep by name: the conditioning of a run, exactly as it used it, and where it came from.

A profile is one safetensors file in the user's data folder, private. It names the samples' files and hashes, never
their places. Speaking with a profile gives the bytes of the run that saved it; whether it still fits a model or
settings is asked of `staleness` and `check_model`. Knows no torch and logs nothing: a voice's name is a person's.
"""

from __future__ import annotations

import datetime as dt
import difflib
import json
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from voicekit import voice_files
from voicekit.checkpoint import APP_NAME
from voicekit.download import sha256_of
from voicekit.errors import AudioError, ModelError, OutputError
from voicekit.voice_files import SUFFIX, Damaged, Heard

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

MOST_CHARACTERS = 64
MOST_CONSENT = 4_000  # characters: a page
_MOST_NAME_BYTES = 200  # of 255 that file systems take
_RESERVED = {"con", "prn", "aux", "nul", *(f"{device}{n}" for device in ("com", "lpt") for n in "123456789¹²³")}


@dataclass(frozen=True, eq=False)
class Profile:
    """A voice with a name.

    conditioning: float32 [1, 32, width]; speaker_embedding: float32 [1, 512, 1]; heard_s: see `tts_model.Voice`.
    samples: SHA-256 of each sample file, in order; sample_names: their names without folders.
    model: of `conditioning_cache.identity`; model_name: what people call it.
    settings: of `conditioning_cache.settings_text`.
    consent: what the speaker agreed to, in somebody's words; None where nobody noted it.
    created: ISO 8601, UTC.
    """

    name: str
    conditioning: Floats
    speaker_embedding: Floats
    heard_s: float
    samples: tuple[str, ...]
    model: str
    model_name: str
    settings: str
    consent: str | None = None
    created: str = field(default_factory=lambda: dt.datetime.now(dt.UTC).isoformat(timespec="seconds"))
    sample_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listed:
    """One line of the list of voices; damaged: how it shows, "" for a good one, of which the rest is then known."""

    name: str
    damaged: str = ""
    created: str = ""
    heard_s: float = 0.0
    model_name: str = ""
    sample_names: tuple[str, ...] = ()
    consent: str | None = None


# --- names -------------------------------------------------------------------------------------------------


def checked_name(name: str) -> str:
    """The name in Unicode's composed form, if a voice may be called so.

    1 to 64 letters and digits of any script, and - _ . between them; none that a system reserves for devices.

    Raises:
        OutputError: it may not.
    """
    composed = unicodedata.normalize("NFC", name)
    wrong = _wrong_name(composed)
    if wrong:
        raise OutputError(
            f"A voice cannot be called {name[:80]!r}: {wrong}.",
            f"Use 1 to {MOST_CHARACTERS} letters, digits, and - _ . between them.",
        )
    return composed


def _wrong_name(name: str) -> str:
    if not name:
        return "the name is empty"
    if len(name) > MOST_CHARACTERS or len(_stem(name).encode("utf-8", "replace")) > _MOST_NAME_BYTES:
        return "the name is too long"
    # A mark (M) belongs to the letter before it: vowels of Hindi are marks.
    odd = [each for each in name if unicodedata.category(each)[0] not in "LNM" and each not in "-_."]
    if odd:
        return f"{odd[0]!r} is neither a letter nor a digit"
    if name[0] in ".-" or name[-1] == "." or unicodedata.category(name[0])[0] == "M":
        return f"it begins or ends with {name[0] if name[-1] != '.' else '.'!r}"
    return "the name is reserved for a device" if name.casefold().split(".")[0] in _RESERVED else ""


def _stem(name: str) -> str:
    """What the file is called: two names that differ in case only are one, on every file system."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def folder() -> Path:
    """Where the profiles lie."""
    import platformdirs

    return Path(platformdirs.user_data_dir(APP_NAME)) / "voices"


def path_of(name: str) -> Path:
    """Where the profile of this name lies, or would. Raises: OutputError, for a name that none can have."""
    return folder() / f"{_stem(checked_name(name))}{SUFFIX}"


# --- the store ---------------------------------------------------------------------------------------------


def save(profile: Profile, *, overwrite: bool = False) -> Path:
    """Keep a profile; the path of its file.

    Raises:
        OutputError: no such name is possible, there is such a voice and `overwrite` is false, the consent is over
            `MOST_CONSENT` characters, or the file cannot be written.
    """
    path = path_of(profile.name)
    check_free(profile.name, overwrite=overwrite)
    if len(profile.consent or "") > MOST_CONSENT:
        raise OutputError(f"The consent has over {MOST_CONSENT:,} characters.", "Keep it shorter.")
    try:
        voice_files.private_folder(folder())
    except OSError as error:
        raise OutputError(f"{folder()} cannot be written to: {error.strerror}.", "Check its permissions.") from error
    heard = Heard(profile.conditioning, profile.speaker_embedding, _texts(profile))
    try:
        voice_files.write(path, heard, overwrite=overwrite)
    except OutputError as error:
        if isinstance(error.__cause__, FileExistsError):
            raise _taken(profile.name) from error
        raise
    return path


def check_free(name: str, *, overwrite: bool = False) -> None:
    """Says now, before anything slow starts, what `save` would refuse for a name. Raises: OutputError."""
    if exists(checked_name(name)) and not overwrite:
        raise _taken(name)


def exists(name: str) -> bool:
    """Whether there is a voice of this name, damaged ones included; False where nobody can have, or look at, it."""
    try:
        return os.path.isfile(path_of(name))
    except OutputError:
        return False


def load(name: str) -> Profile:
    """The profile of this name, its arrays bit for bit as they were saved.

    Raises:
        AudioError: there is none (names like it are told), or its file is damaged.
    """
    try:
        return _read(_path_of_existing(name))
    except Damaged as error:
        raise AudioError(
            f"The voice {name!r} is damaged: {error}.",
            f"Save it again from its samples: --voice FILE --save-voice {name} --force.",
        ) from error
    except OSError as error:
        raise AudioError(f"The voice {name!r} cannot be read: {error.strerror}.", "Check its permissions.") from error


def listed() -> tuple[Listed, ...]:
    """All voices by name, damaged ones too. Raises: AudioError, where the folder cannot be read."""
    _check_folder()
    return tuple(_listed(path) for path in sorted(folder().glob(f"*{SUFFIX}")) if path.is_file())


def delete(name: str, *, dry_run: bool = False) -> None:
    """Remove a voice for good, a damaged one too; a dry run only looks for it.

    Raises:
        AudioError: there is none of this name.
        OutputError: it cannot be removed.
    """
    path = _path_of_existing(name)
    try:
        if not dry_run:
            path.unlink()
    except OSError as error:
        raise OutputError(f"The voice {name!r} cannot be removed: {error.strerror}.", "Check the folder.") from error


def _taken(name: str) -> OutputError:
    return OutputError(f"There is a voice {name!r} already.", "Use --force to replace it, or another name.")


def _check_folder() -> None:
    """Raises: AudioError, where there may be voices that cannot be looked at: somebody else's folder, for example."""
    try:
        os.scandir(folder()).close()
    except FileNotFoundError:
        return
    except OSError as error:
        raise AudioError(
            f"The voices in {str(folder())!r} cannot be read: {error.strerror}.", "Check the folder's permissions."
        ) from error


def _path_of_existing(name: str) -> Path:
    if exists(name):
        return path_of(name)
    _check_folder()
    names = [path.stem for path in sorted(folder().glob(f"*{SUFFIX}"))]
    close = difflib.get_close_matches(_stem(name), names, n=3, cutoff=0.5)
    if close:
        raise AudioError(f"There is no file and no voice {name!r}.", f"Did you mean {', '.join(close)}?")
    some = f"There are: {', '.join(names[:8])}." if names else "Save one with --voice FILE --save-voice NAME."
    raise AudioError(f"There is no file and no voice {name!r}.", some)


def _listed(path: Path) -> Listed:
    try:
        found = _read(path)
    except Damaged as error:
        return Listed(path.stem, str(error))
    except OSError as error:
        return Listed(path.stem, f"it cannot be read ({error.strerror})")
    return Listed(
        found.name, "", found.created, found.heard_s, found.model_name, found.sample_names, found.consent
    )


def _texts(profile: Profile) -> dict[str, str]:
    """The text fields as the file's metadata, where all values are texts."""
    texts = {
        "kind": "voice-cloning profile 1",
        "name": unicodedata.normalize("NFC", profile.name),
        "heard_s": repr(float(profile.heard_s)),
        "samples": json.dumps(profile.samples),
        "sample_names": json.dumps(profile.sample_names),
        "model": profile.model,
        "model_name": profile.model_name,
        "settings": profile.settings,
        "created": profile.created,
    }
    if profile.consent is not None:
        texts["consent"] = profile.consent
    # A lone surrogate, of a command line in another encoding, has no UTF-8.
    return {name: text.encode("utf-8", "replace").decode() for name, text in texts.items()}


def _read(path: Path) -> Profile:
    """Raises: Damaged, OSError."""
    heard = voice_files.read(path)
    texts = heard.texts
    try:
        name = texts["name"] if _stem(texts["name"]) == path.stem else path.stem  # somebody renamed the file
        return Profile(
            name, heard.conditioning, heard.speaker_embedding, float(texts["heard_s"]),
            tuple(map(str, json.loads(texts["samples"]))), texts["model"], texts["model_name"], texts["settings"],
            texts.get("consent"), texts["created"], tuple(map(str, json.loads(texts["sample_names"]))),
        )  # fmt: skip
    except (KeyError, ValueError, TypeError) as error:
        raise Damaged("it does not say what a voice's file says") from error


# --- whether it still fits ---------------------------------------------------------------------------------


def staleness(profile: Profile, *, model: str, settings: str) -> str | None:
    """A sentence if the profile was made otherwise than it would be now.

    With another model it cannot be used (`check_model`); with other settings it can, and sounds as it was saved.
    """
    if profile.model != model:
        return (
            f"The voice {profile.name!r} was made with another model ({profile.model_name}):"
            " what one model heard means nothing to another."
        )
    if profile.settings != settings:
        return f"The voice {profile.name!r} was made with other settings; it is used as it was saved."
    return None


def check_model(profile: Profile, *, model: str) -> None:
    """Raises: ModelError, if the profile was made with another model than this (`conditioning_cache.identity`)."""
    if profile.model != model:
        raise ModelError(
            staleness(profile, model=model, settings=profile.settings) or "",
            f"Use that model, or save the voice again: --voice FILE --save-voice {profile.name} --force.",
        )


def changed_samples(profile: Profile, folders: Sequence[str | os.PathLike[str]] = (".",)) -> tuple[str, ...]:
    """Names of the samples that lie in one of these folders with other content than the profile was made of.

    The profile knows no places; a file of the same name beside the user is taken for the sample.
    """
    changed = []
    for name, digest in zip(profile.sample_names, profile.samples, strict=False):
        found = [path for place in folders if name and (path := Path(place, Path(name).name)).is_file()]
        if found and not any(_has_hash(path, digest) for path in found):
            changed.append(name)
    return tuple(changed)


def _has_hash(path: Path, digest: str) -> bool:
    try:
        return sha256_of(path) == digest
    except OSError:
        return True  # it cannot be told
