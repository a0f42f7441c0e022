"""When a model's image tower is listened to, and when only motion counts.

The tower was trained on rendered clips. Where it recognises nothing, or a class is asked for that
it never saw, its values are withheld (zeros), as they were for such sounds in training.

Axes: n frames, r values of a row.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from earsight.generate.sight import class_certainty
from earsight.generate.visual_input import VisualInput
from earsight.models.sight.model import SightTower

SURE = 0.5
"""Mean certainty, over a video, of the likeliest class from which on it counts as recognised."""


@dataclass(frozen=True, slots=True)
class Look:
    """An image tower and the names of the classes that it was trained on."""

    tower: SightTower
    class_names: tuple[str, ...]

    def rows(self, visual: VisualInput, class_name: str | None) -> Float[Tensor, "n r"]:
        """Per frame: energy, onset, and the tower's values or zeros."""
        rows = visual.sight(self.tower)
        if self._is_known(rows, class_name):
            return rows
        withheld = rows.clone()
        withheld[:, -self.tower.config.num_values :] = 0
        return withheld

    def seen_class(self, visual: VisualInput) -> str | None:
        """Name of the class that the tower is sure to see; None where it recognises nothing."""
        certain = class_certainty(visual.sight(self.tower), self.tower)
        best = int(certain.argmax())
        return self.class_names[best] if float(certain[best]) >= SURE else None

    def _is_known(self, rows: Float[Tensor, "n r"], class_name: str | None) -> bool:
        if class_name is not None and class_name not in self.class_names:
            return False
        return float(class_certainty(rows, self.tower).max()) >= SURE
