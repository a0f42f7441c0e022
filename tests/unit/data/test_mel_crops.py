import torch

from earsight.data.mel_crops import CropSettings, LevelChanges, draw_crop, shift_level


def clips() -> torch.Tensor:
    return torch.rand(3, 8, 40, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25


def crop(
    settings: CropSettings, *, num_frames: int, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    return draw_crop(
        lambda index: clips()[index],
        1,
        num_clips=3,
        num_frames=num_frames,
        settings=settings,
        generator=torch.Generator().manual_seed(seed),
    )


def test_levels_move_by_db_and_silence_stays_silent() -> None:
    mel = torch.tensor([[0.0, 0.5], [0.9, 0.1]])
    shifted = shift_level(mel, torch.tensor([30.0, -20.0]))
    torch.testing.assert_close(shifted, torch.tensor([[0.0, 0.3], [1.0, 0.0]]))


def test_crops_are_decided_by_the_generator_and_stay_in_range() -> None:
    changes = LevelChanges(dip_share=1.0, silence_share=1.0, splice_share=1.0)
    settings = CropSettings(candidates=2, join_short=True, changes=changes)
    first, mask = crop(settings, num_frames=64)
    assert first.shape == (8, 64)  # longer than the clips: joined from several
    assert bool(mask.all())
    assert torch.equal(first, crop(settings, num_frames=64)[0])
    assert not torch.equal(first, crop(settings, num_frames=64, seed=1)[0])
    assert first.min() >= 0
    assert first.max() <= 1
    assert bool((first == 0).all(dim=0).any())  # a silent frame


def test_without_changes_a_crop_is_a_piece_of_its_clip() -> None:
    windows = clips()[1].unfold(1, 5, 1)  # (m, start, 5)
    piece, _ = crop(CropSettings(), num_frames=5)
    assert bool((windows == piece[:, None]).all(dim=(0, 2)).any())
    middle, _ = crop(CropSettings(random=False), num_frames=6)
    assert torch.equal(middle, clips()[1][:, 17:23])
    padded, mask = crop(CropSettings(), num_frames=48)
    assert torch.equal(padded[:, :40], clips()[1])
    assert mask.tolist() == [True] * 40 + [False] * 8
