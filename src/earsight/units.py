"""Conversions between the units that sound is measured in."""

import math


def amplitude_to_db(amplitude: float, *, floor_db: float = -120.0) -> float:
    """Level in dB relative to full scale of a linear amplitude; `floor_db` for silence."""
    return max(floor_db, 20 * math.log10(amplitude)) if amplitude > 0 else floor_db
