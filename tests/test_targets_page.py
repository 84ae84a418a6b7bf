"""The dataset card and the page of histograms: whole, safe, and of the same numbers as the data."""

import re
import shutil
import subprocess
from base64 import b64encode
from hashlib import sha256

import datasets
import numpy as np
import pytest
import yaml
from parsed_page import Page
from synthetic_pool import write_pool

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.verifiers.likelihood import LikelihoodVerifier
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.pools.preparation import generate_pool, score_pool
from optscale_predictor.questions.arithmetic import make_questions
from optscale_predictor.targets import SplitRule, read_pool_scores, tabulate, write_dataset
from optscale_predictor.targets.histogram_page import render_page
from optscale_predictor.targets.target_dataset import PLACEHOLDER, render_card

HOSTILE = (
    "<script>alert(1)</script>",
    "</p></li></ol><img src=http://evil.example/x.png onerror=alert(2)>",
    "\"quoted\" 'text' & {{ 7 * 7 }} {% raw %} </style></title>",
    "long " * 400,
)


def labelled(seed, questions=30):
    rng = np.random.default_rng(seed)
    scores, correct, tokens = [], [], []
    for number in range(questions):
        own = rng.beta(*rng.uniform(0.4, 5, 2), rng.integers(3, 12))
        scores.append([None if rng.random() < 0.1 and place else float(one) for place, one in enumerate(own)])
        correct.append([None if number % 7 == 3 else bool(rng.random() < one) for one in own])
        tokens.append([int(one) for one in rng.integers(1, 600, own.size)])
    return scores, correct, tokens


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    scores, correct, tokens = labelled(0)
    rng = np.random.default_rng(0)
    plain = ["".join(rng.choice(list("abcdefghij"), 30)) for _ in range(len(scores) - len(HOSTILE))]
    folder = tmp_path_factory.mktemp("pools") / "my <b>pool | `x`"
    return write_pool(folder, scores, [*HOSTILE, *plain], correct=correct, num_tokens=tokens)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The least that a pool can know: one sample, no label, no tokens, no finish reason."""
    nothing = [[None]]
    folder = tmp_path_factory.mktemp("pools") / "bare"
    return write_pool(folder, [[0.4]], num_tokens=nothing, finish_reason=nothing, verifier_tokens=nothing)


def rendered(pool):
    pool_scores = read_pool_scores(pool)
    return render_page(pool_scores, tabulate(pool_scores))


@pytest.mark.parametrize("which", ["pool", "bare"])
def test_the_page_is_whole_and_alone(which, request):
    text = rendered(request.getfixturevalue(which))
    page = Page(text)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) and all(re.fullmatch(r"[a-z0-9-]+", one) for one in ids)
    for _, attributes in page.elements:
        named = (attributes.get("aria-labelledby") or "").split() + [
            attributes[key] for key in ("for",) if key in attributes
        ]
        assert set(named) <= set(ids)
        # Nothing is fetched: no address in any attribute, and no attribute that runs.
        assert not any("//" in (value or "") or name.startswith("on") for name, value in attributes.items())
        assert not any((attributes.get(key) or "data:,") != "data:," for key in ("src", "href", "action", "xlink:href"))
    assert not re.search(r"url\(|@import", next(data for tag, data in page.text if tag == "style"))
    assert page.all("html")[0]["lang"] == "en" and len(page.all("h1")) == 1
    drawings = [attributes for attributes in page.all("svg") if "aria-hidden" not in attributes]
    assert drawings and all(one["role"] == "img" and one["aria-labelledby"] for one in drawings)
    assert text == rendered(request.getfixturevalue(which))


def test_untrusted_text_stays_text(pool):
    text = rendered(pool)
    page = Page(text)
    assert len(page.all("script")) == 1 and not page.all("img")
    assert "alert(1)" not in next(data for tag, data in page.text if tag == "script")
    assert any("my <b>pool | `x`" in data for tag, data in page.text if tag == "h1")
    policy = next(one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "unsafe" not in policy
    for tag in ("style", "script"):
        digest = sha256("".join(data for where, data in page.text if where == tag).encode()).digest()
        assert f"{tag}-src 'sha256-{b64encode(digest).decode()}'" in policy


def test_hostile_questions_are_among_those_shown(tmp_path):
    """With few questions all of them are shown, the hostile ones as they are."""
    scores = [[0.2, 0.4], [0.5, 0.7], [0.1, 0.9], [0.3, 0.8]]
    page = Page(rendered(write_pool(tmp_path / "pool", scores, list(HOSTILE))))
    shown = [data for tag, data in page.text if tag == "p"]
    for hostile in HOSTILE[:3]:
        assert hostile in shown
    assert HOSTILE[3].strip() not in shown and any(
        one.endswith(" …") and HOSTILE[3].startswith(one[:-2]) for one in shown
    )
    assert len(page.all("script")) == 1


def test_the_figures_numbers_are_those_of_the_data(pool):
    page, rows = Page(rendered(pool)), pool.read(["score", "correct", "num_tokens", "finish_reason", "refusal"])
    table = tabulate(read_pool_scores(pool))
    unit = np.linspace(0, 1, 21)

    def counted(values, edges):
        return [[int(count)] for count in np.histogram(values, edges)[0]]

    assert page.numbers("mean") == counted(table["mean"].to_numpy(), unit)
    assert page.numbers("std") == counted(table["std"].to_numpy(), unit / 2)
    assert page.numbers("pass-rate") == counted(table["pass_rate"].drop_null().to_numpy(), unit)
    score, correct = rows["score"].to_numpy(), np.array(rows["correct"].to_pylist(), float)
    right, wrong = (np.histogram(score[correct == side], unit)[0] for side in (1, 0))
    assert page.numbers("scores") == np.stack([right, wrong], -1).tolist()
    refused = np.isnan(score)
    assert sum(count for (count,) in page.numbers("samples")) == table.num_rows
    assert sum(count for (count,) in page.numbers("tokens")) == rows.num_rows
    moments, _, _ = np.histogram2d(table["mean"].to_numpy(), table["std"].to_numpy(), (unit[::2], unit[::2] / 2))
    assert page.numbers("moments") == moments.T[::-1].astype(int).tolist()
    assert page.tables["finish-reasons"][1:] == [["stop", f"{rows.num_rows}", "100.0%"]]
    assert page.tables["refusals"][1:] == [["its text is too long: # tokens", f"{refused.sum()}", "100.0%"]]
    for own in page.tables["reliability"][1:]:
        low, high = map(float, own[0].split(" to "))
        there = ~np.isnan(correct) & (score >= low) & (score < high if high < 1 else score <= high)
        assert own[1:4] == [f"{there.sum()}", f"{score[there].mean():.3f}", f"{correct[there].mean():.3f}"]


def test_questions_are_shown_from_hard_to_easy_with_their_numbers(pool):
    page, table = Page(rendered(pool)), tabulate(read_pool_scores(pool))
    items = [attributes for attributes in page.all("li") if "data-band" in attributes]
    means = [float(one["data-mean"]) for one in items]
    assert (
        means == sorted(means)
        and means[0] == min(table["mean"].to_pylist())
        and means[-1] == max(table["mean"].to_pylist())
    )
    assert [one["data-band"] for one in items] == ["hard"] * 8 + ["middle"] * 8 + ["easy"] * 8
    assert len([one for one in page.all("polyline") if one.get("class") == "fit"]) == 24
    titles = [data for tag, data in page.text if tag == "title" and " scores: " in data]
    for title, mean in zip(titles, means, strict=True):
        count, bins = title.split(" scores: ")
        assert int(count) == sum(int(one.split(" from ")[0]) for one in bins.split(", "))
        assert int(count) == table["num_samples"].to_pylist()[table["mean"].to_pylist().index(mean)]


def test_a_bare_pool_shows_what_it_has(bare):
    page = Page(rendered(bare))
    assert not {"pass-rate", "reliability", "tokens", "refusals"} & page.tables.keys()
    assert page.tables["finish-reasons"][1:] == [["not said", "1", "100.0%"]]
    assert page.numbers("scores")[8] == [1]  # 0.4 lies in the ninth of twenty bins


def card_parts(text):
    _, metadata, body = text.split("---\n", 2)
    return yaml.safe_load(metadata), body


def test_the_card_says_what_the_data_say(pool, tmp_path):
    written = write_dataset(pool, tmp_path / "targets.parquet", SplitRule(0.3), license="cc-by-4.0")
    assert [path.name for path in written.files] == ["targets.parquet", "README.md", "histograms.html"]
    metadata, body = card_parts((tmp_path / "README.md").read_text())
    assert metadata["license"] == "cc-by-4.0" and metadata["size_categories"] == ["n<1K"]
    assert metadata["pretty_name"] == "Score targets of my <b>pool | `x`"
    files = metadata["configs"][0]["data_files"]
    assert files == [{"split": "targets", "path": "targets.parquet"}]
    rows = pool.read(["score", "num_tokens"])
    scored = rows.num_rows - rows["score"].null_count
    for fact in (
        "| `generator.model` | `org/generator` |",
        "| `generator.temperature` | `0.7` |",
        "| `aggregation` | `min` |",
        f"{scored:,} scored samples of 30 questions",
        f"{sum(rows['num_tokens'].to_pylist()):,} tokens generated",
        f"{rows['score'].null_count} samples refused by the verifier: `its text is too long: # tokens`",
    ):
        assert fact in body
    table = tabulate(read_pool_scores(pool), SplitRule(0.3))
    assert f"| mean of the questions' mean scores | {np.mean(table['mean'].to_pylist()):.4f} |" in body
    held_out = written.summary.family.log_likelihood
    assert written.summary.family.name == max(held_out, key=held_out.get)
    assert f"| family of distributions that held-out scores follow best | `{written.summary.family.name}` |" in body
    sides = table["split"].to_pylist()
    assert f"`train` has {sides.count('train')} questions, `validation` {sides.count('validation')}" in body
    assert all(f"| `{name}` |" in body for name in table.column_names)
    assert "<b>" not in body.replace("\\<b\\>", "")


def test_the_cards_snippet_runs(pool, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_dataset(pool, tmp_path / "out" / "targets.parquet", SplitRule(0.3))
    (snippet,) = re.findall(r"```python\n(.*?)```", (tmp_path / "out" / "README.md").read_text(), re.DOTALL)
    scope = {}
    exec(snippet.replace(PLACEHOLDER, str(tmp_path / "out")), scope)
    table = tabulate(read_pool_scores(pool), SplitRule(0.3)).to_pylist()
    assert scope["targets"].to_list() == table
    train = [row for row in table if row["split"] == "train"]
    assert capsys.readouterr().out.startswith(f"{len(train)} {train[0]['question']}")


def test_a_pool_of_the_embedded_world(tmp_path):
    questions = make_questions(5, 0, "train")
    generator = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=160))
    generate_pool(tmp_path / "pool", questions, generator, 4, progress=False)
    pool = score_pool(tmp_path / "pool", LikelihoodVerifier("embedded:verifier"), progress=False)
    write_dataset(pool, tmp_path / "out" / "targets.parquet")
    page, card = Page((tmp_path / "out" / "histograms.html").read_text()), (tmp_path / "out" / "README.md").read_text()
    assert "`embedded:generator`" in card and "`embedded:verifier`" in card and "20 scored samples of 5" in card
    assert any("embedded:verifier" in data for tag, data in page.text if tag == "p")
    assert page.numbers("samples")[2] == [5]  # every question has 4, in the middle of five bins


def test_a_card_without_a_licence_leaves_it_open(bare):
    pool_scores = read_pool_scores(bare)
    text = render_card(pool_scores, tabulate(pool_scores), SplitRule(), "targets.parquet")
    metadata, body = card_parts(text)
    assert "license" not in metadata and "# license:" in text
    assert "No gold answers are known here" in body and "tokens generated" not in body
    with pytest.raises(InputError, match="license must be a hub name"):
        render_card(pool_scores, tabulate(pool_scores), SplitRule(), "targets.parquet", license="mit\nevil: 1")


def test_what_others_wrote_is_not_replaced(bare, tmp_path):
    output = tmp_path / "targets.parquet"
    write_dataset(bare, output)
    write_dataset(bare, output, license="mit")  # ours, untouched: replaced
    card = tmp_path / "README.md"
    assert "license: mit" in card.read_text()
    edited = card.read_text().replace("mit", "apache-2.0")
    card.write_text(edited)
    output.unlink()
    with pytest.raises(InputError, match=r"README.md: is there, and not as optscale targets wrote it"):
        write_dataset(bare, output)
    assert card.read_text() == edited and not output.exists()  # and nothing else was begun
    card.unlink()
    write_dataset(bare, output)
    with pytest.raises(InputError, match=r"not as optscale targets wrote it for others.parquet"):
        write_dataset(bare, tmp_path / "others.parquet")
    card.unlink()
    output.unlink()
    (tmp_path / "histograms.html").write_text("<p>somebody's</p>")
    with pytest.raises(InputError, match=r"histograms.html: is there"):
        write_dataset(bare, output)
    write_dataset(bare, output, card=False)
    assert output.exists() and not card.exists()


def test_the_command(pool, tmp_path, capsys):
    out = tmp_path / "out" / "targets.parquet"
    flags = ["--validation_share", "0.4", "--seed", "2", "--near_duplicates", "0.9", "--same_numbers", "true"]
    main(["targets", str(pool.folder), "--output", str(out), *flags, "--license", "mit"])
    sides = tabulate(read_pool_scores(pool), SplitRule(0.4, 2, 0.9, True))["split"].to_pylist()
    said = f"targets of 30 questions ({sides.count('train')} train, {sides.count('validation')} validation)"
    assert said in capsys.readouterr().out
    assert (out.parent / "README.md").exists() and (out.parent / "histograms.html").exists()
    main(["targets", str(pool.folder), "--output", str(tmp_path / "bare" / "t.parquet"), "--card", "false"])
    assert [path.name for path in (tmp_path / "bare").iterdir()] == ["t.parquet"]
    for arguments, says in (
        (["--column", "score_prm"], "no score 'score_prm'"),
        (["--output", str(tmp_path / "x.csv")], "name must end in .parquet, such as"),
        (["--license", "Not a name"], "license must be"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["targets", str(pool.folder), *arguments])
        error = capsys.readouterr().err
        assert ended.value.code == 2 and says in error and error.count("\n") == 1


def test_a_lopsided_split_is_said(tmp_path):
    texts = [f"How much is {number} and {number}?" for number in range(200)]
    pool = write_pool(tmp_path / "pool", [[0.2, 0.3]] * 200, texts)
    assert "try --same_numbers true" in write_dataset(pool, tmp_path / "a" / "t.parquet").note
    assert not write_dataset(pool, tmp_path / "b" / "t.parquet", SplitRule(same_numbers=True)).note


BROWSER = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


def browse(address, profile):
    """The page as a browser has it after its script ran, and what it logged."""
    command = [
        shutil.which("chromium") or "chromium",
        *BROWSER,
        f"--user-data-dir={profile}",
        "--enable-logging=stderr",
    ]
    done = subprocess.run([*command, "--dump-dom", address], capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


@pytest.mark.full
def test_a_browser_shows_the_page_and_complains_of_nothing(pool, tmp_path):
    write_dataset(pool, tmp_path / "targets.parquet")
    address = (tmp_path / "histograms.html").as_uri()
    broken = tmp_path / "broken.html"  # what a complaint looks like: a script that the policy does not know
    broken.write_text((tmp_path / "histograms.html").read_text().replace('"use strict";', '"use strict"; alert(1);'))
    assert "CONSOLE" in browse(broken.as_uri(), tmp_path / "p0")[1]
    for key, attribute in (("", "data-mean"), ("#by-std", "data-std"), ("#by-tokens", "data-tokens")):
        dom, log = browse(address + key, tmp_path / f"profile{attribute}")
        assert "CONSOLE" not in log
        page = Page(dom)
        values = [float(one[attribute]) for one in page.all("li") if "data-band" in one]
        assert len(values) == 24 and values == sorted(values)
        assert "hidden" not in next(one for one in page.all("form"))
        assert len(page.all("script")) == 1 and not page.all("img")
