"""The cost estimate: hand-computed sums, where its numbers come from, and what the command line shows of it."""

import re

import pytest
from synthetic_pool import VERIFIER, write_pool

from optscale_predictor.backends.generators import Generator, Sample, SamplingParams, Usage
from optscale_predictor.backends.verifiers import Scores, Verifier
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.pools.manifest import record_run
from optscale_predictor.pools.preparation import generate_pool, score_pool
from optscale_predictor.pools.preparation.cost_estimate import (
    CostEstimate,
    RefinedEstimate,
    estimate_generation,
    estimate_scoring,
)
from optscale_predictor.questions.question import Question

QUESTIONS = [Question(f"q{number}", f"question {number}") for number in range(40)]


class Engine(Generator):
    """Draws what it is told to: sample k of the run has ``lengths[k]`` tokens."""

    def __init__(self, lengths, max_tokens=1000):
        self.sampling, self.usage, self._lengths = SamplingParams(max_tokens=max_tokens), Usage(), iter(lengths)

    def generate(self, requests):
        for request in requests:
            samples = [Sample("4", next(self._lengths), "stop", 0) for _ in range(request.num_samples)]
            yield request, samples

    def describe(self):
        return {"adapter": "told"}


class Reader(Verifier):
    """Reads three tokens a sample."""

    def score(self, items):
        return Scores.of([0.5] * len(items), 3)

    def describe(self):
        return {"adapter": "reader"}


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (7860, "2 h 11 min"), (180000, "2 d 2 h")],
)
def test_an_estimate_is_questions_times_samples_times_tokens(seconds, said):
    estimate = CostEstimate(10, 640, 50.0, "somewhere", 640 / seconds)
    assert estimate.tokens == 32_000 and estimate.seconds == pytest.approx(seconds)
    assert str(estimate).startswith("640 samples of 10 questions x 50.0 tokens (somewhere) = 32,000 tokens; " + said)


def test_what_is_not_known_is_not_said():
    estimate = CostEstimate(10, 640, None, "nowhere")
    assert estimate.tokens is None and estimate.seconds is None
    assert str(estimate) == "640 samples of 10 questions; how long that takes, the first samples will tell"


def test_the_mean_comes_from_the_pool_then_from_the_user_then_from_the_limit(tmp_path):
    # Tokens 10 and 11 in each of two questions (synthetic_pool): 10.5 on average.
    pool = write_pool(tmp_path / "pool", [[0.5, 0.5], [0.5, 0.5]])
    estimate = estimate_generation(pool, 4, 100, 256, expected_tokens=77)
    assert (estimate.tokens_each, estimate.source) == (10.5, "mean of this pool's samples")
    bare = write_pool(tmp_path / "bare", [[0.5]], rows=[{"question_id": "q0", "sample_index": 0, "text": "an import"}])
    assert bare.read().num_rows == 1
    estimate = estimate_generation(bare, 4, 100, 256, expected_tokens=77)
    assert (estimate.tokens, estimate.source) == (7700, "as expected_tokens says")
    estimate = estimate_generation(bare, 4, 100, 256)
    assert (estimate.tokens, estimate.source) == (25600, "max_tokens, an upper bound")
    for bad in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="expected_tokens must be > 0"):
            estimate_generation(bare, 4, 100, 256, expected_tokens=bad)


def test_scoring_reads_what_was_written_until_it_is_known_what_it_reads(tmp_path):
    pool = write_pool(tmp_path / "pool", [[0.5, 0.5], [0.5, 0.5]])
    estimate = estimate_scoring(pool, "score_other", 4)
    assert (estimate.tokens, estimate.questions) == (42, 2) and "the verifier reads the questions too" in str(estimate)
    estimate = estimate_scoring(pool, "score", 4)
    assert estimate.tokens == 28  # its verifier read 7 tokens of each
    assert estimate_scoring(pool, "score", 4, reads_tokens=False).tokens is None


def test_the_time_comes_from_the_last_run_of_the_same_kind(tmp_path):
    pool = write_pool(tmp_path / "pool", [[0.5, 0.5]])
    assert estimate_generation(pool, 1, 10, 256).seconds is None
    record_run(pool.folder, {"stage": "generate", "samples": 100, "seconds": 50.0})
    record_run(pool.folder, {"stage": "generate", "samples": 100, "seconds": 10.0})
    record_run(pool.folder, {"stage": "generate", "samples": 0, "seconds": 1.0})
    record_run(pool.folder, {"stage": "score", "column": "score", "samples": 100, "seconds": 1.0})
    record_run(pool.folder, {"stage": "generate", "samples": "many", "seconds": None})
    assert estimate_generation(pool, 1, 30, 256).seconds == pytest.approx(3)
    assert estimate_scoring(pool, "score", 30).seconds == pytest.approx(0.3)
    assert estimate_scoring(pool, "score_other", 30).seconds is None


