"""From labelled samples to the folder of a trained verifier.

The folder appears whole at the end or not at all, and a run that was stopped goes on when it is started again.
"""

import json
import logging
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Float

from optscale_predictor._support.arrays import Floats
from optscale_predictor._support.devices import choose_device
from optscale_predictor._support.progress import progress_bar
from optscale_predictor._support.training_loop.resumable_run import (
    fit_resumably,
    require_new,
    written_whole,
)
from optscale_predictor.backends.adapters.base_model import base_fingerprint
from optscale_predictor.backends.adapters.lora import tune
from optscale_predictor.backends.model_loading import load_pretrained
from optscale_predictor.backends.source_lookup import find_source
from optscale_predictor.backends.verifiers.prompt_batches import WORTH_SHARING, share_of_prompts
from optscale_predictor.backends.verifiers.reward_network import RewardNetwork
from optscale_predictor.backends.verifiers.sample_reader import SampleReader, SampleTokens
from optscale_predictor.backends.verifiers.trained_config import TrainedVerifierConfig
from optscale_predictor.backends.verifiers.training.held_out_figures import calibration_figures, probability_map
from optscale_predictor.backends.verifiers.training.labelled_samples import LabelledSamples
from optscale_predictor.backends.verifiers.training.question_batches import QuestionBatches
from optscale_predictor.backends.verifiers.training.starting_point import start_head
from optscale_predictor.backends.verifiers.training.verifier_card import render_verifier_card
from optscale_predictor.backends.verifiers.training.verifier_module import HeldOutSamples, VerifierModule
from optscale_predictor.backends.verifiers.training.verifier_settings import VerifierSettings
from optscale_predictor.backends.verifiers.verifier_files import kind_of_base, load_verifier_base, write_verifier

_LOG = logging.getLogger(__name__)
_SETTINGS = VerifierSettings()
_STATE_STEPS = 50  # between two states of the run


@dataclass(frozen=True, eq=False)
class TrainingOutcome:
    """What a training run ended with.

    Attributes:
        config: What the folder says of itself, held-out figures included.
        held_out: The held-out samples.
        scores: Theirs, as training measured them and as the folder's verifier gives them.
        steps: Of the whole run.
    """

    config: TrainedVerifierConfig
    held_out: LabelledSamples
    scores: Float[Floats, " samples"]
    steps: int


def train_verifier(
    samples: LabelledSamples,
    base_model: str,
    output: str | Path,
    settings: VerifierSettings = _SETTINGS,
    device: str = "auto",
    checkpoint_steps: int = _STATE_STEPS,
    callbacks: tuple[pl.Callback, ...] = (),
) -> TrainingOutcome:
    """Trains a verifier and writes its folder.

    Args:
        samples: What it learns from, and is measured on: some questions are held out.
        base_model: A causal language model or an encoder: folder, hub id, ``embedded:NAME`` or ``package:NAME``.
        output: The folder; must not exist.
        settings: How it is trained.
        device: A torch device; ``auto`` takes CUDA where there is one.
        checkpoint_steps: Steps between two states of the run on the disk, >= 1.
        callbacks: Further Lightning callbacks.

    Returns:
        The held-out samples, with their scores and figures.

    Raises:
        InputError: The folder exists, the device is not here, the base is no language model, the samples teach nothing,
            or the state of another run is in the way.
        InterruptedRun: The user stopped it, and its state was written.
    """
    output, device = Path(output), choose_device(device)
    require_new(output)
    samples.require_learnable()
    config, model, reader = _open_base(base_model, samples, settings)
    kept, read = _read(samples, reader, config.max_length)
    config = replace(config, data=dict(kept.facts))
    torch.manual_seed(settings.seed)
    # Models are loaded for inference: dropout is off, and a resumed run would not turn it on.
    network = RewardNetwork(tune(model, settings.lora), config.kind).to(device).train()
    shares = _shares_prompts(network, read)
    train, held_out = _sides(kept, read, settings, reader.padding, shares)
    run = _run_name(config, settings, kept, shares)
    module = VerifierModule(network, settings, held_out, train.buckets, run)
    fit_resumably(
        module,
        train.loader(),
        output,
        settings.epochs,
        "samples",
        checkpoint_steps,
        callbacks,
        lambda: start_head(network, config.kind, train, settings.batch_tokens, settings.seed),
    )
    outcome = _finish(module, config, held_out.samples)
    with written_whole(output) as folder:
        write_verifier(network, outcome.config, render_verifier_card(outcome.config), folder)
    return outcome


