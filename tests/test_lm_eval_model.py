"""lm-eval for real: the embedded models in process, its own table's numbers, its cache, its samples."""

import json
import subprocess
import sys

import pytest
from fitted_policies import folder_of, made_up
from lm_eval import simple_evaluate
from lm_eval.api.model import CachingLM
from lm_eval.api.registry import get_model
from lm_eval.tasks import TaskManager
from tiny_prms import make_skywork

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.model_loading import resolve_model
from optscale_predictor.backends.verifiers.likelihood import LikelihoodVerifier
from optscale_predictor.backends.verifiers.model_free import GoldVerifier
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.lm_eval.eval_flags import TASKS
from optscale_predictor.evaluation.lm_eval.optscale_lm import OptScaleLM
from optscale_predictor.evaluation.lm_eval.process_ranks import Ranks
from optscale_predictor.evaluation.run_record import RunRecord
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import parse_policy
from optscale_predictor.policies.fitted.model_files import save_fitted
from optscale_predictor.pools.preparation import generate_pool, score_pool
from optscale_predictor.questions.arithmetic import make_questions
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.run_policy import run_policy
from optscale_predictor.stats.estimators.learnt_prior import LearntPrior

# lm-eval 0.4.13 itself: a deprecated call, and database handles left to the garbage collector.
pytestmark = [
    pytest.mark.usefixtures("lm_eval_tasks"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

POLICY = "policy=optscale,score_min=0.7,max_samples=6"


@pytest.fixture(autouse=True)
def quick_tables(monkeypatch):
    """lm-eval's table of metrics takes a sixth of a small run, and `test_eval_flags` looks at it."""
    monkeypatch.setattr("lm_eval.utils.make_table", lambda *_: "")


def run(folder, model_args, *flags):
    command = ["eval", "--tasks", "optscale_arithmetic", "--limit", "6", "--log_samples", "--output_path", str(folder)]
    main([*command, "--model_args", model_args, *flags])
    (results,) = folder.rglob("results_*.json")
    (samples,) = folder.rglob("samples_*.jsonl")
    measured = json.loads(results.read_text())["results"]["optscale_arithmetic"]
    return measured, [json.loads(line) for line in samples.read_text().splitlines()]


def test_a_run_measures_what_the_loop_drew(tmp_path):
    measured, samples = run(tmp_path, POLICY)
    questions = make_questions(200, 0, "test")[:6]
    engine = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=160))
    policy = parse_policy("optscale:score_min=0.7,max_samples=6")
    scaler = OptScale(engine, LikelihoodVerifier("embedded:verifier"), policy=policy)
    answers = scaler.answer(questions)
    assert [row["samples"] for row in samples] == [answer.samples for answer in answers]
    assert [row["tokens"] for row in samples] == [answer.tokens for answer in answers]
    assert measured["samples,none"] == pytest.approx(sum(answer.samples for answer in answers) / 6)
    assert all(f"{metric}_stderr,none" in measured for metric in ("exact_match", "samples", "tokens"))
    right = [float(answer.answer == question.gold) for answer, question in zip(answers, questions, strict=True)]
    assert [row["exact_match"] for row in samples] == right


def test_a_process_reward_model_verifies(tmp_path):
    folder = make_skywork(tmp_path / "prm")
    reading = "verifier_layout=skywork,verifier_aggregate=last,verifier_separator=\\n"
    measured, samples = run(tmp_path, f"verifier={folder},{reading},policy=best_of_n,max_samples=2")
    assert [row["samples"] for row in samples] == [2] * 6 and measured["samples,none"] == 2
    with pytest.raises(SystemExit):  # its tokenizer has no such marker
        run(tmp_path, f"verifier={folder},verifier_layout=qwen,policy=best_of_n,max_samples=2")


