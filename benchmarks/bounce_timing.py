"""Say how well the sound of a rendered clip follows its bounces: bounce_timing.py CLIP OUT.

CLIP is the silent clip with its truth beside it, OUT the folder with the sounding copy.
A clip without truth is passed over in silence.
"""

import sys
from pathlib import Path

from earsight.data.foley_room.clip_files import read_truth, truth_path
from earsight.evaluate.bounce_timing import bounce_timing
from earsight.media.audio import read_audio


def main(clip: Path, out: Path) -> None:
    """Print one line a measure."""
    if not truth_path(clip).is_file():
        return
    wave = read_audio(out / clip.name, mono=True)
    result = bounce_timing(wave.samples[0], wave.rate_hz, read_truth(clip))
    heard = result.num_clear_contacts - len(result.missed_seconds)
    print(
        f"\nbounces heard within 0.1 s: {heard} of {result.num_clear_contacts}"
        f"\nonsets that belong to a bounce: {result.precision:.0%} of {result.num_onsets}"
        f"\nmean lag of the sound: {1000 * result.mean_lag_seconds:.0f} ms"
        f"\nlevel of the sound against the bounces, correlation: {result.level_correlation:.2f}"
        f"\npeaks against impact speeds, correlation: {result.strength_correlation:.2f}"
    )


main(Path(sys.argv[1]), Path(sys.argv[2]))
