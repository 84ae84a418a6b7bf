"""Our lm-eval tasks: their documents, a user's own questions, and one-line errors."""

import json

import pytest
from benchmark_files import AMC23, SAME, group_of, load_task, task_manager, write_splits
from lm_eval_replies import evaluate

from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.lm_eval.tasks.own_tasks import own_settings
from optscale_predictor.questions import documents
from optscale_predictor.questions.arithmetic import make_questions
from optscale_predictor.questions.question_sets import PUBLIC

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # lm-eval 0.4.13 itself


@pytest.fixture(autouse=True)
def without_asking_pip(monkeypatch):
    """What lm-eval asks of the machine takes a second a run."""
    monkeypatch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)


@pytest.fixture
def questions(tmp_path):
    place = tmp_path / "questions.jsonl"
    rows = [
        {"id": f"q{number}", "question": f"What is {number}+1?", "answer": str(number + 1), "subject": "sums"}
        for number in range(5)
    ]
    place.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(place)


def test_math500_says_subject_level_and_the_answer_alone(tmp_path):
    task = load_task("optscale_math500", write_splits(tmp_path, SAME["optscale_math500"][2]))
    first = task.eval_docs[0]
    assert (first["subject"], first["level"], first["gold"]) == ("Algebra", 1, r"\frac{7}{2}")
    assert documents.document_labels(first) == {"subject": "Algebra", "level": "1"}
    # lm-eval looks between dollar signs alone; ours reads boxes and compares values.
    measured = task.process_results(first, [r"Hence \boxed{3.5}."])
    assert (measured["exact_match"], measured["math_verify"]) == (0, 1)


def test_amc23_is_read_from_the_set_that_goes_by_its_name(tmp_path):
    source = PUBLIC["amc23"]
    task = load_task("optscale_amc23", write_splits(tmp_path, AMC23))
    doc = task.eval_docs[0]
    assert task.doc_to_text(doc) == "Question: Find $12+7$.\nAnswer:" and task.doc_to_target(doc) == "19"
    assert task.process_results(doc, ["\\boxed{19}"])["exact_match"] == 1  # the set says 19.0
    assert task.process_results(doc, ["\\boxed{18}"])["exact_match"] == 0
    assert task.config.generation_kwargs == own_settings("aime/aime25")["generation_kwargs"]
    assert (source.question, source.gold, source.split) == ("question", "answer", task.config.test_split)


@pytest.mark.parametrize(
    ("ours", "first", "last"),
    [
        ("optscale_gsm8k", "gsm8k/test/0", "gsm8k/test/9"),
        ("optscale_math500", "math500/test/0.json", "math500/test/9.json"),
        ("optscale_aime24", "aime24/2024-I-0", "aime24/2024-I-9"),
        ("optscale_aime25", "aime25/0", "aime25/9"),
    ],
)
def test_documents_say_what_question_sets_say(tmp_path, ours, first, last):
    task = load_task(ours, write_splits(tmp_path, SAME[ours][2]))
    ids = [documents.document_id(doc, "") for doc in task.eval_docs]
    assert (ids[0], ids[-1]) == (first, last) and len(set(ids)) == 10
    for doc in task.eval_docs:
        assert documents.document_question(doc) in task.doc_to_text(doc)
        assert documents.document_gold(doc) == doc["gold"] != ""
        assert task.process_results(doc, [f"$\\boxed{{{doc['gold']}}}$"])["math_verify"] == 1


@pytest.mark.parametrize("ours", SAME)
def test_lm_evals_own_documents_are_read_alike(tmp_path, ours):
    theirs, _, splits = SAME[ours]
    place = write_splits(tmp_path, splits)
    mine, own = (load_task(name, place).eval_docs for name in (ours, theirs))
    for before, after in zip(own, mine, strict=True):
        assert documents.document_question(before) == documents.document_question(after)
        assert documents.document_gold(before) == documents.document_gold(after)
        assert documents.document_labels(before) == documents.document_labels(after)


