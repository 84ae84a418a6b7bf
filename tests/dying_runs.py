"""Commands that die in the middle in every way there is: what had arrived, what was kept, what was said, what goes on.

A :class:`Scene` holds a command's servers, files and verifier, and knows the moment at which to strike: the server has
answered some requests and answers no more, or the verifier has given some scores and waits.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from answering import WrittenServer, questions_of, serving
from stopped_clock import HUNG

from optscale_predictor.backends.generators import Sample
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.pools.validation import validate_pool

QUESTIONS, EACH = 24, 4
ANSWERED, SCORED = 9, 21  # requests answered, and scores given, before the blow
TESTS = Path(__file__).parent


def send(*numbers):
    def strike(scene):
        for number in numbers:
            scene.process.send_signal(number)
            time.sleep(0.05)

    return strike


def fill_disk(scene):
    """Every write to a file fails from now on, as on a full disk; the kernel calls it a file too large."""
    resource.prlimit(scene.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    scene.release()


def take_folder(scene):
    scene.pool.rename(scene.away)
    scene.release()


def take_memory(scene):
    """The verifier's next sample needs more than there is; what it has told of by then is to be kept."""
    scene.exhaust.touch()
    scene.release()


def stop_server(scene):
    scene.server_stack.close()
    scene.release()


#: How a run dies, and the exit code that it dies with.
WAYS = {
    "Ctrl-C": (send(signal.SIGINT), 130),
    "Ctrl-C twice": (send(signal.SIGINT, signal.SIGINT), 130),
    "SIGTERM": (send(signal.SIGTERM), 130),
    "SIGHUP": (send(signal.SIGHUP), 130),
    "SIGKILL": (send(signal.SIGKILL), -9),
    "disk full": (fill_disk, 2),
    "folder gone": (take_folder, 2),
    "server gone": (stop_server, 2),
    "out of memory": (take_memory, 2),
}


@dataclass
class Death:
    """What became of a run.

    Attributes:
        committed: Samples or scores in the pool just before the blow.
        arrived: Those that the server or verifier had given by then.
        kept: Those in the pool afterwards.
        code: The exit code.
        said: The last line on standard error.
        whole: What the pool has when the same command has gone on to its end.
        traceback: Whether there was one.
    """

    committed: int
    arrived: int
    kept: int
    code: int
    said: str
    whole: int
    traceback: bool


