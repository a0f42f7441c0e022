"""Video or picture to sound: visual features, code transformer, codebook decoder, vocoder.

Axes: b samples, n codes, r code rows, c code columns, m mel bands, t frames.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from earsight.errors import ConfigError, InputError
from earsight.frontends.column_rows import COLUMN_SECONDS
from earsight.frontends.motion import MotionTrack, motion_features
from earsight.frontends.specvqgan_mel import MEL_HOP_SAMPLES, MEL_RATE_HZ
from earsight.generate.attention_maps import full_attention
from earsight.generate.codec import Codec
from earsight.generate.conditions import (
    Conditions,
    MotionConditions,
    NoConditions,
    NoiseConditions,
    RowConditions,
    VisualKind,
    WithheldConditions,
)
from earsight.generate.decode import (
    Compute,
    Vocoder,
    cut_to_length,
    decode_mel,
    stream_mel,
    stream_wave,
)
from earsight.generate.frame_networks import FrameNetwork, frame_network
from earsight.generate.grid import to_grid
from earsight.generate.guidance import guided
from earsight.generate.logits import SamplingConfig
from earsight.generate.look import Look
from earsight.generate.rank import loudness_follows_motion
from earsight.generate.sampler import FREE, Condition
from earsight.generate.seeds import item_generator
from earsight.generate.sound_class import SoundClassifier
from earsight.generate.visual_input import VisualInput
from earsight.generate.windows import sample_moving
from earsight.media.audio import Waveform
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.token_gpt.engine import TokenEngine

OVERLAP_COLUMNS = 13
"""Columns (2.4 s) of the sound before that every later window continues from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SoundRequest:
    """What to make of one input.

    `class_name` is one of the model's classes, or None to leave it open. The best of
    `num_candidates` by the score becomes a sample; there are `num_samples` of them. `prime` are
    codes of a given beginning; `kept` are codes of the whole input of which those inside
    `keep_seconds` stay. With `see_picture` off the model gets zeros for what is seen.
    """

    seed: int = 0
    num_samples: int = 1
    num_candidates: int = 1
    class_name: str | None = None
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    prime: Int[Tensor, " n"] | None = None
    kept: Int[Tensor, " n"] | None = None
    keep_seconds: tuple[float, float] | None = None
    see_picture: bool = True

    def __post_init__(self) -> None:
        """Refuse counts and ranges without a meaning."""
        if self.num_samples < 1 or self.num_candidates < 1:
            raise ConfigError(
                f"samples ({self.num_samples}) and rank ({self.num_candidates}) must be 1 or more"
            )
        if (self.kept is None) != (self.keep_seconds is None):
            raise ConfigError("a range to keep needs the sound to keep it from, and the reverse")


@dataclass(frozen=True, slots=True)
class SampledCodes:
    """Codes of one sample, and how it was chosen."""

    codes: Int[Tensor, " n"]
    candidate: int
    score: float | None


Score = Callable[[Float[Tensor, "b m t"], Float[Tensor, " n"]], Float[Tensor, " b"]]


