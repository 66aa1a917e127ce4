"""The craft behind the two scripts, one file a stage of the data flow.

Importing any of these modules loads neither torch nor TTS (heavy imports stay inside functions).
Only `command_line` parses flags and prints; none configures logging. Imports point one way::

    errors <- audio_reading <- audio <- quality, restoration, joining
    errors <- text          errors <- checkpoint <- loading
    all of these <- decoding <- tts_model <- rehearsal
    run_history, log_files, log_values, stage_clock <- logger_config <- the modules that time their work
    logger_config <- command_line <- the two scripts
"""

__version__ = "0.1.0"
