"""The shape of the truncated normal with a given mean and variance, in units of its own standard deviation.

A posterior's nodes are placed around its mode, which Newton's method finds: half of what a decision costs. But the
shape depends on two numbers alone, the mean and the variance, so it is tabulated once (``mode_shape_table``) and
interpolated by a cubic spline in the log odds of the mean and the distance from there to those of the variance's share
of mean (1 - mean). A mean above 0.5 is mirrored. Far below the exponential, whose standard deviation is its mean, the
ends of [0, 1] do not matter and nothing changes any more.

What is read moves the nodes a little, not what is integrated, and hardly the integral (``standard_posterior`` says by
how much). Not known, and left to Newton's method: a mean within 0.0025 of 0 or 1, a variance above 0.989 of the
greatest; and, for a mean within 0.037 of an end, the neighbourhood of the exponential, where 1e-4 of the mass at the
far end of [0, 1] makes another shape.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from optscale_predictor._support.arrays import Bools, Floats
from optscale_predictor.stats.quadrature import central_moments

if TYPE_CHECKING:
    from scipy.interpolate import NdBSpline

TABLE = Path(__file__).with_name("mode_shape.safetensors")
DEGREE = 3
LEAST_ODDS = -6.0  # log odds of the mean, mirrored
MOST_SHARE = 4.5  # log odds of the variance's share
_NORMAL = -5.0  # distance of the two below which the shape is a normal's
_CLIFF = (-3.25, -0.25, 0.5)  # log odds of the mean below which, between these distances, little mass matters much


class ModeShape(NamedTuple):
    """A truncated normal in units of its standard deviation, about its mean: exp(slope t + bend t^2) / Z.

    Attributes:
        bend: -1/2 for a normal; above 0 the density is U-shaped.
        slope: 0 for a normal.
        skew: E[t^3].
        information: What one score tells of the bend at a given mean: E[t^4] - 1 - skew^2.
    """

    bend: Float[Floats, "*questions"]
    slope: Float[Floats, "*questions"]
    skew: Float[Floats, "*questions"]
    information: Float[Floats, "*questions"]


def shape_of(a: Float[Floats, "*questions"], b: Float[Floats, "*questions"]) -> tuple[Floats, Floats, ModeShape]:
    """Mean, standard deviation and shape of exp(a x + b x^2) / Z on [0, 1].

    Args:
        a: Any finite value.
        b: Any finite value, of either sign.
    """
    model = central_moments(a, b)
    scale = np.sqrt(model.second)
    skew = model.third / scale**3
    information = model.spread / scale**4 - skew**2
    return model.mean, scale, ModeShape(b * scale**2, (a + 2 * b * model.mean) * scale, skew, information)


class ShapePoint(NamedTuple):
    """Where moments lie in the table.

    Attributes:
        odds: Log odds of the mean, or of its mirror image, <= 0.
        distance: From there to the log odds of the variance's share of mean (1 - mean).
    """

    odds: Float[Floats, "*questions"]
    distance: Float[Floats, "*questions"]

    @property
    def known(self) -> Bool[Bools, "*questions"]:
        """Whether the table knows the shape."""
        odds, distance = self
        least, left, right = _CLIFF
        smooth = (odds > least) | (distance < left) | (distance > right)
        return np.asarray(smooth & (odds >= LEAST_ODDS) & (odds + distance <= MOST_SHARE))


def locate(mean: Float[Floats, "*questions"], variance: Float[Floats, "*questions"]) -> ShapePoint:
    """Where moments inside what is possible lie in the table.

    Args:
        mean: In (0, 1).
        variance: In (0, mean (1 - mean)).
    """
    room = np.minimum(mean, 1 - mean)
    rest = 1 - room
    odds = np.log(room / rest)
    return ShapePoint(odds, np.log(variance / (room * rest - variance)) - odds)


def read_shape(point: ShapePoint, mean: Float[Floats, "*questions"]) -> ModeShape:
    """The shape at a known point of the table.

    Args:
        point: Of the moments.
        mean: Says which of two mirror images is meant.
    """
    found = _spline()(np.array([point.odds, np.maximum(point.distance, _NORMAL)]).T).T
    mirror = np.where(mean > 0.5, -1.0, 1.0)
    return ModeShape(found[0], found[1] * mirror, found[2] * mirror, found[3] ** -2)


@cache
def _spline() -> "NdBSpline":
    from safetensors.numpy import load_file
    from scipy.interpolate import NdBSpline  # a tenth of a second to import, for those who decide alone

    parts = load_file(TABLE)
    return NdBSpline((parts["odds"], parts["distance"]), parts["coefficients"].astype(np.float64), DEGREE)
