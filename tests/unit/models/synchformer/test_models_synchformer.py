"""Synchformer: published files of small size, divided attention, the DeSync score."""

from pathlib import Path

import pytest
import torch

from earsight.checkpoints.convert import convert
from earsight.checkpoints.keymap import untranslate
from earsight.checkpoints.native import read_folder
from earsight.errors import ConfigError, InputError, WeightsError
from earsight.generate.bundles import build_network
from earsight.models.catalogue import find
from earsight.models.synchformer.config import SynchformerConfig
from earsight.models.synchformer.model import Synchformer
from earsight.models.synchformer.published import KEYS, config_from_entries
from earsight.models.synchformer.video import DividedAttention

SMALL = SynchformerConfig(
    width=64,
    hidden=32,
    num_layers=1,
    num_heads=1,
    patch=4,
    picture_size=8,
    segment_frames=4,
    mel_frames=24,
    num_segments=3,
    compare_layers=1,
    compare_heads=1,
)


def network() -> Synchformer:
    torch.manual_seed(0)
    own = Synchformer(SMALL).eval()
    for name, parameter in own.named_parameters():
        # small tokens and positions, so that the outcome depends on what comes in
        torch.nn.init.normal_(parameter, std=0.01 if "token" in name or "position" in name else 0.3)
    return own


def test_a_published_file_becomes_a_folder_that_runs(tmp_path: Path) -> None:
    own, source = network(), tmp_path / "synchformer.pth"
    unused = {
        "vfeat_extractor.patch_embed.proj.weight": torch.zeros(64, 3, 4, 4),
        "vfeat_extractor.patch_embed.proj.bias": torch.zeros(64),
    }
    torch.save({**untranslate(own.state_dict(), KEYS), **unused}, source)
    done = convert(source, find("synchformer"), tmp_path / "out")
    assert done.parts[0].config == SMALL
    assert {row.published for row in done.parts[0].account.dropped} == set(unused)
    folder = read_folder(tmp_path / "out")
    again = build_network(
        Synchformer, SynchformerConfig, folder, "synchformer", torch.device("cpu")
    )
    pictures, mels = torch.randn(2, 3, 4, 3, 8, 8), torch.randn(2, 3, 128, 24)
    for each in (again, own):
        assert each.video_features(pictures).shape == (2, 3, 2, 64)
        assert each.sound_features(mels).shape == (2, 3, 3, 64)
    torch.testing.assert_close(
        again.compare(again.video_features(pictures), again.sound_features(mels)),
        own.compare(own.video_features(pictures), own.sound_features(mels)),
        atol=0,
        rtol=0,
    )


def test_patches_see_their_group_and_the_class_token_alone() -> None:
    num_instants, num_places = 3, 4
    for over, seen in (("time", {1, 5, 9}), ("space", {5, 6, 7, 8})):
        attention = DividedAttention(width=8, num_heads=2, over=over)
        x = torch.randn(1, 1 + num_instants * num_places, 8, requires_grad=True)
        out = attention(x, num_instants=num_instants)
        probe = 5  # the first patch of the second instant
        (gradient,) = torch.autograd.grad(out[0, probe].sum(), x, retain_graph=True)
        assert set(gradient[0].abs().sum(1).nonzero()[:, 0].tolist()) == seen | {0}
        (gradient,) = torch.autograd.grad(out[0, 0].sum(), x)
        assert bool((gradient[0].abs().sum(1) > 0).all()), "the class token sees all"


class FirstSegment(torch.nn.Module):
    """Answers with the class that the first value of a reading holds."""

    def forward(self, video: torch.Tensor, sound: torch.Tensor) -> torch.Tensor:
        assert torch.equal(video[:, 0, 0], sound[:, 0, 0]), "both begin at the same segment"
        return torch.nn.functional.one_hot(video[:, 0, 0].long(), 21).float()


def test_desync_is_the_mean_of_the_first_and_last_reading() -> None:
    own = network()
    own.comparison = FirstSegment()  # pyright: ignore
    own.project_video = own.project_sound = torch.nn.Identity()  # pyright: ignore
    # readings of 3 segments out of 5 begin at segments 0 and 2; the sixth of the sound is over
    classes = torch.tensor([[10.0, 0, 20, 0, 0, 0], [0, 1, 5, 1, 1, 1]])
    sound = classes[:, :, None, None].expand(-1, -1, 3, 64)
    video = classes[:, :5, None, None].expand(-1, -1, 2, 64)
    score = own.desync_seconds(video, sound)
    torch.testing.assert_close(score, torch.tensor([1.0, 1.5]), atol=1e-6, rtol=0)
    with pytest.raises(InputError, match="clip has 2 segments that both streams cover"):
        own.desync_seconds(video[:, :2], sound)
    with pytest.raises(InputError, match="takes 3 segments of each stream, got 5 and 6"):
        own.compare(video, sound)


def test_segments_of_another_size_are_refused() -> None:
    with pytest.raises(InputError, match=r"segments of \(4, 3, 8, 8\), got \(4, 3, 16, 16\)"):
        network().video_features(torch.zeros(1, 3, 4, 3, 16, 16))
    with pytest.raises(InputError, match=r"segments of \(128, 24\), got \(128, 23\)"):
        network().sound_features(torch.zeros(1, 3, 128, 23))
    entries = untranslate(network().state_dict(), KEYS)
    del entries["transformer.off_head.weight"]
    with pytest.raises(WeightsError, match=r"off_head\.weight is missing"):
        config_from_entries(entries)
    with pytest.raises(ConfigError, match="multiple of compare_heads"):
        SynchformerConfig(compare_heads=7)
