"""AST: a transformer over patches of a log-mel spectrogram that tags a clip.

Axes: b clips, t frames, m mel bands, d width, k classes.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from earsight.models.ast.config import AstConfig
from earsight.nn.two_token_transformer import NUM_CLASS_TOKENS, TwoTokenTransformer

HEAD_NORM_EPSILON = 1e-5


@dataclass(frozen=True, slots=True)
class AstOutput:
    """Mean of the two class tokens, and class scores before any softmax or sigmoid."""

    features: Float[Tensor, "b d"]
    logits: Float[Tensor, "b k"]


class Ast(nn.Module):
    """Sound tagger on normalised log filterbanks of one length.

    The published files' image classifiers are not part of it, since nothing uses them. Source:
    Gong et al., "AST: audio spectrogram transformer", 2021, sec. 2; official repository
    YuanGongND/ast.
    """

    def __init__(self, config: AstConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = TwoTokenTransformer(
            size=(config.num_mels, config.num_frames),
            patch=config.patch,
            strides=config.strides,
            width=config.width,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            hidden=config.hidden,
        )
        self.head_norm = nn.LayerNorm(config.width, eps=HEAD_NORM_EPSILON)
        self.head = nn.Linear(config.width, config.num_classes)

    def forward(self, mel: Float[Tensor, "b t m"], *, recompute: bool = False) -> AstOutput:
        """Features and class scores; InputError for a spectrogram of another size."""
        features = self.encoder(mel, recompute=recompute)[:, :NUM_CLASS_TOKENS].mean(dim=1)
        return AstOutput(features=features, logits=self.head(self.head_norm(features)))
