"""Every kind of golden case that has a runner, by system: the folder name of its cases."""

from collections.abc import Mapping

from earsight.parity import (
    ast,
    audiomae,
    coarse_to_fine,
    frontend,
    htsat,
    judges,
    metrics,
    passt,
    specvqgan,
    ssast,
    vocoder,
)
from earsight.parity.runners import Runner

SYSTEMS: Mapping[str, Mapping[str, Runner]] = {
    "specvqgan": specvqgan.KINDS,
    "frontend": frontend.KINDS,
    "vocoder": vocoder.KINDS,
    "metrics": {**metrics.KINDS, **judges.KINDS},
    "passt": passt.KINDS,
    "audiomae": audiomae.KINDS,
    "htsat": htsat.KINDS,
    "coarse_to_fine": coarse_to_fine.KINDS,
    "ast": ast.KINDS,
    "ssast": ssast.KINDS,
}
