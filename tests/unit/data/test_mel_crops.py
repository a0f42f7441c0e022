import torch

from earsight.data.mel_crops import LevelChanges, random_crops, shift_level


def clips() -> torch.Tensor:
    return torch.rand(3, 8, 40, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_levels_move_by_db_and_silence_stays_silent() -> None:
    mel = torch.tensor([[0.0, 0.5], [0.9, 0.1]])
    shifted = shift_level(mel, torch.tensor([30.0, -20.0]))
    torch.testing.assert_close(shifted, torch.tensor([[0.0, 0.3], [1.0, 0.0]]))


def test_crops_are_decided_by_the_generator_and_stay_in_range() -> None:
    changes = LevelChanges(dip_share=1.0, silence_share=1.0, splice_share=1.0)
    first = random_crops(clips(), num_crops=4, num_frames=64, changes=changes, generator=rng())
    again = random_crops(clips(), num_crops=4, num_frames=64, changes=changes, generator=rng())
    other = random_crops(clips(), num_crops=4, num_frames=64, changes=changes, generator=rng(1))
    assert first.shape == (4, 8, 64)  # longer than the clips: joined from several
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.min() >= 0
    assert first.max() <= 1
    assert bool((first == 0).all(dim=1).any(dim=1).all())  # every crop has a silent frame


def test_without_changes_crops_are_pieces_of_the_clips() -> None:
    crop = random_crops(clips(), num_crops=1, num_frames=5, changes=None, generator=rng())[0]
    windows = clips().unfold(2, 5, 1)  # (n, m, start, 5)
    assert bool((windows == crop[None, :, None]).all(dim=(1, 3)).any())
