"""The report's page: whole, alone, safe, readable, and of the same numbers as its data."""

import re
from base64 import b64encode
from hashlib import sha256
from itertools import pairwise

import numpy as np
import pytest
from browsing import look
from parsed_page import Page
from recorded_runs import OURS, REFERENCE, VOTES, record_run, sums_pool

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.backends.verifiers.likelihood import LikelihoodVerifier
from optscale_predictor.evaluation.report import compare, read_record, replay_pool
from optscale_predictor.evaluation.report.report_page import _TEMPLATES, render_page
from optscale_predictor.pages.templating import shared_style
from optscale_predictor.policies import parse_policy
from optscale_predictor.pools import Pool
from optscale_predictor.pools.preparation import generate_pool, score_pool
from optscale_predictor.questions.arithmetic import make_questions
from optscale_predictor.replays.recorded_samples import RecordedSamples

HOSTILE = (
    "<script>alert(1)</script>",
    "</p></details></li></ol><img src=http://evil.example/x.png onerror=alert(2)>",
    "\"quoted\" 'text' & {{ 7 * 7 }} {% raw %} </style></title>",
    "Which?\n<img src=x onerror=alert(3)> " + "and so on, " * 12,
    "long " * 400,
)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    texts = [*HOSTILE, *(f"How much is {number}?" for number in range(25))]
    return sums_pool(tmp_path_factory.mktemp("pools") / "pool", 30, texts=texts)


@pytest.fixture(scope="module")
def folders(pool, tmp_path_factory):
    root = tmp_path_factory.mktemp("runs <b>")
    several = record_run(root / "several & <i>", pool)
    return [
        several,
        record_run(root / "alone", pool, (REFERENCE,)),
        record_run(root / "ours", pool, (OURS,), seconds=3.0),
    ]


@pytest.fixture(scope="module")
def comparison(folders):
    return compare([read_record(one) for one in folders])


@pytest.fixture(scope="module")
def text(comparison):
    return render_page(comparison, "Sums <b> & more")


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


@pytest.fixture(scope="module")
def least(pool, tmp_path_factory):
    """The least that a report can be of: one question, one policy, no samples, no verifier."""
    one = sums_pool(tmp_path_factory.mktemp("least") / "pool", 1, 2)
    folder = record_run(tmp_path_factory.mktemp("least") / "run", one, (VOTES,), verifier=None)
    return render_page(compare([read_record(folder)]), "Least")


@pytest.mark.parametrize("which", ["text", "least"])
def test_the_page_is_whole_and_alone(which, request):
    page = Page(request.getfixturevalue(which))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) and all(re.fullmatch(r"[a-z0-9-]+", one) for one in ids)
    for _, attributes in page.elements:
        named = (attributes.get("aria-labelledby") or "").split() + [
            attributes[key] for key in ("for",) if key in attributes
        ]
        assert set(named) <= set(ids)
        link = attributes.get("href", "#")
        assert link == "data:," or link == "#" or link[1:] in ids
        assert not any("//" in (value or "") or name.startswith("on") for name, value in attributes.items())
        assert not {"src", "action", "xlink:href"} & attributes.keys()
    assert not re.search(r"url\(|@import", next(data for tag, data in page.text if tag == "style"))


