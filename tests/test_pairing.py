"""A predictor serves the generator and verifier whose scores it has learnt, and is refused for others in one line."""

import json
from dataclasses import replace

import pytest
from small_pools import settings_of, write_scored
from small_predictors import DECODER, make_predictor, priors

from optscale_predictor import OptScale
from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.backends.verifiers import LogisticMap, RewardVerifier, Scores
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.policies import BestOfN
from optscale_predictor.pools import Pool
from optscale_predictor.pools.preparation import generate_pool, score_pool
from optscale_predictor.predictor.model.config import PredictorConfig, ScoreSource
from optscale_predictor.predictor.provenance import (
    first_difference,
    lend_score_map,
    require_pairing,
    source_of_engines,
    source_of_pool,
    source_of_targets,
)
from optscale_predictor.questions.prompts import PromptTemplate
from optscale_predictor.questions.question import Question
from optscale_predictor.targets import write_dataset

LEARNT = ScoreSource(
    "default",
    "org/generator",
    {"temperature": 0.7, "stop": [], "max_tokens": 64, "prompt": "{question}"},
    "org/judge",
    "mean",
    {"location": 0.5, "scale": 2.0, "fitted": "labels", "samples": 100},
    {"layout": "qwen", "separator": "\n\n"},
)


def config(*sources):
    return PredictorConfig(DECODER, sources=list(sources or [LEARNT]))


@pytest.mark.parametrize(
    ("live", "says"),
    [
        ({"generator": "org/another"}, "generator 'org/another', where it was 'org/generator'"),
        ({"generator": "other/generator"}, "generator 'other/generator', where it was 'org/generator'"),
        ({"verifier": "org/grader"}, "verifier 'org/grader', where it was 'org/judge'"),
        ({"aggregation": "min"}, "aggregation 'min', where it was 'mean'"),
        ({"score_map": {"location": 0.5, "scale": 1.0}}, "score map scale 1.0, where it was 2.0"),
        ({"score_map": "logit"}, "score map 'logit', where it was {'location'"),
        ({"reading": {"layout": "skywork"}}, "verifier's layout 'skywork', where it was 'qwen'"),
        ({"decoding": {"temperature": 1.0}}, "decoding temperature 1.0, where it was 0.7"),
        ({"decoding": {"stop": ["\n"]}}, r"decoding stop ['\n'], where it was []"),
        ({"decoding": {"prompt": "Solve {question}"}}, "decoding prompt 'Solve {question}', where it was '{question}'"),
        ({"generator": "a/b", "verifier": "c/d", "decoding": {"temperature": 9}}, "generator 'a/b'"),
    ],
)
def test_the_first_difference_is_named(live, says):
    with pytest.raises(InputError) as raised:
        require_pairing(config(), replace(LEARNT, **live))
    assert (
        says in str(raised.value)
        and "\n" not in str(raised.value)
        and "--allow_source_mismatch true" in str(raised.value)
    )
    assert require_pairing(config(), replace(LEARNT, **live), allow_source_mismatch=True) == "default"


@pytest.mark.parametrize(
    "live",
    [
        {},
        {"name": "another"},
        {"generator": None, "verifier": None, "aggregation": None, "score_map": None, "reading": {}, "decoding": {}},
        {"generator": "generator"},  # the folder that it was copied to
        {"decoding": {"temperature": 0.7, "top_p": 0.9}},  # not recorded: not compared
        {"score_map": {"location": 0.5, "scale": 2.0, "fitted": "quartiles", "samples": 7}},
    ],
)
def test_what_is_the_same_or_not_known_is_let_through(live):
    assert require_pairing(config(), replace(LEARNT, **live)) == "default"
    assert first_difference(ScoreSource(), replace(LEARNT, **live)) is None


