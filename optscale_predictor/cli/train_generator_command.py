"""The verb that fine-tunes a generator on worked solutions."""

from optscale_predictor._support.outputs import require_once
from optscale_predictor.errors import InputError


def train_generator(
    questions: list[str],
    model: str = "embedded:generator",
    output: str = "generator",
    limit: int | None = None,
    epochs: int = 3,
    learning_rate: float = 5e-4,
    rank: int = 8,
    dropout: float = 0.0,
    max_length: int = 2048,
    batch_tokens: int = 2048,
    validation_share: float = 0.1,
    prompt_file: str | None = None,
    chat: bool = False,
    bfloat16: bool = False,
    adapter_precision: str = "bfloat16",
    device: str = "auto",
    seed: int = 0,
) -> None:
    """Fine-tune a generator on worked solutions by LoRA; prints how likely it finds held-out ones.

    Args:
        questions: JSON lines or CSV, plain or gzip, with `question` and `solution` (or an `equation` in prefix form
            with its `answer`, or a worked `answer` that ends in `#### 72`), or named sets such as `gsm8k:train`.
        model: Base: a causal language model; folder, GGUF file, hub id, `embedded:generator` or `package:NAME`.
        output: Folder for the LoRA updates, which --generator FOLDER takes. The run's state lies in FOLDER_training
            until it is done; the same command goes on from there.
        limit: Use only the first questions of each set.
        epochs: Passes over the questions, >= 1; the one with the lowest held-out loss is kept, or the untrained start
            where none does better.
        learning_rate: Highest learning rate, > 0.
        rank: Rank of the LoRA updates, >= 1.
        dropout: Dropout before them, in [0, 1).
        max_length: Most tokens of a prompt with its solution; longer ones are left out.
        batch_tokens: Tokens in one step at most, padding included.
        validation_share: Share of the questions that is held out, in (0, 1).
        prompt_file: Text file with {question} in it; by default `Question: {question}`, then a line `Answer:`;
            with --chat the bare question.
        chat: Whether the prompt is a user's turn in the base's chat template.
        bfloat16: Whether the base's weights are kept in bfloat16 while it is trained.
        adapter_precision: Of the updates that are written and measured, `bfloat16` or `float32`.
        device: A torch device; `auto` takes CUDA where there is one.
        seed: Of the split, the order, the updates and dropout, >= 0.
    """
    from optscale_predictor._support.messages import last_line, say_loading

    require_once(questions, "question set")
    say_loading("PyTorch and Lightning", "torch", "pytorch_lightning")
    from torch import OutOfMemoryError

    from optscale_predictor._support.training_loop.last_checkpoint import InterruptedRun
    from optscale_predictor.backends.generators.training.fine_tuning import DEFAULT_PROMPT, fine_tune
    from optscale_predictor.backends.generators.training.generator_card import measured_rows
    from optscale_predictor.backends.generators.training.generator_settings import GeneratorSettings
    from optscale_predictor.pages.markdown import table
    from optscale_predictor.questions.prompts import PromptTemplate
    from optscale_predictor.questions.worked_solutions import load_solved_questions

    settings = GeneratorSettings(
        epochs=epochs,
        learning_rate=learning_rate,
        rank=rank,
        dropout=dropout,
        max_length=max_length,
        batch_tokens=batch_tokens,
        validation_share=validation_share,
        bfloat16=bfloat16,
        adapter_precision=adapter_precision,
        seed=seed,
    )
    usual = "{question}" if chat else DEFAULT_PROMPT
    prompt = usual if prompt_file is None else PromptTemplate.from_file(prompt_file).text
    solved = load_solved_questions(questions, limit)
    try:
        outcome = fine_tune(solved, model, output, settings, prompt, chat, device)
    except InterruptedRun as stopped:
        last_line(f"{stopped}; run the same command to go on")
        raise SystemExit(130) from None
    except OutOfMemoryError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{reason} Set batch_tokens lower.") from None
    print("On held-out questions:\n")
    print(table(["number", "value"], measured_rows(outcome.config.metrics), aligned=True))
    print(f"\n{output}: use it as --generator {output}")
