"""Import every module of the installed package, and make sure that no extra helped."""

from importlib import import_module
from importlib.util import find_spec
from pkgutil import walk_packages

import earsight

EXTRAS = ("av", "soundfile", "soxr", "PIL", "cv2", "matplotlib", "huggingface_hub", "tensorboard")

present = [name for name in EXTRAS if find_spec(name)]
if present:
    raise SystemExit(f"this proves nothing, extras are installed: {', '.join(present)}")
names = [module.name for module in walk_packages(earsight.__path__, "earsight.")]
names.remove("earsight.__main__")
broken: list[str] = []
for name in names:
    try:
        import_module(name)
    except ImportError as error:
        broken.append(f"{name}: {error}")
if broken:
    raise SystemExit("\n".join(broken))
print(f"{len(names)} modules import")
