"""What is posted, written in one piece or by a template: the same object, bounds and fields."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from optscale_predictor.backends.posted_json import PostedJson, PostedTemplate
from optscale_predictor.backends.reply_size import most_reply

NAMES = st.text(max_size=3) | st.sampled_from(["prompt", "seed", "n", "max_tokens", "logprobs"])
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.lists(st.text())


@pytest.fixture(autouse=True, params=["orjson", "without"], scope="module")
def writer(request):
    """With orjson, and where it is missing."""
    from optscale_predictor._support import quick_json

    if request.param == "orjson":
        pytest.importorskip("orjson")
        yield
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(quick_json, "_installed", lambda: None)
            yield


@given(
    fixed=st.dictionaries(NAMES, VALUES, max_size=5),
    varying=st.dictionaries(NAMES, VALUES, min_size=1, max_size=3),
    others=st.lists(VALUES, min_size=3, max_size=3),
)
@example({}, {"prompt": "a"}, ["b"] * 3)
@example({"n": 2, "max_tokens": 7}, {"prompt": "null"}, ["\ud800", 1 << 70, "}"])
@example({"seed": 1, "stop": None}, {"seed": 2}, [3] * 3)
def test_a_template_writes_what_is_written_in_one_piece(fixed, varying, others):
    payload = {**fixed, **varying}
    template = PostedTemplate(payload, varying)
    for filling in (varying, dict(zip(varying, others, strict=False))):
        if filling.keys() != varying.keys():
            continue
        posted, whole = template.filled(filling), PostedJson.of({**payload, **filling})
        assert json.loads(posted.body) == json.loads(whole.body) == {**payload, **filling}
        assert list(posted.fields) == list(whole.fields) == list(payload)
        assert posted.most == most_reply(payload)


def test_a_field_is_written_once():
    body = PostedTemplate({"seed": 1, "n": 1}, ["seed"]).filled({"seed": 5}).body
    assert body.count(b"seed") == 1 and json.loads(body) == {"n": 1, "seed": 5}
