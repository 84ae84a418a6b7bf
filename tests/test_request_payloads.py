"""What requests say to a server: what is written once for many is what each would say by itself."""

import json

from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor.backends.generators import ChatFields, Request, SamplingParams, ServerOptions
from optscale_predictor.backends.generators import request_payloads as module
from optscale_predictor.backends.generators.reply_reader import LOGPROBS, MAX_TOKENS, TOKEN_IDS, USAGE
from optscale_predictor.backends.generators.request_payloads import RequestPayloads
from optscale_predictor.backends.generators.sample_parts import Prefix

PLAIN = {"top_k": 0}
TURNS = (("user", "1+1="),)


def said(payloads, request, sampling=None, count=1, seed=7, way=USAGE, limit=MAX_TOKENS, plain=PLAIN):
    return json.loads(payloads.posted(request, sampling or SamplingParams(), count, seed, way, limit, plain).body)


def base(**fields):
    drawn = {"temperature": 1.0, "top_p": 1.0, "max_tokens": 256}
    return {**PLAIN, "model": "m", "n": 1, **drawn, "seed": 7, **fields}


CHAT = {"messages": [{"role": "user", "content": "1+1="}]}
CASES = {
    "completion": (Request("a", "1+1=", 1), {}, base(prompt="1+1=")),
    "chat": (Request("a", "", 1, messages=TURNS), {}, base(**CHAT)),
    "several": (Request("a", "1+1=", 3), {"count": 3}, base(prompt="1+1=", n=3)),
    "ids": (Request("a", "1+1=", 1), {"way": TOKEN_IDS}, base(prompt="1+1=", return_token_ids=True)),
    "logprobs": (Request("a", "1+1=", 1), {"way": LOGPROBS}, base(prompt="1+1=", logprobs=0)),
    "chat logprobs": (Request("a", "", 1, messages=TURNS), {"way": LOGPROBS}, base(**CHAT, logprobs=True)),
    "kept logprobs": (
        Request("a", "1+1=", 1),
        {"sampling": SamplingParams(logprobs=True)},
        base(prompt="1+1=", logprobs=1),
    ),
    "kept chat logprobs": (
        Request("a", "", 1, messages=TURNS),
        {"sampling": SamplingParams(logprobs=True)},
        base(**CHAT, logprobs=True, top_logprobs=1),
    ),
    "stop": (
        Request("a", "1+1=", 1),
        {"sampling": SamplingParams(stop=("\n",), max_tokens=3, temperature=0.5)},
        base(prompt="1+1=", stop=["\n"], max_tokens=3, temperature=0.5),
    ),
    "goes on": (Request("a", "1+1=", 1, prefix=Prefix(" 2", (), 1)), {}, base(prompt="1+1= 2")),
    "goes on in a chat": (
        Request("a", "", 1, messages=(*TURNS, ("assistant", "I"))),
        {},
        base(
            messages=[*CHAT["messages"], {"role": "assistant", "content": "I"}],
            add_generation_prompt=False,
            continue_final_message=True,
        ),
    ),
    "tools": (
        Request("a", "", 1, messages=TURNS, chat=ChatFields(tuple(CHAT["messages"]), {"tools": [1], "seed": 9})),
        {},
        base(**CHAT, tools=[1], seed=9),
    ),
    "other samplers": (Request("a", "1+1=", 1), {"plain": {"min_p": 0}}, base(prompt="1+1=", min_p=0, top_k=None)),
}


@given(st.lists(st.sampled_from(sorted(CASES)), min_size=2, max_size=8))
def test_each_says_its_own_whatever_was_said_before(cases):
    payloads = RequestPayloads("m", False, ServerOptions())
    for number, case in enumerate(cases):
        request, asked, expected = CASES[case]
        expected = {name: value for name, value in expected.items() if value is not None}
        seed = expected["seed"] if case == "tools" else number  # a chat's own
        assert said(payloads, request, **asked, seed=number) == {**expected, "seed": seed}


def test_a_users_own_fields_go_before_those_of_samplers():
    extra = {"top_k": 5, "priority": 1}
    payloads = RequestPayloads("m", False, ServerOptions(extra_body=extra))
    for prompt in ("1+1=", "2+2="):
        assert said(payloads, Request("a", prompt, 1)) == base(prompt=prompt, top_k=5, priority=1)


def test_where_no_seed_is_to_be_sent_none_is():
    payloads = RequestPayloads("m", True, ServerOptions(send_seed=False))
    assert "seed" not in said(payloads, Request("a", "1+1=", 1))


def test_kinds_of_requests_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(module, "_MOST_KINDS", 5)
    payloads = RequestPayloads("m", False, ServerOptions())
    for number in range(1, 50):
        assert said(payloads, Request("a", "1+1=", 1), SamplingParams(max_tokens=number))["max_tokens"] == number
        assert len(payloads._templates) <= 5
