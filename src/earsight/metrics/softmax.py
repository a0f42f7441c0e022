"""Probabilities of class scores in double precision.   Axes: n samples, c classes."""

import numpy as np
from jaxtyping import Float


def log_softmax(scores: Float[np.ndarray, "*n c"]) -> Float[np.ndarray, "*n c"]:
    """Logarithm of the softmax, exact for scores of any size."""
    scores = scores.astype(np.float64)
    scores = scores - scores.max(axis=-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def log_sigmoid(scores: Float[np.ndarray, "*n c"]) -> Float[np.ndarray, "*n c"]:
    """Logarithm of the sigmoid, exact for scores of any size."""
    return -np.logaddexp(0, -scores.astype(np.float64))
