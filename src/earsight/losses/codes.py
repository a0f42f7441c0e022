"""Loss of a model that predicts codes.

Axes: b clips, n codes, k code vocabulary.
"""

from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional


def code_loss(
    logits: Float[Tensor, "b n k"],
    codes: Int[Tensor, "b n"],
    *,
    counted: Bool[Tensor, "b n"] | None = None,
    label_smoothing: float = 0.0,
    num_counted: float | None = None,
) -> Float[Tensor, ""]:
    """Mean cross-entropy in nats of the codes that count; 0 where none does.

    The logits belong to the codes alone, a condition's own positions do not count. `num_counted`
    replaces the number to divide by, for a batch that is worked on in parts.
    Source: SpecVQGAN, sec. 3.2.
    """
    each = functional.cross_entropy(
        logits.mT.float(), codes, reduction="none", label_smoothing=label_smoothing
    )
    if counted is not None:
        each = each * counted
    number = float(codes.numel() if counted is None else counted.sum())
    return each.sum() / max(number if num_counted is None else num_counted, 1.0)
