r"""Wall time of adaptive Best-of-N against Best-of-N: the same engine, the same questions, in one run.

    python benchmarks/wall_time.py --vllm PYTHON --alone --questions 200 --concurrency 16,64,256 --steps one,double,auto
    PYTHONPATH=$PWD VLLM_PYTHON benchmarks/wall_time.py --in_process --questions 200 --concurrency 64

Samples that are not drawn save time only where the engine stays busy: an adaptive policy asks for few samples at a
time, and at the end for those of its hardest questions alone. What is printed is how much of the tokens that
``step=one`` saves is saved in time; runs of the policies take turns, and the medians are compared. A server is started
for each number of places, and draws no more samples at once; with ``--in_process`` it is vLLM in this process, for
which the interpreter must have vLLM, and one number of places. Beside the seconds stand those of
``replays.simulated_engine``, whose numbers are taken from the policies that draw nothing ahead.
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shlex import split

from _ratios import print_ratios
from _timed_policies import BASELINE, Run, compare, policies_of, print_simulated, ratios, timed
from _timed_work import WORLDS, Work, work_of
from _vllm import CONTEXT, environment, serving

from optscale_predictor.backends.generators import Generator, SamplingParams, VLLMOptions
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.errors import InputError
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import Policy
from optscale_predictor.pools import open_pool
from optscale_predictor.replays.engine_fit import fit_engine
from optscale_predictor.replays.recorded_samples import RecordedSamples

#: The engine and its worker share a process, as on one GPU; in two, each waits for the other by spinning, on the
#: client's cores.
ALONE = ("--distributed-executor-backend", "uni")
#: Builds a generator that samples with a seed.
Build = Callable[[SamplingParams], Generator]


def compare_on(
    build: Build, work: Work, policies: dict[str, Policy], title: str, repeats: int, pool: str
) -> dict[str, Run]:
    """Warms an engine up and compares the policies on it.

    Args:
        build: The engine's generator.
        work: What it is asked.
        policies: By name, Best-of-N first.
        title: What is above the table.
        repeats: Runs of each policy, >= 1.
        pool: Keeps samples to simulate with, where it is not there yet: those of the first Best-of-N.
    """

    def run(policy: Policy, seed: int, some: int | None = None) -> Run:
        generator = build(replace(work.sampling, seed=seed))
        scaler = OptScale(generator, VerifierOptions(work.verifier).build(), policy=policy, prompt=work.prompt)
        kept = policy is policies[BASELINE] and some is None and not Path(pool).exists()
        return timed(scaler, work.questions[:some], pool if kept else None)

    run(policies[BASELINE], 0, 16)
    return compare(policies, repeats, run, title)


def served(url: str, places: int) -> Build:
    """Generators that ask a server."""
    return lambda sampling: GeneratorOptions(None, sampling, base_url=url, concurrency=places).build()


def in_process(work: Work, places: int, alone: bool) -> Build:
    """Generators that share one vLLM in this process; alone, without processes of its own."""
    os.environ.update({name: value for name, value in environment().items() if name.startswith(("VLLM", "HF"))})
    more: dict[str, object] = {"max_num_seqs": places, **({"distributed_executor_backend": "uni"} if alone else {})}
    options = VLLMOptions(max_model_len=512, dtype="float32", enforce_eager=True, more=more)
    engine = GeneratorOptions(work.model, work.sampling, engine="vllm", vllm=options).build()
    return engine.with_sampling


def print_fitted(pool: str, questions: int, policies: dict[str, Policy], measured: dict[int, dict[str, Run]]) -> None:
    """Simulated seconds of every run, on the engine that policies which draw nothing ahead tell.

    Best-of-N, ``step=one`` and ``step=double`` at all numbers of places tell its numbers: ``step=auto`` is predicted.
    """
    recorded = RecordedSamples.from_pool(open_pool(pool)).between(0, questions)
    seconds = {
        (policies[name], places): one.seconds
        for places, found in measured.items()
        for name, one in found.items()
        if not policies[name].widens
    }
    try:
        engine = fit_engine(recorded, seconds)
    except InputError as error:
        print(f"not simulated: {error}")
        return
    print_simulated(recorded, policies, measured, engine)


def main() -> None:
    """Reads the arguments, starts an engine where none is named, and compares."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", help="a running server, for example http://127.0.0.1:8000/v1")
    parser.add_argument("--vllm", help="an interpreter that has vLLM, to start one")
    parser.add_argument("--in_process", action="store_true", help="vLLM in this process, in place of a server")
    parser.add_argument("--alone", action="store_true", help="vLLM's worker has no process of its own")
    parser.add_argument("--flags", default="", help="further flags of vLLM's server, as a shell reads them")
    parser.add_argument("--world", choices=WORLDS, default="embedded", help="what is asked, and what answers")
    parser.add_argument("--questions_from", help="a questions file with answers, for --world smollm2")
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--concurrency", default="64", help="places, separated by commas")
    parser.add_argument("--steps", default="one,double,auto", help="of the policy, separated by commas")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--score_min", type=float, default=0.9)
    parser.add_argument("--pool", help="samples of the questions to simulate with; made where it is not there")
    asked = parser.parse_args()
    policies = policies_of(asked.steps, asked.score_min)
    places_asked = [int(places) for places in asked.concurrency.split(",")]
    if asked.in_process and len(places_asked) > 1:
        raise SystemExit("wall_time: one number of places with --in_process; start it again for another")
    if asked.alone:
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # else the CPU build takes mp for uni, and says nothing
    measured: dict[int, dict[str, Run]] = {}
    with tempfile.TemporaryDirectory() as folder:
        pool = asked.pool or f"{folder}/pool"
        work = work_of(asked.world, asked.questions, asked.questions_from, folder)

        def measure(build: Build, places: int, how: str) -> None:
            title = f"{len(work.questions)} questions, {places} places, {how}"
            measured[places] = compare_on(build, work, policies, title, asked.repeats, pool)

        for places in places_asked:
            if asked.in_process:
                measure(in_process(work, places, asked.alone), places, "vLLM in process")
            elif asked.url:
                measure(served(asked.url, places), places, "a server")
            elif asked.vllm:
                flags = (*CONTEXT, "--max-num-seqs", str(places), *(ALONE if asked.alone else ()), *split(asked.flags))
                with serving(asked.vllm, Path(folder), work.model, flags) as address:
                    measure(served(f"{address}/v1", places), places, "vLLM's server")
            else:
                raise SystemExit("wall_time: name an engine with --url, --vllm or --in_process")
        print_fitted(pool, len(work.questions), policies, measured)
    print_ratios(BASELINE, ratios(measured))


if __name__ == "__main__":
    main()
