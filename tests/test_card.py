"""The model card: the hub's own reader takes its metadata, its snippet runs as it stands, its numbers are given."""

import contextlib
import io
import json
import re

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard
from small_predictors import make_predictor, write_encoder

from optscale_predictor.backends.model_names import public_name
from optscale_predictor.errors import InputError
from optscale_predictor.predictor.checkpoint.model_card import render_card
from optscale_predictor.predictor.model.config import PredictorConfig, ScoreSource

SOURCE = ScoreSource(
    "default",
    "org/generator-7b",
    {"temperature": 0.7, "prompt": "Solve:\n{question}", "stop": []},
    "org/judge",
    "min",
    {"location": 1.25, "scale": 2.0},
    {"separator": "\n\n"},
)
DATA = {"fingerprint": "00ff00ff", "split": {"validation_share": 0.1, "seed": 3}, "questions": {"train": 900}}


def estimate(mean, error=0.01):
    return {"mean": mean, "error": error, "low": mean, "high": mean}


def accuracy(name, r2):
    return {"name": name, "strength": None, "figures": {"r2_mean": estimate(r2), "r2_std": estimate(None, None)}}


def saving(prior, samples):
    at = {"0.95": {"hit_rate": 0.87, "samples": estimate(samples, 0.1), "fewer": {}}}
    return {"prior": prior, "kind": "recorded", "score_min": 0.95, "at": at}


ASSESSMENT = {
    "questions": 1234,
    "notes": ["Scores are <simulated>."],
    "figures": {"r2_mean": 0.4321, "coverage_80": 0.79, "questions": 1234.0},
    "tables": {
        "accuracy": [accuracy("mean", 0.0), accuracy("predictor", 0.4321)],
        "calibration": {"levels": [0.5, 0.8], "coverage": [0.51, 0.79], "coverage_error": [0.02, 0.01]},
        "savings": [saving("no prior", 4.5), saving("predictor", 3.25)],
    },
}


def config(**settings):
    given = {"base_model": "org/base", "sources": [SOURCE], "data": DATA, "metrics": {"r2_mean": 0.4, "r2_std": 0.3}}
    return PredictorConfig(**{**given, **settings})


def test_the_hubs_own_reader_takes_the_metadata():
    data = ModelCard(render_card(config(data={**DATA, "datasets": ["org/questions"]}), None, "mit", "name/repo")).data
    assert data.library_name == "optscale-predictor" and data.license == "mit"
    assert data.base_model == "org/base" and data.base_model_relation == "adapter"
    assert data.datasets == ["org/questions"] and data.model_name == "repo" and "lora" in data.tags
    found = {result.metric_name: result.metric_value for result in data.eval_results}
    assert found == {"R² of the mean score": 0.4, "R² of the scores' standard deviation": 0.3}
    assert "00ff00ff" in data.eval_results[0].dataset_name


def test_an_assessment_takes_the_place_of_trainings_own_numbers():
    text = render_card(config(), ASSESSMENT)
    results = ModelCard(text).data.eval_results
    assert [result.metric_value for result in results] == [0.4321, 0.79]
    assert {result.dataset_split for result in results} == {"validation"}
    tested = ModelCard(render_card(config(), {**ASSESSMENT, "split": "test"})).data.eval_results
    assert {result.dataset_split for result in tested} == {"test"}
    assert "Accuracy on 1,234 questions" in text
    assert "| predictor | 0.432 ± 0.010 |" in text and "standard deviation |" not in text.split("## Use")[0]
    assert "| 80% | 79.0% ± 1.0% |" in text
    assert "| no prior | 4.50 ± 0.10 |" in text and "| predictor | 3.25 ± 0.10 |" in text
    assert "at hit rate 0.870" in text and "target score 0.95" in text
    assert r"\<simulated\>" in text and "By `optscale assess`" in text
    assert "0.4000" not in text and "How well it predicts was not measured" not in text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"figures": {"r2_mean": "0.9"}}, "figures must be an object of numbers"),
        ({"tables": {"accuracy": [{"name": "x"}]}}, "tables are not as optscale assess writes them"),
        ({"tables": {"calibration": {"levels": [0.5], "coverage": []}}}, "tables are not as"),
        ({"tables": []}, "tables are not as"),
    ],
)
def test_an_assessment_that_is_none_is_one_line(change, says):
    with pytest.raises(InputError, match=says) as raised:
        render_card(config(), {**ASSESSMENT, **change})
    assert "\n" not in str(raised.value)


