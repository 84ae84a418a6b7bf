"""What policies need to decide and to choose: a prior, or a verifier. Checked before any model is loaded."""

from collections.abc import Sequence

from optscale_predictor.backends.options import VerifierOptions
from optscale_predictor.errors import InputError
from optscale_predictor.policies import POLICIES, Policy
from optscale_predictor.policies.selection import needs_scores, require_selection_prior

_VOTES = "majority"  # the selection of policies that look at answers alone


def require_needs(policies: Sequence[Policy], selection: str | None, *, scored: bool, prior: bool) -> None:
    """Checks that there is what policies and selection look at.

    Args:
        policies: The stopping rules.
        selection: How the answer is chosen; None: by each policy's own rule.
        scored: Whether there is a verifier.
        prior: Whether questions have priors.

    Raises:
        InputError: A prior or a verifier is missing; where it is the verifier, says which policies need none.
    """
    for policy in policies:
        if policy.needs_prior and not prior:
            raise InputError(f"policy {policy.name!r} needs a prior: give a predictor, or a constant prior")
        if scored or not needs_scores(selection or policy.selection):
            continue
        if selection is not None:
            raise InputError(f"selection {selection!r} needs a verifier; {_VOTES!r} needs none")
        voting = ", ".join(name for name, kind in POLICIES.items() if kind.selection == _VOTES)
        raise InputError(f"policy {policy.name!r} needs a verifier; these need none: {voting}")
    if selection is not None:
        require_selection_prior(selection, prior)


def require_before_loading(
    policies: Sequence[Policy], selection: str | None, verifier: VerifierOptions, prior: bool
) -> None:
    """Checks what the flags of a live run say, as far as it takes no model.

    Args:
        policies: The stopping rules.
        selection: How the answer is chosen; None: by each policy's own rule.
        verifier: What is to score; a function of the user's is looked up.
        prior: Whether questions have priors.

    Raises:
        InputError: A prior or a verifier is missing, or there is no such function.
    """
    require_needs(policies, selection, scored=verifier.wanted, prior=prior)
    if verifier.model.startswith("python:"):
        verifier.build()
