"""The verbs of ``optscale``: where each is, and what ``optscale --help`` says of it.

A table rather than imports: the help lists every verb without importing any. A verb's line here is the first line of
its docstring (a test holds them together).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class Verb:
    """One verb.

    Attributes:
        summary: What it does, in one line.
        function: Where it is, ``module:function`` below this package.
        lists: How many positional arguments stand before its list of any length; None where it has no list.
        passed_on: Whether its flags belong to another program (lm-eval, LightningCLI) and are handed over as they are.
        goes_on: Whether the same command, after it was ended, goes on where it had got to.
    """

    summary: str
    function: str
    lists: int | None = None
    passed_on: bool = False
    goes_on: bool = False

    def load(self) -> Callable[..., None]:
        """The function."""
        module, _, name = self.function.partition(":")
        loaded: Callable[..., None] = getattr(import_module(f"optscale_predictor.{module}"), name)
        return loaded


POOL_VERBS: Mapping[str, Verb] = {
    "info": Verb("Show what a pool holds, what it cost and what made it.", "cli.pool_command:info"),
    "validate": Verb(
        "Check every file and every row of a pool; one line a fault, and exit code 2 where there is any.",
        "cli.pool_command:validate",
    ),
    "merge": Verb(
        "Merge pools that were made with the same settings (base seeds may differ) into a new one.",
        "cli.pool_command:merge",
        lists=0,
    ),
    "export": Verb("Write a pool's samples to one file.", "cli.pool_command:export"),
    "import": Verb(
        "Make a pool of samples that others drew; what cannot be read is named by file and line, and nothing is "
        "written.",
        "cli.pool_command:import_",
        lists=1,
    ),
    "push": Verb(
        "Check a pool and put it on the hub as a data set, with a card; reads the hub's own login or HF_TOKEN.",
        "cli.pool_command:push",
    ),
}

#: Verbs by their words on the command line, in the order of the help.
VERBS: Mapping[str, Verb] = {
    "demo": Verb(
        "Run the whole path on a world; writes a table and a picture. A rerun continues where it stopped.",
        "cli.demo_command:demo",
        goes_on=True,
    ),
    "generate": Verb(
        "Sample answers into a pool; a rerun continues where it stopped.",
        "cli.generate_command:generate",
        goes_on=True,
    ),
    "score": Verb(
        "Score a pool's samples that have no score yet; generates nothing.", "cli.score_command:score", goes_on=True
    ),
    "targets": Verb(
        "Derive each question's score statistics and targets from a scored pool, with a dataset card and histograms.",
        "cli.targets_command:targets",
    ),
    **{f"pool {name}": verb for name, verb in POOL_VERBS.items()},
    "train": Verb(
        "Train a predictor; LightningCLI: optscale train fit --config FILE (also --help, --print_config).",
        "cli.train_verb:train",
        passed_on=True,
        goes_on=True,
    ),
    "predict": Verb(
        "Predict the prior of each question's scores: `id`, `mean`, `std` and `strength`, in the order given.",
        "cli.predict_command:predict",
    ),
    "assess": Verb(
        "Measure a predictor on held-out questions: accuracy against baselines, calibration, and the samples it saves.",
        "cli.assess_command:assess",
    ),
    "calibrate": Verb(
        "Fit the probability of a right answer to a labelled pool's scores; prints how reliable it is.",
        "cli.calibrate_command:calibrate",
    ),
    "fit-policy": Verb(
        "Fit when to stop and which answer to trust to labelled pools; prints what it does on held-out questions.",
        "cli.fit_policy_command:fit_policy",
        lists=0,
    ),
    "train-verifier": Verb(
        "Train a verifier on labelled pools by LoRA on a language model; prints its worth on held-out questions.",
        "cli.train_verifier_command:train_verifier",
        lists=0,
        goes_on=True,
    ),
    "train-generator": Verb(
        "Fine-tune a generator on worked solutions by LoRA; prints how likely it finds held-out ones.",
        "cli.train_generator_command:train_generator",
        lists=0,
        goes_on=True,
    ),
    "merge-generator": Verb(
        "Write a fine-tuned generator's base with its updates merged: a whole model, for vLLM, llama.cpp and others.",
        "cli.merge_generator_command:merge_generator",
    ),
    "answer": Verb(
        "Answer one question, or a file of them, and say what it cost and why it stopped.",
        "cli.answer_command:answer",
        goes_on=True,
    ),
    "replay": Verb(
        "Replay policies over a recorded pool; prints a Markdown table, and draws a picture with --output.",
        "cli.replay_command:replay",
    ),
    "tune": Verb(
        "Choose every policy's settings on one part of a labelled pool; prints what they do on the rest.",
        "cli.tune_command:tune",
    ),
    "paper-table": Verb(
        "Make the paper's table from recorded pools: every method at N = 8 to 64 beside the published figures.",
        "cli.paper_table_command:paper_table",
    ),
    "eval": Verb(
        "Run lm-eval with the OptScale model and tasks; takes every flag of lm-eval.",
        "evaluation.lm_eval.eval_command:evaluate",
        passed_on=True,
        goes_on=True,
    ),
    "report": Verb(
        "Report on runs: one HTML page that needs nothing else, pictures, and tables in Markdown, LaTeX and JSON.",
        "cli.report_command:report",
        lists=0,
    ),
    "serve": Verb(
        "Serve an OpenAI-compatible endpoint that answers with the chosen sample.", "cli.serve_command:serve"
    ),
    "publish": Verb(
        "Check a predictor, a trained verifier or a generator, write its card, upload it; or merge a predictor.",
        "cli.publish_command:publish",
    ),
}
