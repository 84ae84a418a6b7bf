"""Question sets by name: public data sets are read from folders laid out as those on the hub are."""

import json
import re

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool
from optscale_predictor.questions.answers import is_correct
from optscale_predictor.questions.arithmetic import make_questions
from optscale_predictor.questions.question import Question
from optscale_predictor.questions.question_sets import PUBLIC, load_question_set

GSM8K = {
    "question": ["Two and two?", "How much is a thousand and a half?"],
    "answer": ["Two and two is <<2+2=4>>4.\n#### 4", "It is\n#### 1,000.50"],
}
MATH = {"problem": ["$1+1$?"], "level": ["Level 1"], "type": ["Algebra"], "solution": [r"It is $\boxed{2}$."]}
MATH500 = {
    "problem": ["Halve $1$.", "List them."],
    "solution": [r"So \boxed{\frac{1}{2}}.", r"So \boxed{1,-2}."],
    "answer": [r"\frac{1}{2}", "1,-2"],
    "subject": ["Algebra", "Algebra"],
    "level": [1, 2],
    "unique_id": ["test/algebra/1.json", "test/algebra/22.json"],
}
AIME24 = {"ID": ["2024-I-1"], "Problem": ["Find $x$."], "Solution": [r"\boxed{204}"], "Answer": [204]}
AIME25 = {"problem": ["Find $y$."], "answer": ["070"], "id": ["0"]}
AIME25_TWICE = {name: values * 2 for name, values in AIME25.items()}
SVAMP = {
    "ID": ["chal-1", "chal-2"],
    "Body": ["Tom has 3 pears.", "Ann had 7 nuts and ate 2.5. "],
    "Question": ["How many are 2 toms' pears?", "What is left?"],
    "Equation": ["( 3.0 * 2.0 )", "( 7.0 - 2.5 )"],
    "Answer": ["6.0", "4.5"],
    "Type": ["Multiplication", "Subtraction"],
}
ASDIV = {
    "body": ["Seven red apples and two green apples are in the basket.", "Tim has 2 red and 3 blue hats."],
    "question": ["How many apples are in the basket?", "How many of each does he have?"],
    "solution_type": ["Addition", "Addition"],
    "answer": ["9 (apples)", "2 (red hats); 3 (blue hats)"],
    "formula": ["7+2=9", ""],
}
AMC23 = {"id": [0], "question": ["Find $z$."], "answer": [27.0], "url": ["https://example.org"]}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def lay_out(folder, configs):
    """A data set repository: Parquet by configuration and split, which its README lists."""
    lines = ["---", "configs:"]
    for config, splits in configs.items():
        lines += [f"- config_name: {config}", "  data_files:"]
        for split, columns in splits.items():
            (folder / config).mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(columns), folder / config / f"{split}-00000-of-00001.parquet")
            lines += [f"  - split: {split}", f"    path: {config}/{split}-*"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]))
    return str(folder)


def test_gsm8k(tmp_path):
    socratic = {"question": ["Asked otherwise?"], "answer": ["#### 5"]}
    folder = lay_out(tmp_path / "gsm8k", {"main": {"train": GSM8K, "test": GSM8K}, "socratic": {"train": socratic}})
    assert load_question_set("gsm8k:train", dataset=folder) == [
        Question("gsm8k/train/0", "Two and two?", "4"),
        Question("gsm8k/train/1", "How much is a thousand and a half?", "1000.5"),
    ]
    assert [one.id for one in load_question_set("gsm8k:test", 1, dataset=folder)] == ["gsm8k/test/0"]


def test_math_is_its_seven_subjects_one_after_the_other(tmp_path):
    subjects = PUBLIC["math:train"].configs
    assert len(subjects) == 7
    tables = {subject: {**MATH, "problem": [f"{subject} one", f"{subject} two"]} for subject in subjects}
    for table in tables.values():
        table |= {name: values * 2 for name, values in table.items() if len(values) == 1}
    folder = lay_out(tmp_path / "math", {subject: {"train": table} for subject, table in tables.items()})
    questions = load_question_set("math:train", dataset=folder)
    firsts = ["algebra/0", "algebra/1", "counting_and_probability/0"]
    assert [one.id for one in questions[:3]] == [f"math/train/{one}" for one in firsts]
    assert len(questions) == 14 and {one.gold for one in questions} == {"2"}
    assert load_question_set("math:train", 3, dataset=folder) == questions[:3]


