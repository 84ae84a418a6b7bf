"""Tests run on one thread a process: the tier runs in two processes on two cores, and threads that wait burn both."""

import gc
import logging
import os
import signal
import sys
import threading
from functools import cache

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
from hypothesis import HealthCheck, Phase, settings
from tqdm import tqdm

from optscale_predictor._support import messages, progress

if os.environ.get("CHECK_SHAPES"):
    # `CHECK_SHAPES=1 pytest`: calls are compared with the shapes that signatures state; `test_shapes.py` does so in
    # every run. It doubles the time of some tests. The hook must stand before the first import of what it checks.
    from jaxtyping import install_import_hook

    numeric = [f"optscale_predictor.{folder}" for folder in ("stats", "policies", "replays")]
    install_import_hook(numeric, "shape_checking.checked")

# Deadlines, and the check that examples are drawn quickly, time the machine, not the code. The examples are the same
# each time: whether a change lands is not to depend on luck.
settings.register_profile(
    "tier", deadline=None, max_examples=50, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
# `make mutants`: a mutant that fails needs no smallest example.
settings.register_profile(
    "mutants",
    settings.get_profile("tier"),
    max_examples=30,
    phases=[Phase.explicit, Phase.generate],
)
# `make explore`, and the full tier: many examples, others each time, before which a bound falls that holds narrowly.
settings.register_profile("explore", settings.get_profile("tier"), max_examples=1000, derandomize=False)
settings.load_profile("tier")


# tqdm's monitor wakes every ten seconds: it redraws bars and warns of those that are just being made, in whatever test
# that meets.
tqdm.monitor_interval = 0
progress._SHORT_SECONDS = 3600.0  # no test sees how long it took

# A shell's background job ignores Ctrl-C, under nohup SIGHUP too, and so does what it starts: tests that send them are
# to hold there as well.
if threading.current_thread() is threading.main_thread():
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, usual)


#: Files that take longest, begun first: begun last, one of them would run while the other process has nothing to do.
SLOWEST = (
    "test_training.py",
    "test_shapes.py",
    "test_fitting.py",
    "test_lm_eval_model.py",
    "test_training_resumption.py",
    "test_train_verifier.py",
    "test_worlds.py",
    "test_answer_properties.py",
    "test_assessment.py",
    "test_inference.py",
)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What is imported stays: the garbage collector passes it over, which takes half a second each time otherwise."""
    gc.disable()
    collected = yield
    gc.collect()
    gc.freeze()
    gc.enable()
    return collected


def pytest_collection_modifyitems(items):
    """The slowest files first; a file's tests stay together, in their order."""
    places = {name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


def pytest_configure(config):
    """Mutants run in forks, and tqdm's lock is one for all forks: one that is killed while holding it stops all."""
    if config.getoption("hypothesis_profile", None) == "mutants":
        tqdm.set_lock(threading.RLock())


@pytest.fixture(scope="module", autouse=True)
def kept_imports():
    """What a file's tests have imported stays as well."""
    before = len(sys.modules)
    yield
    if len(sys.modules) > before + 100:
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def usual_levels():
    """Levels that each test would set and reset otherwise: with all that is imported that takes milliseconds."""
    with messages.messages_shown(messages.Verbosity.NORMAL):
        logging.captureWarnings(False)  # pytest shows warnings in its own way around each test
        yield


@pytest.fixture(autouse=True)
def shown_messages(usual_levels):
    """What library code logs goes where the command line shows it.

    But not what is being imported: that depends on which tests ran before.
    """
    imports = logging.getLogger(messages.__name__)
    imports.disabled = True
    with messages.messages_shown(messages.Verbosity.NORMAL):
        yield
    imports.disabled = False


@pytest.fixture(scope="session")
def lm_eval_tasks():
    """lm-eval reads its thousands of task files once a process, and not once a test: seconds each time.

    So it does with what it tells of the machine, for which it lists every installed package.
    """
    from lm_eval.tasks import _index, manager
    from torch.utils import collect_env

    build, read = _index.TaskIndex.build, {}

    def once(paths, **settings):
        index = {}
        for path in paths:
            shipped = path == manager.Path(manager.__file__).parent
            if not shipped or path not in read:
                read[path] = build([path], **settings)
            index |= read[path]
        return index

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_index.TaskIndex, "build", staticmethod(once))
        patch.setattr(collect_env, "get_pretty_env_info", cache(collect_env.get_pretty_env_info))
        yield


@pytest.fixture
def waits(monkeypatch):
    """What the client would have slept, in seconds: the most that the jitter allows, and nothing is slept."""
    import tenacity

    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("random.uniform", lambda low, high: high)
    init = tenacity.AsyncRetrying.__init__
    monkeypatch.setattr(
        tenacity.AsyncRetrying, "__init__", lambda self, **options: init(self, **{**options, "sleep": sleep})
    )
    return slept


@pytest.fixture(params=["kept_connections", "aiohttp_session"])
def each_transport(request, monkeypatch):
    """The HTTP client with either of its transports."""
    from importlib import import_module

    if request.param == "kept_connections":
        pytest.importorskip("httptools")
    module = import_module(f"optscale_predictor.backends.transports.{request.param}")
    kind = {"kept_connections": "KeptConnections", "aiohttp_session": "AiohttpSession"}[request.param]
    monkeypatch.setattr("optscale_predictor.backends.http_client.open_transport", getattr(module, kind))
    return getattr(module, kind)


@pytest.fixture(scope="module")
def pools(tmp_path_factory):
    """Three pools of the same sums, drawn with other seeds, for tests of reports."""
    from recorded_runs import sums_pool

    folder = tmp_path_factory.mktemp("pools")
    return [sums_pool(folder / f"pool{seed}", seed=seed) for seed in range(3)]


@pytest.fixture(scope="module")
def folders(pools, tmp_path_factory):
    """Records of runs over those pools."""
    from recorded_runs import policy_runs

    return policy_runs(tmp_path_factory.mktemp("runs"), pools)