def test_the_first_samples_make_the_estimate_anew_once():
    said = []
    refinement = RefinedEstimate(CostEstimate(10, 1000, 256.0, "a bound"), said.append, enough=20)
    for number in range(1, 51):  # 4 samples of 30 tokens each, every half second
        refinement.add(4, 120, number / 2)
    # A tenth of 1,000 samples is more than 20; at 100 samples 12.5 s have passed, so all take 125 s.
    assert said == [
        "estimate, made anew: 1,000 samples of 10 questions x 30.0 tokens (mean of the first 100; long prompts may "
        "come first) = 30,000 tokens; 2 min 5 s at 8.0 samples/s (so far)"
    ]


def test_a_short_run_or_a_known_rate_needs_no_second_estimate():
    said = []
    for estimate in (CostEstimate(1, 39, 256.0, "a bound"), CostEstimate(1, 1000, 30.0, "the pool", rate=5.0)):
        refinement = RefinedEstimate(estimate, said.append, enough=20)
        for number in range(1, 101):
            refinement.add(10, 300, float(number))
    assert not said


def test_generating_and_scoring_say_what_they_will_cost(tmp_path, capsys):
    folder = tmp_path / "pool"
    generate_pool(folder, QUESTIONS, Engine([50] * 640), 16)
    lines = estimates(capsys)
    assert lines[0].startswith("estimate: 640 samples of 40 questions x 1,000.0 tokens (max_tokens, an upper bound)")
    assert "= 640,000 tokens" in lines[0]
    assert lines[1].startswith("estimate, made anew: 640 samples of 40 questions x 50.0 tokens (mean of the first 256")
    assert "= 32,000 tokens" in lines[1] and len(lines) == 2
    generate_pool(folder, QUESTIONS, Engine([70] * 80), 18)
    lines = estimates(capsys)
    assert lines[0].startswith("estimate: 80 samples of 40 questions x 50.0 tokens (mean of this pool's samples) = 4,0")
    assert lines[0].endswith("samples/s (as in this pool's last run)") and len(lines) == 1
    score_pool(folder, Reader(), "score_reader")
    lines = estimates(capsys)
    mean = (640 * 50 + 80 * 70) / 720
    assert lines[0].startswith(f"estimate: 720 samples of 40 questions x {mean:.1f} tokens (mean of this pool's samp")
    assert "x 3.0 tokens (mean of the first" in lines[1]
    score_pool(folder, Reader(), "score_reader")
    generate_pool(folder, QUESTIONS, Engine([]), 18)
    assert not estimates(capsys)  # nothing is left to do
    generate_pool(folder, QUESTIONS, Engine([70] * 40), 19, progress=False)
    assert not estimates(capsys)


def test_what_was_refused_counts_where_it_is_tried_again(tmp_path, capsys):
    write_pool(tmp_path / "pool", [[None, 0.5, None]])
    reader = Reader()
    reader.describe = lambda: VERIFIER
    score_pool(tmp_path / "pool", reader)
    assert not estimates(capsys)
    score_pool(tmp_path / "pool", reader, retry_refused=True)
    assert estimates(capsys)[0].startswith("estimate: 2 samples of 1 questions x 7.0 tokens")


def test_the_command_line_takes_expected_tokens(tmp_path, capsys):
    flags = ["--questions", "embedded:train:2", "--num_samples", "2", "--expected_tokens", "60"]
    main(["generate", str(tmp_path / "pool"), *flags])
    lines = estimates(capsys)
    assert "4 samples of 2 questions x 60.0 tokens (as expected_tokens says) = 240 tokens" in lines[0]
    with pytest.raises(SystemExit) as stopped:
        main(["generate", str(tmp_path / "other"), *flags[:-1], "0"])
    assert stopped.value.code == 2 and "expected_tokens must be > 0, got 0" in capsys.readouterr().err


def estimates(capsys):
    """The estimates among what was shown on standard error."""
    shown = capsys.readouterr()
    assert "estimate" not in shown.out
    return [line.strip() for line in re.split("[\r\n]", shown.err) if line.startswith("estimate")]