def test_of_several_sources_the_one_that_fits_is_taken():
    other = replace(LEARNT, name="other", generator="org/another")
    both = config(LEARNT, other)
    assert require_pairing(both, LEARNT) == "default" and require_pairing(both, replace(other, name="x")) == "other"
    with pytest.raises(InputError, match="generator 'org/generator', where it was 'org/another'"):
        require_pairing(both, LEARNT, "other")
    assert require_pairing(both, LEARNT, "other", allow_source_mismatch=True) == "other"
    with pytest.raises(InputError, match="several sources that may be meant: default, other; name one"):
        require_pairing(both, ScoreSource())
    with pytest.raises(InputError, match=r"other scores than these \(default: verifier .*; other: generator"):
        require_pairing(both, replace(LEARNT, verifier="org/grader"))
    with pytest.raises(InputError, match="source must be one of default, other: got 'none'"):
        require_pairing(both, LEARNT, "none")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A pool of the embedded world, its targets, and the engines that made it."""
    folder = tmp_path_factory.mktemp("world")
    generator = GeneratorOptions(DECODER, SamplingParams(max_tokens=8, seed=3)).build()
    verifier = VerifierOptions("embedded:verifier").build()
    questions = [Question(f"q{number}", f"{number}+{number}=", str(2 * number)) for number in range(1, 5)]
    generate_pool(folder / "pool", questions, generator, 2, progress=False)
    pool = score_pool(folder / "pool", verifier, progress=False)
    write_dataset(pool, folder / "targets" / "targets.parquet")
    return folder, generator, verifier


def test_a_source_is_the_same_by_pool_targets_and_engines(world):
    folder, generator, verifier = world
    by_pool = source_of_pool(Pool(folder / "pool").manifest)
    by_targets = source_of_targets(folder / "targets" / "targets.parquet")
    by_engines = source_of_engines(generator, verifier, PromptTemplate(), "default")
    assert by_pool == by_targets == by_engines
    assert by_pool.generator == DECODER and by_pool.verifier == "embedded:verifier"
    assert by_pool.decoding["max_tokens"] == 8 and by_pool.decoding["prompt"] == "{question}"
    assert by_pool.score_map.keys() == {"intercept", "lowest", "total"}
    assert "seed" not in by_pool.decoding and "adapter" not in by_pool.decoding
    assert "prompt" not in source_of_engines(generator, verifier, None).decoding
    (folder / "x.jsonl").write_text("{}")
    assert source_of_targets(folder / "x.jsonl", "mine") == ScoreSource("mine")


def test_imported_pools_and_other_verifiers_are_known_by_their_names():
    manifest = {"settings": {"import": {"generator": "org/a"}}, "scores": {"score": {"verifier": "org/b"}}}
    assert source_of_pool(manifest) == ScoreSource("default", "org/a", {}, "org/b")
    assert source_of_pool({"settings": {}, "scores": {}}) == ScoreSource()
    for described, name in [
        ({"adapter": "judge", "model": "org/x", "rubric": {"low": 0}}, "judge:org/x"),
        ({"adapter": "function", "function": "module:name"}, "python:module:name"),
        ({"adapter": "math_verify"}, "math_verify"),
        ({"adapter": "served_reward_model", "model": "/models/x"}, "x"),
    ]:
        found = source_of_pool({"settings": settings_of(), "scores": {"score": described}})
        assert found.verifier == name
        assert found.reading == ({"rubric": {"low": 0}} if "rubric" in described else {})


class Rewards(RewardVerifier):
    """Unbounded rewards: the length of the text."""

    def describe_model(self):
        return {"adapter": "reward_model", "model": "org/judge"}

    def rewards(self, items):
        scores = Scores.of([0.5] * len(items))
        return [float(len(item.text)) for item in items], scores.tokens, {}


def test_a_verifier_without_a_map_gets_the_one_that_was_learnt(world):
    verifier = Rewards()
    live = source_of_engines(world[1], verifier, None)
    assert live.score_map is None and live.verifier == "org/judge"
    lend_score_map(config(), "default", verifier)
    assert verifier.score_map == LogisticMap(0.5, 2.0, "labels", 100)
    assert source_of_engines(world[1], verifier, None).score_map["scale"] == 2.0
    verifier.score_map = LogisticMap()
    lend_score_map(config(), "default", verifier)
    assert verifier.score_map == LogisticMap()  # its own is kept, and compared
    broken = config(replace(LEARNT, score_map={"scale": -1.0}))
    with pytest.raises(InputError, match="scale > 0"):
        lend_score_map(broken, None, Rewards())


@pytest.fixture(scope="module")
def checkpoints(world, tmp_path_factory):
    """One that has learnt the world's scores, and one that has learnt others."""
    folder = tmp_path_factory.mktemp("checkpoints")
    learnt = source_of_pool(Pool(world[0] / "pool").manifest)
    predictor = make_predictor(sources=[learnt])
    predictor.save_pretrained(folder / "paired")
    predictor.config.sources = [replace(learnt, generator="org/another")]
    predictor.save_pretrained(folder / "unpaired")
    return folder