def _open_base(
    base_model: str, samples: LabelledSamples, settings: VerifierSettings
) -> tuple[TrainedVerifierConfig, Any, SampleReader]:
    """What the folder will say of itself, as far as it is known; the base; and what reads samples for it."""
    from transformers import AutoTokenizer

    kind = kind_of_base(base_model)
    tokenizer = load_pretrained(AutoTokenizer, base_model)
    chat = bool(tokenizer.chat_template) if samples.chat is None else samples.chat
    config = TrainedVerifierConfig(
        base_model,
        "",
        kind,
        samples.prompt,
        chat and kind == "decoder",
        settings.max_length,
        settings.precision,
        training={**asdict(settings), "loss": "cross-entropy, and Bradley-Terry within questions"},
        base_source=find_source(base_model).as_json(),
    )
    reader = SampleReader(tokenizer, config)  # says what is wrong before weights are read, which may take long
    model = load_verifier_base(base_model, kind, settings.precision)
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None) or settings.max_length
    longest = min(settings.max_length, int(context))
    return replace(config, base_fingerprint=base_fingerprint(model), max_length=longest), model, reader


def _read(
    samples: LabelledSamples, reader: SampleReader, max_length: int
) -> tuple[LabelledSamples, list[SampleTokens]]:
    """The samples that are short enough, and their tokens."""
    read: list[SampleTokens] = []
    with progress_bar("tokens", len(samples.items)) as bar:
        for item in samples.items:
            read.append(reader(item))
            bar.update()
    short = np.array([len(one.tokens) <= max_length for one in read], np.bool_)
    if not short.all():
        left = f"{(~short).sum():,} of {len(short):,} samples have more than {max_length} tokens and are left out"
        _LOG.info(f"{samples.name}: {left} ({samples.correct[~short].mean():.0%} of them are right)")
        samples = samples.take(np.flatnonzero(short))
        read = [one for one, fits in zip(read, short, strict=True) if fits]
        samples = replace(samples, facts={**samples.facts, "too_long": int((~short).sum())})
        samples.require_learnable()
    return samples, read


def _shares_prompts(network: RewardNetwork, read: list[SampleTokens]) -> bool:
    """Whether each prompt is read once for its question's samples: the model can, all have tokens, and it pays."""
    if not network.shares_prefixes or not all(len(one.tokens) > one.start for one in read):
        return False
    one = torch.zeros((1, 1), dtype=torch.long, device=network.device)
    with torch.no_grad():
        can = network.after_prompts(one, one + 1, one[0], one, one + 1) is not None
    return can and share_of_prompts(read, range(len(read))) >= WORTH_SHARING


def _sides(
    samples: LabelledSamples, read: list[SampleTokens], settings: VerifierSettings, padding: int, shares_prompts: bool
) -> tuple[QuestionBatches, HeldOutSamples]:
    train, held_out = samples.split(settings.validation_share, settings.seed)
    held_out = samples.some_of_each(held_out, settings.held_out_samples, settings.seed)
    samples.require_mixed(held_out, "held out")
    trained, measured = samples.take(train), samples.take(held_out)
    rows = list(trained.rows().values())
    _LOG.info(
        f"{samples.name}: {len(rows)} questions with {len(train):,} samples to train on "
        f"({trained.correct.mean():.1%} right), {len(measured.rows())} with {len(held_out):,} held out"
    )
    batches = QuestionBatches(
        [read[index] for index in train.tolist()],
        trained.correct,
        rows,
        settings.samples,
        settings.batch_tokens,
        padding,
        settings.seed,
        shares_prompts,
    )
    return batches, HeldOutSamples(measured, [read[index] for index in held_out.tolist()], padding)


def _run_name(config: TrainedVerifierConfig, settings: VerifierSettings, samples: LabelledSamples, shares: bool) -> str:
    """A name of everything that decides what comes of a run."""
    parts = [config.base_fingerprint, config.prompt, config.chat, config.max_length, samples.fingerprint, shares]
    return sha256(json.dumps([*parts, asdict(settings)]).encode()).hexdigest()[:16]


def _finish(module: VerifierModule, config: TrainedVerifierConfig, held_out: LabelledSamples) -> TrainingOutcome:
    """Takes the best epoch's weights, and fits the score map to its rewards of the held-out samples."""
    module.network.load_state_dict(module.best_state, strict=False)
    module.network.eval()
    rewards = module.best_rewards.cpu().numpy()
    score_map = probability_map(rewards, held_out.correct)
    calibration = calibration_figures(rewards, held_out.correct, held_out.group[held_out.question])
    counts = {"questions": len(held_out.rows()), "samples": len(held_out.items)}
    before = {f"{name}_before": value for name, value in module.before.items()}
    metrics = {**counts, **module.best, **calibration, **before}
    config = replace(config, score_map=score_map, metrics=metrics)
    return TrainingOutcome(config, held_out, score_map(rewards), module.trainer.global_step)
