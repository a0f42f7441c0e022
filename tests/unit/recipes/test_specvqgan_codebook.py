"""The codebook recipe: data, distance, phases, resuming, splitting of batches."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from earsight.checkpoints.native import read_folder, save_folder
from earsight.data.corpus import ClipRecord, Split
from earsight.errors import ConfigError, InputError, TrainingError, TrainingStopped, WeightsError
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.vggishish.config import VGGishishConfig
from earsight.models.vggishish.model import VGGishish
from earsight.recipes import specvqgan_codebook as recipe_file
from earsight.recipes.codebook_batches import CodebookBatches
from earsight.recipes.codebook_settings import CodebookRecipe, CropBatch
from earsight.recipes.codebook_training import CodebookTraining, codebook_loss, generator_step
from earsight.recipes.perceptual_distance import (
    DistanceSettings,
    calibrate,
    distortions,
    trained_distance,
)
from earsight.recipes.specvqgan_codebook import foley_room, published, tiny, train, vas
from earsight.training.distributed import ALONE, World
from earsight.training.rundir import RunDir


class Noises:
    """Made-up clips of 20 to 100 frames."""

    name = "noises"
    class_names = ()

    def __init__(self, broken: str = "") -> None:
        self.broken = broken

    def records(self, split: Split) -> Sequence[ClipRecord]:
        return [
            ClipRecord(
                id=f"{split}{i}",
                split=split,
                class_index=None,
                class_name=None,
                seconds=1.0,
                source=Path("nowhere"),
            )
            for i in range({"train": 6, "valid": 3, "test": 0}[split])
        ]

    def mel(self, record: ClipRecord) -> torch.Tensor:
        if record.id == self.broken:
            raise InputError("its file is cut short")
        rng = torch.Generator().manual_seed(sum(map(ord, record.id)))
        frames = int(torch.randint(20, 100, (), generator=rng))
        return torch.rand(80, frames, generator=rng).cumsum(0) / 80

    def wave(self, record: ClipRecord) -> torch.Tensor:
        raise InputError(f"{record.id} has no sound")

    def features(self, record: ClipRecord, kind: str) -> torch.Tensor:
        raise InputError(f"{record.id} has no {kind}")


def test_published_rates_follow_the_official_rule() -> None:
    for recipe, rate in ((published(), 1.44e-4), (vas(), 3.2e-5)):
        small = replace(recipe, model=tiny().model, discriminator=tiny().discriminator)
        training = CodebookTraining(replace(small, distance=tiny().distance), ALONE)
        training.set_rates()
        for optimizer in (training.optimizer, training.discriminator_optimizer):
            assert optimizer.param_groups[0]["lr"] == pytest.approx(rate, rel=1e-9)


def test_a_stopped_run_goes_on_to_the_same_weights_and_log(tmp_path: Path) -> None:
    whole, stopped = RunDir(tmp_path / "a"), RunDir(tmp_path / "b")
    train(tiny(), whole, corpora=[Noises()])
    stopped.stop.is_set = True
    with pytest.raises(TrainingStopped, match="after step 1"):
        train(tiny(), stopped, corpora=[Noises()])
    train(tiny(), RunDir(tmp_path / "b"), corpora=[Noises()], resume=True)
    ours, theirs = whole.load_state(), stopped.load_state()
    for part in ("model", "average", "discriminator"):
        assert all(torch.equal(ours[part][n], theirs[part][n]) for n in ours[part]), part
    assert (whole.path / "log.jsonl").read_text() == (stopped.path / "log.jsonl").read_text()
    folder = read_folder(whole.path / "model")
    assert folder.sha256 == read_folder(stopped.path / "model").sha256
    assert folder.tensors["encoder.conv_in.weight"].equal(ours["model"]["encoder.conv_in.weight"])
    lines = whole.read_log()
    assert [line["step"] for line in lines if "held_out_l1" in line] == [2, 4, 6, 8]
    assert [line["step"] for line in lines if "judge_total" in line] == [3, 4, 5, 6, 7, 8]
    assert "codes used, of 16" in (whole.path / "model" / "card.md").read_text()


def test_parts_of_a_batch_and_processes_see_the_clips_of_one_global_batch() -> None:
    one = CodebookBatches([Noises(), Noises()], tiny(), ALONE)
    parts = CodebookBatches([Noises(), Noises()], replace(tiny(), accumulate=2), ALONE)
    two = [
        CodebookBatches([Noises(), Noises()], tiny(), World(rank, 2, torch.device("cpu")))
        for rank in (0, 1)
    ]
    for step in range(4):
        (batch,) = one.draw(step)
        assert torch.equal(torch.cat([part.mel for part in parts.draw(step)]), batch.mel)
        assert torch.equal(torch.cat([other.draw(step)[0].mel for other in two]), batch.mel)


def test_frames_beyond_a_clips_end_count_nowhere() -> None:
    recipe = replace(
        tiny(), crops=replace(tiny().crops, join_short=False, changes=None), num_steps=1,
        codes_fixed_from=None, revive_until=0, judge_from_start=False,
        batches=(CropBatch(frames=96, clips=2),),
        weights=replace(tiny().weights, perceptual=0.0, codebook=0.0),
    )  # fmt: skip
    training = CodebookTraining(recipe, ALONE)
    (batch,) = CodebookBatches([Noises()], recipe, ALONE).draw(0)
    assert not batch.frame_mask.all()
    (loss,) = generator_step(training, [batch], made := [])
    gap = (made[0].wanted - made[0].rebuilt).abs().mean(dim=(1, 2))
    assert gap[~batch.frame_mask].max() == 0
    assert gap[batch.frame_mask].min() > 0
    assert float(loss.detach()) == pytest.approx(float(gap.mean()), rel=1e-5)


def test_a_trained_distance_ranks_distortions_better_than_equal_weights(tmp_path: Path) -> None:
    sizes = VGGishishConfig(levels=((4, 4), (8,)), pooled_shape=(1, 1), hidden=4, num_classes=2)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = VGGishish(sizes)
    save_folder(tmp_path / "judge", "vggishish", sizes, network.state_dict())
    distance = trained_distance(str(tmp_path / "judge"))
    assert torch.equal(distance.slices[1].convs[0].weight, network.convs[2].weight)  # type: ignore
    rng = torch.Generator().manual_seed(0)
    rough = torch.rand(16, 1, 10, 8, generator=rng) * 2 - 1
    mel = torch.nn.functional.interpolate(rough, (80, 64), mode="bilinear")
    settings = DistanceSettings(kind="trained", network="judge", num_steps=100)
    found = calibrate(distance, mel, settings, generator=rng)
    assert found.after > found.before > 0.8
    spoiled = torch.cat([calm for calm in distortions(mel, 0.3, torch.randn_like(mel))])
    assert (
        0.3
        < float(distance(mel.repeat(6, 1, 1, 1), spoiled).mean())
        / float((mel.repeat(6, 1, 1, 1) - spoiled).abs().mean())
        < 3
    )
    assert min(float(conv.weight.min()) for conv in distance.weights) > 0  # type: ignore
    save_folder(tmp_path / "other", "mel_vqgan", tiny().model, {"x": torch.zeros(1)})
    with pytest.raises(WeightsError, match="expected a vggishish classifier"):
        trained_distance(str(tmp_path / "other"))


def test_a_run_starts_from_given_weights(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        given = MelVQGAN(tiny().model)
    save_folder(tmp_path / "given", "mel_vqgan", tiny().model, given.state_dict())
    recipe = replace(tiny(), start=str(tmp_path / "given"))
    training = CodebookTraining(recipe, ALONE)
    assert torch.equal(training.model.to_code.weight, given.to_code.weight)
    assert "discriminator starts from random weights" in training.started_from
    with pytest.raises(WeightsError, match=r"codebook\.embedding\.weight file"):
        CodebookTraining(replace(recipe, model=replace(recipe.model, num_codes=8)), ALONE)


def test_losses_that_break_end_the_run_with_the_last_checkpoint_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = recipe_file.generator_step

    def breaks(training: CodebookTraining, *rest: object) -> Iterator[torch.Tensor]:
        for loss in step(training, *rest):  # type: ignore[arg-type]
            yield loss * (math.nan if training.step == 4 else 1.0)

    monkeypatch.setattr(recipe_file, "generator_step", breaks)
    run = RunDir(tmp_path)
    with pytest.raises(TrainingError, match=r"step 5: gradient is nan.*step_000004 is intact"):
        train(tiny(), run, corpora=[Noises()])
    state = run.load_state()
    assert all(bool(v.isfinite().all()) for v in state["model"].values())
    assert state["step"] == 4


def test_a_broken_clip_is_named() -> None:
    with pytest.raises(InputError, match=r"train3 of noises cannot be read \(its file is cut"):
        CodebookBatches([Noises(broken="train3")], tiny(), ALONE)


def test_a_run_without_progress_stops_and_exports_the_best(tmp_path: Path) -> None:
    recipe = replace(
        tiny(), patience=1, smallest_change=10.0, check_every=1, save_every=50, num_steps=50
    )
    train(recipe, run := RunDir(tmp_path), corpora=[Noises()])
    assert [path.name for path in run.checkpoints()] == ["step_000002"]
    card = (tmp_path / "model" / "card.md").read_text()
    assert "Stopped early at step 2: held_out_l1 did not get better" in card
    assert "Weights of step 1" in card


def test_the_corrected_loss_puts_the_factor_on_the_commitment() -> None:
    (batch,) = CodebookBatches([Noises()], tiny(), ALONE).draw(0)
    gradients: list[float] = []
    for corrected in (False, True):
        training = CodebookTraining(replace(tiny(), corrected_beta=corrected), ALONE)
        training.model.eval()  # without dropout
        codebook_loss(training, training.model(batch.mel)).backward()
        gradients.append(float(training.model.codebook.embedding.weight.grad.norm()))  # type: ignore
    assert gradients[1] == pytest.approx(4 * gradients[0], rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"revive_until": 10_000}, "revive_until <= codes_fixed_from"),
        ({"batches": (CropBatch(frames=100, clips=2),)}, r"frames \[100\] must be multiples of 16"),
        ({"decay": None}, "codes_fixed_from needs decay"),
        ({"accumulate": 3}, r"in multiples of accumulate \(3\)"),
        ({"distance": DistanceSettings()}, "must be 0 where distance.kind is none"),
    ],
)
def test_contradicting_settings_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(foley_room(), **changes)  # type: ignore[arg-type]


def test_every_setting_can_be_built() -> None:
    assert all(isinstance(make(), CodebookRecipe) for make in recipe_file.SETTINGS.values())