def said(capsys, *arguments):
    """Exit code, output and errors of a command."""
    capsys.readouterr()
    try:
        main([str(argument) for argument in arguments])
        code = 0
    except SystemExit as stopped:
        code = stopped.code
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if line.startswith("optscale: error: ")]
    return code, captured.out, errors


def test_answering_and_replaying_refuse_what_does_not_pair(world, checkpoints, capsys):
    answer = ["answer", "1+1=", "--max_tokens", "8", "--max_samples", "2", "--json_lines", "true", "--predictor"]
    replay = ["replay", world[0] / "pool", "--policies", "optscale:max_samples=2", "--num_orders", "1", "--predictor"]
    for command in (answer, replay):
        assert said(capsys, *command, checkpoints / "paired")[0] == 0
        code, out, (line,) = said(capsys, *command, checkpoints / "unpaired")
        assert code == 2 and not out
        assert "generator 'embedded:generator', where it was 'org/another'; say allow_source_mismatch" in line
        assert said(capsys, *command, checkpoints / "unpaired", "--allow_source_mismatch", "true")[0] == 0
    code, _, (line,) = said(capsys, *answer, checkpoints / "paired", "--temperature", "0.5")
    assert code == 2 and "decoding temperature 0.5, where it was 1.0" in line
    prompt = world[0] / "prompt.txt"
    prompt.write_text("Q {question}")
    code, _, (line,) = said(capsys, *answer, checkpoints / "paired", "--prompt_file", prompt)
    assert code == 2 and "decoding prompt 'Q {question}'" in line
    assert said(capsys, *answer, checkpoints / "paired", "--source", "none")[0] == 2


def test_a_library_call_pairs_too(world, checkpoints):
    from optscale_predictor import OptScalePredictor

    _, generator, verifier = world
    predictor = OptScalePredictor.from_pretrained(str(checkpoints / "unpaired"))
    asked = [Question("a", "3+4=")]
    with pytest.raises(InputError, match="where it was 'org/another'"):
        OptScale(generator, verifier, predictor, BestOfN(1)).answer(asked)
    assert (
        OptScale(generator, verifier, predictor, BestOfN(1), allow_source_mismatch=True).answer(asked)[0].samples == 1
    )


def test_lm_evals_model_pairs_and_does_not_compare_a_prompt_that_it_does_not_know(world, checkpoints):
    pytest.importorskip("lm_eval")
    from lm_eval.api.instance import Instance

    from optscale_predictor.evaluation.lm_eval.optscale_lm import OptScaleLM

    settings = {"until": [], "max_gen_toks": 8}
    asked = [Instance("generate_until", {"question": "1+1="}, ("Q: 1+1=", settings), 0, ("task", 0, 1))]
    paired = OptScaleLM(predictor=str(checkpoints / "paired"), policy="best_of_n", max_samples=1)
    assert paired.generate_until(asked)[0].samples == 1
    with pytest.raises(InputError, match="where it was 'org/another'"):
        OptScaleLM(predictor=str(checkpoints / "unpaired"), policy="best_of_n", max_samples=1).generate_until(asked)
    allowed = OptScaleLM(
        predictor=str(checkpoints / "unpaired"), policy="best_of_n", max_samples=1, allow_source_mismatch=True
    )
    assert allowed.generate_until(asked)[0].samples == 1
    from_pool = OptScaleLM(
        pool=str(world[0] / "pool"), predictor=str(checkpoints / "unpaired"), policy="best_of_n", max_samples=1
    )
    with pytest.raises(InputError, match="where it was 'org/another'"):
        from_pool.generate_until(asked)


def test_a_pool_of_another_verifier_is_refused(tmp_path, checkpoints, capsys):
    pool = write_scored(tmp_path / "pool")
    source = source_of_pool(pool.manifest)
    assert source.verifier == "org/verifier"
    code, _, (line,) = said(capsys, "replay", pool.folder, "--predictor", checkpoints / "paired")
    assert code == 2 and ("verifier 'org/verifier', where it was" in line or "unscored" in line)


def test_predictions_do_not_change_with_what_they_are_paired_with(checkpoints):
    from optscale_predictor import OptScalePredictor

    found = [priors(OptScalePredictor.from_pretrained(str(checkpoints / name))) for name in ("paired", "unpaired")]
    assert (found[0] == found[1]).all()
    content = json.loads((checkpoints / "paired" / "optscale_config.json").read_text())
    assert content["sources"][0]["decoding"]["max_tokens"] == 8
