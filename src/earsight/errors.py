"""Every error earsight raises on purpose.

    EarsightError
    ├── InputError (ValueError)        a file, argument or array that cannot be used
    │   ├── MediaError                 a sound, video or picture that cannot be read or written
    │   └── ConfigError                sizes or settings that contradict each other
    ├── WeightsError (ValueError)      a weight file that does not fit, entry by entry
    │   └── UnsafeFileError            a weight file that asks for code to be run
    ├── FetchError (OSError)           a download that did not end in the right bytes
    ├── TrainingError (RuntimeError)   a training run that cannot go on; its checkpoints are whole
    │   └── TrainingStopped            a training run that was asked to stop and saved itself
    └── MissingExtraError (ImportError) an optional part that is not installed

Messages say what was expected, what was found and what to do.
"""


class EarsightError(Exception):
    """Base of every error raised on purpose."""


class InputError(EarsightError, ValueError):
    """A file, argument or array cannot be used."""


class MediaError(InputError):
    """A sound, video or picture cannot be read or written."""


class ConfigError(InputError):
    """Sizes or settings contradict each other."""


class WeightsError(EarsightError, ValueError):
    """A weight file does not fit the network it is meant for."""


class UnsafeFileError(WeightsError):
    """A weight file names code that would have to be run; nothing of it was run."""


class FetchError(EarsightError, OSError):
    """A download did not end in the expected bytes."""


class TrainingError(EarsightError, RuntimeError):
    """A training run cannot go on; what it saved before is whole."""


class TrainingStopped(TrainingError):
    """A training run was asked to stop, saved a checkpoint and did."""


class MissingExtraError(EarsightError, ImportError):
    """An optional part of the package is needed and not installed."""
