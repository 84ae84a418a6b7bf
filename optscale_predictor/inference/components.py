"""What answers questions (generator, verifier, predictor or prior, policies), checked to go together."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from optscale_predictor.backends.generators import Generator
from optscale_predictor.backends.verifiers import Verifier
from optscale_predictor.backends.verifiers.logprobs import NO_SELF_CERTAINTY
from optscale_predictor.errors import InputError
from optscale_predictor.inference.early_rejection import EarlyRejection, require_rejectable
from optscale_predictor.inference.policy_needs import require_needs
from optscale_predictor.policies import Policy
from optscale_predictor.policies.selection import fitted_behind, require_selection
from optscale_predictor.policies.step import require_learning
from optscale_predictor.questions.prompts import PromptTemplate
from optscale_predictor.questions.question import Question
from optscale_predictor.stats.estimators import Prior
from optscale_predictor.stats.estimators.learnt_prior import LearntPrior

if TYPE_CHECKING:
    from optscale_predictor.predictor import OptScalePredictor


class Components:
    """Generator, verifier, predictor and policies that go together.

    Args:
        generator: Draws samples.
        verifier: Scores them; may be None only for policies that look at answers alone.
        policies: The stopping rules, which share the samples, the primary one first.
        predictor: Gives each question its prior; without one ``prior`` serves all.
        prior: A constant prior, used where there is no predictor; or a :class:`LearntPrior`, in place of both.
        prompt: The prompt around a question.
        selection: How the answer is chosen among the samples; each policy's own rule by default.
        source: Name of one of the predictor's score sources; by default the one that matches generator and verifier.
        allow_source_mismatch: Whether the predictor may have learnt from another generator, verifier or setting.
        reject: When samples are stopped that will hardly beat the best so far; None: never.

    Raises:
        InputError: A policy or the selection lacks what it needs, the selection is unknown, the policies cannot share
            samples, or samples cannot be stopped early.
    """

    def __init__(
        self,
        generator: Generator,
        verifier: Verifier | None,
        policies: Sequence[Policy],
        predictor: "OptScalePredictor | None" = None,
        prior: Prior | LearntPrior | None = None,
        prompt: PromptTemplate | None = None,
        selection: str | None = None,
        source: str | None = None,
        allow_source_mismatch: bool = False,
        reject: EarlyRejection | None = None,
    ) -> None:
        _require_kinds(verifier, prior)
        self.reject = reject
        self.generator, self.verifier, self.policies = _telling_logprobs(generator, verifier), verifier, tuple(policies)
        self.predictor, self.prior, self.prompt = predictor, prior, prompt or PromptTemplate()
        self.selection = None if selection is None else require_selection(selection)
        self.source, self.allow_source_mismatch = source, allow_source_mismatch
        self.require_usable(self.policies)
        self._source_name: str | None = None

    def require_usable(self, policies: Sequence[Policy]) -> None:
        """Checks that these policies can share samples and have what they need.

        Raises:
            InputError: One lacks a prior or a verifier, they cannot share samples, the prior cannot be learnt, or
                samples cannot be stopped early.
        """
        require_shareable(policies)
        if self.reject is not None:
            rules = [self.selection or policy.selection for policy in policies]
            telling = self.verifier is not None and self.verifier.scores_prefixes
            require_rejectable(self.generator.continues_from, telling, self.generator.sampling, rules)
        if isinstance(self.prior, LearntPrior):
            self._require_learnable(policies)
        prior = self.predictor is not None or self.prior is not None
        require_needs(policies, self.selection, scored=self.verifier is not None, prior=prior)

    def _require_learnable(self, policies: Sequence[Policy]) -> None:
        if self.predictor is not None:
            raise InputError("a predictor gives each question its prior: give either it or a learnt prior")
        if self.verifier is None:
            raise InputError("a prior is learnt from scores, and there is no verifier")
        for policy in policies:
            require_learning(policy)

    def predict(self, questions: Sequence[Question]) -> Prior:
        """The predictor's priors of some questions.

        Raises:
            InputError: There is no predictor.
        """
        if self.predictor is None:
            raise InputError("there is no predictor")
        return self.predictor.predict_questions(questions, self._source_name)

    def pair(self, uses_template: bool) -> None:
        """Finds out which of the predictor's sources generator and verifier are; before either is used.

        A verifier of unbounded rewards takes over the map to [0, 1] that the predictor has learnt.

        Args:
            uses_template: Whether the prompt template is around each question, and not some other prompt.

        Raises:
            InputError: The predictor has learnt other scores than theirs, and that is not allowed.
        """
        rules = [policy.selection for policy in self.policies]
        rules += [] if self.selection is None else [self.selection]
        fitted = [rule for rule in rules if fitted_behind(rule) is not None]
        if self.predictor is None and not fitted:
            return
        from optscale_predictor.predictor.provenance import (
            lend_score_map,
            require_pairing,
            require_selection_source,
            source_of_engines,
        )

        live = source_of_engines(self.generator, self.verifier, self.prompt if uses_template else None)
        for rule in fitted:
            require_selection_source(rule, live, self.allow_source_mismatch)
        if self.predictor is None:
            return
        config = self.predictor.config
        self._source_name = require_pairing(config, live, self.source, self.allow_source_mismatch)
        lend_score_map(config, self._source_name, self.verifier)


def _telling_logprobs(generator: Generator, verifier: Verifier | None) -> Generator:
    """The generator, asked for its samples' log-probabilities where the verifier reads them."""
    if verifier is None or not verifier.reads_logprobs:
        return generator
    if verifier.reads_self_certainty and not generator.tells_self_certainty:
        raise InputError(f"the verifier scores what this generator does not tell: {NO_SELF_CERTAINTY}")
    if generator.sampling.logprobs:
        return generator
    return generator.with_sampling(replace(generator.sampling, logprobs=True))


def require_shareable(policies: Sequence[Policy]) -> None:
    """Checks that these policies can share samples.

    Raises:
        InputError: There is none, one is there twice, or one spends a budget of all questions together.
    """
    if not policies:
        raise InputError("no policies named")
    if len(set(policies)) < len(policies):
        raise InputError("a policy is named twice")
    joint = [policy.name for policy in policies if policy.joint]
    if joint and len(policies) > 1:
        raise InputError(f"policy {joint[0]!r} spends one budget on all questions and must run alone")


def _require_kinds(verifier: object, prior: object) -> None:
    """What is easily given in place of a verifier or a prior is refused here, not where it is first used."""
    if verifier is not None and not isinstance(verifier, Verifier):
        hint = 'VerifierOptions("python:MODULE:FUNCTION").build() makes one of a function'
        raise InputError(f"verifier: {type(verifier).__name__} is no Verifier; {hint}")
    if prior is not None and not isinstance(prior, Prior | LearntPrior):
        raise InputError(f"prior: {type(prior).__name__} is no Prior; Prior(mean, std, strength) is one")
