"""Networks without memory behind them, to be filled by `load_strict`."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Network = TypeVar("Network", bound=nn.Module)


class _WithoutValues(TorchFunctionMode):
    """Skips initialisation, which without memory behind a tensor has nothing to fill.

    The first random draw or norm on the meta device would import a compiler, which takes seconds.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else named["tensor"]
        if func is torch.norm_except_dim:  # what weight norm measures when it is put on
            direction, _, dim = args
            shape = [n if d == dim else 1 for d, n in enumerate(direction.shape)]
            return direction.new_empty(shape)
        if getattr(func, "__name__", "") == "_weight_norm":  # what it computes with
            return torch.empty_like(args[0])
        return args[0] if func in (Tensor.normal_, Tensor.uniform_) else func(*args, **named)


def on_meta(build: Callable[[], Network]) -> Network:
    """The network that `build` makes, on the meta device and in no time."""
    with torch.device("meta"), _WithoutValues():
        return build()