@pytest.mark.parametrize(
    ("name", "split", "columns", "expected"),
    [
        ("math500", "test", MATH500, ["math500/test/algebra/1.json", "math500/test/algebra/22.json"]),
        ("aime24", "train", AIME24, ["aime24/2024-I-1"]),
        ("aime25", "test", AIME25, ["aime25/0"]),
        ("amc23", "test", AMC23, ["amc23/0"]),
        ("svamp:train", "train", SVAMP, ["svamp/train/chal-1", "svamp/train/chal-2"]),
        ("svamp:test", "test", SVAMP, ["svamp/test/chal-1", "svamp/test/chal-2"]),
        ("asdiv", "validation", ASDIV, ["asdiv/0", "asdiv/1"]),
    ],
)
def test_the_benchmarks(tmp_path, name, split, columns, expected):
    folder = lay_out(tmp_path / "data", {"default": {split: columns}})
    questions = load_question_set(name, dataset=folder)
    assert [one.id for one in questions] == expected
    golds = {"math500": [r"\frac{1}{2}", "1,-2"], "aime24": ["204"], "aime25": ["70"], "amc23": ["27"]}
    golds |= {"svamp:train": ["6", "4.5"], "svamp:test": ["6", "4.5"], "asdiv": ["9", "2, 3"]}
    assert [one.gold for one in questions] == golds[name]
    assert is_correct("27", questions[0].gold) is (name == "amc23")


def test_a_question_in_two_columns_is_the_story_and_the_question(tmp_path):
    folder = lay_out(tmp_path / "svamp", {"default": {"train": SVAMP}})
    texts = [one.text for one in load_question_set("svamp:train", dataset=folder)]
    assert texts == ["Tom has 3 pears. How many are 2 toms' pears?", "Ann had 7 nuts and ate 2.5. What is left?"]
    without = lay_out(tmp_path / "asdiv", {"default": {"validation": {**ASDIV, "body": ["A story.", " "]}}})
    with pytest.raises(InputError, match="row 1: column 'body' holds no text"):
        load_question_set("asdiv", dataset=without)


def test_any_other_data_set_with_columns_guessed_or_given(tmp_path, monkeypatch):
    columns = {"Prompt": ["a?", "b?"], "final_answer": ["1", None], "extra": ["x", "y"]}
    lay_out(tmp_path / "mine", {"default": {"train": columns}, "hard": {"dev": columns}})
    monkeypatch.chdir(tmp_path)
    expected = [Question("mine/0", "a?", "1"), Question("mine/1", "b?", None)]
    assert load_question_set("hub:./mine") == expected
    assert [one.id for one in load_question_set("hub:mine:hard:dev")] == ["mine/hard/dev/0", "mine/hard/dev/1"]
    given = load_question_set("hub:mine:train", 1, question_column="extra", answer_column="Prompt")
    assert given == [Question("mine/train/0", "x", "a?")]
    (tmp_path / "lines").mkdir()
    (tmp_path / "lines" / "train.jsonl").write_text('{"problem": "c?", "target": 3}\n')
    assert load_question_set("hub:lines") == [Question("lines/0", "c?", "3")]
    both = datasets.DatasetDict({"test": datasets.Dataset.from_dict({"query": ["d?"], "label": ["4"]})})
    both.save_to_disk(str(tmp_path / "saved"))
    assert load_question_set("hub:saved:test") == [Question("saved/test/0", "d?", "4")]
    both["test"].save_to_disk(str(tmp_path / "alone"))
    assert load_question_set("hub:alone") == [Question("alone/0", "d?", "4")]


def test_files_and_the_embedded_world(tmp_path):
    (tmp_path / "q.jsonl").write_text('{"question": "1+1=", "answer": 2}\n{"question": "1+2="}\n')
    assert load_question_set(str(tmp_path / "q.jsonl")) == [Question("0", "1+1=", "2"), Question("1", "1+2=")]
    assert load_question_set("embedded:test:7", 5) == make_questions(5, 0, "test")
    assert len(load_question_set("embedded:train:3")) == 3 and len(load_question_set("embedded:train")) == 200


def test_a_solution_without_a_mark_has_no_known_answer(tmp_path):
    columns = {"problem": ["a?", "b?"], "solution": ["It is 5.", r"It is \boxed{5}."]}
    folder = lay_out(tmp_path / "data", {"default": {"train": columns}})
    assert [one.gold for one in load_question_set(f"hub:{folder}")] == [None, "5"]


def test_golds_of_other_types(tmp_path):
    """As ``datasets`` hands them out: lists, whole columns of floats, truths; an object is one line."""
    for answers, golds in (
        ([["2", "3"], ["18"]], ["2, 3", "18"]),
        ([1e16, 1e-5], ["10000000000000000", "0.00001"]),
        ([True, None], ["True", None]),
    ):
        table = datasets.Dataset.from_dict({"question": ["a?", "b?"], "final_answer": answers})
        table.save_to_disk(str(tmp_path / "saved"))
        assert [one.gold for one in load_question_set(f"hub:{tmp_path / 'saved'}")] == golds
    table = datasets.Dataset.from_dict({"question": ["a?", "b?"], "answer": [{"value": "2"}] * 2})
    table.save_to_disk(str(tmp_path / "objects"))
    with pytest.raises(InputError, match=r"objects', row 0: the gold answer must be a text, .* got an object"):
        load_question_set(f"hub:{tmp_path / 'objects'}")


