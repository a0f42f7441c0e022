"""What a run of the code transformer needs besides its recipe: network, codes, export."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from earsight.checkpoints.native import Bundle, BundlePart, NativeFolder, save_bundle, save_folder
from earsight.data.code_windows import BY_COLUMN, Visual
from earsight.data.corpus import SPLITS, Corpus, Split
from earsight.errors import ConfigError, InputError
from earsight.generate.bundles import build_network, open_bundle
from earsight.models.mel_vqgan.config import MelVQGANConfig
from earsight.models.mel_vqgan.model import MelVQGAN
from earsight.models.token_gpt.config import TokenGPTConfig
from earsight.models.token_gpt.model import TokenGPT
from earsight.recipes.coded_visits import (
    ROLES,
    ClipSource,
    Coder,
    CollageSource,
    Item,
    Role,
    Source,
    Window,
    items_of,
)
from earsight.recipes.transformer_recipe import TransformerRecipe, refuse_misfit
from earsight.recipes.transformer_start import (
    Started,
    build,
    joined_classes,
    open_started,
    part_of,
    sized,
)
from earsight.training.distributed import World

LEAD_FRAMES = 6
"""Where the middle 848 of 860 frames begin: sound of a model of the middle starts there."""
CODEBOOK_NAMES = ("codebook", "mel_vqgan")
NUM_HELD_OUT_COLLAGES = 128


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Network with start values, windows to train on and held-out ones, what belongs to both."""

    model: TokenGPT
    sources: tuple[Source, ...]
    held_out: tuple[Source, ...]
    class_names: tuple[str, ...]
    visual: Visual
    lead_frames: int
    codebook: Bundle
    told: str


def set_up(recipe: TransformerRecipe, corpora: Sequence[Corpus], world: World) -> Setup:
    """Open codebook and start, build the network, find what each corpus gives.

    Raises InputError and ConfigError for corpora, start and codebook that do not fit.
    """
    started = None if recipe.start is None else open_started(recipe.start)
    visual = recipe.visual or _visual_of(started)
    names = joined_classes(corpora, started)
    config = _sizes(recipe, started, names)
    refuse_misfit(config, visual)
    codebook = open_bundle(recipe.codebook or str(recipe.start))
    coder = _coder(codebook, config, world)
    model, told = build(config, names, started=started, clock=recipe.clock, seed=recipe.seed)
    roles = roles_of(recipe, corpora, visual)
    window = Window(
        num_columns=config.grid_columns,
        num_features=config.num_features,
        feature_width=config.feature_width,
        visual=visual,
    )
    train, held_out = (
        _sources(recipe, split, corpora, roles, names, coder, window) for split in SPLITS[:2]
    )
    if not train:
        raise InputError("no clips to train on: every corpus's training split is empty")
    if recipe.patience is not None and not held_out:
        raise InputError(
            "no held-out clips to stop early by: prepare the corpus with a validation split, or "
            "set patience=none"
        )
    used = [f"{corpus.name} as {role}" for corpus, role in zip(corpora, roles, strict=True)]
    return Setup(
        model=model,
        sources=train,
        held_out=held_out,
        class_names=names,
        visual=visual,
        lead_frames=LEAD_FRAMES if recipe.crop == "centre" else 0,
        codebook=codebook,
        told=f"{told}; {', '.join(used)}",
    )


def media_options(recipe: TransformerRecipe) -> dict[str, object]:
    """What a folder of media has to be prepared with for this recipe: options of `prepare`."""
    started = None if recipe.start is None else open_started(recipe.start)
    visual = recipe.visual or _visual_of(started)
    if visual == "sight":
        return {"features": ("motion", "sight"), "sight": recipe.start or "bundled"}
    return {"features": () if visual in ("noise", "none") else (visual,)}


def roles_of(
    recipe: TransformerRecipe, corpora: Sequence[Corpus], visual: Visual
) -> tuple[Role, ...]:
    """What each corpus is, as the recipe says or worked out.

    Without pictures it is sounds; with pictures and only classes of the sounds, its own sounds
    come from these: a sound bank. Raises ConfigError where the recipe names another number.
    """
    if recipe.roles:
        if len(recipe.roles) != len(corpora):
            raise ConfigError(f"{len(recipe.roles)} roles for {len(corpora)} corpora: name each")
        return recipe.roles
    mixture = recipe.draws.mixture
    if mixture.sound_bank == mixture.sounds == 0 or visual not in BY_COLUMN:
        return ("pictures",) * len(corpora)
    seen = [has_features(corpus, visual) for corpus in corpora]
    heard = {
        name
        for corpus, is_seen in zip(corpora, seen, strict=True)
        if not is_seen
        for name in corpus.class_names
    }
    found: list[Role] = []
    for corpus, is_seen in zip(corpora, seen, strict=True):
        from_bank = bool(corpus.class_names) and set(corpus.class_names) <= heard
        found.append("sounds" if not is_seen else "sound_bank" if from_bank else "pictures")
    return tuple(found)


