"""What killed runs left unfinished in the user's folders, and journals that nobody came back for: removed.

A file that is being written sweeps its own folder (`voicekit.scratch_folders`), but into a cache that has all it needs
nothing is written any more.
"""

from __future__ import annotations

from voicekit import conditioning_cache, journal, kept_weights, profiles, rehearsal, remembered
from voicekit.scratch_folders import remove_left


def remove() -> None:
    """Remove them; what a living process holds stays, and what cannot be removed stays."""
    journal.remove_old()
    beside = (remembered.path_of("any").parent, rehearsal.folder_of("any").parent)
    for folder in (*beside, conditioning_cache.folder(), kept_weights.folder(), profiles.folder()):
        remove_left(folder)
