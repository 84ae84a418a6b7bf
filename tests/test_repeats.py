"""An engine that does not sample is noticed; one that does is not suspected."""

from optscale_predictor.backends.generators import Request, Sample, SamplingParams
from optscale_predictor.backends.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.pools.preparation.fill_pool import RepeatWatch
from optscale_predictor.questions.arithmetic import make_questions


def said(temperature: float, asked: float) -> list[str]:
    generator = HuggingFaceGenerator("embedded:generator", SamplingParams(temperature, max_tokens=160), device="cpu")
    requests = [Request(question.id, question.text, 2) for question in make_questions(40, 0, "train")]
    watch = RepeatWatch(asked)
    return [line for _, samples in generator.generate(requests) if (line := watch.add(samples)) is not None]


def test_an_engine_that_decodes_greedily_is_noticed_once():
    (line,) = said(temperature=0.0, asked=1.0)
    assert "first 32 requests" in line and "temperature 1" in line


def test_samples_that_vary_and_greedy_ones_that_were_asked_for_are_not_suspected():
    assert said(temperature=1.0, asked=1.0) == []
    assert said(temperature=0.0, asked=0.0) == []


def test_single_samples_say_nothing():
    watch = RepeatWatch(1.0)
    assert all(watch.add([Sample("12", 3, "stop", 0)]) is None for _ in range(100))
