"""The methods of the table, and the settings of each that are tried.

The published rules' grids are the panels of the published notebooks, taken together: targets from 0.7 to 0.99, six
percentiles, a look after 3, 5 or 10 samples. ESC and ASC have one published setting each. All grids are the same for
every pool, so that settings can be chosen on one pool for another.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from optscale_predictor.policies import Policy, parse_policy
from optscale_predictor.policies.fitted.model_files import load_fitted

_TARGETS = (0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.975, 0.98, 0.99)
_PERCENTILES = (0.01, 0.02, 0.035, 0.05, 0.075, 0.1)  # alpha is what is left to 1
_PEEKS = (3, 5, 10)
_JUMPS = tuple(
    f"score_min={target},alpha={1 - percentile:g},peek={peek},form=jump"
    for target, percentile, peek in product(_TARGETS, _PERCENTILES, _PEEKS)
)
_CONFIDENCES = (0.8, 0.9, 0.95, 0.99)
_EASY = (0.8, 0.85, 0.9, 0.95, 0.98, 1.0)  # of a prior's mean; at 1 no question is
_SAMPLE_PRICES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)

BEST_OF_N, MR_THINKING, OPTSCALE_T = "best_of_n", "mr_thinking", "optscale_t"


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Attributes:
        name: In files.
        title: In tables.
        settings: Policies without their cap, as ``parse_policy`` reads them; none: samples were drawn one after the
            other, each from the last, and the last one is the answer.
        as_published: Those among which the published table, or one made in its way, chooses; all by default.
        most: The largest cap that the settings allow, >= 1; None: any.
    """

    name: str
    title: str
    settings: tuple[str, ...]
    as_published: tuple[str, ...] = ()
    most: int | None = None

    def policies(self, size: int) -> list[Policy]:
        """The settings at a cap; those that first look when the cap is reached draw it in any case, and are left out.

        Args:
            size: Cap on a question's samples, >= 1.
        """
        found = [parse_policy(text, {"max_samples": min(size, self.most or size)}) for text in self.settings]
        return [policy for policy in found if getattr(policy, "peek", 0) < size] or found[:1]

    def published_policies(self, size: int) -> list[Policy]:
        """As :meth:`policies`, those of the published way.

        Args:
            size: Cap on a question's samples, >= 1.
        """
        return replace(self, settings=self.as_published or self.settings).policies(size)


def table_methods(fitted: str = "") -> list[Method]:
    """All methods, in the table's order.

    Args:
        fitted: Folder of a policy that was fitted to other questions; where empty, ``fitted`` is left out.

    Raises:
        InputError: There is no fitted policy in that folder.
    """
    votes = [f"asc_beta:confidence={confidence}" for confidence in _CONFIDENCES]
    borders = tuple(f"dsc:easy={easy},confidence=0.95,window=1" for easy in _EASY)
    methods = [
        Method(BEST_OF_N, "Best-of-N", ("best_of_n",)),
        Method("self_consistency", "self-consistency", ("self_consistency",)),
        Method(MR_THINKING, "MR-Thinking", ()),
        Method("esc", "ESC", tuple(f"esc:window={window}" for window in (3, 5, 7, 10)), ("esc:window=5",)),
        Method("asc", "ASC", tuple(votes), ("asc_beta:confidence=0.95",)),
        Method("dsc", "DSC", borders),
        Method("optscale_0", "OptScale^0", tuple(f"optscale_0:{jump}" for jump in _JUMPS)),
        Method(OPTSCALE_T, "OptScale^t", tuple(f"optscale_t:{jump}" for jump in _JUMPS)),
        Method("optscale", "optscale (ours)", tuple(f"optscale:score_min={target}" for target in _TARGETS)),
        Method("cost_aware", "cost_aware (ours)", tuple(f"cost_aware:sample_price={one}" for one in _SAMPLE_PRICES)),
    ]
    return [*methods, *_fitted(fitted)]


def _fitted(folder: str) -> Sequence[Method]:
    if not folder:
        return ()
    model = load_fitted(folder)
    prices = tuple(f"fitted:path={folder},price={1000 * price:.4g}" for price in model.prices)
    return (Method("fitted", "fitted (ours)", prices, most=model.depth),)
