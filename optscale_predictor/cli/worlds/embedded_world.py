"""The embedded world: sums, a generator of a third of a million parameters, and a fallible verifier of its samples."""

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.options import EMBEDDED_GENERATOR, EMBEDDED_VERIFIER
from optscale_predictor.cli.worlds.demo_curves import score_curves
from optscale_predictor.cli.worlds.world import Sizes, World

EMBEDDED_WORLD = World(
    name="embedded",
    title="Embedded world",
    generator=EMBEDDED_GENERATOR,
    sampling=SamplingParams(max_tokens=160),
    train_set="embedded:train",
    test_set="embedded:test",
    verifier=EMBEDDED_VERIFIER,
    task="optscale_arithmetic",
    task_set="embedded:test",
    curves=score_curves,
    sizes=Sizes(train_questions=300, test_questions=200, epochs=8, live_questions=60),
    batch_size=1024,
)
