"""The transformer's training from end to end on generated sounds."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from earsight.checkpoints.native import read_folder
from earsight.errors import ConfigError, InputError
from earsight.models.mel_vqgan.config import MelVQGANConfig
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.models.token_gpt.model import TokenGPT
from earsight.recipes.bundled_transformer import (
    NO_CLASS,
    Pool,
    bundled,
    clip_parts,
    code_loss,
    draw_batch,
    export,
    make_pool,
    tiny,
    train,
)
from earsight.recipes.clock_positions import start_clock
from earsight.settings import from_plain
from earsight.training.rundir import RunDir


@pytest.fixture(scope="module")
def codebook() -> MelVQGAN:
    config = MelVQGANConfig(
        num_frames=96,
        channels=4,
        channel_multipliers=(1, 1, 1, 1, 1),
        norm_groups=2,
        blocks_per_level=1,
        latent_channels=4,
        code_dim=4,
        num_codes=16,
        attention_resolutions=(),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MelVQGAN(config).eval()


@pytest.fixture(scope="module")
def pool(codebook: MelVQGAN) -> Pool:
    rng = torch.Generator().manual_seed(3)
    mels = torch.rand(4, 80, 120, generator=rng) * 0.5 + 0.2
    clips = clip_parts(mels, torch.tensor([2, 2, 7, 7]))
    return make_pool(codebook, clips, tiny().collages, num_windows=6, rng=rng)


def test_pool_holds_coded_windows_of_the_classes_present(pool: Pool) -> None:
    assert pool.codes.shape == (6, 30)
    assert pool.loud.shape == (6, 24)
    assert pool.classes.tolist() == [2, 7, 2, 7, 2, 7]


def test_two_halves_equal_the_whole_bit_for_bit(pool: Pool, tmp_path: Path) -> None:
    recipe = tiny()
    assert recipe.model.dropout > 0  # its draws have to be resumed too
    whole = train(recipe, RunDir(tmp_path / "whole"), pool=pool, held_out=pool)
    run = RunDir(tmp_path / "halves")
    train(recipe, run, pool=pool, held_out=pool)
    for path in run.checkpoints():
        if path.name != "step_000002":
            (path / "state.pt").unlink()
    log = run.read_log()
    resumed = train(recipe, run, pool=pool, held_out=pool, resume=True)
    assert resumed.step == whole.step == 4
    for mine, other in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(mine, other)
    assert run.read_log() == log
    assert {"held_out_loss", "held_out_loss_other_track"} <= set(log[-1])


def test_loss_counts_all_codes_and_no_condition(pool: Pool) -> None:
    model = TokenGPT(tiny().model).eval()
    with torch.no_grad():
        model.head.weight.zero_()
    batch = draw_batch(pool, tiny(), torch.Generator().manual_seed(0))
    assert float(code_loss(model, batch).detach()) == pytest.approx(torch.tensor(16.0).log().item())


def test_classes_are_withheld_in_their_share(pool: Pool) -> None:
    recipe = replace(tiny(), batch=400, class_dropout=0.25)
    batch = draw_batch(pool, recipe, torch.Generator().manual_seed(0))
    assert 70 < int((batch.classes == NO_CLASS).sum()) < 130


def test_clock_makes_every_layer_look_at_the_column_to_be_predicted() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = TokenGPT(bundled().model).eval()
    start_clock(model)
    config = model.config
    codes = torch.randint(config.num_codes, (1, 265), generator=torch.Generator().manual_seed(0))
    x = torch.cat(
        [model.embed_condition(torch.full((1, 53, 8), 0.5), torch.tensor([3])),
         model.code_embedding(codes)], dim=1,
    )  # fmt: skip
    x = x + model.positions[:, : x.shape[1]]
    right = 0
    for block in model.blocks:
        looks = block.attention.weights(block.norm_attention(x))[0, 0]  # type: ignore[union-attr, operator]
        # position 53 + n predicts code n, of column n // 5
        columns = looks[53 : 53 + 265, :53].argmax(dim=1)
        right += int((columns == torch.arange(265) // 5).sum())
        x = block(x)
    assert right > 0.9 * 265 * len(model.blocks)


def test_an_exported_transformer_reads_back_with_its_classes(tmp_path: Path) -> None:
    model = TokenGPT(tiny().model).eval()
    export(model, tmp_path / "transformer", card="# Transformer\n")
    stored = read_folder(tmp_path / "transformer")
    assert (stored.family, stored.extra["visual"]) == ("token_gpt", "motion")
    assert stored.extra["class_names"][4] == "clock tick"
    assert from_plain(TokenGPTConfig, stored.config) == model.config
    again = TokenGPT(model.config).eval()
    again.load_state_dict(stored.tensors)
    inputs = (torch.arange(5)[None], torch.rand(1, 6, 8), torch.tensor([3]))
    torch.testing.assert_close(again(*inputs).logits, model(*inputs).logits, atol=5e-3, rtol=0)


def test_refusals(codebook: MelVQGAN) -> None:
    silence = clip_parts(torch.zeros(1, 80, 50), torch.tensor([0]))
    with pytest.raises(InputError, match="no clips"):
        make_pool(codebook, silence, tiny().collages, num_windows=1, rng=torch.Generator())
    with pytest.raises(ConfigError, match="class_dropout_index is None"):
        replace(tiny(), model=replace(tiny().model, class_dropout_index=None))
    with pytest.raises(ConfigError, match="one feature token per code column, got 5 for 6"):
        start_clock(TokenGPT(replace(tiny().model, num_positions=36)))