def test_it_says_whose_scores_and_from_what():
    text = render_card(config())
    for said in ("org/generator-7b", "org/judge", '"Solve:\\n{question}"', "0.7", "min", "1.25", '"\\n\\n"'):
        assert f"`{said}`" in text
    for said in ("00ff00ff", "`split.seed`", "`questions.train`", "`900`", "--allow_source_mismatch true"):
        assert said in text
    assert "| R² of the mean score | 0.4 |" in text


def test_what_was_not_recorded_or_measured_is_said_to_be():
    text = render_card(config(sources=[ScoreSource()], data={}, metrics={}))
    assert text.count("`not recorded`") == 2 and "Not measured." in text and "Not recorded." in text
    assert "How well it predicts was not measured" in text and "cannot be told" in text
    assert ModelCard(text).data.eval_results is None
    assert "# license: (fill in" in text and ModelCard(text).data.license is None


def test_the_bases_licence_is_named_where_it_is_known():
    source = {"license": "apache-2.0", "license_from": "model card", "package": "small-model", "package_version": "1.2"}
    text = render_card(config(base_source=source))
    assert "| `base model's licence` | `apache-2.0, as its model card says` |" in text
    assert "| `base model's source` | `package small-model 1.2` |" in text
    assert "# license: (fill in what the base model (apache-2.0), the questions" in text
    assert ModelCard(text).data.license is None  # the predictor's own stays the user's to choose
    assert "| `base model's licence` | `not known` |" in render_card(config())


def test_names_from_anywhere_are_text_and_nothing_else():
    hostile = ScoreSource("default", "`x`| <script>alert(1)</script>", {"a|b": "---\n# c"}, "v\n## Measured\n99% right")
    text = render_card(config(base_model="org/[x](http://a.b) <b>", sources=[hostile], data={"<i>": "`"}))
    assert text.count("## Measured") == 1 + text.count('"v\\n## Measured\\n99% right"')
    assert "\n# c" not in text and "\n99%" not in text
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text.split("\n---\n", 1)[1])
    assert "<script>" not in outside and "<b>" not in outside.replace(r"\<b\>", "") and "](http://a" not in outside
    yaml.safe_load(text.split("---\n")[1])


def test_the_snippet_runs_as_it_stands(tmp_path, monkeypatch):
    base = write_encoder(tmp_path / "base")
    predictor = make_predictor(base, sources=[ScoreSource("one"), ScoreSource('t"wo')])
    predictor.save_pretrained(tmp_path / "checkpoint")
    text = (tmp_path / "checkpoint" / "README.md").read_text()
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path / "checkpoint")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(snippet, "README.md", "exec"), {})
    (asked,) = re.findall(r"predict\((\[.*?\])", snippet)
    expected = predictor.predict(json.loads(asked), "one")
    assert said.getvalue().strip() == f"{expected.mean} {expected.std} {expected.strength}"
    assert np.isfinite(expected.mean).all() and str(tmp_path) not in text and "base" in text


def test_a_snippet_for_the_hub_names_the_repository():
    text = render_card(config(), repo_id="name/repo")
    assert 'from_pretrained("name/repo")\n' in text and "optscale predict name/repo questions.jsonl" in text


@pytest.mark.parametrize("license", ["do what\nyou like", "0", "1.0", "4-0"])  # a name has a letter
def test_a_licence_that_no_hub_knows_is_refused(license):
    with pytest.raises(InputError, match="license must be a hub name"):
        render_card(config(), license=license)


@pytest.mark.parametrize("license", ["mit", "0bsd", "cc-by-4.0", "c-uda"])
def test_a_licence_of_the_hub_is_in_the_card(license):
    assert f"license: {license}\n" in render_card(config(), license=license)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("org/base", "org/base"),
        ("embedded:generator", "embedded:generator"),
        ("/home/me/models/base", "base"),
        ("./base", "base"),
        ("~/base/", "base"),
        ("runs/a/b", "b"),
        ("C:\\models\\base", "base"),
    ],
)
def test_a_folder_of_this_machine_is_its_name_alone(given, shown):
    assert public_name(given) == shown
    text = render_card(config(base_model=given, sources=[ScoreSource("default", given, {}, given)]))
    assert f"`{shown}`" in text and (given == shown or given not in text)
