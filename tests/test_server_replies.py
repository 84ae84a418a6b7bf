"""What servers of several vendors answer, over HTTP: no text is lost, no paid reply is asked for again."""

import pytest
from vendor_server import THIRTY_WORDS, VendorServer, connected, counted, draw, reply

from optscale_predictor.backends.generators import Request
from optscale_predictor.errors import InputError, RequestRefusedError, ServiceError
from optscale_predictor.pools import Pool
from optscale_predictor.pools.info import pool_info
from optscale_predictor.pools.preparation import generate_pool
from optscale_predictor.questions.question import Question

THOUGHT = "<think>\n7 and 5 make\n</think>\n\n12"
PARTS = [{"type": "text", "text": "It is "}, {"type": "text", "text": "12."}]


@pytest.mark.parametrize(
    ("content", "more", "kept", "stripped"),
    [
        ("12", {"reasoning_content": "7 and 5 make"}, THOUGHT, "12"),
        ("12", {"reasoning": "7 and 5 make"}, THOUGHT, "12"),
        ("12", {"reasoning_content": None}, "12", "12"),
        (PARTS, {}, "It is 12.", "It is 12."),
        (["It is ", {"type": "output_text", "text": "12."}], {}, "It is 12.", "It is 12."),
        ([{"type": "thinking", "thinking": "7 and 5 make"}, {"type": "text", "text": "12"}], {}, THOUGHT, "12"),
        (
            [
                {"type": "thinking", "thinking": [{"type": "text", "text": "7 and 5 make"}]},
                {"type": "text", "text": "12"},
            ],
            {},
            THOUGHT,
            "12",
        ),
        ([{"type": "reasoning", "text": "7 and 5 make"}, {"type": "text", "text": "12"}], {}, THOUGHT, "12"),
        # All of it under the thinking: what the server's parser took for a thought is the answer.
        (None, {"reasoning_content": "7+5=12\n#### 12"}, "7+5=12\n#### 12", "7+5=12\n#### 12"),
        ("", {"reasoning": "7+5=12\n#### 12"}, "7+5=12\n#### 12", "7+5=12\n#### 12"),
        (None, {"refusal": "I cannot."}, "I cannot.", "I cannot."),
    ],
)
def test_text_is_kept_wherever_a_server_puts_it(content, more, kept, stripped):
    for thinking, text in (("keep", kept), ("strip", stripped)):
        (sample,), server, generator = draw(lambda _: reply(content, counted(20), **more), thinking=thinking)
        assert (sample.text, sample.finish_reason, sample.num_tokens) == (text, "stop", 20)
        assert len(server.bodies) == 1 and generator.usage.warnings() == []


def test_a_thought_that_was_cut_off_is_a_thought_and_no_answer():
    cut = reply(None, counted(20), "length", reasoning_content="7 and 5 make")
    (kept,), _, generator = draw(lambda _: cut)
    assert (kept.text, kept.finish_reason) == ("<think>\n7 and 5 make", "length")
    assert generator.usage.empty_samples == 0
    (stripped,), _, generator = draw(lambda _: cut, thinking="strip")
    assert stripped.text == "" and generator.usage.empty_samples == 1


@pytest.mark.parametrize("content", [None, "", [], " \n"])
def test_samples_without_text_are_counted_and_said(content, tmp_path, capsys):
    server = VendorServer(lambda _: reply(content, counted(20)))
    with connected(server) as generator:
        generate_pool(tmp_path / "pool", [Question("a", "7+5="), Question("b", "7+6=")], generator, 4, progress=False)
    assert capsys.readouterr().err.count("warning: 8 samples have no text") == 1


def test_a_part_that_is_no_text_is_an_error_that_is_paid_once_and_names_the_server(tmp_path):
    server = VendorServer(lambda _: reply([{"type": "image_url", "image_url": {"url": "x"}}], counted(20)))
    said = r"^http://127.0.0.1:\d+/v1: the server's reply has a part that is no text \(image_url\)$"
    with connected(server) as generator, pytest.raises(ServiceError, match=said):
        generate_pool(tmp_path / "pool", [Question("q", "7+5=")], generator, 1, progress=False)
    assert len(server.bodies) == 1 and generator.usage.discarded_tokens == 20
    assert pool_info(Pool(tmp_path / "pool")).discarded_tokens == 20  # though there is no sample