def test_cache_serves_the_same_run_and_refuses_another(tmp_path):
    cache = str(tmp_path / "cache")
    first, _ = run(tmp_path / "first", POLICY, "--use_cache", cache)
    again, _ = run(tmp_path / "again", POLICY, "--use_cache", cache)
    metrics = ("exact_match,none", "samples,none", "tokens,none")
    assert [first[name] for name in metrics] == [again[name] for name in metrics]
    for other in (POLICY.replace("6", "2"), f"{POLICY},seed=7"):
        with pytest.raises(SystemExit) as stopped:
            run(tmp_path / other, other, "--use_cache", cache)
        assert stopped.value.code == 2


def test_the_record_of_another_run_is_found_before_any_task_is_asked(tmp_path, capsys):
    """The first task was answered, and then the second one's record refused."""
    (tmp_path / "q.jsonl").write_text('{"question": "1+2=", "answer": "3"}\n')
    both = [
        "eval",
        "--tasks",
        "optscale_arithmetic,optscale_questions",
        "--limit",
        "1",
        "--record",
        str(tmp_path / "r"),
    ]
    both += ["--metadata", json.dumps({"questions": str(tmp_path / "q.jsonl")}), "--num_fewshot", "0"]
    main([*both[:2], "optscale_questions", *both[3:], "--policies", "best_of_n:max_samples=1"])
    assert [one.name for one in (tmp_path / "r").iterdir()] == ["optscale_questions"]
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main([*both, "--policies", "best_of_n:max_samples=2"])
    assert stopped.value.code == 2 and "holds the record of another run" in capsys.readouterr().err
    assert [one.name for one in (tmp_path / "r").iterdir()] == ["optscale_questions"]


def test_confidence_is_scored_recorded_and_cached_and_another_fit_is_another_run(tmp_path):
    folder, cache = folder_of(), str(tmp_path / "cache")
    asked = f"policy=best_of_n,max_samples=3,selection=confidence:{folder}"
    given = ("--use_cache", cache, "--record", str(tmp_path / "record"))
    measured, samples = run(tmp_path / "a", asked, *given)
    record = RunRecord.open(tmp_path / "record" / "optscale_arithmetic")
    told = {one.question_id: one for one in record.outcomes()}
    wanted = run_policy(
        parse_policy("best_of_n:max_samples=3"), RecordedSamples.from_pool(record.pool), None, record.facts.selection
    )
    assert [told[question.id].confidence for question in record.pool.questions] == wanted.confidence.tolist()
    scored = [(told[row["doc"]["question_id"]].confidence - row["exact_match"]) ** 2 for row in samples]
    assert [row["brier"] for row in samples] == scored and measured["brier,none"] == pytest.approx(sum(scored) / 6)
    again, _ = run(tmp_path / "b", asked, "--use_cache", cache)
    assert again["brier,none"] == measured["brier,none"]  # the cache keeps it
    save_fitted(made_up(slope=0.5), folder)
    for flag in (("--use_cache", cache), ("--record", str(tmp_path / "record"))):
        with pytest.raises(SystemExit) as stopped:
            run(tmp_path / "c", asked, *flag)
        assert stopped.value.code == 2


def test_a_pool_replays_through_the_same_task(tmp_path):
    questions = make_questions(200, 0, "test")[:6]
    engine = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=160))
    generate_pool(tmp_path / "pool", questions, engine, 6, progress=False)
    score_pool(tmp_path / "pool", LikelihoodVerifier("embedded:verifier"), progress=False)
    one, samples = run(tmp_path / "one", f"pool={tmp_path / 'pool'},{POLICY}")
    two, _ = run(tmp_path / "two", f"pool={tmp_path / 'pool'},{POLICY}")
    assert one["samples,none"] == two["samples,none"] and one["tokens,none"] == two["tokens,none"]
    assert all(1 <= row["samples"] <= 6 for row in samples)


