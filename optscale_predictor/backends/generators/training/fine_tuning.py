"""From questions with worked solutions to the folder of a fine-tuned generator (supervised fine-tuning by LoRA).

The loss is on the solution's tokens and on the one that ends it, never on the prompt. The folder appears whole at the
end or not at all, and a run that was stopped goes on when it is started again.
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
from jaxtyping import Int

from optscale_predictor._support.arrays import Ints
from optscale_predictor._support.devices import choose_device
from optscale_predictor._support.progress import progress_bar
from optscale_predictor._support.training_loop.resumable_run import (
    fit_resumably,
    require_new,
    written_whole,
)
from optscale_predictor.backends.adapters.base_model import base_fingerprint
from optscale_predictor.backends.adapters.checked_files import require_no_kernel
from optscale_predictor.backends.adapters.generator_config import GeneratorConfig
from optscale_predictor.backends.adapters.generator_folder import write_generator
from optscale_predictor.backends.adapters.lora import tune
from optscale_predictor.backends.generators.training.generator_card import render_generator_card
from optscale_predictor.backends.generators.training.generator_module import GeneratorModule
from optscale_predictor.backends.generators.training.generator_settings import GeneratorSettings
from optscale_predictor.backends.generators.training.solution_batches import SolutionBatches
from optscale_predictor.backends.generators.training.solution_likelihood import SolutionLikelihood
from optscale_predictor.backends.generators.training.solution_tokens import SolutionReader, SolutionTokens, end_token
from optscale_predictor.backends.generators.transcription import Transcriber
from optscale_predictor.backends.model_loading import load_pretrained, read_config
from optscale_predictor.backends.source_lookup import find_source
from optscale_predictor.errors import InputError
from optscale_predictor.questions.near_duplicates import group_near_duplicates
from optscale_predictor.questions.prompts import PromptTemplate
from optscale_predictor.questions.worked_solutions import SolvedQuestions

_LOG = logging.getLogger(__name__)


#: The prompt where none is given: its answer begins with a space.
DEFAULT_PROMPT = "Question: {question}\nAnswer:"

_SETTINGS = GeneratorSettings()
_STATE_STEPS = 50  # between two states of the run
_FEWEST_GROUPS = 2
_NO_LIMIT = 2**30  # tokens; what is too long for the model is left out later


@dataclass(frozen=True, eq=False)
class TuningOutcome:
    """What a training run ended with.

    Attributes:
        config: What the folder says of itself, held-out figures included.
        steps: Of the whole run.
    """

    config: GeneratorConfig
    steps: int


def fine_tune(
    solved: SolvedQuestions,
    base_model: str,
    output: str | Path,
    settings: GeneratorSettings = _SETTINGS,
    prompt: str = DEFAULT_PROMPT,
    chat: bool = False,
    device: str = "auto",
    checkpoint_steps: int = _STATE_STEPS,
    callbacks: tuple[pl.Callback, ...] = (),
) -> TuningOutcome:
    """Fine-tunes a generator on worked solutions and writes its folder.

    Args:
        solved: What it learns from, and is measured on: some questions are held out.
        base_model: A causal language model: folder, GGUF file, hub id, ``embedded:NAME`` or ``package:NAME``.
        output: The folder; must not exist.
        settings: How it is trained.
        prompt: The prompt around a question, with ``{question}``.
        chat: Whether the prompt is a user's turn in the base's chat template.
        device: A torch device; ``auto`` takes CUDA where there is one.
        checkpoint_steps: Steps between two states of the run on the disk, >= 1.
        callbacks: Further Lightning callbacks.

    Raises:
        InputError: The folder exists, the device is not here, the base is no causal language model, there are too few
            questions, or the state of another run is in the way.
        InterruptedRun: The user stopped it, and its state was written.
    """
    output, device = Path(output), choose_device(device)
    require_new(output)
    _groups(solved)  # what is wrong is said before weights are read, which may take long
    transcriber, reader, unended = _read(solved, base_model, PromptTemplate(prompt), chat)
    model, longest = _load_base(base_model, settings)
    end = end_token(transcriber, model)
    read = [SolutionTokens([*one.tokens, end], one.start) for one in unended]
    kept, read = _short_enough(solved, read, longest)
    config = GeneratorConfig(
        base_model,
        base_fingerprint(model),
        prompt,
        chat,
        data={**kept.facts, "fingerprint": kept.fingerprint},
        training={**asdict(settings), "loss": "cross-entropy of the solution's tokens and of the one that ends it"},
        base_source=find_source(base_model).as_json(),
    )
    training, held_out = _sides(kept, read, settings, reader.padding)
    torch.manual_seed(settings.seed)
    # Models are loaded for inference: dropout is off, and a resumed run would not turn it on.
    network = SolutionLikelihood(tune(model, settings.lora)).to(device).train()
    module = GeneratorModule(network, settings, training, held_out, _run_name(config, settings))
    fit_resumably(module, training.loader(), output, settings.epochs, "solutions", checkpoint_steps, callbacks)
    network.load_state_dict(module.best_state, strict=False)
    before = {f"{name}_before": value for name, value in module.before.items()}
    config = replace(config, metrics={"questions": len(held_out), **module.best, **before})
    with written_whole(output) as folder:
        write_generator(network.base, config, render_generator_card(config), folder, settings.adapter_precision)
    return TuningOutcome(config, module.trainer.global_step)


def _read(
    solved: SolvedQuestions, base_model: str, prompt: PromptTemplate, chat: bool
) -> tuple[Transcriber, SolutionReader, list[SolutionTokens]]:
    """The solutions' tokens, without the one that ends them, and what read them."""
    from transformers import AutoTokenizer

    require_no_kernel(read_config(base_model), f"base model {base_model!r}")
    transcriber = Transcriber(base_model, load_pretrained(AutoTokenizer, base_model), chat, _NO_LIMIT)
    reader = SolutionReader(transcriber, prompt)
    read: list[SolutionTokens] = []
    with progress_bar("tokens", len(solved.rows)) as bar:
        for row in solved.rows:
            read.append(reader(row))
            bar.update()
    return transcriber, reader, read