@pytest.mark.parametrize("which", ["text", "least"])
def test_it_can_be_heard(which, request):
    page = Page(request.getfixturevalue(which))
    assert page.all("html")[0]["lang"] == "en"
    assert all(len(page.all(tag)) == 1 for tag in ("header", "main", "footer", "nav", "h1"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in pairwise(levels))
    drawings = [attributes for attributes in page.all("svg") if "aria-hidden" not in attributes]
    assert all(one["role"] == "img" and one["aria-labelledby"] for one in drawings)
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(one.get("scope") in ("col", "row") for one in page.all("th"))
    assert all("aria-label" in one for one in page.all("div") if one.get("role") == "region")


def test_untrusted_text_stays_text(text, page):
    assert len(page.all("script")) == 1 and not page.all("img") and not page.all("b") and not page.all("i")
    shown = "".join(data for tag, data in page.text if tag in ("p", "span"))
    for hostile in HOSTILE[:4]:
        assert hostile in shown
    assert HOSTILE[4].strip() not in shown
    assert ("h1", "Sums <b> & more") in page.text
    policy = next(one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "unsafe" not in policy
    for tag in ("style", "script"):
        digest = sha256("".join(data for where, data in page.text if where == tag).encode()).digest()
        assert f"{tag}-src 'sha256-{b64encode(digest).decode()}'" in policy


def test_no_place_on_the_machine_is_named(text, folders):
    assert str(folders[0].parent) not in text and "several &amp; &lt;i&gt;" in text


def test_the_tables_hold_the_figures(page, comparison, folders):
    head, *body = page.tables["means"]
    assert [row[0] for row in body] == ["optscale", "asc_beta", "best_of_n (max_samples=8)"]
    for row, result in zip(body, comparison.results, strict=True):
        cases, shown = result.cases, dict(zip(head, row, strict=True))
        assert shown["accuracy"].split(" ± ")[0] == f"{cases.correct.mean():.3f}"
        assert shown["samples"].split(" ± ")[0] == f"{cases.samples.mean():.2f}"
        assert shown["tokens"].split(" ± ")[0] == f"{cases.tokens.mean():,.0f}"
        assert shown["budget, %"].split(" ± ")[0] in (f"{100 * (cases.reason == 'budget').mean():.1f}", "")
    by_k = {row[0]: row[2] for row in page.tables["accuracy-samples"] if row[0].startswith("Best-of-")}
    recorded = RecordedSamples.from_pool(Pool(folders[1] / "pool"))
    # Where several samples share the best score the page has their mean.
    best = (recorded.scores == recorded.scores.max(-1, keepdims=True)) * 1.0
    want = (best * recorded.correct).sum(-1) / best.sum(-1)
    assert list(by_k) == ["Best-of-1", "Best-of-2", "Best-of-4", "Best-of-8"]
    assert by_k["Best-of-8"] == f"{100 * want.mean():.1f}%"
    assert by_k["Best-of-1"] == f"{100 * recorded.correct.mean():.1f}%"
    (ours,) = [row for row in page.tables["pace"] if row[0] == "ours"]
    assert ours[-3] == "3.33\N{MULTIPLICATION SIGN}"  # 10 seconds of the reference against 3


def test_every_question_shows_what_each_policy_did(page, comparison, folders):
    items = [one for one in page.all("li") if "data-group" in one]
    assert len(items) == 30
    titles = [data for tag, data in page.text if tag == "title" and " samples, of which" in data]
    assert len(titles) == 30
    spent = comparison.primary.cases
    first = {q: n for q, n in zip(spent.question[:30].tolist(), spent.samples[:30].tolist(), strict=True)}
    ids = [data for tag, data in page.text if tag == "span" and re.fullmatch(r"q\d+", data)]
    for question, title in zip(ids, titles, strict=True):
        assert title.startswith(f"8 samples, of which the primary policy drew {first[question]:.0f}; sample ")


def test_thousands_of_questions_make_a_page_of_the_same_size(tmp_path):
    sizes = []
    for number in (300, 1200):
        pool = sums_pool(tmp_path / f"pool{number}", number, 8)
        run = replay_pool(pool, [parse_policy(policy) for policy in (OURS, REFERENCE)], orders=1)
        text = render_page(compare([run]), "Many", max_examples=100)
        page = Page(text)
        assert len([one for one in page.all("li") if "data-group" in one]) == 100
        assert any(f"100 of {number:,} questions" in data for tag, data in page.text if tag == "p")
        sizes.append(len(text))
    assert sizes[1] < 1.1 * sizes[0] and sizes[1] < 600_000


def contrast(one, other):
    """WCAG's contrast of two colours, #rrggbb."""
    lights = []
    for colour in (one, other):
        parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        lights.append(float(linear @ [0.2126, 0.7152, 0.0722]))
    return (max(lights) + 0.05) / (min(lights) + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_colours_can_be_told_from_paper(scheme):
    style = shared_style() + (_TEMPLATES / "report.css").read_text()
    blocks = {
        "light": re.findall(r"^:root \{(.*?)\}", style, re.DOTALL | re.MULTILINE),
        "dark": re.findall(r"dark\) \{\s*:root \{(.*?)\}", style, re.DOTALL),
        "print": re.findall(r"print \{\s*:root \{(.*?)\}", style, re.DOTALL),
    }
    colours = dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6})", "".join(blocks[scheme])))
    for paper in ("paper", "card"):
        for ink in ("ink", "soft", "link", "bad", "good"):
            assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)
        for mark in ("one", "two", "right", "wrong", *(f"c{number}" for number in range(8))):
            assert contrast(colours[mark], colours[paper]) >= 3, (mark, paper)