def test_a_pool_serves_the_scores_that_are_asked_for(tmp_path):
    questions, pool = make_questions(200, 0, "test")[:6], tmp_path / "pool"
    engine = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=160))
    generate_pool(pool, questions, engine, 6, progress=False)
    score_pool(pool, LikelihoodVerifier("embedded:verifier"), progress=False)
    right = score_pool(pool, GoldVerifier(), "score_gold", progress=False).read(["question_id", "score_gold"])
    _, samples = run(tmp_path / "run", f"pool={pool},scores=score_gold,policy=best_of_n,max_samples=6")
    any_right = right.group_by("question_id").aggregate([("score_gold", "max")])["score_gold_max"].to_pylist()
    assert sum(any_right) > 0 and [row["exact_match"] for row in samples] == any_right
    for wrong in (f"pool={pool},scores=score_other", "scores=score_gold"):
        with pytest.raises(SystemExit) as stopped:
            run(tmp_path / "wrong", wrong)
        assert stopped.value.code == 2


SEVERAL = (
    "optscale:score_min=0.7,max_samples=6 best_of_n:max_samples=6 best_of_n:max_samples=2 esc:window=2,max_samples=6"
)


def test_policies_of_one_run_share_samples_and_are_each_as_if_alone(tmp_path, capsys):
    measured, samples = run(tmp_path / "run", "seed=3", "--policies", SEVERAL)
    record = RunRecord.open(tmp_path / "run" / "records" / "optscale_arithmetic")
    assert record.facts.samples == record.pool.read(["score"]).num_rows  # nothing is drawn twice
    rules = [parse_policy(one) for one in SEVERAL.split()]
    assert record.facts.policies == [str(rule) for rule in rules]
    drawn = RecordedSamples.from_pool(record.pool)
    found: dict = {}
    for one in record.outcomes():
        found.setdefault(one.policy, {})[one.question_id] = one
    for rule in rules:
        alone, mine = run_policy(rule, drawn), found[str(rule)]
        for index, question in enumerate(record.pool.questions):
            said = mine[question.id]
            assert (said.samples, said.tokens) == (alone.count[index], alone.tokens[index])
            assert said.stop_reason == alone.reason[index]
            assert said.score == drawn.scores[index, alone.chosen[index]]
            assert said.correct == bool(drawn.correct[index, alone.chosen[index]])
    right = [found[str(rules[0])][row["doc"]["question_id"]].correct for row in samples]
    assert [row["exact_match"] for row in samples] == right
    assert measured["samples@best_of_n:max_samples=2,none"] == 2
    assert {
        "exact_match@esc:window=2;max_samples=6_stderr,none",
        "tokens@best_of_n:max_samples=6_stderr,none",
    } <= measured.keys()
    # It ends with the distance of each policy to Best-of-k, and keeps that.
    printed = capsys.readouterr().out
    assert "against Best-of-k at equal tokens" in printed and "Best-of-k is known up to k = 6" in printed
    kept = json.loads((record.folder / "frontier.json").read_text())
    assert [one["policy"] for one in kept["policies"]] == record.facts.policies and kept["questions"] == 6
    assert printed.index("optscale_arithmetic\n") < printed.index("against Best-of-k") < printed.index("record    ")


def test_a_recorded_run_goes_on_where_it_was(tmp_path):
    first, _ = run(tmp_path / "a", POLICY, "--record", str(tmp_path / "record"))
    record = RunRecord.open(tmp_path / "record" / "optscale_arithmetic")
    shard = sorted(record.pool.folder.glob("*.parquet"))
    again, _ = run(tmp_path / "b", POLICY, "--record", str(tmp_path / "record"))
    assert [first[name] for name in ("samples,none", "score,none")] == [
        again[name] for name in ("samples,none", "score,none")
    ]
    assert sorted(record.pool.folder.glob("*.parquet")) == shard  # nothing was drawn
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path / "c", f"{POLICY},seed=1", "--record", str(tmp_path / "record"))
    assert stopped.value.code == 2


