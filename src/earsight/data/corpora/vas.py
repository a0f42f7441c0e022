"""Class names of VAS, the visually aligned sounds.

Source: Chen et al., "Generating visually aligned sound from videos", 2020.
"""

CLASS_NAMES = ("baby", "cough", "dog", "drum", "fireworks", "gun", "hammer", "sneeze")
"""A name's place is its id in every published model: the names sorted."""