BAD = {
    "no such set": (
        ["gsm8k"],
        {},
        "questions 'gsm8k': no such set; did you mean 'gsm8k:test'?; known: gsm8k:train, gsm8k:test, math:train",
    ),
    "no such split of a set": (["gsm8k:dev"], {}, "no such set; did you mean 'gsm8k:test'?; known"),
    "no such file": (["nothing.jsonl"], {}, "nothing.jsonl: cannot read questions"),
    "too many parts": (["hub:a:b:c:d"], {}, "expected hub:DATASET, hub:DATASET:SPLIT or hub:DATASET:CONFIG:SPLIT"),
    "an empty part": (["hub:a:"], {}, "expected hub:DATASET"),
    "not to be downloaded": (["gsm8k:test"], {}, "'openai/gsm8k' (main): cannot load split 'test': ConnectionError"),
    "no such folder": (["math500"], {"dataset": "./nowhere"}, "data set './nowhere': cannot load split 'test'"),
    "no such subset": (["gsm8k:train"], {"dataset": "{data}"}, "(main): cannot load split 'train'"),
    "no such split": (["hub:{data}:dev"], {}, "cannot load split 'dev': ValueError: Unknown split"),
    "no such column": (["hub:{data}"], {"question_column": "ask"}, "it has no column 'ask'; it has text, number"),
    "no guess": (["hub:{data}"], {}, "which column holds the question? It has text, number"),
    "no text": (["hub:{data}"], {"question_column": "number"}, "row 0: column 'number' holds no text"),
    "ids": (["aime25"], {"dataset": "{twice}"}, "column 'id' does not tell its rows apart"),
    "no questions": (["hub:{none}"], {}, "cannot load split 'train': ValueError: "),
    "a broken file": (["hub:{broken}"], {}, "cannot load split 'train': ArrowInvalid: "),
    "two sources": (["hub:{data}"], {"dataset": "{data}"}, "it names its data set"),
    "columns of a file": (["q.jsonl"], {"question_column": "text"}, "a data set or its columns are named"),
    "limit": (["embedded:train"], {"limit": 0}, "limit must be >= 1, got 0"),
    "embedded": (["embedded:dev"], {}, "expected embedded:train or embedded:test"),
    "too many": (["embedded:test:1000000"], {}, "below a million"),
    "digits": (["embedded:test:" + "9" * 5000], {}, "below a million"),
}


@pytest.mark.parametrize("mistake", BAD)
def test_a_set_that_cannot_be_loaded_is_one_line(mistake, tmp_path):
    folders = {
        "data": lay_out(tmp_path / "data", {"default": {"train": {"text": ["a"], "number": [1]}}}),
        "twice": lay_out(tmp_path / "twice", {"default": {"test": AIME25_TWICE}}),
        "none": str(tmp_path / "none"),
        "broken": lay_out(tmp_path / "broken", {"default": {"train": GSM8K}}),
    }
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "train.csv").write_text("question\n")
    (tmp_path / "broken" / "default" / "train-00000-of-00001.parquet").write_bytes(b"PAR1 and no more")
    (name,), options, says = BAD[mistake]
    filled = {key: value.format(**folders) if isinstance(value, str) else value for key, value in options.items()}
    with pytest.raises(InputError, match=re.escape(says)) as raised:
        load_question_set(name.format(**folders), **filled)
    assert "\n" not in str(raised.value)


def test_a_pool_is_filled_from_a_data_set_folder(tmp_path, capsys):
    sums = make_questions(4, 0, "train")
    columns = {"question": [one.text for one in sums], "answer": [f"It is\n#### {one.gold}" for one in sums]}
    folder = lay_out(tmp_path / "sums", {"main": {"train": columns}})
    flags = ["--questions", "gsm8k:train", "--dataset", folder, "--num_samples", "2", "--limit", "3"]
    main(["generate", str(tmp_path / "pool"), *flags, "--max_tokens", "160"])
    pool = Pool(tmp_path / "pool")
    assert [(one.id, one.gold) for one in pool.questions] == [
        (f"gsm8k/train/{number}", one.gold) for number, one in enumerate(sums[:3])
    ]
    assert json.loads((tmp_path / "pool" / "questions.jsonl").read_text().splitlines()[0])["question"] == sums[0].text
    assert pool.read(["correct"])["correct"].null_count == 0