def _load_base(base_model: str, settings: GeneratorSettings) -> tuple[Any, int]:
    """The base, and how many tokens are read at most."""
    from transformers import AutoModelForCausalLM

    model = load_pretrained(AutoModelForCausalLM, base_model, "cpu", complete=True)
    context = int(getattr(model.config.get_text_config(), "max_position_embeddings", None) or settings.max_length)
    return model.to(getattr(torch, settings.precision)), min(settings.max_length, context)


def _short_enough(
    solved: SolvedQuestions, read: list[SolutionTokens], longest: int
) -> tuple[SolvedQuestions, list[SolutionTokens]]:
    """The questions that are short enough, and their tokens."""
    short = [index for index, one in enumerate(read) if len(one.tokens) <= longest]
    if len(short) < len(read):
        _LOG.info(
            f"{solved.name}: {len(read) - len(short):,} of {len(read):,} solutions have more than {longest} tokens "
            "with their prompt and are left out"
        )
        facts = {**solved.facts, "too_long": len(read) - len(short)}
        solved = replace(solved, rows=[solved.rows[index] for index in short], facts=facts)
    return solved, [read[index] for index in short]


def _groups(solved: SolvedQuestions) -> Int[Ints, " questions"]:
    """Which group of near-duplicates each question is in."""
    group = group_near_duplicates([row.question for row in solved.rows])
    count = len(np.unique(group))
    if count < _FEWEST_GROUPS:
        raise InputError(
            f"{solved.name}: a generator is trained on {_FEWEST_GROUPS} questions at least (near-duplicates count "
            f"once), got {count}"
        )
    return group


def _sides(
    solved: SolvedQuestions, read: list[SolutionTokens], settings: GeneratorSettings, padding: int
) -> tuple[SolutionBatches, SolutionBatches]:
    """The solutions to train on and those held out; near-duplicates of a question on one side."""
    group = _groups(solved)
    groups = np.unique(group)
    order = np.random.default_rng([settings.seed, 1]).permutation(groups)
    number = min(max(1, round(settings.validation_share * len(groups))), len(groups) - 1)
    inside = np.isin(group, order[:number])
    sides = [[read[index] for index in np.flatnonzero(side).tolist()] for side in (~inside, inside)]
    tokens = [sum(len(one.tokens) - one.start for one in side) for side in sides]
    _LOG.info(
        f"{solved.name}: {len(sides[0]):,} questions to train on (solutions of {tokens[0]:,} tokens), "
        f"{len(sides[1]):,} held out ({tokens[1]:,})"
    )
    training = SolutionBatches(sides[0], settings.batch_tokens, padding, settings.seed)
    return training, SolutionBatches(sides[1], settings.batch_tokens, padding)


def _run_name(config: GeneratorConfig, settings: GeneratorSettings) -> str:
    """A name of everything that decides what comes of a run."""
    parts = [config.base_fingerprint, config.prompt, config.chat, config.data["fingerprint"]]
    return sha256(json.dumps([*parts, asdict(settings)]).encode()).hexdigest()[:16]
