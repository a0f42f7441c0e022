"""Golden cases of SpecVQGAN's code transformer and of sampling with it.

Axes: b clips, n codes, c condition tokens, h heads, r rows and t columns of the code grid.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from earsight.errors import InputError
from earsight.generate.attention_maps import StepAttention, full_attention, step_attention
from earsight.generate.grid import to_grid, to_sequence
from earsight.generate.logits import SamplingConfig, code_probabilities
from earsight.generate.sampler import FREE, Condition, sample_codes
from earsight.generate.windows import sample_sliding
from earsight.losses.codes import code_loss
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.mel_vqgan.published import MODEL_KEYS
from earsight.models.token_gpt.engine import TokenEngine
from earsight.models.token_gpt.groups import BETAS, EPS, parameter_groups
from earsight.models.token_gpt.model import TokenGPT, TokenOutput
from earsight.models.token_gpt.published import PERMUTER_KEYS, transformer_keys
from earsight.parity import fill
from earsight.parity.cases import NUMBER, Case
from earsight.parity.compare import Row, Value, compare, equal
from earsight.parity.loading import below, filled, gradient_norms, own_by_published
from earsight.parity.specvqgan_configs import codebook_config, condition_kind, transformer_config

FIRST_STAGE = "first_stage_model."
TRANSFORMER = "transformer."
TOP_1 = SamplingConfig(temperature=1.3, top_k=1)  # a temperature moves nothing under top-1
GREEDY = SamplingConfig(greedy=True)
GPT_KINDS = {"features": "feats", "class": "class", "features+class": "feats_class"}


def causal_mask(name: str, shape: tuple[int, ...]) -> Tensor | None:
    """The mask entries as the official constructor makes them."""
    return torch.ones(shape).tril() if name.endswith("attn.mask") else None


def run_gpt(case: Case) -> Iterator[Row]:
    """Scores and last-layer attention of bare transformers, one per kind of condition."""
    kinds = case.keys if "pos_emb" not in case.keys else {"": case.keys}
    outputs: dict[str, Value | Callable[[], Value]] = {}
    for kind, keys in kinds.items():
        output = _gpt_output(case, keys)
        attention = output.attention
        assert attention is not None
        name = kind or GPT_KINDS[condition_kind(keys)]
        for prefix in (f"{name}_", "") if not kind else (f"{name}_",):
            outputs[f"{prefix}logits"] = output.logits
            outputs[f"{prefix}att"] = attention[:, :, -1]
            outputs[f"{prefix}att_sum"] = attention.sum(dim=1)
        outputs[name] = output.logits  # its stored mean and spread go by the kind alone
    yield from compare(case, outputs)


def _gpt_output(case: Case, keys: Mapping[str, Any]) -> TokenOutput:
    codes = case.input("tokens")
    condition = condition_kind(keys)
    features = case.input("feats").mT if condition != "class" else None
    classes = case.input("class").flatten() if condition != "features" else None
    num_condition = (0 if features is None else features.shape[1]) + (classes is not None)
    grid = (1, int(case.config["block_size"]) - num_condition)
    network = TokenGPT(transformer_config(case.config, keys, grid=grid))
    entries = fill.entries(case.spec, keys, keep=causal_mask)
    filled(network, entries, transformer_keys(condition, prefix=""))
    with torch.inference_mode():
        return network(codes, features, classes, with_attention=True)


def run_sampler(case: Case) -> Iterator[Row]:
    """Codes, scores, loss and gradients, sampling in every official order, attention pictures."""
    run = SamplerRun(case)
    whole: dict[str, Value | Callable[[], Value]] = {
        "codes": lambda: run.codes,
        "logits": lambda: run.logits,
        "loss": lambda: run.loss(run.logits).double(),
        "grad_names": lambda: case.stored["grad_names"].tolist(),
        "grad_norms": run.gradient_norms,
        "greedy": lambda: run.greedy,
        "last_row_attention": lambda: run.attention(run.greedy[:, :-1])[:, :, -1],
        "decoded_greedy": lambda: run.decoded(run.greedy),
        "decoded": lambda: run.decoded(run.greedy),
        "interactive_half": lambda: run.interactive_half,
        "attention_c": run.attention_to_condition,
        "attention_z": lambda: run.last_step.codes[:, None],
        "attention_titles": run.titles,
        "interactive_long": lambda: run.interactive_long,
        "attention_full_minus_prior": run.full_attention,
        "decoded_long_tail": lambda: run.decoded(run.interactive_long),
    }
    for name in case.stored:
        if drawn := re.fullmatch(rf"probs_t({NUMBER})_k(\d+)", name):
            whole[name] = run.probabilities(name, float(drawn[1]), int(drawn[2]))
        elif primed := re.fullmatch(r"greedy_primed(\d+)", name):
            whole[name] = run.sampled(given=int(primed[1]))
    yield from compare(case, whole)
    if "optimizer_groups" in case.spec:
        yield equal(case, "optimizer_groups", run.optimizer_groups(), case.spec["optimizer_groups"])


@dataclass
class SamplerRun:
    """The networks of one sampler case, and what its outputs share."""

    case: Case

    def __post_init__(self) -> None:
        config = self.case.config
        grid = config["first_stage_permuter_config"]["params"]
        self.rows, self.columns = int(grid["H"]), int(grid["W"])
        self.entries = self.case.entries(keep=self._kept)
        stage = dict(config["first_stage_config"]["params"])
        stage.setdefault("beta", config.get("first_stage_beta", 0.25))
        num_mels = self.case.input("x").shape[2]
        self.codebook = filled(
            MelVQGAN(codebook_config(stage, num_mels=num_mels)),
            below(self.entries, FIRST_STAGE),
            MODEL_KEYS,
        )
        gpt_shapes = below(self.case.keys, TRANSFORMER)
        gpt_config = transformer_config(
            config["transformer_config"]["params"]["GPT_config"],
            gpt_shapes,
            grid=(self.rows, self.columns),
        )
        self.keys = {**PERMUTER_KEYS, **transformer_keys(gpt_config.condition)}
        self.gpt_entries = {
            name: tensor
            for name, tensor in self.entries.items()
            if not name.startswith(FIRST_STAGE)
        }
        self.gpt = filled(TokenGPT(gpt_config), self.gpt_entries, self.keys)
        self.condition = Condition(
            self.case.input("feats") if gpt_config.has_features else None,
            self.case.input("class").flatten() if gpt_config.has_class else None,
        )

    @cached_property
    def codes(self) -> Int[Tensor, "b n"]:
        """Codes of the case's spectrogram, column by column."""
        with torch.inference_mode():
            codes = to_sequence(self.codebook.encode(self.case.input("x")).codes)
        return codes.clone()

    @cached_property
    def logits(self) -> Float[Tensor, "b n k"]:
        """Scores of every code given those before it, with gradients."""
        output = self.gpt(self.codes[:, :-1], self.condition.features, self.condition.classes)
        return output.logits[:, self.gpt.config.num_condition - 1 :]

    def loss(self, logits: Float[Tensor, "b n k"]) -> Float[Tensor, ""]:
        """Mean cross-entropy over all codes."""
        return code_loss(logits, self.codes)

    def gradient_norms(self) -> list[float]:
        """Norms of the loss's gradients, in the stored order of names."""
        self.gpt.zero_grad()
        self.loss(self.logits).backward(retain_graph=True)  # pyright: ignore[reportUnknownMemberType]
        names = [f"{TRANSFORMER}{name}" for name in self.case.stored["grad_names"]]
        return gradient_norms(self.gpt, self.keys, self.gpt_entries, names)

    def probabilities(self, name: str, temperature: float, top_k: int) -> Float[Tensor, "b k"]:
        """Probabilities of the code at the position that the case's note names."""
        told = re.search(r"position[- ](\d+)", self.case.note(name))
        if told is None:
            raise InputError(f"which position? {self.case.note(name)!r}")
        sampling = SamplingConfig(temperature=temperature, top_k=top_k)
        return code_probabilities(self.logits[:, int(told[1])].detach(), sampling)

    def sampled(self, *, given: int) -> Int[Tensor, "b n"]:
        """Codes of one window, the first ones given, drawn with the cache."""
        known = torch.full_like(self.codes, FREE)
        known[:, :given] = self.codes[:, :given]
        return sample_codes(
            self.engine,
            self.condition,
            uniforms=torch.zeros(known.shape),
            sampling=TOP_1 if given else GREEDY,
            known=known,
        )

    @cached_property
    def engine(self) -> TokenEngine:
        """The transformer packed for sampling."""
        return TokenEngine(self.gpt)

    @cached_property
    def greedy(self) -> Int[Tensor, "b n"]:
        """The best codes from the condition alone."""
        return self.sampled(given=0)

    @cached_property
    def interactive_half(self) -> Int[Tensor, "b n"]:
        """One window in the sliding order, half of its columns given."""
        told = re.search(r"(\d+) codes given", self.case.note("interactive_half"))
        given = int(told[1]) if told else self.columns // 2 * self.rows
        return self._slid(num_columns=self.columns, given=given)

    @cached_property
    def interactive_long(self) -> Int[Tensor, "b n"]:
        """A grid some times longer than the window, in the sliding order."""
        told = re.search(r"temporal scale (\d+)", self.case.note("interactive_long"))
        stored = self.case.stored.get("interactive_long")
        scale = int(told[1]) if told else 2
        columns = stored.shape[-1] // self.rows if stored is not None else scale * self.columns
        return self._slid(num_columns=columns, given=0)

    def decoded(self, codes: Int[Tensor, "b n"]) -> Float[Tensor, "b 1 m t"]:
        """Spectrogram of codes."""
        with torch.inference_mode():
            return self.codebook.decode_codes(to_grid(codes, rows=self.rows))

    def attention(self, codes: Int[Tensor, "b n"]) -> Float[Tensor, "b h l l"]:
        """Last-layer attention over condition and codes."""
        condition = self.condition
        with torch.inference_mode():
            output = self.gpt(codes, condition.features, condition.classes, with_attention=True)
        return output.attention

    @cached_property
    def last_step(self) -> StepAttention:
        """What the last code of the half-primed loop looked at."""
        codes = self.interactive_half
        return step_attention(
            self.attention(codes[:, :-1]),
            num_condition=self.gpt.config.num_condition,
            position=codes.shape[1] - 1,
            rows=self.rows,
            columns=self.columns,
        )

    def attention_to_condition(self) -> Tensor:
        """Shape (b, 1, c); the official tool keeps none for a class alone."""
        if self._without_condition_picture():
            return torch.zeros(0)
        return self.last_step.condition[:, None]

    def titles(self) -> list[str]:
        """Captions as the official tool words them."""
        step, config = self.last_step, self.gpt.config
        size = "" if self._without_condition_picture() else f" [{config.num_condition}]."
        return [
            f"Attention to C.{size} Sum {float(step.condition_share[0]):.2f}",
            f"Attention to Z. [{self.rows}, {self.columns}]. Sum {float(step.codes_share[0]):.2f}",
        ]

    def full_attention(self) -> Float[Tensor, "l l"]:
        """All of the first clip's last window, a zero in place of the code about to be drawn."""
        window = self.interactive_long[:, -self.rows * self.columns :].clone()
        window[:, -1] = 0
        return full_attention(self.attention(window))[0]

    def optimizer_groups(self) -> list[dict[str, Any]]:
        """Groups of the optimiser with published names, sorted."""
        own = own_by_published(self.keys, self.gpt_entries)
        published = {ours: name.removeprefix(TRANSFORMER) for name, ours in own.items()}
        return [
            {
                "weight_decay": group.weight_decay,
                "betas": list(BETAS),
                "eps": EPS,
                "names": sorted(published[name] for name in group.parameters),
            }
            for group in parameter_groups(self.gpt)
        ]

    def _slid(self, *, num_columns: int, given: int) -> Int[Tensor, "b n"]:
        known = torch.full((self.codes.shape[0], num_columns * self.rows), FREE)
        known[:, :given] = self.codes[:, :given]
        return sample_sliding(
            self.engine,
            self.condition,
            num_columns=num_columns,
            uniforms=torch.zeros(known.shape),
            sampling=GREEDY,
            known=known,
        )

    def _without_condition_picture(self) -> bool:
        return self.gpt.config.condition == "class"

    def _kept(self, name: str, shape: tuple[int, ...]) -> Tensor | None:
        if name.endswith("shuffle_idx"):
            order = torch.arange(shape[0])
            order = order % self.rows * self.columns + order // self.rows
            return order.argsort() if "backward" in name else order
        return causal_mask(name, shape)