def test_a_prior_learnt_in_a_run_is_in_its_record_and_its_pool_replays_it(tmp_path):
    asked = f"{POLICY},policies=best_of_n:max_samples=6,prior=learnt:block=1"
    run(tmp_path / "a", asked, "--record", str(tmp_path / "record"))
    record = RunRecord.open(tmp_path / "record" / "optscale_arithmetic")
    assert record.facts.prior == "learnt:block=1" and record.facts.predictor is None
    text = next(name for name in record.facts.policies if name.startswith("optscale"))
    live = {one.question_id: (one.samples, one.score) for one in record.outcomes() if one.policy == text}
    started = [one.prior for one in record.outcomes() if one.policy == text]
    assert None not in started and len(set(started)) > 1  # each question's own, as learnt from those before it
    recorded = RecordedSamples.from_pool(record.pool)
    again = run_policy(parse_policy(text), recorded, LearntPrior.parse(record.facts.prior))
    found = zip(again.count.tolist(), recorded.scores[range(6), again.chosen].tolist(), strict=True)
    assert live == dict(zip((question.id for question in record.pool.questions), found, strict=True))
    cache = ("--use_cache", str(tmp_path / "cache"))
    for given, flags in ((asked.replace("=1", "=2"), ("--record", str(tmp_path / "record"))), (asked, cache)):
        with pytest.raises(SystemExit) as stopped:  # another run, and a cache, from whose answers nothing is learnt
            run(tmp_path / "b", given, *flags)
        assert stopped.value.code == 2


def test_repeats_are_independent_and_never_served_from_a_cache(tmp_path):
    task = next(
        iter(
            TaskManager(include_defaults=False, include_path=str(TASKS)).load(["optscale_arithmetic"])["tasks"].values()
        )
    )
    task.build_all_requests(limit=2)
    for request in task.instances:
        request.repeats = 3
    repeated = [request for request in task.instances for _ in range(3)]
    model = OptScaleLM(policy="best_of_n", max_samples=1, seed=5)
    replies = model.generate_until(repeated, disable_tqdm=True)
    assert len(replies) == 6 and len(set(replies[:3])) > 1
    # What lm-eval adds to give every process as many requests is asked once.
    padded = model.generate_until([*repeated, *repeated[:3]], disable_tqdm=True)
    assert padded[:6] == replies and padded[6:] == replies[:3]
    with pytest.raises(InputError, match="repeats"):
        CachingLM(model, str(tmp_path / "cache.db")).generate_until(repeated)