class VideoToSound:
    """The SpecVQGAN pipeline with any of its transformers; made by `earsight.load`.

    `lead_frames` is how many spectrogram frames after the picture's start the model's own sound
    begins (published models were trained on the middle of their clips). `look` is the image tower
    of models that were trained with one, `ranker` a classifier that helps to choose candidates.
    `default_sampling` is what suits the model where nothing else is asked for.
    Source: SpecVQGAN, sec. 3.
    """

    def __init__(
        self,
        *,
        name: str,
        weights_sha256: str,
        codebook_sha256: str,
        codebook: MelVQGAN,
        engine: TokenEngine,
        vocoder: Vocoder,
        visual: VisualKind,
        class_names: tuple[str, ...],
        look: Look | None = None,
        ranker: SoundClassifier | None = None,
        lead_frames: int = 0,
        default_sampling: SamplingConfig | None = None,
        compute: Compute = "fp32",
    ) -> None:
        self.name = name
        self.weights_sha256 = weights_sha256
        self.codebook_sha256 = codebook_sha256
        self.codebook = codebook.eval()
        self.engine = engine
        self.vocoder = vocoder
        self.visual: VisualKind = visual
        self.class_names = class_names
        self.look = look
        self.ranker = ranker
        self.lead_frames = lead_frames
        self.default_sampling = default_sampling or SamplingConfig()
        self.compute: Compute = compute
        self._network: FrameNetwork | None = None

    @property
    def codec(self) -> Codec:
        """The codebook and vocoder as a codec."""
        return Codec(
            name=self.name,
            weights_sha256=self.codebook_sha256,
            codebook=self.codebook,
            vocoder=self.vocoder,
            compute=self.compute,
        )

    def num_columns(self, seconds: float) -> int:
        """Code columns that cover a picture of this length."""
        lead_seconds = self.lead_frames * MEL_HOP_SAMPLES / MEL_RATE_HZ
        # a whole number of columns must not become one more by rounding
        return max(1, math.ceil((seconds - lead_seconds) / COLUMN_SECONDS - 1e-6))

    def class_index(self, class_name: str | None) -> int | None:
        """Row of a class, by name, number or a part that fits one name; None without classes.

        Raises InputError for an unknown name, or none where the model cannot do without.
        """
        config = self.engine.config
        if not config.has_class:
            if class_name is not None:
                raise InputError(
                    f"{self.name} hears the picture only and takes no class: leave --class out"
                )
            return None
        if class_name is None:
            if config.class_dropout_index is None:
                raise InputError(f"{self.name} needs a class: {self._class_list()}")
            return config.class_dropout_index
        wanted = class_name.strip().lower().replace("_", " ")
        for index, name in enumerate(self.class_names):
            if wanted in (name.lower(), str(index)):
                return index
        near = [index for index, name in enumerate(self.class_names) if wanted in name.lower()]
        if len(near) == 1:
            return near[0]
        raise InputError(f"unknown class '{class_name}': choose one of {self._class_list()}")

    def sample(
        self,
        visual: VisualInput,
        request: SoundRequest,
        *,
        score: Score = loudness_follows_motion,
        on_code: Callable[[int], None] | None = None,
    ) -> list[SampledCodes]:
        """Draw the codes of every sample; each is the best of its candidates.

        Candidates of all samples run as one batch through the first window; the winners go on.
        The score gets spectrograms of the first window and the motion of the picture there.
        Where the picture must not be seen, candidates are not ranked by it: the first one stays.
        """
        items = [(s, c) for s in range(request.num_samples) for c in range(request.num_candidates)]
        scores: Sequence[float | None] = [None] * len(items)
        winners, drafts = list(range(len(items))), None
        if request.num_candidates > 1 and not request.see_picture:
            return self.sample(visual, replace(request, num_candidates=1), on_code=on_code)
        if request.num_candidates > 1:
            first = min(visual.seconds, self.engine.config.grid_columns * COLUMN_SECONDS)
            drafts = self._draw(visual, request, items, first, None, on_code)
            name = self._class_name(request)
            ranks = self.candidate_scores(drafts, visual, class_name=name, score=score)
            scores, winners = ranks, best_of_each(ranks, request.num_candidates)
            drafts = drafts[winners]
        chosen = [items[i] for i in winners]
        codes = self._draw(visual, request, chosen, visual.seconds, drafts, on_code)
        return [SampledCodes(codes[k], items[i][1], scores[i]) for k, i in enumerate(winners)]

    def attention(
        self, visual: VisualInput, request: SoundRequest, codes: Int[Tensor, " n"]
    ) -> Float[Tensor, "l l"]:
        """Last layer's attention over the first window, over heads, minus even attention."""
        condition = self._condition_at(visual, request, [(0, 0)])(0)
        window = codes[None, : self.engine.config.num_grid_codes].to(self.engine.device)
        maps = self.engine.attention(condition.features, condition.classes, window)
        return full_attention(maps)[0]

    def waves(self, codes: Int[Tensor, " n"], *, seconds: float) -> Iterator[Waveform]:
        """Sound of codes, piece by piece, exactly as long as asked for."""
        pieces = stream_wave(self.vocoder, self._mels(codes))
        yield from cut_to_length(pieces, round(seconds * MEL_RATE_HZ))

    def mel(self, codes: Int[Tensor, " n"]) -> Float[Tensor, "m t"]:
        """Spectrogram in [0, 1] of codes, whole."""
        return torch.cat(list(self._mels(codes)), dim=2)[0]

    def _mels(self, codes: Int[Tensor, " n"]) -> Iterator[Float[Tensor, "1 m _"]]:
        grid = to_grid(codes[None], rows=self.engine.config.grid_rows)
        lead = self.lead_frames
        for mel in stream_mel(self.codebook, grid.to(self.engine.device), compute=self.compute):
            if lead:
                # nothing was generated for this moment: the first frames, mirrored, stand for it
                mel = torch.cat([mel[:, :, :lead].flip(-1), mel], dim=2)
                lead = 0
            yield mel

    def _draw(
        self,
        visual: VisualInput,
        request: SoundRequest,
        items: list[tuple[int, int]],
        seconds: float,
        drafts: Int[Tensor, "b m"] | None,
        on_code: Callable[[int], None] | None,
    ) -> Int[Tensor, "b n"]:
        num_columns = self.num_columns(seconds)
        pieces = sample_moving(
            guided(self.engine, request.sampling.guidance),
            self._condition_at(visual, request, items),
            num_columns=num_columns,
            overlap_columns=min(OVERLAP_COLUMNS, self.engine.config.grid_columns // 2),
            generators=[item_generator(request.seed, *item, "codes") for item in items],
            sampling=request.sampling,
            known=self._known(request, len(items), num_columns, drafts),
            on_code=on_code,
        )
        return torch.cat([piece.cpu() for piece in pieces], dim=1)

    def _condition_at(
        self, visual: VisualInput, request: SoundRequest, items: list[tuple[int, int]]
    ) -> Callable[[int], Condition]:
        """The batch's condition for the window that begins at a column."""
        index = self.class_index(request.class_name)
        classes = None if index is None else torch.full((len(items),), index)
        sources = self._conditions(visual, request, items)
        device = self.engine.device

        def condition_at(column: int) -> Condition:
            rows = [source.window(column) for source in sources]
            present = [row for row in rows if row is not None]
            features = torch.stack(present) if present else None
            if features is not None and len(present) < len(items):
                features = features.expand(len(items), -1, -1)
            return Condition(
                None if features is None else features.float().to(device),
                None if classes is None else classes.to(device),
            )

        return condition_at

    def _conditions(
        self, visual: VisualInput, request: SoundRequest, items: list[tuple[int, int]]
    ) -> list[Conditions]:
        """One source for all samples, or one per sample where it is random."""
        config = self.engine.config
        if not config.has_features:
            return [NoConditions()]
        if not request.see_picture and self.visual not in ("noise", "none"):
            width, number = config.feature_width, config.num_features
            return [WithheldConditions(num_features=number, width=width)]
        match self.visual:
            case "sight":
                assert self.look is not None, "load gives every model with sight its tower"
                rows = self.look.rows(visual, self._class_name(request))
                return [RowConditions(rows, num_columns=config.num_features)]
            case "motion":
                return [MotionConditions(visual.motion(), num_columns=config.num_features)]
            case "noise" | "none":
                return [
                    NoiseConditions(
                        item_generator(request.seed, *item, "noise"),
                        num_samples=config.num_features,
                        width=config.feature_width,
                    )
                    for item in items
                ]
            case "resnet50" | "bn_inception":
                if self._network is None:
                    self._network = frame_network(self.visual, device=self.engine.device)
                assert self._network is not None
                return [visual.features(self._network, num_samples=config.num_features)]

    def _class_name(self, request: SoundRequest) -> str | None:
        """The asked-for class by its full name."""
        if request.class_name is None:
            return None
        index = self.class_index(request.class_name)
        return None if index is None else self.class_names[index]

    def _known(
        self,
        request: SoundRequest,
        batch: int,
        num_columns: int,
        drafts: Int[Tensor, "b m"] | None,
    ) -> Callable[[int, int], Int[Tensor, "b k"]]:
        """Codes that are given, by column: a beginning, a kept range, winners' first windows."""
        rows = self.engine.config.grid_rows
        given = torch.full((batch, num_columns * rows), FREE)
        if request.kept is not None and request.keep_seconds is not None:
            start, end = (
                min(round(second / COLUMN_SECONDS), num_columns) * rows
                for second in request.keep_seconds
            )
            end = min(end, request.kept.shape[0])
            given[:, start:end] = request.kept[start:end]
        if request.prime is not None:
            primed = min(request.prime.shape[0], given.shape[1])
            given[:, :primed] = request.prime[:primed]
        if drafts is not None:
            given[:, : drafts.shape[1]] = drafts
        return lambda first, last: given[:, first * rows : last * rows]

    def candidate_scores(
        self,
        codes: Int[Tensor, "b n"],
        visual: VisualInput,
        *,
        class_name: str | None,
        score: Score = loudness_follows_motion,
    ) -> list[float]:
        """How well each candidate for the first window fits a picture and a class.

        The score of the motion, plus the chance that it sounds like the class that is named, or
        else seen, where the model has a ranker that knows it.
        """
        wanted = self._wanted_class(visual, class_name)
        track = visual.motion()
        found: list[float] = []
        for item in codes:
            grid = to_grid(item[None], rows=self.engine.config.grid_rows)
            mel = decode_mel(self.codebook, grid.to(self.engine.device), compute=self.compute)
            own = float(score(mel.cpu(), motion_strength(track, grid.shape[2]))[0])
            if wanted is not None and self.ranker is not None:
                own += float(self.ranker.class_score(mel.float().clamp(0, 1), wanted)[0])
            found.append(own)
        return found

    def _wanted_class(self, visual: VisualInput, name: str | None) -> str | None:
        """A class that candidates should sound like: asked for or seen, and known to the ranker."""
        if self.ranker is None:
            return None
        if name is None and self.look is not None:
            name = self.look.seen_class(visual)
        return name if name in self.ranker.class_names else None

    def _class_list(self) -> str:
        return ", ".join(self.class_names) or f"0..{self.engine.config.num_classes - 1}"


def motion_strength(track: MotionTrack, num_columns: int) -> Float[Tensor, " n"]:
    """Onset or half the energy, whichever is stronger, four values per code column.

    What strikes is heard more than what moves: a falling ball is silent until it lands.
    """
    energy, onset = rearrange(
        motion_features(track, num_columns=num_columns), "c (k j) -> k (c j)", k=2
    )
    return torch.maximum(0.5 * energy, onset)


def best_of_each(scores: Sequence[float], num_candidates: int) -> list[int]:
    """Index of the best of every `num_candidates` scores in a row; the first of equals."""
    starts = range(0, len(scores), num_candidates)
    blocks = [range(start, start + num_candidates) for start in starts]
    return [max(block, key=lambda i: (scores[i], -i)) for block in blocks]
