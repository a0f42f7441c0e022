"""How networks on log filterbanks are given sounds that are shorter than a window."""

import torch
from torch import Tensor

from earsight.frontends.fbank_statistics import FbankStatistics
from earsight.frontends.kaldi_fbank import network_input
from earsight.generate.listeners import FbankListener, Hearing

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
