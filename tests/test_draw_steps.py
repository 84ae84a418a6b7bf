"""A question draw by draw: what is shown is what the policy saw, believed and did."""

import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from browsing import FLAGS, look
from recorded_runs import record_run, sums_pool

from optscale_predictor.evaluation.report import compare, read_record
from optscale_predictor.evaluation.report.draw_steps import draw_steps
from optscale_predictor.evaluation.report.replayed_runs import replay_pool
from optscale_predictor.evaluation.report.report_page import render_page
from optscale_predictor.evaluation.run_record import RunRecord
from optscale_predictor.policies import Draws, parse_policy
from optscale_predictor.policies.belief import belief
from optscale_predictor.stats.bound import num_samples, reach_probability
from optscale_predictor.stats.estimators import Prior
from optscale_predictor.stats.estimators.learnt_prior import LearntPrior

OURS, DOUBLE, VOTES = (
    "optscale:score_min=0.9,max_samples=16",
    "optscale:score_min=0.9,max_samples=16,step=double",
    "asc_beta:max_samples=16",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("steps")
    return record_run(root / "run", sums_pool(root / "pool", 30, 16), (OURS, DOUBLE, VOTES))


@pytest.fixture(scope="module")
def run(folder):
    return read_record(folder)


def steps_of(run, policy):
    """Rows as dictionaries, by question, of a policy of the run."""
    policy = str(parse_policy(policy))
    cases = run.shown[policy]
    found = draw_steps(run, policy, "ours", range(len(cases.question)))
    return {name: [dict(zip(one.header, row, strict=True)) for row in one.rows] for name, one in found.items()}, found


def test_there_is_a_row_for_every_draw_with_what_was_drawn(run):
    cases, rows = run.shown[str(parse_policy(OURS))], steps_of(run, OURS)[0]
    assert len(rows) == 30
    for question, spent in zip(cases.question.tolist(), cases.samples.tolist(), strict=True):
        start, _ = run.samples.span[question]
        mine = rows[question]
        assert [row["drawn"] for row in mine] == [str(number) for number in range(int(spent) + 1)]
        assert mine[0]["score"] == "" and "then" in mine[0]
        scores = run.samples.score[start : start + int(spent)]
        assert [row["score"] for row in mine[1:]] == [f"{score:.2f}" for score in scores]
        assert [row["answer"] for row in mine[1:]] == run.samples.answer[start : start + int(spent)].tolist()
        assert [row["best"] for row in mine[1:]] == [f"{best:.2f}" for best in np.maximum.accumulate(scores)]


def test_what_was_believed_is_the_posterior_of_the_scores_so_far(run):
    (question, rows), *_ = [one for one in steps_of(run, OURS)[0].items() if len(one[1]) > 8]
    start, _ = run.samples.span[question]
    for drawn, row in enumerate(rows[:-1]):
        scores = run.samples.score[None, start : start + max(drawn, 1)]
        count = np.array([drawn])
        shown = Draws(
            np.where(np.arange(scores.shape[1]) < count[:, None], scores, np.nan), scores, scores, count, None
        )
        believed = belief(shown, "posterior")
        assert row["next score"] == f"{believed.mean()[0]:.2f} ± {believed.std()[0]:.2f}"
        assert row["reaches target"] == f"{100 * reach_probability(believed, 0.9, 1)[0]:.1f}%"
        # N* counts all samples, those drawn among them, and is asked of the same posterior.
        assert row["N*"] == f"{num_samples(believed, 0.9, 0.95)[0]:,.0f}"


def test_the_last_row_says_why_it_ended_and_names_the_sample_that_was_returned(run):
    cases, rows = run.shown[str(parse_policy(OURS))], steps_of(run, OURS)[0]
    seen = set()
    for row, question in enumerate(cases.question.tolist()):
        last, reason = rows[question][-1], str(cases.reason[row])
        assert last["then"].startswith(f"stops: {reason}. ")
        start, _ = run.samples.span[question]
        returned = int(last["returns"].removeprefix("sample ")) - 1
        assert run.samples.score[start + returned] == cases.score[row]
        assert run.samples.answer[start + returned] == cases.answer[row]
        seen.add(reason)
    assert {"reached", "unreachable"} <= seen


def test_a_policy_that_draws_several_at_a_time_is_not_asked_in_between(run):
    rows = next(rows for rows in steps_of(run, DOUBLE)[0].values() if len(rows) == 17)
    asked = [int(row["drawn"]) for row in rows if row["then"] != "not asked"]
    assert asked == [0, 1, 2, 4, 8, 16] and rows[4]["then"] == "draws 4"


def test_votes_have_no_target_and_say_what_they_would_return(run):
    rows, found = steps_of(run, VOTES)
    assert not {"next score", "reaches target"} & {name for one in found.values() for name in one.header}
    assert any(one[-1]["then"] == "stops: confident. Enough samples agree" for one in rows.values())
    cases = run.shown[str(parse_policy(VOTES))]
    for row, question in enumerate(cases.question.tolist()):
        returned = int(rows[question][-1]["returns"].removeprefix("sample ")) - 1
        assert run.samples.answer[run.samples.span[question][0] + returned] == cases.answer[row]


@pytest.mark.parametrize("kind", ["predicted", "learnt"])
def test_a_prior_that_is_recorded_is_where_the_steps_start(kind, folder, tmp_path):
    pool = RunRecord.open(folder).pool
    rng = np.random.default_rng(1)
    predicted = Prior(rng.uniform(0.3, 0.9, 30), np.full(30, 0.2), rng.uniform(1, 12, 30))
    given, facts = {
        "predicted": (predicted, {"predictor": "some/predictor"}),
        "learnt": (LearntPrior.parse("learnt"), {"prior": "learnt"}),
    }[kind]
    run = read_record(record_run(tmp_path / kind, pool, (OURS,), believed=given, **facts))
    own, (rows, found) = run.shown[str(parse_policy(OURS))], steps_of(run, OURS)
    assert not np.isnan(own.prior).any() and (kind == "learnt" or np.array_equal(own.prior[:, 0], predicted.mean))
    assert len({one.note for one in found.values()}) > 1
    for place, question in enumerate(own.question.tolist()):
        mean, std, strength = own.prior[place].tolist()
        assert found[question].note == f"Its prior: a score of {mean:.2f} ± {std:.2f}, worth {strength:.1f} samples."
        start, _ = run.samples.span[question]
        for drawn in {0, min(2, len(rows[question]) - 1)}:
            scores = run.samples.score[None, start : start + drawn] if drawn else np.full((1, 1), np.nan)
            shown = Draws(scores, scores, scores, np.array([drawn]), Prior([mean], [std], [strength]))
            believed = belief(shown, "posterior")
            row = rows[question][drawn]
            assert row["next score"] == f"{believed.mean()[0]:.2f} ± {believed.std()[0]:.2f}"
            assert row["N*"] == f"{num_samples(believed, 0.9, 0.95)[0]:,.0f}" or drawn or row["N*"] == ""


def test_a_replayed_pool_knows_the_priors_of_the_order_that_is_shown(folder):
    pool = RunRecord.open(folder).pool
    prior, policy = Prior(np.linspace(0.3, 0.9, 30), 0.2, 4.0), parse_policy(OURS)
    run = replay_pool(pool, [policy], orders=3, prior=prior, predictor="some/predictor")
    own = run.shown[str(policy)]
    assert np.array_equal(own.prior, np.stack([prior.mean, prior.std, prior.strength], -1))
    assert all("Its prior" in one.note and "N*" in one.header for one in steps_of(run, OURS)[1].values())


@pytest.mark.parametrize("why", ["a prior", "another end", "a fitted policy elsewhere"])
def test_what_cannot_be_computed_again_is_not_shown_and_said(run, why):
    policy, shown = str(parse_policy(OURS)), dict(run.shown)
    if why == "a prior":
        other = replace(run, predictor="some/predictor")
    elif why == "another end":
        ended = replace(shown[policy], reason=np.full_like(shown[policy].reason, "price"))
        other = replace(run, shown={policy: ended})
    else:
        policy, shown[missing] = (missing := "fitted:path=/nowhere"), shown[policy]
        other = replace(run, shown=shown)
    (one, *_) = draw_steps(other, policy, "ours", [0]).values()
    says = {"a prior": "prior", "another end": "recorded end"}.get(why, "cannot be computed")
    assert says in one.note and not {"next score", "N*", "returns"} & set(one.header)
    assert {"drawn", "score", "answer", "best", "then"} <= set(one.header) and one.low == [None] * len(one.rows)


def test_questions_whose_samples_were_not_kept_have_no_steps(run):
    policy = str(parse_policy(OURS))
    assert draw_steps(replace(run, samples=None), policy, "ours", [0]) == {}


def test_without_a_script_the_steps_are_a_table(folder):
    text = render_page(compare([read_record(folder)]), "Steps")
    assert text.count('<details class="steps">') == 30
    tables = re.findall(r"<caption>(q\d+) draw by draw</caption>", text)
    assert len(set(tables)) == 30 and text.count("stops: reached. A sample that may be returned") > 3


@pytest.mark.full
def test_a_browser_steps_through_the_draws_by_keys(folder, tmp_path):
    place = tmp_path / "report.html"
    place.write_text(render_page(compare([read_record(folder)]), "Steps"))
    script = """(async () => {
        const long = (one) => one.querySelectorAll(".steps tbody tr").length > 4;
        const item = [...document.querySelectorAll("#items > li")].find(long);
        item.querySelector("details").open = true;
        while (!item.querySelector(".stepper")) await new Promise((done) => setTimeout(done, 20));
        const range = item.querySelector("input[type=range]"), said = () => range.getAttribute("aria-valuetext");
        const press = (key) =>
            item.querySelector("summary").dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        const last = said();
        press("Home");
        const first = said();
        press("ArrowRight"); press("ArrowRight"); press("ArrowLeft");
        const veil = item.querySelector(".veil");
        return { last, first, second: said(), now: item.querySelectorAll("tr[data-now]").length,
                 veil: Number(veil.getAttribute("x")), facts: item.querySelector(".step-facts").textContent };
    })()"""
    seen, errors, asked = look(place.as_uri(), tmp_path / "profile", 390, script)
    assert not errors and asked == [place.as_uri()] and seen["now"] == 1
    assert "then: stops: " in seen["last"] and seen["first"].startswith("drawn: 0; ")
    assert (
        seen["second"].startswith("drawn: 1; score: ") and seen["facts"].startswith("drawn1score") and seen["veil"] > 4
    )


@pytest.mark.full
def test_two_questions_fit_on_a_printed_page(folder, tmp_path):
    """Each had a page of its own, in letters of the screen's size."""
    place, printed = tmp_path / "report.html", tmp_path / "report.pdf"
    page = render_page(compare([read_record(folder)]), "Steps")
    place.write_text(re.sub("<details(?! open)", "<details open", page))
    command = [shutil.which("chromium") or "chromium", *FLAGS, f"--user-data-dir={tmp_path / 'profile'}"]
    subprocess.run([*command, f"--print-to-pdf={printed}", place.as_uri()], check=True, capture_output=True)
    assert 1 < len(re.findall(rb"/Type /Page\b(?!s)", printed.read_bytes())) <= 20  # of 30 questions and the rest
    script = "[...document.querySelectorAll('.items thead th')].map((one) => getComputedStyle(one).verticalAlign)"
    aligned, _, _ = look(place.as_uri(), tmp_path / "profile", 1280, script)
    assert set(aligned) == {"top"}
