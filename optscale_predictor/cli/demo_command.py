"""The verb that runs the whole path on the embedded world."""


def demo(
    output: str = "demo",
    train_questions: int = 400,
    test_questions: int = 200,
    epochs: int = 12,
    live_questions: int = 60,
) -> None:
    """Run the whole path on the embedded world; writes a table and a picture. A rerun continues where it stopped.

    Args:
        output: Folder for pools, targets, predictor, fitted policy, table.md, table.json and curve.png.
        train_questions: Questions whose samples the predictor learns from, >= 20.
        test_questions: Questions that policies are compared on, >= 2.
        epochs: Of the predictor's training, >= 1.
        live_questions: Questions answered live through lm-eval, >= 1.
    """
    from pathlib import Path

    from optscale_predictor.cli.run_demo import Sizes, run_demo
    from optscale_predictor.errors import InputError

    smallest = {"train_questions": 20, "test_questions": 2, "epochs": 1, "live_questions": 1}
    sizes = Sizes(train_questions, test_questions, epochs, live_questions)
    for name, least in smallest.items():
        if getattr(sizes, name) < least:
            raise InputError(f"{name} must be >= {least}, got {getattr(sizes, name)}")
    run_demo(Path(output), sizes, lambda text: print(text, flush=True))
