"""The jobs of a loaded model as methods with typed results; what `earsight.load` gives."""

from dataclasses import dataclass
from pathlib import Path

from earsight.frontends.specvqgan_mel import MEL_RATE_HZ
from earsight.generate.codec import Codec, CodedSound, read_coded
from earsight.generate.logits import SamplingConfig
from earsight.generate.sound_files import Sound, SourceOptions, make_sounds
from earsight.generate.video_to_sound import SoundRequest, VideoToSound
from earsight.media.audio import Waveform, read_audio


@dataclass(frozen=True, slots=True)
class SoundModel:
    """A model that makes sound for pictures, and codes sound."""

    pipeline: VideoToSound
    codec: Codec

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names that `class_name` may be; empty where the model hears the picture only."""
        return self.pipeline.class_names

    def sound(
        self,
        source: str | Path,
        *,
        seed: int = 0,
        class_name: str | None = None,
        duration_seconds: float | None = None,
        num_candidates: int = 1,
        sampling: SamplingConfig | None = None,
    ) -> Sound:
        """One sound for a video or picture: the best of `num_candidates`.

        Raises MediaError for files that cannot be read, InputError for wrong arguments.
        """
        request = SoundRequest(
            seed=seed,
            class_name=class_name,
            num_candidates=num_candidates,
            sampling=sampling or self.pipeline.default_sampling,
        )
        return self.sounds(source, request, SourceOptions(duration_seconds=duration_seconds))[0]

    def sounds(
        self,
        source: str | Path,
        request: SoundRequest,
        options: SourceOptions | None = None,
    ) -> list[Sound]:
        """Several sounds, drawn as one batch; each is what it would be alone."""
        return make_sounds(self.pipeline, source, request, options)

    def encode(self, sound: str | Path | Waveform) -> CodedSound:
        """Codes of a sound, mixed to mono at 22050 Hz."""
        if not isinstance(sound, Waveform):
            sound = read_audio(sound, rate_hz=MEL_RATE_HZ, mono=True)
        return self.codec.encode(sound)

    def decode(self, coded: str | Path | CodedSound) -> Waveform:
        """Sound of codes or of a code file. Raises InputError for codes of another model."""
        return self.codec.decode(
            coded if isinstance(coded, CodedSound) else read_coded(Path(coded))
        )
