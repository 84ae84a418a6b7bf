"""Writes the table that ``mode_shape`` reads, in seconds.

    python -m optscale_predictor.stats.estimators.mode_shape_table

Close to the exponential, at distance 0, the shape of a small mean bends sharply, and there the table is finest.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from scipy.special import expit

from optscale_predictor.stats.distributions.truncated_normal_fit import natural_parameters
from optscale_predictor.stats.estimators.mode_shape import DEGREE, LEAST_ODDS, MOST_SHARE, TABLE, shape_of


def build_table() -> dict[str, NDArray[np.generic]]:
    """The spline's knots and coefficients, by name."""
    odds = np.arange(LEAST_ODDS - 0.5, 0.8, 0.0625)
    edges = ((-5.5, -2, 0.25), (-2, -1, 0.0625), (-1, 1.5, 0.03125), (1.5, 2.5, 0.0625), (2.5, 11.5, 0.125))
    distance = np.concatenate([np.arange(*part) for part in edges])
    mean = expit(odds)[:, None]
    # Where no question is looked up, beyond the greatest share, the table needs some value.
    share = np.minimum(odds[:, None] + distance, MOST_SHARE + 2)
    variance = mean * (1 - mean) * expit(share)
    _, _, shape = shape_of(*natural_parameters(np.broadcast_to(mean, variance.shape), variance))
    # The information grows beyond all bounds where little mass matters much; its root's inverse is smooth.
    values = np.stack([*shape[:3], shape.information**-0.5], -1)
    lines = make_interp_spline(odds, values, DEGREE)
    rows = make_interp_spline(distance, np.moveaxis(lines.c, 1, 0), DEGREE)
    coefficients = np.ascontiguousarray(np.moveaxis(rows.c, 0, 1), np.float32)
    return {"odds": lines.t, "distance": rows.t, "coefficients": coefficients}


if __name__ == "__main__":
    from safetensors.numpy import save

    TABLE.write_bytes(save(build_table()))
