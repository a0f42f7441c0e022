"""Mean, spread and length of every data set's log filterbanks, as published networks expect them.

Sources: Audio-MAE, appendix, and official repository facebookresearch/AudioMAE; official
repositories YuanGongND/ast, YuanGongND/ssast and JiuFengSC/FlexiAST_INTERSPEECH23.
"""

import difflib
from dataclasses import dataclass

from earsight.errors import ConfigError, InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class FbankStatistics:
    """What turns log filterbanks into network inputs: (x - mean) / (2 * spread), `num_frames` long.

    `mean` and `spread` (a standard deviation) are those of `frontends.kaldi_fbank.log_fbank` over
    a data set's training part, padding included.
    """

    mean: float
    spread: float
    num_frames: int

    def __post_init__(self) -> None:
        """Refuse a spread or length that makes no input."""
        if not self.spread > 0 or self.num_frames < 1:
            raise ConfigError(
                f"spread ({self.spread}) must be above 0 and num_frames ({self.num_frames}) "
                "at least 1"
            )


AUDIOSET = FbankStatistics(mean=-4.2677393, spread=4.5689974, num_frames=1024)
ESC50 = FbankStatistics(mean=-6.6268077, spread=5.358466, num_frames=512)
SPEECH_COMMANDS_V2 = FbankStatistics(mean=-6.845978, spread=5.5654526, num_frames=128)
SPEECH_COMMANDS_V1 = FbankStatistics(mean=-6.702, spread=5.448, num_frames=128)
VOXCELEB_SPEAKERS = FbankStatistics(mean=-6.370, spread=3.074, num_frames=1024)
FLEXIAST_VGGSOUND = FbankStatistics(mean=-5.0767093, spread=4.4533687, num_frames=1024)
# the repository's evaluation script disagrees with its training scripts, so both are here
FLEXIAST_VGGSOUND_EVALUATION = FbankStatistics(mean=-4.2821145, spread=4.521023, num_frames=1024)
FLEXIAST_VOXCELEB = FbankStatistics(mean=-3.7614744, spread=4.2011642, num_frames=1024)

STATISTICS: dict[str, FbankStatistics] = {
    "audioset": AUDIOSET,
    "kinetics400": AUDIOSET,
    "librispeech": AUDIOSET,
    "howto100m": AUDIOSET,
    "esc50": ESC50,
    "speech_commands_v1": SPEECH_COMMANDS_V1,
    "speech_commands_v2": SPEECH_COMMANDS_V2,
    "voxceleb_speakers": VOXCELEB_SPEAKERS,
    "vggsound": FLEXIAST_VGGSOUND,
    "vggsound_evaluation": FLEXIAST_VGGSOUND_EVALUATION,
    "voxceleb": FLEXIAST_VOXCELEB,
}


def fbank_statistics(name: str) -> FbankStatistics:
    """Published statistics of a data set; raises InputError with the nearest names."""
    if name not in STATISTICS:
        near = difflib.get_close_matches(name, STATISTICS, n=3) or list(STATISTICS)
        raise InputError(
            f"no published statistics of '{name}': take one of {', '.join(near)}, or measure "
            "your own data's"
        )
    return STATISTICS[name]
