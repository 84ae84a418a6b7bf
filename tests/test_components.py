"""What answers questions, checked to go together: what each policy needs, and how a predictor learns who asks."""

from types import SimpleNamespace

import pytest
from answering import WrittenScores
from fitted_policies import folder_of, made_up

from optscale_predictor.errors import InputError
from optscale_predictor.inference.components import Components
from optscale_predictor.policies import BestOfN, parse_policy
from optscale_predictor.predictor import provenance
from optscale_predictor.predictor.model.config import ScoreSource
from optscale_predictor.questions.prompts import PromptTemplate
from optscale_predictor.stats.estimators import Prior

GENERATOR, SCORES, PRIOR = object(), WrittenScores(), Prior(0.5, 0.2, 1.0)
NEEDY, VOTES, BEST = parse_policy("optscale_t"), parse_policy("self_consistency"), BestOfN(4)


def test_parts_are_kept_as_given():
    template = PromptTemplate("Say {question}")
    found = Components(GENERATOR, SCORES, [BEST, VOTES], "predictor", PRIOR, template, "majority", "mine", True)
    assert (found.generator, found.verifier, found.policies) == (GENERATOR, SCORES, (BEST, VOTES))
    assert (found.predictor, found.prior, found.prompt) == ("predictor", PRIOR, template)
    assert (found.selection, found.source, found.allow_source_mismatch) == ("majority", "mine", True)
    plain = Components(GENERATOR, SCORES, [BEST])
    assert plain.prompt("1+1=") == PromptTemplate()("1+1=") and plain.allow_source_mismatch is False
    assert plain.predictor is plain.prior is plain.selection is plain.source is None


@pytest.mark.parametrize(
    ("given", "policies", "says"),
    [
        ({}, [BEST, NEEDY], "policy 'optscale_t' needs a prior"),
        ({"verifier": None}, [VOTES, BEST], "'best_of_n' needs a verifier; these need none: self_consistency, "),
        (
            {"verifier": None, "selection": "best_score"},
            [VOTES],
            "selection 'best_score' needs a verifier; 'majority' needs none",
        ),
        ({}, [BEST, BEST], "a policy is named twice"),
    ],
)
def test_a_policy_that_lacks_what_it_needs_is_named(given, policies, says):
    """By those that the parts are made with, and by those that a question brings."""
    options = {"verifier": SCORES, **given}
    with pytest.raises(InputError, match=says):
        Components(GENERATOR, policies=policies, **options)
    if "selection" not in given:
        with pytest.raises(InputError, match=says):
            Components(GENERATOR, policies=[VOTES], **options).require_usable(policies)


def test_a_selection_is_known_and_has_what_it_needs_before_anything_is_drawn():
    with pytest.raises(InputError, match="unknown selection 'best'; known: best_score, "):
        Components(GENERATOR, SCORES, [BEST], selection="best")
    with pytest.raises(InputError, match="/nowhere: no fitted policy"):
        Components(GENERATOR, SCORES, [BEST], selection="confidence:/nowhere")
    with_prior = f"confidence:{folder_of(made_up(uses_prior=True))}"
    with pytest.raises(InputError, match=r"selection 'confidence:.*' needs a prior"):
        Components(GENERATOR, SCORES, [BEST], selection=with_prior)
    kept = Components(GENERATOR, SCORES, [BEST], prior=PRIOR, selection=with_prior).selection
    assert kept.startswith(f"{with_prior},version=v")


def test_a_selection_of_another_source_is_refused_unless_it_is_allowed(monkeypatch):
    monkeypatch.setattr(provenance, "source_of_engines", lambda *_: ScoreSource(generator="org/two"))
    selection = f"confidence:{folder_of(made_up(source=ScoreSource(generator='org/one').as_dict()))}"
    with pytest.raises(InputError, match=r"selection .*: fitted to other samples than these: generator 'org/two'"):
        Components(GENERATOR, SCORES, [BEST], selection=selection).pair(True)
    Components(GENERATOR, SCORES, [BEST], selection=selection, allow_source_mismatch=True).pair(True)
    Components(GENERATOR, SCORES, [BEST], selection=f"confidence:{folder_of()}").pair(True)


def test_a_fitted_policy_of_another_source_is_refused_whatever_selects(monkeypatch):
    monkeypatch.setattr(provenance, "source_of_engines", lambda *_: ScoreSource(generator="org/two"))
    folder = folder_of(made_up(source=ScoreSource(generator="org/one").as_dict()))
    fitted = parse_policy(f"fitted:path={folder},price=1e-4")
    with pytest.raises(InputError, match=r"fitted to other samples than these: generator 'org/two'"):
        Components(GENERATOR, SCORES, [fitted], selection="majority").pair(True)


def test_what_a_policy_needs_may_come_from_any_side():
    Components(GENERATOR, SCORES, [NEEDY], prior=PRIOR)
    Components(GENERATOR, SCORES, [NEEDY], predictor=object())
    Components(GENERATOR, None, [BEST], selection="majority")
    Components(GENERATOR, None, [VOTES])


@pytest.fixture
def learnt(monkeypatch):
    """A predictor, and what is asked of its provenance in order."""
    asked = []

    def source_of_engines(*given):
        asked.append(("live", given))
        return "live"

    def require_pairing(*given):
        asked.append(("paired", given))
        return "theirs"

    monkeypatch.setattr(provenance, "source_of_engines", source_of_engines)
    monkeypatch.setattr(provenance, "require_pairing", require_pairing)
    monkeypatch.setattr(provenance, "lend_score_map", lambda *given: asked.append(("lent", given)))
    return SimpleNamespace(config="config", predict_questions=lambda questions, source: (questions, source)), asked


@pytest.mark.parametrize("uses_template", [True, False])
@pytest.mark.parametrize("allowed", [True, False])
def test_a_predictor_learns_from_whom_the_scores_are(learnt, uses_template, allowed):
    predictor, asked = learnt
    template = PromptTemplate("Say {question}")
    parts = Components(
        GENERATOR, SCORES, [NEEDY], predictor, prompt=template, source="mine", allow_source_mismatch=allowed
    )
    assert parts.predict(["q"]) == (["q"], None)  # before anything is paired: the predictor's only source
    parts.pair(uses_template)
    assert asked == [
        ("live", (GENERATOR, SCORES, template if uses_template else None)),
        ("paired", ("config", "live", "mine", allowed)),
        ("lent", ("config", "theirs", SCORES)),
    ]
    assert parts.predict(["q"]) == (["q"], "theirs")


def test_without_a_predictor_nothing_is_paired_or_predicted(learnt):
    _, asked = learnt
    parts = Components(GENERATOR, SCORES, [NEEDY], prior=PRIOR)
    parts.pair(True)
    assert not asked
    with pytest.raises(InputError, match="there is no predictor"):
        parts.predict([])