def test_documents_of_any_kind_are_borne():
    for doc in (None, "text", 7, [], {}, {"question": 3, "answer": {"a": 1}}, {"question": " ", "answer": []}):
        assert documents.document_question(doc) is None
        assert documents.document_gold(doc) is None
        assert documents.document_id(doc, "task/3") == "task/3"
    assert documents.document_question({"Year": 1983, "Question": "Find $x$."}) == "Find $x$."
    for answer, gold in ((60, "60"), (1e-5, "0.00001"), (["2", "3"], "2, 3"), (True, "True")):
        assert documents.document_gold({"Answer": answer, "solution": "#### 1"}) == gold
    assert documents.document_gold({"answer": "long\nwithout a mark"}) is None
    assert documents.document_gold({"answer": "a\n#### 1,200"}) == "1200"
    assert documents.document_gold({"solution": "so $\\boxed{4}$"}) == "4"
    assert documents.document_labels({"type": "Algebra", "problem": "x", "url": "u", "note": "n" * 101}) == {
        "type": "Algebra"
    }


@pytest.mark.parametrize("name", [*SAME, "optscale_amc23", "optscale_questions"])
def test_every_task_asks_a_users_own_questions(questions, name):
    found, prompts = evaluate(
        ["$1$", "$2$", "$3$", "$9$", "$5$"], name, {"questions": questions, "fewshot": questions}, num_fewshot=0
    )
    assert all(f"What is {number}+1?" in prompt for number, prompt in enumerate(prompts))
    measured = found["results"][name]
    assert measured["exact_match,none"] == 0.8 and measured.get("math_verify,none", 0.8) == 0.8
    docs = [row["doc"] for row in found["samples"][name]]
    assert [documents.document_id(doc, "") for doc in docs] == [f"q{number}" for number in range(5)]
    assert documents.document_labels(docs[0]) == {"subject": "sums"} and documents.document_gold(docs[0]) == "1"


def test_examples_come_from_a_file_of_their_own(tmp_path, questions):
    examples = tmp_path / "examples.jsonl"
    worked = [{"question": f"Q{number}", "answer": f"step\n#### {number}"} for number in range(3)]
    examples.write_text("".join(json.dumps(row) + "\n" for row in worked))
    metadata = {"questions": questions, "fewshot": str(examples)}
    _, prompts = evaluate(["1"] * 5, "optscale_gsm8k", metadata, num_fewshot=2)
    for number, prompt in enumerate(prompts):
        *shown, asked = prompt.split("Question: ")[1:]
        assert len(shown) == 2 and asked == f"What is {number}+1?\nAnswer:"
        assert all(one[:2] in ("Q0", "Q1", "Q2") and "\nAnswer: step\n#### " in one for one in shown)
    _, prompts = evaluate(["1"] * 5, "optscale_math500", metadata, num_fewshot=3)
    assert all(prompt.count("Problem: Q") == 3 for prompt in prompts)


def test_requests_that_lm_eval_keeps_are_of_the_file_that_is_asked(tmp_path, monkeypatch, questions):
    monkeypatch.setattr("lm_eval.caching.cache.PATH", str(tmp_path / "kept"))
    other = tmp_path / "other.jsonl"
    other.write_text('{"question": "Why?", "answer": "1"}\n')
    for place, first in ((questions, "What is 0+1?"), (str(other), "Why?")):
        _, prompts = evaluate(["1"] * 5, "optscale_questions", {"questions": place}, cache_requests=True)
        assert prompts[0] == f"Question: {first}\nAnswer:"


@pytest.mark.parametrize("task", ["optscale_questions", "optscale_arithmetic"])
def test_a_prompt_of_the_users_own_is_what_is_asked(task, tmp_path, questions):
    """Braces but those of {question} mean nothing: no template language reads the file."""
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("{{Solve}} {% this %}: {question}\nGive \\boxed{}.")
    _, prompts = evaluate(["1"] * 5, task, {"questions": questions, "prompt": str(prompt)}, num_fewshot=0)
    assert prompts == [f"{{{{Solve}}}} {{% this %}}: What is {number}+1?\nGive \\boxed{{}}." for number in range(5)]
    shown = {"questions": questions, "prompt": str(prompt), "fewshot": questions}
    _, prompts = evaluate(["1"] * 5, task, shown, num_fewshot=1)
    assert all(one.count("Give \\boxed{}.") == 2 for one in prompts)


