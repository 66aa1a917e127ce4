"""The craft behind the two scripts, one file a stage of the data flow.

Importing any of these modules loads neither torch nor TTS (heavy imports stay inside functions).
Only `command_line` prints, only it and `clone_flags` know of flags; none configures logging. Imports point one way::

    errors <- audio_reading <- audio <- quality, restoration, joining
    errors <- text          errors <- checkpoint <- loading
    all of these <- decoding <- tts_model <- rehearsal
    run_history, log_files, log_values, stage_clock <- logger_config <- the modules that time their work
    logger_config <- command_line <- the two scripts
"""

__version__ = "0.1.0"

import os

# onnxruntime (seen in 1.32) would tell its makers by HTTPS that it is used, unless this is set before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
