"""Sound and vision in one package: hear a silent clip, code sound, prove and measure models.

Names are imported when they are first used, so `import earsight` stays quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earsight.errors import EarsightError as EarsightError
    from earsight.errors import InputError as InputError
    from earsight.errors import MediaError as MediaError
    from earsight.errors import WeightsError as WeightsError
    from earsight.generate.load import load as load
    from earsight.generate.load import load_codec as load_codec
    from earsight.generate.logits import SamplingConfig as SamplingConfig
    from earsight.generate.sound_files import Sound as Sound
    from earsight.generate.sound_model import SoundModel as SoundModel
    from earsight.media.audio import Waveform as Waveform

_HOMES = {
    "EarsightError": "earsight.errors",
    "InputError": "earsight.errors",
    "MediaError": "earsight.errors",
    "SamplingConfig": "earsight.generate.logits",
    "Sound": "earsight.generate.sound_files",
    "SoundModel": "earsight.generate.sound_model",
    "Waveform": "earsight.media.audio",
    "WeightsError": "earsight.errors",
    "load": "earsight.generate.load",
    "load_codec": "earsight.generate.load",
}

__all__ = [
    "EarsightError",
    "InputError",
    "MediaError",
    "SamplingConfig",
    "Sound",
    "SoundModel",
    "Waveform",
    "WeightsError",
    "load",
    "load_codec",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'earsight' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
