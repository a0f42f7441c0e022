"""Sounds longer than one window of the code transformer.

Axes: b clips, n codes.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from earsight.errors import ConfigError
from earsight.generate.logits import SamplingConfig, draw_codes
from earsight.generate.sampler import FREE, Condition, Engine, item_uniforms, sample_codes


def window_starts(num_columns: int, *, window_columns: int, overlap_columns: int) -> list[int]:
    """First columns of overlapping windows that cover `num_columns`; the last ends at the end.

    Raises ConfigError when the overlap leaves no room for new columns.
    """
    stride = window_columns - overlap_columns
    if not 0 <= overlap_columns < window_columns:
        raise ConfigError(
            f"overlap must be 0 to {window_columns - 1} columns, got {overlap_columns}"
        )
    last = max(0, num_columns - window_columns)
    return [*range(0, last, stride), last]


def sample_moving(
    engine: Engine,
    condition_at: Callable[[int], Condition],
    *,
    num_columns: int,
    overlap_columns: int,
    generators: Sequence[torch.Generator],
    sampling: SamplingConfig,
    known: Callable[[int, int], Int[Tensor, "b n"] | None] | None = None,
    on_code: Callable[[int], None] | None = None,
) -> Iterator[Int[Tensor, "b _"]]:
    """Codes of a sound of any length, piece by piece; the condition moves with the sound.

    `condition_at(column)` gives the condition of the window that begins there. Each window begins
    with the last codes of the one before (at least `overlap_columns`), so a joint is a place like
    any other inside a window. `known(first, last)` may give codes of a range of columns, FREE
    where they are to be drawn. Yields the new codes of every window in order.
    """
    rows, window = engine.config.grid_rows, engine.config.grid_columns
    done = 0
    recent: Tensor | None = None
    for start in window_starts(num_columns, window_columns=window, overlap_columns=overlap_columns):
        end = min(start + window, num_columns)
        num_new = (end - max(done, start)) * rows
        num_given = (end - start) * rows - num_new
        new = known(end - num_new // rows, end) if known is not None else None
        fresh = torch.full((len(generators), num_new), FREE) if new is None else new.cpu()
        given = fresh[:, :0] if recent is None else recent[:, recent.shape[1] - num_given :]
        uniforms = torch.nn.functional.pad(item_uniforms(generators, num_new), (num_given, 0))
        base = done * rows - num_given
        codes = sample_codes(
            engine,
            condition_at(start),
            uniforms=uniforms,
            sampling=sampling,
            known=torch.cat([given.cpu(), fresh], dim=1),
            on_code=None if on_code is None else lambda n, base=base: on_code(base + n),
        )
        recent, done = codes, end
        yield codes[:, num_given:]


def sample_sliding(
    engine: Engine,
    condition: Condition,
    *,
    num_columns: int,
    uniforms: Tensor,
    sampling: SamplingConfig,
    known: Int[Tensor, "b n"] | None = None,
) -> Int[Tensor, "b n"]:
    """Codes of a long grid as the official interactive tool draws them; for comparison with it.

    The window follows the code half a window behind and always sees the same, whole condition, so
    from the second window on picture and sound drift apart. `known` is as in `sample_codes`.
    Source: official repository v-iashin/SpecVQGAN (sampling tool).
    """
    rows, window = engine.config.grid_rows, engine.config.grid_columns
    known = torch.full(uniforms.shape, FREE) if known is None else known
    codes = known.clone()
    left, cache, logits = -1, None, torch.zeros(0)
    for position in range(num_columns * rows):
        column = position // rows
        start = min(max(column - window // 2, 0), num_columns - window)
        if bool((known[:, position] != FREE).all()):
            cache = None
            continue
        if cache is None or start != left:
            given = codes[:, start * rows : position]
            logits, cache = engine.prefill(condition.features, condition.classes, given)
            left = start
        else:
            logits = engine.step(codes[:, position - 1], cache)
        drawn = draw_codes(logits, uniforms[:, position], sampling)
        codes[:, position] = torch.where(known[:, position] == FREE, drawn, known[:, position])
    return codes
