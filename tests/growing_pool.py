"""A pool that grows shard after shard and is then scored, and waits in the middle of either until it was looked at."""

import time

from crashing_work import CountingGenerator, LengthVerifier
from small_pools import questions_of

from optscale_predictor.pools.preparation import generate_pool, score_pool

ALL = 120  # samples


def wait_for(path):
    while not path.exists():
        time.sleep(0.01)


class GrowingGenerator(CountingGenerator):
    """Waits in the middle until its pool was looked at there."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def generate(self, requests):
        for number, drawn in enumerate(super().generate(requests)):
            if number == 15:
                wait_for(self.folder / "rows")
            yield drawn


class GrowingVerifier(LengthVerifier):
    """Likewise."""

    def __init__(self, folder):
        self.folder, self.calls = folder, 0

    def score(self, items):
        self.calls += 1
        if self.calls == 15:
            wait_for(self.folder / "scored")
        return super().score(items)


def grow(folder):
    """Commits shard after shard, then replaces each."""
    questions = questions_of(ALL // 4)
    generate_pool(folder / "pool", questions, GrowingGenerator(folder), 4, shard_samples=4, progress=False)
    score_pool(folder / "pool", GrowingVerifier(folder), progress=False)
