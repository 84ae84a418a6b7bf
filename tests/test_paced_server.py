"""The paced engine of the benchmarks: its steps against those counted by hand and those that are simulated."""

import asyncio
from contextlib import suppress

import numpy as np
import pytest
from _paced_server import PacedEngine
from stopped_clock import HUNG

from optscale_predictor.replays.engine_model import EngineModel
from optscale_predictor.replays.simulated_engine import simulate


def drawn(places, requests, leaves=()):
    """What an engine counts that draws requests of so many tokens each, some of which leave at once."""

    async def run():
        engine = PacedEngine(places, 1e-5, 1e-6, 1e-6)
        clock = asyncio.ensure_future(engine.run())
        draws = [asyncio.ensure_future(engine.draw([("", tokens, "stop") for tokens in one])) for one in requests]
        await asyncio.sleep(0)  # all of them have asked
        for index in leaves:
            draws[index].cancel()
        async with asyncio.timeout(HUNG):
            await asyncio.gather(*draws, return_exceptions=True)
        clock.cancel()
        with suppress(asyncio.CancelledError):
            await clock
        return engine.counts

    return asyncio.run(run())


def test_steps_that_can_be_counted_by_hand():
    found = drawn(2, [[3], [5], [4]])  # the third begins after three steps
    assert (found["steps"], found["tokens"], found["samples"], found["requests"]) == (7, 12, 3, 3)
    assert found["seconds"] == pytest.approx(7e-5 + 12e-6 + 3e-6)
    together = drawn(2, [[3, 5, 4]])
    assert (together["steps"], together["samples"], together["requests"]) == (7, 3, 1)


def test_a_request_whose_client_has_left_takes_no_place():
    found = drawn(1, [[3], [1000], [4]], leaves=[1])
    assert (found["steps"], found["samples"]) == (7, 2)


@pytest.mark.parametrize("places", [1, 3, 8])
def test_it_takes_the_time_that_is_simulated(places):
    tokens = np.random.default_rng(places).integers(1, 30, (6, 4)).astype(float)
    found = drawn(places, tokens.astype(int).tolist())
    full = 1e-5 + 1e-6 * places
    told = simulate([[4]] * 6, tokens, EngineModel(places, 1 / full, 1e-5 / full, 1e-6))
    assert found["seconds"] == pytest.approx(told.seconds) and found["tokens"] == told.tokens