ENDED = [
    "stop",
    "eos_token",
    "eos",
    "end",
    "stop_sequence",
    "end_turn",
    "function_call",
    "tool_calls",
    "STOP",
    "COMPLETE",
]
CUT_OFF = ["length", "max_tokens", "MAX_TOKENS", "model_length", "content_filter", "max_new_tokens"]


@pytest.mark.parametrize("reason", ENDED + CUT_OFF)
def test_finish_reasons_in_use_are_read_and_paid_once(reason, capsys):
    (sample,), server, _ = draw(lambda _: reply("12", counted(20), reason))
    assert sample.finish_reason == ("stop" if reason in ENDED else "length")
    assert len(server.bodies) == 1 and capsys.readouterr().err == ""


@pytest.mark.parametrize(("reason", "shown"), [("well_rounded", "well_rounded"), (None, "None"), ("", "")])
def test_an_unknown_finish_reason_is_said_once_and_paid_once(reason, shown, capsys):
    samples, server, _ = draw(lambda _: reply("12", counted(20), reason), requests=3)
    assert [sample.finish_reason for sample in samples] == ["stop"] * 3 and len(server.bodies) == 3
    assert capsys.readouterr().err.count(f"finish_reason {shown!r} of the server is not known") == 1
    (cut,), _, _ = draw(lambda _: reply("12", counted(20), reason), max_tokens=20)
    assert cut.finish_reason == "length"


@pytest.mark.parametrize("reason", ["abort", "error", "cancelled"])
def test_a_sample_that_the_server_gave_up_is_asked_for_again(reason):
    replies = iter([reply("1", counted(5), reason), reply("12", counted(20))])
    (sample,), _, generator = draw(lambda _: next(replies))
    assert sample.text == "12" and generator.usage.retries == 1 and generator.usage.discarded_tokens == 5


@pytest.mark.parametrize(
    "error",
    [
        {"message": "the prompt is too long", "code": 400},
        {"message": "the prompt is too long", "code": "context_length_exceeded"},
        {"message": "the prompt is too long", "type": "invalid_request_error", "code": None},
        {"message": "the prompt is too long", "type": "BadRequestError", "code": "422"},
    ],
)
@pytest.mark.parametrize("shape", [lambda error: {"error": error}, lambda error: {"object": "error", **error}])
def test_an_error_within_a_200_that_refuses_is_that_requests_own(error, shape):
    def answer(body):
        return shape(error) if body["messages"][0]["content"] == "long" else reply("12", counted(20))

    server, found = VendorServer(answer), []
    requests = [Request("a", "short", 1), Request("b", "long", 1), Request("c", "short", 1)]
    with connected(server) as generator:
        says = r"1 of 3 requests were refused; question 'b': .*200 with an error: the prompt is too long"
        with pytest.raises(RequestRefusedError, match=says):
            for request, _ in generator.generate(requests):
                found.append(request.question_id)
    assert sorted(found) == ["a", "c"] and len(server.bodies) == 3


@pytest.mark.parametrize(
    "error",
    [
        {"message": "come back later", "code": 429},
        {"message": "come back later", "code": 503, "type": "invalid_request_error"},
        {"message": "come back later", "type": "overloaded_error"},
        {"message": "come back later", "code": "rate_limit_exceeded"},
        {"message": "come back later"},
        "come back later",
    ],
)
def test_an_error_within_a_200_that_may_pass_is_asked_again(error):
    replies = iter([{"error": error, "choices": []}, reply("12", counted(20))])
    (sample,), _, generator = draw(lambda _: next(replies))
    assert sample.text == "12" and generator.usage.retries == 1
    server = VendorServer(lambda _: {"error": error})
    says = pytest.raises(ServiceError, match=r"200 with an error: come back later \(3 tries\)")
    with connected(server, options={"max_retries": 2}) as generator, says:
        list(generator.generate([Request("q", "7+5=", 1)]))


