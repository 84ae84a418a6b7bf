"""The verb that trains a verifier on labelled pools."""

import logging
from typing import TYPE_CHECKING

import numpy as np

from optscale_predictor._support.outputs import require_once
from optscale_predictor.errors import InputError

if TYPE_CHECKING:
    from optscale_predictor.backends.verifiers.training.train_verifier import TrainingOutcome


def train_verifier(
    pools: list[str],
    model: str = "embedded:generator",
    output: str = "verifier",
    samples: int = 8,
    epochs: int = 3,
    learning_rate: float = 2e-4,
    head_learning_rate: float = 3e-3,
    rank: int = 16,
    dropout: float = 0.05,
    max_length: int = 2048,
    batch_tokens: int = 4096,
    pair_weight: float = 1.0,
    validation_share: float = 0.2,
    prompt_file: str | None = None,
    chat: bool | None = None,
    bfloat16: bool = False,
    device: str = "auto",
    seed: int = 0,
) -> None:
    """Train a verifier on labelled pools by LoRA on a language model; prints its worth on held-out questions.

    Args:
        pools: Folders of pools, or `hub:REPO_ID`, whose questions have gold answers; they need no scores.
        model: Base: a causal language model, best the generator itself, or an encoder; folder, hub id,
            `embedded:generator` or `package:NAME`.
        output: Folder for the verifier, which --verifier FOLDER takes. The run's state lies in FOLDER_training until it
            is done; the same command goes on from there.
        samples: Most samples of a question in an epoch, >= 2; every epoch draws others.
        epochs: Passes over the questions, >= 1; the one that ranks held-out samples best is kept, or the
            untrained start where none does better.
        learning_rate: Highest learning rate of the LoRA updates, > 0.
        head_learning_rate: That of the head, > 0.
        rank: Rank of the LoRA updates, >= 1.
        dropout: Dropout before them, in [0, 1).
        max_length: Most tokens of a question with its sample; longer samples are left out here, and refused later.
        batch_tokens: Tokens in one step at most, padding included.
        pair_weight: Weight of the loss on pairs of a question's right and wrong samples, >= 0.
        validation_share: Share of the questions that is held out, in (0, 1).
        prompt_file: Text file with {question} in it, where the base is to read another prompt than the generator.
        chat: Whether the prompt is a user's turn in the base's chat template; by default as it was for the generator.
        bfloat16: Whether the base's weights are kept in bfloat16.
        device: A torch device; `auto` takes CUDA where there is one.
        seed: Of the split, the samples, the updates and dropout, >= 0.
    """
    from dataclasses import replace

    from optscale_predictor._support.messages import last_line, say_loading
    from optscale_predictor.pools import Pool

    require_once(pools, "pool")
    opened = [Pool(pool) for pool in pools]
    say_loading("PyTorch and Lightning", "torch", "pytorch_lightning")
    from torch import OutOfMemoryError

    from optscale_predictor._support.training_loop.last_checkpoint import InterruptedRun
    from optscale_predictor.backends.verifiers.training.train_verifier import train_verifier as train
    from optscale_predictor.backends.verifiers.training.verifier_card import measured_rows, verifier_cautions
    from optscale_predictor.backends.verifiers.training.verifier_settings import VerifierSettings
    from optscale_predictor.pages.markdown import table
    from optscale_predictor.pools.labelled_pools import read_labelled
    from optscale_predictor.questions.prompts import PromptTemplate

    settings = VerifierSettings(
        samples=samples,
        epochs=epochs,
        learning_rate=learning_rate,
        head_learning_rate=head_learning_rate,
        rank=rank,
        dropout=dropout,
        max_length=max_length,
        batch_tokens=batch_tokens,
        pair_weight=pair_weight,
        validation_share=validation_share,
        bfloat16=bfloat16,
        seed=seed,
    )
    labelled = read_labelled(opened, max(samples * epochs, settings.held_out_samples), seed)
    if prompt_file is not None:
        labelled = replace(labelled, prompt=PromptTemplate.from_file(prompt_file).text)
    if chat is not None:
        labelled = replace(labelled, chat=chat)
    try:
        outcome = train(labelled, model, output, settings, device)
    except InterruptedRun as stopped:
        last_line(f"{stopped}; run the same command to go on")
        raise SystemExit(130) from None
    except OutOfMemoryError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{reason} Set batch_tokens or samples lower.") from None
    print("On held-out questions:\n")
    print(table(["number", "value"], measured_rows(outcome.config.metrics), aligned=True))
    _print_others(outcome)
    for line in verifier_cautions(outcome.config.metrics):
        logging.getLogger(__name__).warning("%s", line)
    print(f"\n{output}: use it as --verifier {output}")


def _print_others(outcome: "TrainingOutcome") -> None:
    """How well the pools' other verifiers rank those of the held-out samples that they have scored."""
    from optscale_predictor.backends.verifiers.training.held_out_figures import ranking_figures
    from optscale_predictor.pages.markdown import table

    held_out, rows = outcome.held_out, []
    for name, scores in {"this verifier": outcome.scores, **held_out.others}.items():
        known = ~np.isnan(scores)
        found = ranking_figures(scores[known], held_out.correct[known], held_out.question[known])
        if "auc_within" in found:
            error = found.get("auc_within_error", np.nan)
            rows.append([name, f"{found['auc_within']:.3f} ± {error:.3f}", f"{found['auc']:.3f}"])
    if len(rows) > 1:
        print("\nBeside the pools' own scores, on the same samples:\n")
        print(table(["score", "AUC within a question", "AUC"], rows, aligned=True))
