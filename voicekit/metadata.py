"""What a spoken file says of itself: that a machine made it, with which model, settings and seed.

The same :class:`Tags` give the same bytes: no time, path, run or voice is in them. Each format gets its standard
fields; the comment, which every player shows, holds all of it in one line. The containers are written here without a
tag library (``voicekit.tag_containers``), M4A's fields by its encoder; reading goes through PyAV.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from voicekit import __version__
from voicekit.tag_containers import (
    copy_flac,
    copy_mp3,
    copy_ogg,
    id3_text,
    replace_by_copy,
    write_wav_info,
)

AI_GENERATED = "AI-generated speech"
GENRE = "Speech"
MOST_CHARACTERS = 1000  # of one field

# ISO 639-2 (terminology) of the languages that XTTS speaks: ID3's TLAN and MP4's media header want three letters.
_THREE_LETTERS = {
    "en": "eng", "es": "spa", "fr": "fra", "de": "deu", "it": "ita", "pt": "por", "pl": "pol", "tr": "tur",
    "ru": "rus", "nl": "nld", "cs": "ces", "ar": "ara", "zh": "zho", "ja": "jpn", "hu": "hun", "ko": "kor",
    "hi": "hin",
}  # fmt: skip

# The keys of Tags' fields as RIFF INFO and FFmpeg's MP4 writer know them; what has no key is in the comment.
_RIFF_KEYS = {"title": b"INAM", "artist": b"IART", "album": b"IPRD", "track": b"ITRK", "genre": b"IGNR",
              "language": b"ILNG", "licence": b"ICOP", "comment": b"ICMT", "software": b"ISFT"}  # fmt: skip
_MP4_KEYS = {"title": "title", "artist": "artist", "album": "album", "track": "track", "genre": "genre",
             "licence": "copyright", "comment": "comment", "software": "encoding_tool"}  # fmt: skip
_ID3_KEYS = {"title": "TIT2", "artist": "TPE1", "album": "TALB", "track": "TRCK", "genre": "TCON",
             "software": "TSSE"}  # fmt: skip


@dataclass(frozen=True)
class Tags:
    """What is written into a file.

    title: of the text, or None. language: the code that was spoken, as ``de`` or ``zh-cn``.
    licence_url: of the model, which binds what is spoken too. settings: one line, as ``temperature 0.75, top-k 50``.
    album, track: of a book and the chapter in it, (number, of how many).
    """

    title: str | None
    language: str
    model: str
    licence_url: str | None
    settings: str
    seed: int | None
    software: str = f"voice-cloning {__version__}"
    artist: str | None = None
    album: str | None = None
    track: tuple[int, int] | None = None

    @property
    def comment(self) -> str:
        """All of it in one line, for formats and players that have no field for it."""
        licence = f"; licence {self.licence_url}" if self.licence_url else ""
        seed = "" if self.seed is None else f"; seed {self.seed}"
        return (f"{AI_GENERATED}; language {self.language}; model {self.model}{licence}"
                f"; settings {self.settings}{seed}; {self.software}")  # fmt: skip


def tag_file(path: Path, kind: str, tags: Tags | None) -> None:
    """Writes the tags into a finished file of this project, in place of its old ones; the sound stays as it is.

    Args:
        path: the file; what is copied is made beside it under a hidden name first.
        kind: its format, as ``.wav``, ``.flac``, ``.mp3``, ``.ogg``, ``.opus``; others are left alone
            (``.m4a``'s encoder takes :func:`mp4_fields`, ``.aac`` has no place for tags).
        tags: None: none are written. An Ogg file gets its serial number made repeatable all the same.

    Raises:
        OSError: the file cannot be read or written.
    """
    if kind == ".wav" and tags is not None:
        fields = _fields(tags)
        write_wav_info(path, [(key, fields[name]) for name, key in _RIFF_KEYS.items() if name in fields])
    elif kind in (".ogg", ".opus") or (kind in (".flac", ".mp3") and tags is not None):
        copied = path.with_name(f".{secrets.token_hex(8)}.tagged")
        try:
            _copy_tagged(path, copied, kind, tags)
            replace_by_copy(path, copied)
        finally:
            with contextlib.suppress(OSError):
                copied.unlink(missing_ok=True)


def _copy_tagged(path: Path, copied: Path, kind: str, tags: Tags | None) -> None:
    if kind == ".mp3":
        assert tags is not None
        copy_mp3(path, copied, _id3_frames(tags))
    elif kind == ".flac":
        assert tags is not None
        copy_flac(path, copied, _vorbis_fields(tags))
    else:
        copy_ogg(path, copied, None if tags is None else _vorbis_fields(tags))


def mp4_fields(tags: Tags) -> dict[str, str]:
    """The tags by the names that FFmpeg's MP4 writer takes with ``-metadata``."""
    fields = _fields(tags)
    return {key: fields[name] for name, key in _MP4_KEYS.items() if name in fields}


def three_letters(language: str) -> str:
    """A language code as ISO 639-2 has it; ``und`` (undetermined) for one that is not known here."""
    return _THREE_LETTERS.get(language.lower().split("-")[0], "und")


def read_tags(path: str | os.PathLike[str]) -> dict[str, str]:
    """The text fields of any sound file, by FFmpeg's names in lower case (``title``, ``comment``, ``encoder``, ...).

    Raises:
        OSError: no such file. ValueError: FFmpeg cannot read it.
    """
    import av

    with av.open(os.fspath(path)) as container:
        found: dict[str, str] = {}
        for stream in container.streams.audio[:1]:
            found |= stream.metadata
        found |= container.metadata  # last: an encoder names itself in the stream
    return {key.lower(): str(text) for key, text in found.items()}


def _fields(tags: Tags) -> dict[str, str]:
    """What every format can hold, without what is not set; one line each."""
    track = None if tags.track is None else f"{tags.track[0]}/{tags.track[1]}"
    found = {"title": tags.title, "artist": tags.artist, "album": tags.album, "track": track, "genre": GENRE,
             "language": tags.language, "licence": tags.licence_url, "comment": tags.comment,
             "software": tags.software}  # fmt: skip
    return {name: line for name, text in found.items() if text and (line := _one_line(text))}


def _one_line(text: str) -> str:
    """Without control characters and unpaired surrogates, which no container can hold, and not endless."""
    visible = "".join(" " if ord(character) < 32 or 0x7F <= ord(character) < 0xA0 else character for character in text)
    return " ".join(visible.encode("utf-8", "ignore").decode().split())[:MOST_CHARACTERS]


def _vorbis_fields(tags: Tags) -> dict[str, str]:
    fields = _fields(tags)
    names = {"title": "TITLE", "artist": "ARTIST", "album": "ALBUM", "genre": "GENRE", "language": "LANGUAGE",
             "licence": "LICENSE", "comment": "COMMENT", "software": "ENCODER"}  # fmt: skip
    found = {key: fields[name] for name, key in names.items() if name in fields}
    if tags.track is not None:
        found |= {"TRACKNUMBER": str(tags.track[0]), "TRACKTOTAL": str(tags.track[1])}
    return found | _own_fields(tags)


def _own_fields(tags: Tags) -> dict[str, str]:
    """What no standard names, for programs to read."""
    seed = {} if tags.seed is None else {"SEED": str(tags.seed)}
    return {"MODEL": _one_line(tags.model), "SETTINGS": _one_line(tags.settings), **seed}


def _id3_frames(tags: Tags) -> list[tuple[str, bytes]]:
    fields = _fields(tags)
    frames = [(key, id3_text(fields[name])) for name, key in _ID3_KEYS.items() if name in fields]
    frames.append(("TLAN", id3_text(three_letters(tags.language))))
    frames.append(("COMM", id3_text("", fields["comment"], before=b"eng")))
    own = _own_fields(tags)
    if "licence" in fields:
        own["LICENSE"] = fields["licence"]
        frames.append(("WCOP", fields["licence"].encode("latin-1", "replace")))
    return frames + [("TXXX", id3_text(key, text)) for key, text in own.items()]