def test_a_key_that_a_200_refuses_is_not_shown(monkeypatch):
    monkeypatch.setenv("OPTSCALE_API_KEY", "a-secret-key")
    error = {"message": "no such key: a-secret-key", "code": "invalid_api_key"}
    server, says = VendorServer(lambda _: {"error": error}), pytest.raises(ServiceError, match="refuses the key")
    with connected(server) as generator, says as raised:
        list(generator.generate([Request("q", "7+5=", 1)]))
    assert "a-secret-key" not in str(raised.value)


UNSUPPORTED = {
    "message": "Unsupported parameter: 'max_tokens' is not supported here. Use 'max_completion_tokens' instead.",
    "type": "invalid_request_error",
    "param": "max_tokens",
    "code": "unsupported_parameter",
}


def test_a_server_that_wants_max_completion_tokens_gets_them_from_then_on():
    def answer(body):
        return (400, {"error": UNSUPPORTED}) if "max_tokens" in body else reply("12", counted(20))

    samples, server, _ = draw(answer, requests=6, max_tokens=77)
    assert len(samples) == 6 and len(server.bodies) <= 6 + 2
    accepted = [body for body in server.bodies if "max_tokens" not in body]
    assert len(accepted) == 6 and {body["max_completion_tokens"] for body in accepted} == {77}


def test_a_limit_that_is_too_large_is_not_asked_for_by_another_name():
    said = "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context length is 4096"
    server = VendorServer(lambda _: (400, {"error": {"message": said, "param": "max_tokens"}}))
    with connected(server) as generator, pytest.raises(RequestRefusedError, match="is too large"):
        list(generator.generate([Request("q", "7+5=", 1)]))
    # The second time without what switches its own samplers off, which no server of unknown kind need know.
    assert len(server.bodies) == 2 and not any("max_completion_tokens" in body for body in server.bodies)


SEED_REFUSED = [
    {"error": {"message": "This engine does not support per-request seeds."}},
    {"error": {"message": "Unrecognized request argument supplied: seed", "param": None}},
    {"error": {"message": "seed is not supported", "param": "seed"}},
    {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]},
]


@pytest.mark.parametrize("error", SEED_REFUSED)
def test_a_server_that_takes_no_seed_is_asked_without_one_on_demand(error, tmp_path):
    def answer(body):
        return (400, error) if "seed" in body else reply(THIRTY_WORDS, counted(36))

    server = VendorServer(answer)
    with connected(server) as generator, pytest.raises(RequestRefusedError, match=r"--server\.send_seed false"):
        list(generator.generate([Request("q", "7+5=", 1)]))
    assert len(server.bodies) == 1
    with connected(VendorServer(answer), options={"send_seed": False}) as generator:
        pool = generate_pool(tmp_path / "pool", [Question("a", "7+5=")], generator, 3, progress=False)
    assert pool.read()["seed"].to_pylist() == [None] * 3


def test_a_refusal_that_speaks_of_seeds_in_passing_names_no_setting():
    server = VendorServer(lambda _: (400, {"error": {"message": "too long: Maria plants 12 seeds in each row"}}))
    with connected(server) as generator, pytest.raises(InputError) as raised:
        list(generator.generate([Request("q", "7+5=", 1)]))
    assert "send_seed" not in str(raised.value)


def test_a_think_tag_at_the_end_of_our_own_prompt_is_put_back_in_front():
    def answer(body):
        text = "7 and 5 make" if body["max_tokens"] == 5 else "7 and 5 make\n</think>\n\n12"
        ended = "length" if body["max_tokens"] == 5 else "stop"
        return {"choices": [{"text": text, "finish_reason": ended}], "usage": counted(5)}

    prompt = "7+5=<think>\n"
    for thinking, limit, text in (
        ("keep", 5, "<think>\n7 and 5 make"),
        ("strip", 5, ""),
        ("keep", 9, "<think>\n7 and 5 make\n</think>\n\n12"),
        ("strip", 9, "12"),
    ):
        with connected(VendorServer(answer), chat=False, thinking=thinking, max_tokens=limit) as generator:
            ((_, (sample,)),) = generator.generate([Request("q", prompt, 1)])
        assert sample.text == text
