"""Which colours go with which shapes, and which of these combinations are kept for test clips.

Every colour and every shape occurs in training; some combinations of them do not.
"""

import numpy as np

from earsight.data.foley_room.performance import Looks
from earsight.errors import ConfigError


def is_held_out(colour: int, shape: int) -> bool:
    """Whether a combination is kept for test: those on the table's diagonal."""
    return colour == shape


def choose_combination(
    rng: np.random.Generator, *, num_colours: int, num_shapes: int, looks: Looks
) -> tuple[int, int]:
    """Numbers of a colour and a shape, drawn from the seen or the held-out combinations.

    Raises ConfigError for fewer than two of either, where a held-out combination would take a
    whole colour or shape out of training.
    """
    if num_colours < 2 or num_shapes < 2:
        raise ConfigError(
            f"{num_colours} colours and {num_shapes} shapes: take two of each or more, so that "
            "combinations can be held out"
        )
    allowed = [
        (colour, shape)
        for colour in range(num_colours)
        for shape in range(num_shapes)
        if is_held_out(colour, shape) == (looks == "held_out")
    ]
    return allowed[int(rng.integers(len(allowed)))]
