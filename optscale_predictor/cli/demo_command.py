"""The verb that runs the whole path on a world."""

from optscale_predictor._support.near_names import did_you_mean
from optscale_predictor.errors import InputError

_WORLDS = ("embedded", "smollm2")


def demo(
    output: str = "demo",
    world: str = "embedded",
    train_set: str | None = None,
    test_set: str | None = None,
    generator: str | None = None,
    verifier: str | None = None,
    verifier_questions: int | None = None,
    train_questions: int | None = None,
    test_questions: int | None = None,
    samples: int | None = None,
    epochs: int | None = None,
    live_questions: int | None = None,
    seed: int | None = None,
) -> None:
    """Run the whole path on a world; writes a table and a picture. A rerun continues where it stopped.

    Args:
        output: Folder for pools, verifier, targets, predictor, fitted policy, table.md, table.json and curve.png.
        world: `embedded` (sums, models that ship with the package) or `smollm2` (word problems, a fine-tuned
            SmolLM2-135M, a verifier trained on the way). Sizes that are not given are the world's own.
        train_set: Question set to learn from, as `generate --questions` takes it; `embedded:train`, or `svamp:train`.
        test_set: Question set to compare policies on; `embedded:test`, or `svamp:test`. Training questions that nearly
            are one of its questions are left out.
        generator: Asked with the world's prompt, in place of the world's own, such as one that
            `optscale train-generator` made.
        verifier: Scores the samples, as `score --verifier` takes it, in place of the world's own; none is trained then.
        verifier_questions: Questions whose samples the verifier is trained on, >= 20; smollm2 alone (60).
        train_questions: Questions whose samples the predictor learns from, >= 20; 300, or 60.
        test_questions: Questions that policies are compared on, >= 2; 200, or 50.
        samples: Of each question, >= 2; 32, or 16.
        epochs: Of the predictor's training, >= 1; 8, or 1.
        live_questions: Test questions answered live through lm-eval, >= 1; 60, or 10.
        seed: Of the samples and of all trainings, >= 0; the questions are always the same. The world's own is 0.
    """
    from dataclasses import replace
    from pathlib import Path

    from optscale_predictor._support.messages import last_line, say_loading

    if world not in _WORLDS:
        raise InputError(f"world must be one of {', '.join(_WORLDS)}, got {world!r}{did_you_mean(world, _WORLDS)}")
    say_loading("PyTorch and Lightning", "torch", "pytorch_lightning")
    from optscale_predictor._support.training_loop.last_checkpoint import InterruptedRun
    from optscale_predictor.cli.worlds.embedded_world import EMBEDDED_WORLD
    from optscale_predictor.cli.worlds.run_demo import run_demo
    from optscale_predictor.cli.worlds.smollm2_world import SMOLLM2_WORLD

    worlds = {one.name: one for one in (EMBEDDED_WORLD, SMOLLM2_WORLD)}
    own = worlds[world]
    chosen = replace(own, train_set=train_set or own.train_set, test_set=test_set or own.test_set)
    if generator is not None:
        chosen = chosen.with_generator(generator)
    if verifier is not None:
        chosen = chosen.with_verifier(verifier)
    if seed is not None:
        chosen = chosen.with_seed(seed)
    given = {
        "verifier_questions": verifier_questions,
        "train_questions": train_questions,
        "test_questions": test_questions,
        "samples": samples,
        "epochs": epochs,
        "live_questions": live_questions,
    }
    try:
        run_demo(chosen, Path(output), chosen.sized(given))
    except InterruptedRun as stopped:
        last_line(f"{stopped}; run the same command to go on")
        raise SystemExit(130) from None
