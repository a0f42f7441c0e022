"""Networks joined into one folder fit each other, or the folder does not come to be."""

from pathlib import Path

import pytest
import torch

from earsight.checkpoints.native import read_bundle, save_folder
from earsight.cli.app import main
from earsight.errors import ConfigError, WeightsError
from earsight.generate.decode import GriffinLimVocoder, MelGANVocoder
from earsight.generate.joining import join_models
from earsight.generate.load import load_pipeline
from earsight.models.mel_vqgan.config import MelVQGANConfig
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.melgan.config import MelGANConfig
from earsight.models.melgan.model import MelGANGenerator
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.models.token_gpt.model import TokenGPT

CODEBOOK = MelVQGANConfig(
    channels=4, channel_multipliers=(1, 1, 1, 1, 1), blocks_per_level=1, latent_channels=4,
    code_dim=4, num_codes=16, attention_resolutions=(), middle_attention=False, norm_groups=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("parts")
    for name, num_codes in (("transformer", 16), ("other", 32)):
        sizes = TokenGPTConfig(
            num_codes=num_codes, num_positions=106, width=8, num_layers=1, num_heads=1,
            grid_columns=21, condition="class", num_classes=2,
        )  # fmt: skip
        extra = {"visual": "none", "class_names": ["a", "b"]}
        save_folder(folder / name, "token_gpt", sizes, TokenGPT(sizes).state_dict(), extra=extra)
    save_folder(folder / "codebook", "mel_vqgan", CODEBOOK, MelVQGAN(CODEBOOK).state_dict())
    return {name: folder / name for name in ("codebook", "transformer", "other")}


def test_a_joined_model_loads_with_the_transformers_classes(
    tmp_path: Path, parts: dict[str, Path]
) -> None:
    arguments = ["weights", "join", "--output", str(tmp_path / "model"), "--top-p", "0.9"]
    arguments += ["--codebook", str(parts["codebook"]), "--transformer", str(parts["transformer"])]
    assert main(arguments) == 0
    pipeline = load_pipeline(tmp_path / "model")
    assert pipeline.class_names == ("a", "b")
    assert pipeline.default_sampling.top_p == 0.9
    stored = read_bundle(tmp_path / "model").parts["codebook"].tensors
    torch.testing.assert_close(dict(stored), pipeline.codebook.state_dict(), atol=0, rtol=0)
    sums = (tmp_path / "model" / "SHA256SUMS").read_text().splitlines()
    assert len(sums) == 2 * 3 + 2


def test_a_vocoder_that_is_not_preferred_is_used_on_request(
    tmp_path: Path, parts: dict[str, Path]
) -> None:
    sizes = MelGANConfig(channels=2, num_residual_layers=1)
    state = MelGANGenerator(sizes).state_dict()
    save_folder(tmp_path / "vocoder", "melgan", sizes, state)
    given = {name: parts[name] for name in ("codebook", "transformer")}
    given["vocoder"] = tmp_path / "vocoder"
    model = tmp_path / "model"
    join_models(model, given)
    assert isinstance(load_pipeline(model).vocoder, MelGANVocoder)
    join_models(model, given, prefer_griffin_lim=True, overwrite=True)
    assert isinstance(load_pipeline(model).vocoder, GriffinLimVocoder)
    assert isinstance(load_pipeline(model, vocoder=str(model)).vocoder, MelGANVocoder)


def test_misfits_are_all_named_and_nothing_is_written(
    tmp_path: Path, parts: dict[str, Path]
) -> None:
    wrong = {"codebook": parts["codebook"], "transformer": parts["other"], "sight": parts["other"]}
    with pytest.raises(
        WeightsError, match=r"sight is a token_gpt.*speaks 32 codes, the codebook 16"
    ):
        join_models(tmp_path / "model", wrong)
    with pytest.raises(ConfigError, match="unknown parts eyes"):
        join_models(tmp_path / "model", {"eyes": parts["other"]})
    with pytest.raises(ConfigError, match="needs a codebook"):
        join_models(tmp_path / "model", {"transformer": parts["transformer"]})
    assert list(tmp_path.iterdir()) == []
