"""How networks are given sounds that are shorter than a window."""

import torch
from torch import Tensor

from earsight.frontends.fbank_statistics import FbankStatistics
from earsight.frontends.htsat_mel import HtsatMelConfig
from earsight.frontends.kaldi_fbank import network_input
from earsight.generate.listeners import FbankListener, Hearing, HtsatListener
from earsight.models.htsat.config import HtsatConfig
from earsight.models.htsat.model import Htsat

STATISTICS = FbankStatistics(mean=-5.0, spread=4.0, num_frames=32)


def test_a_short_sound_is_repeated_where_the_network_was_trained_so() -> None:
    seen: list[Tensor] = []

    def judge(fbank: Tensor) -> Hearing:
        seen.append(fbank)
        return Hearing(fbank.mean(dim=2), None)

    wave = torch.randn(1, 2000, generator=torch.Generator().manual_seed(0))
    for short in ("repeat", "padding"):
        FbankListener(judge, STATISTICS, num_classes=0, labels="many", short=short).hear(wave)
    whole = torch.cat([wave, wave, wave], dim=1)[:, : 400 + 31 * 160]
    torch.testing.assert_close(seen[0], network_input(whole, STATISTICS))
    torch.testing.assert_close(seen[1], network_input(wave, STATISTICS))
    assert not torch.equal(seen[0], seen[1])


def test_htsat_hears_a_short_sound_as_it_was_trained_and_tells_of_its_own_time_alone() -> None:
    torch.manual_seed(0)
    config = HtsatConfig(
        picture=128, width=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2), num_classes=2
    )
    network, mel = Htsat(config).eval(), HtsatMelConfig()
    wave = torch.randn(1, 40000)
    repeated = HtsatListener(network, mel, short="repeat", clip_samples=80000)
    twice = HtsatListener(network, mel).hear(torch.cat([wave, wave], dim=1))
    found = repeated.hear(wave)
    torch.testing.assert_close(found.logits, twice.logits)
    stretched = HtsatListener(network, mel).hear(wave)
    assert found.steps is not None
    assert stretched.steps is not None
    assert twice.steps is not None
    assert found.steps.shape == stretched.steps.shape
    torch.testing.assert_close(found.steps, twice.steps[:, : found.steps.shape[1]])
    silent = HtsatListener(network, mel, short="padding", clip_samples=80000).hear(wave)
    behind = HtsatListener(network, mel).hear(torch.cat([wave, 0 * wave], dim=1))
    torch.testing.assert_close(silent.logits, behind.logits)
