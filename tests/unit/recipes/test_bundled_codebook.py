from dataclasses import replace
from pathlib import Path

import pytest
import torch

from earsight.errors import ConfigError
from earsight.recipes.bundled_codebook import bundled, tiny, train
from earsight.training.rundir import RunDir


def mels(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 80, 64, generator=generator).cumsum(dim=1) / 80


def test_a_run_logs_scores_and_keeps_codes_fixed_at_the_end(tmp_path: Path) -> None:
    trained = train(tiny(), RunDir(tmp_path), mels=mels(6, 0), held_out=mels(2, 1))
    lines = RunDir(tmp_path).read_log()
    assert [line["step"] for line in lines if "held_out_l1" in line] == [3, 6]
    judged = [line["step"] for line in lines if "judge_total" in line]
    assert judged == [3, 4, 5, 6]
    own, average = trained.model.encoder.state_dict(), trained.average.model.encoder.state_dict()
    assert all(torch.equal(own[name], average[name]) for name in own)
    decoder = trained.model.decoder.conv_in.weight
    assert not torch.equal(decoder, trained.average.model.decoder.conv_in.weight)


def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = train(tiny(), RunDir(tmp_path / "a"), mels=mels(6, 0), held_out=mels(2, 1))
    stopped = RunDir(tmp_path / "b")
    with pytest.raises(KeyboardInterrupt):
        train(tiny(), StopsAt(tmp_path / "b", step=5), mels=mels(6, 0), held_out=mels(2, 1))
    resumed = train(tiny(), stopped, mels=mels(6, 0), held_out=mels(2, 1), resume=True)
    for part in ("model", "average", "discriminator"):
        ours, theirs = whole.state()[part], resumed.state()[part]
        assert all(torch.equal(ours[name], theirs[name]) for name in ours), part
    assert (tmp_path / "a/log.jsonl").read_text() == (tmp_path / "b/log.jsonl").read_text()


def test_contradicting_phases_are_refused() -> None:
    with pytest.raises(ConfigError, match="revive_until <= codes_fixed_from"):
        replace(bundled(), revive_until=10_000)
    with pytest.raises(ConfigError, match="multiples of 16"):
        replace(bundled(), crop_frames=(100,))


class StopsAt(RunDir):
    """A run folder that is interrupted when a step is logged."""

    def __init__(self, path: Path, *, step: int) -> None:
        super().__init__(path)
        object.__setattr__(self, "last", step)

    def log(self, step: int, values: object) -> None:
        if step == self.last:  # type: ignore[attr-defined]
            raise KeyboardInterrupt
        super().log(step, values)  # type: ignore[arg-type]