def has_features(corpus: Corpus, kind: str) -> bool:
    """Whether the first clip of a corpus has picture features of a kind."""
    for split in SPLITS:
        for record in corpus.records(split):
            try:
                corpus.features(record, kind)
            except InputError:
                return False
            return True
    return False


def export(
    model: TokenGPT, folder: Path, *, setup: Setup, half: bool, told: str, overwrite: bool = True
) -> None:
    """Write FOLDER/model, and FOLDER/pipeline with the codebook and what else lies beside it."""
    extra: dict[str, object] = {
        "visual": setup.visual,
        "class_names": list(setup.class_names),
        "lead_frames": setup.lead_frames,
    }
    card = f"# Code transformer\n\n{told} {setup.told[0].upper()}{setup.told[1:]}.\n"
    state = model.state_dict()
    save_folder(
        folder / "model", "token_gpt", model.config, state,
        extra=extra, card=card, half=half, overwrite=overwrite,
    )  # fmt: skip
    parts = {
        "codebook" if name in CODEBOOK_NAMES else name: _copied(part)
        for name, part in setup.codebook.parts.items()
    }
    parts["transformer"] = BundlePart(family="token_gpt", config=model.config, state=state)
    said = setup.codebook.extra
    kept = {name: said[name] for name in ("sampling", "vocoder") if name in said}
    save_bundle(
        folder / "pipeline", "video_to_sound", parts,
        extra=extra | kept,
        card=card, half=half, overwrite=overwrite,
    )  # fmt: skip


def _copied(part: NativeFolder) -> BundlePart:
    return BundlePart(family=part.family, config=part.config, state=part.tensors, extra=part.extra)


def _visual_of(started: Started | None) -> Visual:
    known: tuple[Visual, ...] = ("motion", "sight", "resnet50", "bn_inception", "noise", "none")
    if started is None or started.visual not in known:
        raise ConfigError("the start does not say what kind of picture it sees: set visual")
    return started.visual


def _sizes(
    recipe: TransformerRecipe, started: Started | None, names: Sequence[str]
) -> TokenGPTConfig:
    config = recipe.model or (None if started is None else started.config)
    assert config is not None, "the recipe refuses to have neither"
    if recipe.dropout is not None:
        config = replace(config, dropout=recipe.dropout)
    return sized(config, names, no_class=recipe.no_class)


def _coder(bundle: Bundle, config: TokenGPTConfig, world: World) -> Coder:
    part = part_of(bundle, CODEBOOK_NAMES)
    if part is None:
        raise InputError(f"{bundle.path} holds {', '.join(bundle.parts)} and no codebook")
    network = build_network(MelVQGAN, MelVQGANConfig, part, "mel_vqgan", world.device)
    if network.config.num_codes != config.num_codes:
        raise ConfigError(
            f"the codebook has {network.config.num_codes} codes, the transformer speaks "
            f"{config.num_codes}: set model.num_codes, or take another codebook"
        )
    return Coder(network, part.sha256)


def _sources(
    recipe: TransformerRecipe,
    split: Split,
    corpora: Sequence[Corpus],
    roles: Sequence[Role],
    names: Sequence[str],
    coder: Coder,
    window: Window,
) -> tuple[Source, ...]:
    """One source per role that has clips in the split; held-out clips have one window each."""
    rows: Mapping[str, int] = {name: row for row, name in enumerate(names)}
    found: list[Source] = []
    for role in ROLES:
        own = [corpus for corpus, its in zip(corpora, roles, strict=True) if its == role]
        items = items_of(own, split, rows.get)
        if items:
            found.append(_source(recipe, role, items, coder, window, training=split == "train"))
    return tuple(found)


def _source(
    recipe: TransformerRecipe,
    role: Role,
    items: Sequence[Item],
    coder: Coder,
    window: Window,
    *,
    training: bool,
) -> Source:
    seed = recipe.seed if training else recipe.seed + 1
    if role == "sounds":
        held_out = recipe.num_held_out or NUM_HELD_OUT_COLLAGES
        return CollageSource(
            items, coder, window,
            config=recipe.collages,
            noise=recipe.noise,
            num_windows=recipe.num_collages if training else held_out,
            seed=seed,
        )  # fmt: skip
    return ClipSource(
        items, coder, window,
        crop=recipe.crop,
        crops_per_clip=recipe.crops_per_clip if training else 1,
        seed=seed,
        learned=role == "pictures",
        prepared=recipe.prepared_codes,
    )  # fmt: skip
