"""The benchmarks that ``run_all.py`` runs, at sizes of minutes, and those that it does not run, and why.

An argument may hold places in braces that a flag of ``run_all.py`` fills: ``{vllm}`` and ``{its_hub}`` are interpreters
of environments that have these, ``{data}`` a folder of data that does not ship with the project, ``{build}`` the
checkout that ours is compared with, ``{commit}`` its commit. A benchmark whose places are not all filled cannot run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from string import Formatter

OTHER_BUILD = "the build of {commit}"

#: What fills a place, for a reader who has to.
PLACES = {
    "vllm": "an interpreter that has vLLM (--vllm_python)",
    "its_hub": "an interpreter that has its-hub (--its_hub; peers.py --install makes one)",
    "optillm": "an interpreter that has optillm (--optillm; peers.py --install makes one)",
    "data": "data that does not ship with the project (--data)",
    "build": "a checkout of another build (--baseline)",
    "commit": "the commit of another build (--baseline)",
}


@dataclass(frozen=True)
class Benchmark:
    """A file of this folder, and how it runs small.

    Attributes:
        name: Of the file, without ``.py``.
        arguments: Its small size; may hold places.
        baseline: What is on the other side of its ratios; may hold places. Its own output says so too, but where it is
            another build: it then prints costs, and is run with both builds in turns.
        modules: What must be installed beside the package's core.
        label: Tells entries of one file apart.
        most_repeats: Runs of each build, at most, where there are two: fewer where each starts a server of minutes.
    """

    name: str
    arguments: tuple[str, ...]
    baseline: str
    modules: tuple[str, ...] = ()
    label: str = ""
    most_repeats: int = 100

    @property
    def title(self) -> str:
        """Its name in tables and of its files; no other entry has it."""
        return f"{self.name}-{self.label}" if self.label else self.name

    @property
    def of_two_builds(self) -> bool:
        """Whether it is run with both builds, which print costs."""
        return self.baseline == OTHER_BUILD

    @property
    def places(self) -> set[str]:
        """Those of :data:`PLACES` that it needs."""
        texts = (*self.arguments, self.baseline)
        return {place for text in texts for _, place, _, _ in Formatter().parse(text) if place}

    def filled(self, places: Mapping[str, str]) -> list[str]:
        """Its arguments.

        Args:
            places: What is known of :data:`PLACES`, by name; all that it needs.
        """
        return [argument.format_map(places) for argument in self.arguments]

    def missing(self, places: Mapping[str, str]) -> list[str]:
        """What has to be there for it to run and is not, in words.

        Args:
            places: What is known of :data:`PLACES`, by name.
        """
        lacking = [PLACES[place] for place in sorted(self.places - places.keys())]
        lacking += [f"the package {module}" for module in self.modules if find_spec(module) is None]
        if not lacking:
            files = [text for text in self.arguments if text.startswith("{data}/")]
            absent = [file for file in files if not Path(file.format_map(places)).exists()]
            lacking = [f"the file {file.removeprefix('{data}/')} of --data" for file in absent]
        return lacking


VLLM = ("--vllm_python", "{vllm}")
#: In the order in which they run: the quickest first.
BENCHMARKS = (
    Benchmark("fits", ("--sets", "1000", "--compare", "100"), "L-BFGS in (mu, sigma), as the published code fits"),
    Benchmark(
        "decision_speed",
        ("--baseline", "{build}", "--answers", "300", "--rounds", "10"),
        "the build of {commit}, in turns",
    ),
    Benchmark("fit_scale", ("--questions", "200000"), OTHER_BUILD),
    Benchmark("score_pools", ("--data", "{data}/math_score_stats/train.jsonl.gz"), "the published code's algorithm"),
    Benchmark("split_votes", ("--questions", "{data}/questions/math500.jsonl.gz"), "votes by spelling"),
    Benchmark(
        "answer_speed",
        ("--questions", "{data}/questions/math500.jsonl.gz", "--pairs", "1000"),
        "math-verify pair by pair",
    ),
    Benchmark("start_up", ("--against", "{commit}", "--repeats", "3"), "the build of {commit}, by its own worktree"),
    Benchmark("pool_scale", ("--samples", "6400"), OTHER_BUILD),
    Benchmark("million_samples", ("--baseline", "{build}", "--part", "100"), "the build of {commit}, in turns"),
    Benchmark(
        "in_flight",
        ("--in_flight", "50", "500", "--rounds", "1"),
        OTHER_BUILD,
        ("aiohttp", "tenacity"),
        most_repeats=2,
    ),
    Benchmark(
        "training_speed", ("--steps", "3", "--batch_size", "4"), "the published code's padding; Hugging Face Trainer"
    ),
    Benchmark(
        "transformers_engines",
        ("--size", "small", "--questions", "16", "--samples", "8", "--mean-tokens", "60"),
        "transformers' generate",
    ),
    Benchmark("engines", ("--questions", "40", "--samples", "16"), "transformers in process", ("ray",)),
    Benchmark(
        "serving",
        ("--requests", "500", "--compared", "100", "--rounds", "2"),
        "the generator's server, asked directly",
        ("aiohttp", "pydantic", "prometheus_client"),
    ),
    Benchmark("server", (*VLLM, "--questions", "100", "--num_samples", "8", "--rounds", "2"), "vLLM's batch API"),
    Benchmark("loop_cost", (*VLLM, "--questions", "200", "--in_flight", "200"), OTHER_BUILD, most_repeats=1),
    Benchmark(
        "wall_time",
        ("--vllm", "{vllm}", "--alone", "--questions", "100", "--repeats", "2", "--concurrency", "64"),
        "best_of_n:max_samples=32, same server",
    ),
    Benchmark(
        "paced_engine",
        ("--questions", "60", "--places", "64"),
        "best_of_n:max_samples=32, same paced server",
        ("aiohttp", "httptools"),
    ),
    Benchmark(
        "peers",
        (*VLLM, "--its_hub", "{its_hub}", "--optillm", "{optillm}", "--questions", "60"),
        "its-hub 1.2.0's BestOfN; optillm 0.4.0's bon and self_consistency",
        ("aiohttp",),
    ),
)

#: Files of this folder that the suite does not run.
NOT_RUN = {
    "answers": "grades spellings: a share of right verdicts, no cost",
    "answers_graders": "the graders that answers.py asks",
    "captured_output": "what commands show on the way, at a terminal and in a file",
    "coverage": "whether a guarantee is kept: no cost",
    "early_rejection": "needs a scored pool; tokens at equal accuracy, with intervals",
    "embedded_world": "the model card's figures",
    "fitted_stopping": "ratios of tokens with intervals, an hour at any size that says something",
    "installs": "clean environments by Python, extra and versions: they install and run, or not",
    "learnt_priors": "needs two pools that are hours of generation",
    "math_cross_validation": "accuracy of a predictor, hours",
    "math_predictor": "trains predictors, hours",
    "mutation_table": "reads what `make mutants` found",
    "real_model_engines": "needs a GGUF file, two servers and an hour",
    "recorded_pools": "accuracy and tokens of every policy, with settings chosen on one half",
    "replay_scale": "grows with sizes that take minutes each",
    "run_all": "the suite itself",
    "soak": "an account of tokens and memory: it passes or fails",
}
