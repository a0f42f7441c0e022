"""How codes are drawn, as commands are asked."""

import argparse
from typing import Any


def asked_sampling(args: argparse.Namespace) -> dict[str, Any]:
    """Fields of `SamplingConfig` that were given on the command line; the rest is the model's."""
    names = ("temperature", "top_k", "top_p", "guidance")
    return {name: value for name in names if (value := getattr(args, name)) is not None}
