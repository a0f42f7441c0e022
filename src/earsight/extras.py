"""Optional dependencies, imported at the moment they are needed."""

from importlib import import_module
from types import ModuleType

from earsight.errors import MissingExtraError


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import `module`, or say which extra brings it and what it is needed for.

    Raises MissingExtraError where the module itself is absent; an error inside an installed
    module is passed on unchanged.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise MissingExtraError(
            f"{purpose} needs the package that provides '{module}', which is not installed: "
            f"pip install 'earsight[{extra}]'"
        ) from error
