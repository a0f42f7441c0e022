"""The code transformer's training from end to end on made clips."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_corpus import MadeCorpus

from earsight.checkpoints.native import read_folder, save_folder
from earsight.errors import ConfigError, InputError
from earsight.generate.load import load_pipeline
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.models.token_gpt.model import TokenGPT
from earsight.recipes.clock_positions import start_clock
from earsight.recipes.specvqgan_transformer import (
    SETTINGS,
    TransformerTraining,
    finetune,
    foley_room,
    published,
    tiny,
    train,
)
from earsight.recipes.transformer_setup import roles_of
from earsight.recipes.transformer_start import build, open_started
from earsight.settings import from_plain, to_plain
from earsight.training.distributed import ALONE
from earsight.training.optim import decay_groups
from earsight.training.rundir import RunDir


def corpora() -> list[MadeCorpus]:
    """Rendered clips, such clips with a sound bank, sounds alone."""
    return [
        MadeCorpus("room", ("drop", "rain")),
        MadeCorpus("bank", ("rain", "dog"), seed=1),
        MadeCorpus("sounds", ("dog", "rain", "wind"), kind=None, seed=2),
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    run = RunDir(tmp_path_factory.mktemp("whole"), keep=9)
    train(tiny(), run, corpora=corpora())
    return run


def test_two_halves_equal_the_whole_bit_for_bit(whole: RunDir, tmp_path: Path) -> None:
    recipe = tiny()
    assert recipe.dropout is not None  # its draws have to be resumed too
    assert recipe.dropout > 0
    run = RunDir(tmp_path / "halves")
    half = replace(recipe, num_steps=4)
    train(half, run, corpora=corpora())
    for path in run.checkpoints():
        if path.name != "step_000002":
            (path / "state.pt").unlink()
    before = run.read_log()
    train(half, run, corpora=corpora(), resume=True)
    assert run.read_log() == before == whole.read_log()
    for name in ("model", "average"):
        mine, other = run.load_state()[name], whole.load_state()[name]
        assert all(torch.equal(mine[key], other[key]) for key in other)


def test_the_log_tells_each_kind_of_window_apart(whole: RunDir) -> None:
    last = whole.read_log()[-1]
    assert {
        "held_out_loss",
        "held_out_loss_other_picture",
        "held_out_loss_pictures",
        "held_out_loss_sound_bank",
        "held_out_loss_sounds",
    } <= set(last)


def test_the_model_is_written_with_its_classes_and_opens(whole: RunDir) -> None:
    stored = read_folder(whole.path / "model")
    assert stored.family == "token_gpt"
    assert stored.extra["visual"] == "motion"
    assert stored.extra["class_names"] == ["drop", "rain", "dog", "wind"]
    config = from_plain(TokenGPTConfig, stored.config)
    assert (config.num_classes, config.class_dropout_index) == (5, 4)
    pipeline = load_pipeline(whole.path / "pipeline")
    assert pipeline.class_index("wind") == 3
    assert pipeline.class_index(None) == 4
    assert pipeline.engine.config.grid_columns == 6
    ended = json.loads((whole.path / "ended.json").read_text())
    assert ended["reason"] == "all 4 steps are done"
    assert "room as pictures, bank as sound_bank, sounds as sounds" in ended["start"]


def test_corpora_get_their_roles_or_are_told_them() -> None:
    assert roles_of(tiny(), corpora(), "motion") == ("pictures", "sound_bank", "sounds")
    told = replace(tiny(), roles=("pictures", "pictures", "sounds"))
    assert roles_of(told, corpora(), "motion") == told.roles
    assert roles_of(published(), corpora(), "resnet50") == ("pictures",) * 3
    with pytest.raises(ConfigError, match="1 roles for 3 corpora"):
        roles_of(replace(tiny(), roles=("pictures",)), corpora(), "motion")


def trained(folder: Path, names: tuple[str, ...]) -> TokenGPT:
    """A model folder to start from, with classes and a row for "no class"."""
    assert tiny().model is not None
    config = replace(tiny().model, num_classes=len(names) + 1, class_dropout_index=len(names))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = TokenGPT(config)
    extra = {"visual": "motion", "class_names": list(names)}
    save_folder(folder, "token_gpt", config, model.state_dict(), extra=extra)
    return model


def test_a_start_keeps_rows_by_name_and_names_what_is_new(tmp_path: Path) -> None:
    model = trained(tmp_path / "start", ("dog", "rain"))
    started = open_started(str(tmp_path / "start"))
    names = ("rain", "wind", "dog")
    config = replace(started.config, num_classes=4, class_dropout_index=3)
    found, told = build(config, names, started=started, clock=False, seed=0)
    assert "new classes: wind" in told
    before, after = (m.class_embedding.weight for m in (model, found))  # type: ignore[union-attr]
    assert torch.equal(after[[0, 2, 3]], before[[1, 0, 2]])
    assert torch.equal(after[1], before[2])  # a new class begins as no class
    assert torch.equal(found.positions, model.positions)


def test_a_start_with_other_features_names_what_stays_fresh(tmp_path: Path) -> None:
    model = trained(tmp_path / "start", ("dog",))
    started = open_started(str(tmp_path / "start"))
    config = replace(started.config, feature_width=24)
    found, told = build(config, ("dog",), started=started, clock=False, seed=0)
    assert "freshly initialised: feature_embedding" in told
    assert "left over: feature_embedding" in told
    assert torch.equal(found.head.weight, model.head.weight)
    alone = replace(
        started.config, condition="features", num_positions=36, class_dropout_index=None
    )
    found, told = build(alone, (), started=started, clock=False, seed=0)
    assert "left over: class_embedding" in told
    assert torch.equal(found.positions[0, -30:], model.positions[0, -30:])


def test_going_on_lowers_the_loss_and_exports_the_best(tmp_path: Path) -> None:
    trained(tmp_path / "start", ("dog",))
    recipe = replace(
        finetune(), start=str(tmp_path / "start"), codebook="bundled", num_steps=60,
        check_every=20, save_every=60, rate=3e-3, crops_per_clip=2, batch=4, patience=2,
        precision="fp32",
    )  # fmt: skip
    run = RunDir(tmp_path / "run")
    train(recipe, run, corpora=[MadeCorpus("own", (), num_clips=2)])
    held_out = {
        line["step"]: line["held_out_loss"] for line in run.read_log() if "held_out_loss" in line
    }
    assert min(held_out, key=held_out.get) > 0  # type: ignore[arg-type]
    assert min(held_out.values()) < held_out[0] - 0.5
    best = run.load_best()["average"]
    stored = read_folder(run.path / "model").tensors
    torch.testing.assert_close(stored["head.weight"], best["head.weight"], atol=1e-3, rtol=0)
    assert json.loads((run.path / "ended.json").read_text())["start"].startswith("started at start")


def test_published_settings_have_the_published_groups_and_rates() -> None:
    recipe = published()
    assert (recipe.rate, recipe.batch) == (pytest.approx(3.2e-4), 64)
    assert SETTINGS["vas"]().rate == pytest.approx(6.4e-5)
    small = TokenGPT(replace(tiny().model, condition="class", num_positions=31))  # type: ignore[type-var]
    groups = decay_groups(small, weight_decay=recipe.weight_decay)
    assert [group["weight_decay"] for group in groups] == [0.01, 0.0]
    sizes = {name: make().model for name, make in SETTINGS.items()}
    assert [
        sizes[name].num_positions  # type: ignore[union-attr]
        for name in ("published", "features_1", "features_5", "class_only", "features_and_class")
    ] == [477, 266, 270, 266, 478]


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_every_setting_survives_being_written_down(name: str) -> None:
    recipe = SETTINGS[name]()
    assert from_plain(type(recipe), json.loads(json.dumps(to_plain(recipe)))) == recipe


def test_clock_makes_every_layer_look_at_the_column_to_be_predicted() -> None:
    assert foley_room().model is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = TokenGPT(foley_room().model).eval()
    start_clock(model)
    config = model.config
    columns, codes = config.grid_columns, config.num_grid_codes
    drawn = torch.randint(config.num_codes, (1, codes), generator=torch.Generator().manual_seed(0))
    features = torch.full((1, columns, config.feature_width), 0.5)
    condition = model.embed_condition(features, torch.tensor([3]))
    x = torch.cat([condition, model.code_embedding(drawn)], dim=1)
    x = x + model.positions[:, : x.shape[1]]
    right = 0
    for block in model.blocks:
        looks = block.attention.weights(block.norm_attention(x))[0, 0]  # type: ignore[union-attr, operator]
        # the class token, at position `columns`, predicts code 0
        seen = looks[columns : columns + codes, :columns].argmax(dim=1)
        right += int((seen == torch.arange(codes) // config.grid_rows).sum())
        x = block(x)
    assert right > 0.9 * codes * len(model.blocks)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="without a start the recipe needs"):
        replace(finetune(), start=None)
    with pytest.raises(ConfigError, match="set no_class, or no dropout"):
        replace(tiny(), no_class=False)
    with pytest.raises(ConfigError, match="one token per code column, the model has 5 for 6"):
        replace(tiny(), model=replace(tiny().model, num_positions=36))  # type: ignore[type-var]
    with pytest.raises(ConfigError, match="and visual 'none' contradict"):
        replace(tiny(), visual="none")
    other = replace(tiny(), model=replace(tiny().model, num_codes=16))  # type: ignore[type-var]
    with pytest.raises(ConfigError, match="the codebook has 512 codes"):
        train(other, RunDir(tmp_path), corpora=corpora())
    empty = MadeCorpus("none", ("a",), num_clips=0)
    with pytest.raises(InputError, match="every corpus's training split is empty"):
        train(tiny(), RunDir(tmp_path), corpora=[empty])


def test_a_training_state_goes_back_to_what_it_was() -> None:
    model = TokenGPT(tiny().model)  # type: ignore[arg-type]
    training = TransformerTraining(tiny(), model, ALONE)
    training.stopping.update(1.0, 3)
    state = training.state()
    again = TransformerTraining(tiny(), TokenGPT(tiny().model), ALONE)  # type: ignore[arg-type]
    again.restore(state)
    assert again.stopping.best_step == 3
