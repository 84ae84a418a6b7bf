"""A solver for inspect_ai: each sample is answered by ``optscale serve``, and what that took stands in the log.

    pip install inspect_ai openai                             # beside optscale, or in an environment of its own
    optscale serve --port 8080 --score_min 0.8 --max_tokens 160
    inspect eval examples/inspect_solver.py@sums --model none

Use ``optscale_solver`` in a task of your own in place of ``generate()``. The server draws, scores and stops; inspect_ai
sees the chosen answer, and counts all tokens that were generated for it. Tools are not passed on.
"""

from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageAssistant, ModelOutput, ModelUsage
from inspect_ai.scorer import Score, Target, accuracy, mean, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver
from openai import AsyncOpenAI

SUMS = {"7+5=": "12", "12+34=": "46", "9+8+7=": "24", "87+46+9=": "142", "31+6+25+4=": "66", "58+17=": "75"}


@solver
def optscale_solver(
    base_url: str = "http://127.0.0.1:8080/v1",
    policy: str | None = None,
    score_min: float | None = None,
    max_samples: int | None = None,
    api_key: str = "none",
) -> Solver:
    """Answers by adaptive Best-of-N behind an OpenAI-compatible address.

    Args:
        base_url: Of ``optscale serve``.
        policy: In place of the server's, such as ``best_of_n:max_samples=4``.
        score_min: Target score, in [0, 1]; the server's by default.
        max_samples: Cap, >= 1; likewise.
        api_key: The server's ``OPTSCALE_SERVE_API_KEY``, where it has one.
    """
    settings = {"policy": policy, "score_min": score_min, "max_samples": max_samples}
    wanted = {name: value for name, value in settings.items() if value is not None}
    client = AsyncOpenAI(base_url=base_url, api_key=api_key)
    served: list[str] = []

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if not served:
            served.append((await client.models.list()).data[0].id)
        messages: Any = [{"role": message.role, "content": message.text} for message in state.messages]
        extra = {"optscale": wanted} if wanted else {}
        reply = await client.chat.completions.create(model=served[0], messages=messages, extra_body=extra)
        text, usage = reply.choices[0].message.content or "", reply.usage
        state.messages.append(ChatMessageAssistant(content=text, source="generate", model=served[0]))
        state.output = ModelOutput.from_content(served[0], text)
        if usage is not None:
            state.output.usage = ModelUsage(
                input_tokens=usage.prompt_tokens,
                output_tokens=usage.completion_tokens,  # of all samples
                total_tokens=usage.total_tokens,
            )
            state.metadata["samples"] = (usage.model_extra or {}).get("samples")
        state.metadata["optscale"] = (reply.model_extra or {}).get("optscale")
        return state

    return solve


@scorer(metrics={"right": [accuracy(), stderr()], "samples": [mean()], "tokens": [mean()]})
def last_number() -> Any:
    """Whether the answer's last number is the target; and the samples and tokens that it took."""

    async def score(state: TaskState, target: Target) -> Score:
        words = state.output.completion.replace("=", " ").split()
        right = bool(words) and words[-1] == target.text
        tokens = state.output.usage.output_tokens if state.output.usage else 0
        values = {"right": float(right), "samples": float(state.metadata["samples"]), "tokens": float(tokens)}
        return Score(value=values, answer=words[-1] if words else "", metadata=state.metadata["optscale"])

    return score


@task
def sums(base_url: str = "http://127.0.0.1:8080/v1", policy: str | None = None) -> Task:
    """Six sums for the embedded world."""
    samples = [Sample(input=question, target=answer) for question, answer in SUMS.items()]
    return Task(dataset=samples, solver=optscale_solver(base_url, policy), scorer=last_number())
