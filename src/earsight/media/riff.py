"""How long a WAV file says it is.

The decoders shorten what the header says to what is there, so a cut copy would pass for whole.
"""

import struct
from pathlib import Path

# programs that write to a pipe cannot know the length, and leave 0 or one of many large numbers
_UNKNOWN_FROM_BYTES = 0x7FFF0000
_MAX_CHUNKS = 1000


def stated_seconds(path: Path) -> float | None:
    """Length by the header of a RIFF/WAVE file; None where it is not one or does not say."""
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
            return None
        bytes_per_second = 0
        for _ in range(_MAX_CHUNKS):
            chunk = file.read(8)
            if len(chunk) < 8:
                return None
            name, num_bytes = struct.unpack("<4sI", chunk)
            if name == b"data":
                known = 0 < num_bytes < _UNKNOWN_FROM_BYTES and bytes_per_second
                return num_bytes / bytes_per_second if known else None
            if name == b"fmt ":
                content = file.read(16)
                if len(content) < 16:
                    return None
                bytes_per_second = struct.unpack("<HHIIHH", content)[3]
                num_bytes -= 16
            file.seek(num_bytes + num_bytes % 2, 1)
    return None
