r"""Wall time of adaptive Best-of-N with an engine that takes nothing of our processors: a paced server, and no model.

    python benchmarks/paced_engine.py --pool POOL --questions 200 --places 16,64,256

``wall_time.py`` measures a real engine, which shares this machine's cores with client and verifier. Here the server
answers with recorded samples at the pace of a stated engine (``_paced_server.py``), and the verifier's scores are
recorded too: what is measured is the client, live over HTTP, and how much of the time the policies save on an engine of
such a pace. The same engine is simulated. POOL is drawn where it is not there (embedded generator and verifier).
"""

import argparse
import json
import os
import sys
import tempfile
import urllib.request
from functools import partial
from pathlib import Path

from _ratios import print_ratios
from _server_process import free_port, running
from _timed_policies import BASELINE, Run, compare, policies_of, print_simulated, ratios, timed

from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import Policy
from optscale_predictor.pools import open_pool
from optscale_predictor.questions.arithmetic import make_questions
from optscale_predictor.questions.question import Question
from optscale_predictor.replays.engine_fit import EngineTimes
from optscale_predictor.replays.recorded_engines import RecordedGenerator, RecordedVerifier
from optscale_predictor.replays.recorded_samples import RecordedSamples

_SERVER = Path(__file__).with_name("_paced_server.py")


def draw_pool(pool: str, questions: int) -> None:
    """Draws and scores 32 samples a question of the embedded world."""
    sampling = SamplingParams(max_tokens=160, seed=0)
    generator = GeneratorOptions("embedded:generator", sampling).build()
    scaler = OptScale(generator, VerifierOptions("embedded:verifier").build(), policy=policies_of("one", 0.9)[BASELINE])
    for _ in scaler.stream(make_questions(questions, 0, "test"), traced=False, pool=pool):
        pass


def run(policy: Policy, _: int, url: str, questions: list[Question], recorded: RecordedGenerator, places: int) -> Run:
    """Answers all questions with a policy, and prints what the engine did meanwhile."""
    sampling = SamplingParams(max_tokens=4096, seed=0)
    generator = GeneratorOptions(None, sampling, base_url=url, concurrency=places).build()
    before = counts(url)
    found = timed(OptScale(generator, RecordedVerifier(recorded), policy=policy), questions)
    steps, tokens, seconds = (counts(url)[part] - before[part] for part in ("steps", "tokens", "seconds"))
    print(
        f"  engine: {steps:.0f} steps, {tokens / steps:.1f} samples at once, idle for {found.seconds - seconds:.1f} s"
    )
    return found


def counts(url: str) -> dict[str, float]:
    """What the server's engine has done so far."""
    with urllib.request.urlopen(f"{url.removesuffix('/v1')}/counts", timeout=60) as reply:
        told: dict[str, float] = json.load(reply)
    return told


def main() -> None:
    """Reads the arguments, and compares at each number of places."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pool", help="a scored pool of at least 32 samples a question; drawn where it is not there")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--places", default="16,64,256", help="separated by commas")
    parser.add_argument("--steps", default="one,double,auto", help="of the policy, separated by commas")
    parser.add_argument("--score_min", type=float, default=0.9)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--step_ms", type=float, default=4.0, help="of an engine's step, whatever its load")
    parser.add_argument("--token_ms", type=float, default=0.03, help="of a step, for each sample under way")
    parser.add_argument("--request_ms", type=float, default=0.5, help="of a step, for each request that it admits")
    asked = parser.parse_args()
    engine = EngineTimes(asked.step_ms / 1000, asked.token_ms / 1000, asked.request_ms / 1000)
    policies = policies_of(asked.steps, asked.score_min)
    with tempfile.TemporaryDirectory() as folder:
        pool = asked.pool or f"{folder}/pool"
        if not Path(pool).exists():
            draw_pool(pool, asked.questions)
        recorded = RecordedGenerator(pool)
        questions = open_pool(pool).questions[: asked.questions]
        measured: dict[int, dict[str, Run]] = {}
        for places in map(int, asked.places.split(",")):
            port, pace = free_port(), [f"--{part}={getattr(asked, part)}" for part in ("step_ms", "token_ms")]
            command = [sys.executable, str(_SERVER), pool, str(port), f"--places={places}", *pace]
            command += [f"--request_ms={asked.request_ms}"]
            with running("paced", command, port, Path(folder), os.environ, 120.0) as address:
                url, title = f"{address}/v1", f"{len(questions)} questions, {places} places, paced"
                draw = partial(run, url=url, questions=questions, recorded=recorded, places=places)
                measured[places] = compare(policies, asked.repeats, draw, title)
        samples = RecordedSamples.from_pool(open_pool(pool)).between(0, len(questions))
        print_simulated(samples, policies, measured, engine)
    print_ratios(BASELINE, ratios(measured))


if __name__ == "__main__":
    main()
