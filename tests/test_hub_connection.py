"""A hub that cannot be reached is asked once, and not again for every file; what is said is one line."""

import multiprocessing
import os
from socket import create_server
from threading import Thread

import datasets.config
import huggingface_hub.constants as constants
import pytest
from forked import fork_of
from hub_visitor import visit_hub
from new_users_mistakes import said_of
from recorded_runs import write_pool
from stopped_clock import HUNG

from optscale_predictor._support import hub_connection
from optscale_predictor._support.hub_connection import hub_or_cache

#: Commands that name what neither this machine nor a hub has, a part of what is said, and what brings it.
COMMANDS = [
    (
        "answer 1+2= --generator no/such-model --verifier embedded:verifier",
        "model 'no/such-model'",
        "`hf download no/such-model`",
    ),
    ("answer 1+2= --verifier no/such-verifier", "model 'no/such-verifier'", "`hf download no/such-verifier`"),
    ("answer 1+2= --predictor no/predictor", "predictor 'no/predictor'", "`hf download no/predictor`"),
    ("predict no/predictor embedded:test:3", "predictor 'no/predictor'", "`hf download no/predictor`"),
    ("generate {tmp}/p --questions hub:no/set", "data set 'no/set'", "`hf download --repo-type dataset no/set --local"),
    (
        "train-generator gsm8k:train --output {tmp}/g",
        "data set 'openai/gsm8k'",
        "`hf download --repo-type dataset op",
    ),
    ("merge-generator no/updates {tmp}/m", "generator 'no/updates'", "`hf download no/updates`"),
    ("pool info hub:no/pool", "hub:no/pool", "`hf download --repo-type dataset no/pool`"),
    ("pool push {pool} no/pool", "hub:no/pool", "the hub cannot be reached"),
    ("eval --tasks optscale_gsm8k --limit 1 --policies esc", "openai/gsm8k", '--metadata \'{{"questions": "FILE"}}\''),
    (
        "eval --model hf --model_args pretrained=no/m --tasks optscale_arithmetic",
        "the hub cannot be reached",
        "`hf download`",
    ),
]


def say_each(commands, settings, parent):
    """In a fork with a hub of its own, whose address its libraries read once: runs each command it is sent."""
    visit_hub(settings, datasets.config)
    for command in commands:
        hub_connection._asked.clear()
        parent.send(said_of(command))
        parent.recv()  # it has counted the connections


class DeadHub:
    """Ends every connection without a word, and counts them."""

    def __init__(self, reply: bytes = b""):
        self.socket, self.connections, self.reply = create_server(("127.0.0.1", 0)), 0, reply
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        Thread(target=self._end_all, daemon=True).start()

    def _end_all(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                if self.reply:
                    connection.recv(65536)
                    connection.sendall(self.reply)


@pytest.fixture
def dead_hub():
    hub = DeadHub()
    yield hub
    hub.socket.close()


def test_every_verb_asks_a_hub_out_of_reach_once_and_says_in_one_line_what_brings_it(dead_hub, tmp_path):
    pool = write_pool(tmp_path / "pool", [[0.9, 0.2]] * 3, answer=[["1", "2"]] * 3, correct=[[True, False]] * 3)
    place = {"tmp": str(tmp_path), "pool": str(pool.folder)}
    commands = [[part.format(**place) for part in command.split()] for command, _, _ in COMMANDS]
    given = {"HF_ENDPOINT": dead_hub.address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
    here, there = multiprocessing.Pipe()
    fork = fork_of(say_each, commands, given, there)
    there.close()  # so that the fork's end is seen
    for command, what, brings in COMMANDS:
        code, _, error = here.recv()
        said = [one for one in error.splitlines() if one.strip() and not one.startswith("loading ")]
        assert code == 2 and len(said) == 1 and what in said[0] and brings.format() in said[0], (command, error)
        assert dead_hub.connections == 1, (command, dead_hub.connections)
        dead_hub.connections = 0
        here.send("next")
    fork.join(HUNG)
    assert fork.exitcode == 0


@pytest.fixture
def asked(monkeypatch):
    """The hub is not switched off, and was not asked yet."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub_connection, "_asked", {})
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return monkeypatch


def test_where_no_hub_is_in_reach_its_libraries_keep_to_their_cache_and_only_for_so_long(asked, dead_hub):
    asked.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    asked.setattr(constants, "ENDPOINT", dead_hub.address)
    with pytest.raises(KeyError), hub_or_cache() as reached:
        assert not reached and constants.HF_HUB_OFFLINE and datasets.config.HF_HUB_OFFLINE
        assert os.environ["HF_HUB_OFFLINE"] == "1"
        raise KeyError
    assert not constants.HF_HUB_OFFLINE and not datasets.config.HF_HUB_OFFLINE and "HF_HUB_OFFLINE" not in os.environ
    with hub_or_cache() as reached:
        assert not reached and dead_hub.connections == 1
    clock = hub_connection.time.monotonic()
    asked.setattr(hub_connection.time, "monotonic", lambda: clock + hub_connection._AGAIN + 1)
    with hub_or_cache() as reached:
        assert not reached and dead_hub.connections == 2


@pytest.mark.parametrize(("status", "expected"), [("404 Not Found", True), ("503 Service Unavailable", False)])
def test_a_hub_is_in_reach_where_it_answers_itself_and_no_proxy_for_it(asked, status, expected):
    hub = DeadHub(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    asked.setattr(constants, "ENDPOINT", hub.address)
    for _ in range(2):
        with hub_or_cache() as reached:
            assert reached is expected and constants.HF_HUB_OFFLINE is not expected
    assert hub.connections == 1
    hub.socket.close()


def test_a_hub_that_is_switched_off_or_not_needed_is_not_asked(asked, dead_hub):
    asked.setattr(constants, "ENDPOINT", dead_hub.address)
    with hub_or_cache(asks=False) as reached:
        assert reached and not constants.HF_HUB_OFFLINE
    asked.setattr(constants, "HF_HUB_OFFLINE", True)
    with hub_or_cache() as reached:
        assert reached
    assert dead_hub.connections == 0