class Scene:
    """One command on its way.

    Args:
        folder: For all files.
    """

    holds_server = True  # it is the server that stops answering; else the verifier that stops scoring
    whole = QUESTIONS * EACH  # what there is when it has gone on to its end

    def __init__(self, folder: Path) -> None:
        self.folder, self.pool, self.away = folder, folder / "pool", folder / "away"
        self.process: subprocess.Popen[str] | None = None
        self.held, self.exhaust, self.given = folder / "held", folder / "exhaust", 0
        self.held.write_text("")
        self.questions = folder / "questions.jsonl"
        self.questions.write_text("".join(f'{{"question": "{number}+1="}}\n' for number in range(QUESTIONS)))
        self.read, self.write = os.pipe()
        os.set_blocking(self.read, False)
        self.server, self.server_stack = WrittenServer(), ExitStack()
        self.server.holds = lambda prompt: (
            self.holds_server and self.held.exists() and len(self.server.finished) >= ANSWERED
        )
        self.url = self.server_stack.enter_context(serving(self.server.app()))
        self.prepare()

    def prepare(self) -> None:
        """Makes what the command begins with."""

    @classmethod
    def can_die_by(cls, way: str) -> bool:
        """Whether there is such a way: asked before a scene is made, whose server has to be closed."""
        return way != "out of memory" or not cls.holds_server

    def command(self) -> list[str]:
        raise NotImplementedError

    def command_again(self) -> list[str]:
        """What goes on where it died."""
        return self.command()

    def program(self) -> list[str]:
        return ["-m", "optscale_predictor"]

    def faults(self) -> list[object]:
        """What is wrong with what is there in the end."""
        return list(validate_pool(self.pool))

    def code(self, way: str) -> int:
        """The exit code that it dies with."""
        return WAYS[way][1]

    def bring_back(self) -> None:
        """Puts the folder that was taken where it was."""
        assert not self.pool.exists() or not any(self.pool.glob("samples-*")), "a second pool was begun"
        shutil.rmtree(self.pool, ignore_errors=True)
        self.away.rename(self.pool)

    def arrived(self) -> int:
        return len(self.server.finished) * EACH

    def kept(self) -> int:
        return sum(Pool(self.pool).counts().values()) if (self.pool / "manifest.json").exists() else 0

    def reached(self) -> bool:
        """Whether the moment has come."""
        return len(self.server.finished) >= ANSWERED and self.server.now >= 1

    def scores(self) -> int:
        """Scores that the verifier has given."""
        while True:
            try:
                self.given += len(os.read(self.read, 1 << 16))
            except BlockingIOError:
                return self.given

    def release(self) -> None:
        """Nothing is held back any more."""
        self.held.unlink(missing_ok=True)

    def start(self, command: list[str]) -> None:
        environment = {"SCORES_TO": str(self.write), "SCORES_HELD": str(self.held), "SCORES_FIRST": str(SCORED)}
        environment["SCORES_EXHAUST"] = str(self.exhaust)
        self.process = subprocess.Popen(
            [sys.executable, *self.program(), *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": f"{TESTS.parent}:{TESTS}", "OMP_NUM_THREADS": "1", **environment},
            pass_fds=(self.write,),
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def die(self, way: str) -> Death:
        """Runs the command, strikes, looks, and runs it again to its end."""
        strike, _ = WAYS[way]
        self.start(self.command())
        while not self.reached():
            if self.process.poll() is not None:
                raise AssertionError(self.process.stderr.read())
            time.sleep(0.02)
        time.sleep(1.0)  # what was answered arrives
        committed, arrived = self.kept(), self.arrived()
        strike(self)
        time.sleep(1.5)
        self.release()  # a verifier in the middle of a sample is waited for
        said = self.process.communicate(timeout=2 * HUNG)[1]
        code = self.process.returncode
        if self.away.exists():
            self.bring_back()
        kept = self.kept()
        self.exhaust.unlink(missing_ok=True)
        lines = [line for line in said.splitlines() if line.strip()] or [""]
        if way == "server gone":
            self.server = WrittenServer()
            self.url = self.server_stack.enter_context(serving(self.server.app()))
        self.start(self.command_again())
        again = self.process.communicate(timeout=2 * HUNG)[1]
        assert self.process.returncode == 0, again
        assert not self.faults()
        return Death(committed, arrived, kept, code, lines[-1], self.kept(), "Traceback" in said)

    def close(self) -> None:
        self.release()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        self.server_stack.close()
        os.close(self.read)
        os.close(self.write)


class Generate(Scene):
    def command(self):
        flags = ["--questions", str(self.questions), "--num_samples", str(EACH), "--shard_samples", "16"]
        server = [
            "--base_url",
            f"{self.url}/v1",
            "--concurrency",
            "4",
            "--max_tokens",
            "16",
            "--server.max_retries",
            "1",
        ]
        return ["generate", str(self.pool), *flags, *server]


class GenerateOneByOne(Generate):
    """From a server that is asked for one sample at a time: requests are in the middle when the blow falls."""

    def prepare(self):
        self.server.owner = "llamacpp"

    def arrived(self):
        return len(self.server.finished)


class Score(Scene):
    holds_server = False

    def prepare(self):
        asked = questions_of(QUESTIONS)
        with PoolWriter(self.pool, asked, {"generator": {}, "prompt": "{question}"}, shard_samples=16) as writer:
            for question in asked:
                writer.append(question.id, 0, [Sample(f"0.5 so {place}", 3, "stop", place) for place in range(EACH)])

    def command(self):
        return ["score", str(self.pool), "--verifier", "python:held_scores:score"]

    @classmethod
    def can_die_by(cls, way):
        return way != "server gone"

    def arrived(self):
        return self.scores()

    def kept(self):
        return QUESTIONS * EACH - Pool(self.pool).unscored()

    def reached(self):
        return self.scores() >= SCORED


class Evaluate(Scene):
    """Most samples wait for their verifier when the blow falls."""

    holds_server = False

    def prepare(self):
        self.pool = self.folder / "record" / "optscale_questions" / "pool"

    def command(self):
        model = f"base_url={self.url}/v1,policy=best_of_n,max_samples={EACH},verifier=python:held_scores:score"
        model += ",concurrency=4,max_tokens=16,server.max_retries=1"
        metadata = f'{{"questions": "{self.questions}"}}'
        flags = ["--tasks", "optscale_questions", "--metadata", metadata, "--record", str(self.folder / "record")]
        return ["eval", *flags, "--model_args", model]

    def reached(self):
        return self.scores() >= SCORED and not self.server.now and len(self.server.finished) == QUESTIONS

    def code(self, way):
        """Where every sample has come, nobody misses the server."""
        return 0 if way == "server gone" else super().code(way)


class EvaluateDrawing(Evaluate):
    """Requests are under way when the blow falls."""

    holds_server = True

    @classmethod
    def can_die_by(cls, way):
        return way == "server gone"  # as the others end it whose verifier is waited for

    def reached(self):
        return Scene.reached(self)

    def code(self, way):
        return Scene.code(self, way)


SCENES = {
    "generate": Generate,
    "generate, one by one": GenerateOneByOne,
    "score": Score,
    "eval": Evaluate,
    "eval, drawing": EvaluateDrawing,
}