def test_a_run_of_the_embedded_world(tmp_path):
    generator = HuggingFaceGenerator("embedded:generator", SamplingParams(max_tokens=160))
    generate_pool(tmp_path / "pool", make_questions(6, 0, "train"), generator, 4, progress=False)
    pool = score_pool(tmp_path / "pool", LikelihoodVerifier("embedded:verifier"), progress=False)
    policies = ("optscale:score_min=0.8,max_samples=4", "best_of_n:max_samples=4")
    folder = record_run(tmp_path / "run", pool, policies)
    page = Page(render_page(compare([read_record(folder)]), "World"))
    recorded = RecordedSamples.from_pool(pool)
    best = recorded.correct[np.arange(6), recorded.scores.argmax(-1)].mean()
    row = next(one for one in page.tables["means"] if one[0].startswith("best_of_n"))
    assert row[1].startswith(f"{best:.3f}")
    assert any("embedded:generator" in cell for row in page.tables["runs"] for cell in row)


@pytest.mark.full
def test_a_browser_shows_it_on_a_phone_and_asks_for_nothing(text, tmp_path):
    place = tmp_path / "report.html"
    place.write_text(text)
    script = """(() => {
        for (const one of document.querySelectorAll("details")) one.open = true;
        const group = document.getElementById("group"), search = document.getElementById("search");
        const shown = () => [...document.querySelectorAll("#items > li")].filter((one) => !one.hidden).length;
        const all = shown(), width = document.documentElement.scrollWidth;
        search.value = "alert(1)"; search.dispatchEvent(new Event("input"));
        const found = shown();
        search.value = ""; search.dispatchEvent(new Event("input"));
        const sizes = [...document.querySelectorAll(".chart > svg text")].map((one) =>
            parseFloat(getComputedStyle(one).fontSize) * one.ownerSVGElement.clientWidth / 360);
        group.value = group.options[1].value; group.dispatchEvent(new Event("change"));
        const smallest = Math.min(...sizes);
        return { width, all, smallest, found, grouped: shown(), hidden: document.getElementById("controls").hidden };
    })()"""
    seen, errors, asked = look(place.as_uri(), tmp_path / "profile", 360, script)
    assert seen["smallest"] >= 11  # pixels, of what stands along axes
    assert seen["width"] == 360 and not errors and asked == [place.as_uri()]
    assert seen["all"] == 30 and seen["found"] == 1 and 0 < seen["grouped"] < 30 and not seen["hidden"]
    # What a complaint and an overflow look like.
    wide = text.replace("</main>", "<p>" + "x" * 900 + "</p></main>").replace(
        '"use strict";', '"use strict"; alert(1);'
    )
    place.write_text(wide)
    seen, errors, _ = look(place.as_uri(), tmp_path / "profile2", 360, "document.documentElement.scrollWidth")
    assert seen > 360 and errors
