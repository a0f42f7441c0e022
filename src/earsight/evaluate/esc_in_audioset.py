"""Classes of AudioSet that stand for those of ESC-50 and ESC-10: our own reading of their names.

Of several the most probable one counts, so that a tagger of AudioSet is judged without training.
A mouse click is nearest to "Clicking", a can that is opened to nothing but what follows.
"""

from collections.abc import Mapping, Sequence

ESC50: Mapping[str, Sequence[str]] = {
    "dog": ("Dog", "Bark"),
    "rooster": ("Chicken, rooster", "Crowing, cock-a-doodle-doo"),
    "pig": ("Pig", "Oink"),
    "cow": ("Cattle, bovinae", "Moo"),
    "frog": ("Frog", "Croak"),
    "cat": ("Cat", "Meow"),
    "hen": ("Fowl", "Cluck"),
    "insects": ("Fly, housefly", "Bee, wasp, etc.", "Buzz"),
    "sheep": ("Sheep", "Bleat"),
    "crow": ("Crow", "Caw"),
    "rain": ("Rain", "Rain on surface"),
    "sea waves": ("Ocean", "Waves, surf"),
    "crackling fire": ("Fire", "Crackle"),
    "crickets": ("Cricket",),
    "chirping birds": ("Bird vocalization, bird call, bird song", "Chirp, tweet"),
    "water drops": ("Drip",),
    "wind": ("Wind",),
    "pouring water": ("Pour",),
    "toilet flush": ("Toilet flush",),
    "thunderstorm": ("Thunderstorm", "Thunder"),
    "crying baby": ("Baby cry, infant cry",),
    "sneezing": ("Sneeze",),
    "clapping": ("Clapping", "Applause"),
    "breathing": ("Breathing",),
    "coughing": ("Cough",),
    "footsteps": ("Walk, footsteps",),
    "laughing": ("Laughter",),
    "brushing teeth": ("Toothbrush",),
    "snoring": ("Snoring",),
    "drinking sipping": ("Liquid", "Gargling"),
    "door wood knock": ("Knock",),
    "mouse click": ("Clicking",),
    "keyboard typing": ("Computer keyboard", "Typing"),
    "door wood creaks": ("Creak", "Squeak"),
    "can opening": ("Splash, splatter",),
    "washing machine": ("Mechanisms",),
    "vacuum cleaner": ("Vacuum cleaner",),
    "clock alarm": ("Alarm clock", "Beep, bleep"),
    "clock tick": ("Tick", "Tick-tock"),
    "glass breaking": ("Shatter",),
    "helicopter": ("Helicopter",),
    "chainsaw": ("Chainsaw",),
    "siren": ("Siren",),
    "car horn": ("Vehicle horn, car horn, honking",),
    "engine": ("Engine",),
    "train": ("Train",),
    "church bells": ("Church bell",),
    "airplane": ("Fixed-wing aircraft, airplane", "Aircraft"),
    "fireworks": ("Fireworks", "Firecracker"),
    "hand saw": ("Sawing",),
}
ESC10: Mapping[str, Sequence[str]] = {
    "dog bark": ESC50["dog"],
    "baby cry": ESC50["crying baby"],
    "person sneeze": ESC50["sneezing"],
    "fire crackling": ESC50["crackling fire"],
}
"""Names of ESC-10 that ESC-50 has otherwise."""
ESC_IN_AUDIOSET: Mapping[str, Sequence[str]] = {**ESC50, **ESC10}
