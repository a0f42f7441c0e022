"""x."""

from earsight.parity.runners import Runner

KINDS: dict[str, Runner] = {}