@pytest.mark.full
def test_the_processes_of_a_run_share_its_documents(tmp_path):
    command = ["--tasks", "optscale_arithmetic", "--limit", "5", "--log_samples", "--model_args", POLICY]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    script = [*torchrun, "optscale_predictor", "eval", *command, "--output_path", str(tmp_path / "two")]
    done = subprocess.run(script, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    _, samples = run(tmp_path / "one", POLICY, "--limit", "5")
    (results,) = (tmp_path / "two").rglob("results_*.json")
    together = json.loads(results.read_text())["results"]["optscale_arithmetic"]
    names = ("exact_match,none", "samples,none", "tokens,none", "score,none")
    assert together["samples,none"] > 1
    (logged,) = (tmp_path / "two").rglob("samples_*.jsonl")
    rows = sorted((json.loads(line) for line in logged.read_text().splitlines()), key=lambda row: row["doc_id"])
    assert [row["doc_id"] for row in rows] == [row["doc_id"] for row in samples] == list(range(5))
    assert all(f"{name.replace(',', '_stderr,')}" in together for name in names)
    parts = [RunRecord.open(tmp_path / "two" / "records" / f"optscale_arithmetic-rank{rank}") for rank in range(2)]
    assert sum(len({one.question_id for one in part.outcomes()}) for part in parts) == 5


def test_greedy_replies_are_those_of_lm_evals_own_model():
    asked = {"tasks": ["optscale_arithmetic"], "limit": 12, "log_samples": True, "bootstrap_iters": 0}
    asked["task_manager"] = TaskManager(include_defaults=False, include_path=str(TASKS))
    theirs_args = {"pretrained": resolve_model("embedded:generator"), "dtype": "float32", "device": "cpu"}
    theirs = simple_evaluate("hf", model_args=theirs_args, gen_kwargs={"max_gen_toks": 100}, **asked)
    mine = OptScaleLM(policy="best_of_n", max_samples=1, temperature=0)
    ours = simple_evaluate(mine, gen_kwargs={"max_gen_toks": 100}, **asked)
    replies, verdicts = (
        [[pick(row) for row in found["samples"]["optscale_arithmetic"]] for found in (theirs, ours)]
        for pick in (lambda row: str(row["resps"][0][0]), lambda row: row["exact_match"])
    )
    assert replies[0] == replies[1] and verdicts[0] == verdicts[1]
    assert 0 < sum(verdicts[0]) < 12


def test_the_users_limit_of_tokens_goes_before_the_tasks(tmp_path):
    _, samples = run(tmp_path / "user", "policy=best_of_n,max_samples=1,max_tokens=5")
    assert max(row["tokens"] for row in samples) == 5
    _, samples = run(tmp_path / "task", "policy=best_of_n,max_samples=1", "--gen_kwargs", "max_gen_toks=7")
    assert max(row["tokens"] for row in samples) == 7


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--record", "{file}/below"], "file/below: cannot write: Not a directory"),
        (["--model_args", "batch_size=8"], "'batch_size' is a flag of its own"),
    ],
)
def test_what_cannot_be_is_one_line(given, says, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    flags = [one.format(file=tmp_path / "file") for one in given]
    with pytest.raises(SystemExit) as stopped:
        main(["eval", "--tasks", "optscale_arithmetic", "--limit", "1", *flags])
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("optscale: error")]
    assert stopped.value.code == 2 and len(said) == 1 and says in said[0]


def test_the_other_models_stay_registered():
    assert get_model("hf") is not None and get_model("optscale") is OptScaleLM


def test_a_metric_that_no_document_of_a_process_has_is_gathered_from_the_others(monkeypatch):
    """lm-eval looks up every metric of the first process in all of them, and stopped with a KeyError at the end."""
    model = OptScaleLM(policy="best_of_n", max_samples=1)
    parts = [{"task": {("brier", "none"): [0.25], ("samples", "none"): [1.0]}}, {"task": {("samples", "none"): [2.0]}}]
    monkeypatch.setattr(Ranks, "gather_object", lambda self, thing, dst: parts)
    found = model.gather_object({}, 0)
    assert [part["task"][("brier", "none")] for part in found] == [[0.25], []]
    assert [part["task"][("samples", "none")] for part in found] == [[1.0], [2.0]]
    monkeypatch.setattr(Ranks, "gather_object", lambda self, thing, dst: [{"task": [{"doc_id": 0}]}])
    assert model.gather_object({}, 0) == [{"task": [{"doc_id": 0}]}]  # logged samples
    monkeypatch.setattr(Ranks, "gather_object", lambda self, thing, dst: None)
    assert model.gather_object({}, 0) is None


def test_likelihoods_are_refused_in_one_line():
    model = OptScaleLM(policy="best_of_n", max_samples=1)
    with pytest.raises(InputError, match="cannot use it"):
        model.loglikelihood([])


def test_examples_that_a_questions_file_cannot_give_are_one_line(tmp_path):
    (tmp_path / "q.jsonl").write_text('{"question": "1+2=", "answer": "3"}\n')
    given = json.dumps({"questions": str(tmp_path / "q.jsonl")})
    with pytest.raises(SystemExit) as stopped:
        main(["eval", "--tasks", "optscale_gsm8k", "--metadata", given, "--model_args", POLICY])
    assert stopped.value.code == 2
