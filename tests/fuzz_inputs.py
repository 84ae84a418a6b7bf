"""Sound inputs of every parser, of which fuzzing makes others."""

from hostile_damage import gguf_header

from optscale_predictor.backends.adapters.generator_config import GeneratorConfig
from optscale_predictor.backends.model_loading import EMBEDDED
from optscale_predictor.predictor.model.config import PredictorConfig

YAMLS = (b"a: 1\nb: [x, 2.5, null]\nc: {d: &e [1], f: *e}\n", b"- 2020-01-02\n- 0x1f\n- 1:30\n- !!str 7\n")
QUESTIONS = ({"id": "a", "question": "1+1=", "answer": "2", "subject": "sums"}, {"question": "x", "answer": 3})
SOLVED = ({"question": "1+1=", "solution": "1+1=2\n#### 2"},)
SAMPLES = (
    {"question_id": "a", "question": "1+1=", "gold": "2", "text": "#### 2", "score": 0.5, "num_tokens": 3},
    {"question_id": "a", "text": ["#### 2", "#### 3"], "score": [0.5, 1], "correct": [True, 0]},
)
PUBLISHED = {
    "id": 1,
    "output": "2",
    "n": 2,
    "score": {
        "problem": ["What is 1 + 1?"],
        "completions": [["\\boxed{2}", "7"]],
        "scores": [[0.9, 0.25]],
        "completion_tokens": [[6, 5]],
    },
}
LOG = {
    "doc_id": 0,
    "doc": {"question": "1+1=", "answer": "2"},
    "target": "2",
    "arguments": {"gen_args_0": {"arg_0": "1+1=", "arg_1": {"until": ["\n"]}}},
    "resps": [["#### 2", "#### 3"]],
    "filtered_resps": ["2"],
    "exact_match": 1.0,
}
MANIFEST = {
    "format": 2,
    "version": "0.1.0",
    "fingerprint": "",
    "settings": {"generator": {"adapter": "transformers", "model": "m", "temperature": 0.7}, "prompt": "{question}"},
    "scores": {
        "score": {"adapter": "reward_model", "model": "v", "score_map": {"location": 0.0}, "aggregation": "min"}
    },
}
ENTRY = {"file": "samples-000000.parquet", "rows": 2, "sha256": "0" * 64}
RUN = {"stage": "generate", "started": "2026-01-01T10:00:00+00:00", "seconds": 1.0, "samples": 32, "tokens": 90}
FACTS = {
    "format": 2,
    "task": "sums",
    "policies": ["best_of_n:max_samples=2"],
    "generator": {"model": "g"},
    "verifier": {"model": "v"},
    "predictor": None,
    "seed": 0,
    "started": "2026-01-01T10:00:00+00:00",
    "version": "0.1.0",
    "seconds": 1.0,
    "samples": 2,
    "tokens": 9,
    "selection": None,
    "prior": None,
}
OUTCOME = {
    "question_id": "q",
    "policy": "best_of_n:max_samples=2",
    "answer": "2",
    "correct": True,
    "score": 0.5,
    "confidence": None,
    "samples": 2,
    "tokens": 9,
    "stop_reason": "budget",
    "hit": None,
    "needed": None,
    "seconds": 0.5,
}
TARGET = {"question": "1+1=", "mean": 0.5, "std": 0.2, "num_samples": 16, "split": "train"}
CALIBRATION = {"kind": "isotonic", "scores": [0.1, 0.9], "probabilities": [0.2, 0.8]}
CONFIG = PredictorConfig("embedded:generator", "abc", data={"questions": 3}, metrics={"loss": 0.5}).as_json()
TUNED = GeneratorConfig("embedded:generator", "abc", "Q: {question}", False).as_json()
VERIFIER = {
    "base_model": "embedded:generator",
    "base_fingerprint": "abc",
    "score_map": {"location": 0.0, "scale": 1.0, "fitted": "labels"},
    "format": 1,
}
ADAPTER = (EMBEDDED / "smollm2_word_problems" / "adapter_config.json").read_bytes()
RUBRIC = b"---\npattern: 'Score: (\\S+)'\nlow: 0\nhigh: 10\nvotes: 1\n---\nQ: {question}\nA: {answer}\n"
GGUF = gguf_header(
    [
        (b"general.name", 8, b"\4\0\0\0\0\0\0\0tiny"),
        (b"a", 9, b"\4\0\0\0\2\0\0\0\0\0\0\0" + b"\0" * 8),
        (b"b", 9, b"\10\0\0\0\1\0\0\0\0\0\0\0" + b"\2\0\0\0\0\0\0\0xy"),
        (b"general.license", 8, b"\3\0\0\0\0\0\0\0MIT"),
    ]
)
POLICIES = (
    b"optscale:score_min=0.9,alpha=0.95,estimate=plugin",
    b"cost_aware:price=0.01,max_samples=8,step=double",
    b"beacon:max_samples=8,nu0=2",
    b"esc:window=5,max_samples=20",
    b"shared_budget:tokens=100",
)
CHAT = {
    "model": "m",
    "messages": [{"role": "user", "content": [{"type": "text", "text": "1+1="}]}],
    "temperature": 0.5,
    "stop": ["#"],
    "optscale": {"policy": "best_of_n", "timeout": 5},
}
COMPLETION = {
    "model": "m",
    "prompt": "1+1=",
    "max_tokens": 5,
    "stream": True,
    "stream_options": {"include_usage": True},
}
USAGE = {
    "prompt_tokens": 3,
    "completion_tokens": 2,
    "total_tokens": 5,
    "completion_tokens_details": {"reasoning_tokens": 1},
}
CHAT_REPLY = {
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "2", "reasoning": "so"}, "finish_reason": "stop"}
    ],
    "usage": USAGE,
}
TEXT_REPLY = {"choices": [{"index": 0, "text": "2", "finish_reason": "length", "logprobs": None}], "usage": USAGE}
ANSWERS = (
    b"So it is \\boxed{\\frac{1}{2}} and not 3/4.",
    b"<think>hm</think> The answer is $x = 1,234.50$ dollars. #### 7",
    "The answer is (B), i.e. [1, 2) ∪ {3}; 2^{10} or 3\\sqrt{5} %.".encode(),
)
