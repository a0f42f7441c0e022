"""Folders of small networks that hear, with random weights."""

from pathlib import Path

import torch
from torch import nn

from earsight.checkpoints.native import save_folder
from earsight.models.ast.config import AstConfig
from earsight.models.ast.model import Ast
from earsight.models.audiomae.config import (
    AudioTaggerConfig,
    DecoderConfig,
    EncoderConfig,
    MaskedAutoencoderConfig,
)
from earsight.models.audiomae.model import AudioTagger, MaskedAutoencoder
from earsight.models.htsat.config import HtsatConfig
from earsight.models.htsat.model import Htsat
from earsight.models.passt.config import PasstConfig
from earsight.models.passt.model import Passt
from earsight.models.ssast.config import SsastTaggerConfig
from earsight.models.ssast.model import SsastTagger

NAMES = ("bell", "rain", "engine", "clock")
_SMALL = {"width": 16, "num_layers": 1, "num_heads": 2, "hidden": 16}
_ENCODER = EncoderConfig(num_frames=64, width=16, num_layers=2, num_heads=2, hidden=16)


def network(family: str) -> tuple[nn.Module, object]:
    """A small network of a family, and its sizes."""
    count = len(NAMES)
    match family:
        case "ast":
            ast = AstConfig(num_frames=64, num_classes=count, **_SMALL)
            return Ast(ast), ast
        case "ssast_tagger":
            ssast = SsastTaggerConfig(num_frames=64, num_classes=count, **_SMALL)
            return SsastTagger(ssast), ssast
        case "audiomae_tagger":
            tagger = AudioTaggerConfig(encoder=_ENCODER, num_classes=count)
            return AudioTagger(tagger), tagger
        case "audiomae":
            decoder = DecoderConfig(
                blocks=("window", "shifted_window"),
                width=16,
                num_heads=2,
                window_heads=2,
                hidden=16,
                distance_hidden=8,
            )
            mae = MaskedAutoencoderConfig(encoder=_ENCODER, decoder=decoder)
            return MaskedAutoencoder(mae), mae
        case "htsat":
            htsat = HtsatConfig(
                picture=128, width=8, depths=(1, 1), num_heads=(2, 2), num_classes=count
            )
            return Htsat(htsat), htsat
        case _:
            passt = PasstConfig(max_columns=20, num_classes=count, **_SMALL)
            return Passt(passt), passt


def save_model(folder: Path, family: str, **extra: object) -> Path:
    """Write a model folder of a family, the same in every run."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model, config = network(family)
        for name, parameter in model.named_parameters():
            if "head" in name:  # starts so small that all scores would be alike
                nn.init.normal_(parameter, std=0.3)
    save_folder(folder, family, config, model.state_dict(), extra=extra)
    return folder
