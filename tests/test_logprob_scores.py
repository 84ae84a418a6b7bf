"""Scores without a verifier: what they are, that a pool and a live run give the same, and what they are refused for."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.backends.generators import SamplingParams, VLLMOptions
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.backends.token_logprobs import COLUMNS, GROUP_SIZES, LogprobSummary
from optscale_predictor.backends.verifiers import Answered, score_samples
from optscale_predictor.backends.verifiers.combined import ScoreCombination
from optscale_predictor.backends.verifiers.logprobs import LogprobVerifier
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.lm_eval.model_args import Arguments
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import parse_policy
from optscale_predictor.pools import Pool
from optscale_predictor.pools.preparation import generate_pool, score_pool
from optscale_predictor.pools.validation import validate_pool
from optscale_predictor.predictor.provenance import first_difference, source_of_engines, source_of_pool
from optscale_predictor.questions.arithmetic import make_questions
from optscale_predictor.questions.question import Question

QUESTIONS = make_questions(6, 0, "test")
NAMES = ["logprobs:mean", "logprobs:lowest_group", "logprobs:lowest_group:8", "logprobs:self_certainty"]
SUM = Question("q", "7+5=")


def told(*logprobs, certainty=None):
    certainties = [] if certainty is None else [certainty] * len(logprobs)
    return Answered(SUM, "12", logprobs=LogprobSummary.of_tokens(list(logprobs), certainties))


@pytest.fixture(scope="module")
def generator():
    return HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=80, logprobs=True), device="cpu")


@pytest.fixture(scope="module")
def pool(generator, tmp_path_factory):
    return generate_pool(tmp_path_factory.mktemp("told") / "pool", QUESTIONS, generator, 4, progress=False)


def column_of(pool, name):
    return np.array(Pool(pool.folder).read([name])[name].to_pylist(), float)


def test_the_mean_is_the_geometric_mean_of_the_tokens_probabilities():
    chances = np.array([0.9, 0.5, 0.2])
    (score,) = LogprobVerifier("logprobs:mean").score([told(*np.log(chances))]).values
    assert score == pytest.approx(chances.prod() ** (1 / 3), rel=1e-6)


def test_one_bad_passage_decides_the_lowest_group_and_not_the_mean():
    steady, lapse = [-0.2] * 64, [-0.1] * 56 + [-0.9] * 8
    items = [told(*steady), told(*lapse)]
    first, second = LogprobVerifier("logprobs:mean").score(items).values
    assert first == pytest.approx(second, rel=1e-5)
    first, second = LogprobVerifier("logprobs:lowest_group:8").score(items).values
    assert first == pytest.approx(np.exp(-0.2), rel=1e-5) and second == pytest.approx(np.exp(-0.9), rel=1e-5)


@given(st.lists(st.tuples(st.floats(-20, 0), st.floats(0, 40)), min_size=2, max_size=8))
def test_maps_are_increasing_and_lie_in_the_unit_interval(pairs):
    items = [told(logprob, certainty=certainty) for logprob, certainty in pairs]
    for name, part in zip(NAMES, (0, 0, 0, 1), strict=True):
        values = LogprobVerifier(name).score(items).values
        order = np.argsort([pair[part] for pair in pairs], kind="stable")
        assert (np.diff(values[order]) >= 0).all() and (values >= 0).all() and (values <= 1).all()


@pytest.mark.parametrize("name", ["logprobs:", "logprobs:median", "logprobs:mean:8", "logprobs:lowest_group:7"])
def test_a_measure_that_is_none_is_named(name):
    with pytest.raises(InputError, match=f"verifier '{name}': (expected one of logprobs:mean, |groups are of 8, 32, )"):
        VerifierOptions(name).build()
    with pytest.raises(InputError, match="takes no verifier_url"):
        VerifierOptions("logprobs:mean", url="http://x/v1").build()


def test_a_sample_without_them_is_refused_and_a_generator_without_them_ends_the_run():
    verifier, bare = LogprobVerifier("logprobs:self_certainty"), Answered(SUM, "12")
    with pytest.raises(InputError, match="'q': the sample has no log-probabilities"):
        verifier.score([bare, bare])
    with pytest.raises(InputError, match="'q': self-certainty needs each token's whole distribution"):
        verifier.score([told(-0.1)])
    found = score_samples(verifier, [told(-0.1, certainty=10.0), bare, Answered(SUM, " ")])
    assert found.values[[0, 2]].tolist() == [0.5, 0.0] and list(found.refusals) == [1]


@pytest.mark.parametrize("name", NAMES)
def test_a_live_run_and_a_pool_give_the_same_scores(name, generator, tmp_path):
    """Live the generator is asked for them by the verifier; what the run kept is then scored anew."""
    silent = generator.with_sampling(replace(generator.sampling, logprobs=False))
    verifier = VerifierOptions(name).build()
    scaler = OptScale(silent, verifier, policy=parse_policy("best_of_n:max_samples=3"))
    answers = scaler.answer(QUESTIONS, pool=tmp_path / "pool")
    kept = score_pool(tmp_path / "pool", LogprobVerifier(name), "score_again", progress=False)
    assert kept.keeps_logprobs and list(validate_pool(kept.folder)) == []
    live = np.concatenate([answer.scores for answer in answers])
    assert (live == column_of(kept, "score")).all() and (live == column_of(kept, "score_again")).all()
    assert len(set(live.tolist())) > len(live) / 2


def test_a_pool_keeps_them_in_columns_that_other_programs_read(pool, tmp_path):
    rows = pool.read().to_pylist()
    assert all(row[name] is not None for row in rows for name in COLUMNS)
    assert all(row["logprob_lowest_2048"] == row["logprob_mean"] <= 0 for row in rows)  # answers are shorter
    main(["pool", "export", str(pool.folder), str(tmp_path / "pool.csv")])
    with (tmp_path / "pool.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    means = {(row["question_id"], row["sample_index"]): row["logprob_mean"] for row in rows}
    assert {(row["question_id"], int(row["sample_index"])): float(row["logprob_mean"]) for row in cells} == {
        key: pytest.approx(value, rel=1e-6) for key, value in means.items()
    }


def test_a_pool_without_them_says_which_flag_writes_them_and_takes_none_in(generator, tmp_path, capsys):
    silent = generator.with_sampling(replace(generator.sampling, logprobs=False))
    folder = generate_pool(tmp_path / "pool", QUESTIONS[:2], silent, 2, progress=False).folder
    with pytest.raises(SystemExit) as ended:
        main(["score", str(folder), "--verifier", "logprobs:mean"])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.count("\n") == 1 and "optscale generate ... --logprobs true" in said
    assert Pool(folder).scores == {} and not set(COLUMNS) & set(Pool(folder).schema.names)
    with pytest.raises(InputError, match=r"generator\.logprobs was None, now True"):
        generate_pool(folder, QUESTIONS[:2], generator, 3, progress=False)


def test_a_pool_that_lacks_self_certainty_says_what_tells_it(generator, tmp_path):
    class Bare(HuggingFaceGenerator):
        def __init__(self):
            vars(self).update(vars(generator))

        def generate(self, requests):
            for request, samples in super().generate(requests):
                yield request, [replace(one, logprobs=replace(one.logprobs, self_certainty=None)) for one in samples]

    folder = generate_pool(tmp_path / "pool", QUESTIONS[:2], Bare(), 2, progress=False).folder
    score_pool(folder, LogprobVerifier("logprobs:mean"), progress=False)
    with pytest.raises(InputError, match="transformers in process alone tells"):
        score_pool(folder, LogprobVerifier("logprobs:self_certainty"), "score_certainty", progress=False)
    live = Bare()
    live.tells_self_certainty = False
    with pytest.raises(InputError, match="scores what this generator does not tell"):
        OptScale(live, LogprobVerifier("logprobs:self_certainty"), policy=parse_policy("best_of_n:max_samples=2"))


def test_what_was_learnt_of_one_measure_is_not_used_with_another(pool, generator):
    scored = score_pool(pool.folder, LogprobVerifier("logprobs:lowest_group"), "score_lowest", progress=False)
    learnt = source_of_pool(scored.manifest, "score_lowest")
    own = source_of_engines(generator, LogprobVerifier(f"logprobs:lowest_group:{GROUP_SIZES[1]}"), None)
    assert first_difference(learnt, own) is None
    for name in ("logprobs:mean", "logprobs:lowest_group:8"):
        difference = first_difference(learnt, source_of_engines(generator, LogprobVerifier(name), None))
        assert difference == f"verifier '{name}', where it was 'logprobs:lowest_group:32'"


def test_a_combination_of_them_is_asked_live_as_in_a_pool(generator, tmp_path):
    parts = tuple(dict(LogprobVerifier(name).describe()) for name in NAMES[:2])
    ScoreCombination(("score", "score_lowest"), parts, (1.0, 0.5), 0.2).save(tmp_path / "both")
    both = VerifierOptions(f"combined:{tmp_path / 'both'}").build()
    silent = generator.with_sampling(replace(generator.sampling, logprobs=False))
    scaler = OptScale(silent, both, policy=parse_policy("best_of_n:max_samples=2"))
    answers = scaler.answer(QUESTIONS[:2], pool=tmp_path / "pool")
    kept = score_pool(tmp_path / "pool", both, "score_again", progress=False)
    assert np.concatenate([answer.scores for answer in answers]).tolist() == column_of(kept, "score_again").tolist()


def test_commands_answer_by_them_with_no_second_model(capsys, monkeypatch):
    from optscale_predictor.backends.verifiers import likelihood

    monkeypatch.setattr(likelihood, "LikelihoodVerifier", None)
    main(["answer", "7+5=", "--verifier", "logprobs:mean", "--policy", "best_of_n:max_samples=3"])
    assert "after 3 samples" in capsys.readouterr().out
    scaler = Arguments.of({"verifier": "logprobs:mean", "policy": "best_of_n:max_samples=2"}).scaler()
    assert scaler.generator.sampling.logprobs
    one, other = (Arguments.of({"logprobs": given}).fingerprint() for given in (True, False))
    assert one == other  # answers are the same


def test_vllm_may_not_tell_others_than_the_models_own():
    assert GeneratorOptions(vllm=VLLMOptions(more={"logprobs_mode": "raw_logprobs"})).vllm.more
    with pytest.raises(InputError, match="logprobs_mode must be raw_logprobs"):
        VLLMOptions(more={"logprobs_mode": "processed_logprobs"})
