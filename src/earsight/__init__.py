"""Sound and vision in one package: sounds for silent clips, tags, codecs, training and proofs.

    import earsight

    model = earsight.load()                                # makes sound for pictures, codes sound
    model.sound("clip.mp4")

    tagger = earsight.load_tagger("ast")                   # says what is heard
    tagger.tag("dog.wav"), tagger.embed("dog.wav")

    repairer = earsight.load_repairer("audiomae-pretrained")
    repairer.repair_file("dog.wav", share=0.5).wave        # half of it hidden and restored

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
    from earsight.generate.repair import Repairer as Repairer
    from earsight.generate.repair import load_repairer as load_repairer
    from earsight.generate.sound_files import Sound as Sound
    from earsight.generate.sound_model import SoundModel as SoundModel
    from earsight.generate.tagger import SoundTagger as SoundTagger
    from earsight.generate.tagger import load_tagger as load_tagger
    from earsight.media.audio import Waveform as Waveform

_HOMES = {
    "EarsightError": "earsight.errors",
    "InputError": "earsight.errors",
    "MediaError": "earsight.errors",
    "Repairer": "earsight.generate.repair",
    "SamplingConfig": "earsight.generate.logits",
    "Sound": "earsight.generate.sound_files",
    "SoundModel": "earsight.generate.sound_model",
    "SoundTagger": "earsight.generate.tagger",
    "Waveform": "earsight.media.audio",
    "WeightsError": "earsight.errors",
    "load": "earsight.generate.load",
    "load_codec": "earsight.generate.load",
    "load_repairer": "earsight.generate.repair",
    "load_tagger": "earsight.generate.tagger",
}

__all__ = [
    "EarsightError",
    "InputError",
    "MediaError",
    "Repairer",
    "SamplingConfig",
    "Sound",
    "SoundModel",
    "SoundTagger",
    "Waveform",
    "WeightsError",
    "load",
    "load_codec",
    "load_repairer",
    "load_tagger",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'earsight' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