@pytest.mark.parametrize(
    ("task", "metadata", "shots", "said"),
    [
        ("optscale_gsm8k", {"questions": "{q}"}, None, "5 examples are wanted"),
        ("optscale_math500", {"questions": "{q}"}, 1, "name a file of examples"),
        ("optscale_questions", {"questions": "{q}"}, 2, "--num_fewshot 0"),
        ("optscale_gsm8k", {"questions": "{q}", "fewshot": "{q}"}, 9, "9 examples are wanted"),
        ("optscale_gsm8k", {"questions": "{q}", "fewshot": "{bare}"}, 1, "question '0' has no answer"),
        ("optscale_gsm8k", {"questions": "{q}x"}, 0, "cannot read questions"),
        ("optscale_gsm8k", {"questions": ["{q}"]}, 0, "'questions' must be the name"),
        ("optscale_gsm8k", {}, 0, "cannot load data set 'openai/gsm8k'"),
        ("optscale_questions", {}, 0, "which questions"),
        ("optscale_questions", {"questions": "{q}", "prompt": "{q}"}, 0, "has no {question} in it"),
        ("optscale_gsm8k", {"questions": "{q}", "prompt": "{q}"}, 0, "takes no prompt of yours"),
    ],
)
def test_what_cannot_be_asked_is_one_line(tmp_path, questions, task, metadata, shots, said):
    bare = tmp_path / "bare.jsonl"
    bare.write_text('{"question": "Why?"}\n')
    text = json.dumps(metadata).replace("{q}", questions).replace("{bare}", str(bare))
    with pytest.raises(InputError) as raised:
        evaluate(["1"] * 5, task, json.loads(text), num_fewshot=shots)
    assert said in str(raised.value) and "\n" not in str(raised.value)


def test_a_task_that_the_installed_lm_eval_lacks_is_one_line():
    with pytest.raises(InputError, match="has no task 'gsm9k'"):
        own_settings("gsm8k/gsm9k")


def test_the_embedded_world_is_asked_as_it_is():
    task = load_task("optscale_arithmetic")
    asked = make_questions(200, 0, "test")
    assert [documents.document_question(doc) for doc in task.eval_docs] == [one.text for one in asked]
    assert [documents.document_id(doc, "") for doc in task.eval_docs] == [one.id for one in asked]
    assert task.doc_to_text(task.eval_docs[0]) == asked[0].text
    assert task.process_results(task.eval_docs[0], [f"\n#### {asked[0].gold}"])["exact_match"] == 1
    assert len(load_task("optscale_arithmetic", questions="embedded:test:30").eval_docs) == 30


def test_a_group_may_change_a_tasks_settings(tmp_path):
    place = write_splits(tmp_path, SAME["optscale_aime25"][2])
    spec = group_of("optscale_aime25", {**place, "generation_kwargs": {"until": [], "max_gen_toks": 9}})
    task = task_manager().load([spec])["tasks"]["optscale_aime25"]
    assert task.config.generation_kwargs == {"until": [], "max_gen_toks": 9}


@pytest.mark.parametrize("name", [*SAME, "optscale_amc23", "optscale_questions"])
def test_every_task_stops_where_its_form_begins_again(questions, name):
    """A base model goes on with a question of its own, whose answer would be the last one."""
    task = load_task(name, {"metadata": {"questions": questions, "fewshot": questions}})
    begins = task.doc_to_text(task.eval_docs[0]).partition(":")[0] + ":"
    assert begins in ("Question:", "Problem:") and begins in task.config.generation_kwargs["until"]
