"""lm-eval runs over replies that the test writes."""

from benchmark_files import task_manager
from lm_eval import simple_evaluate
from lm_eval.api.model import LM


class Costed(str):
    """An answer that remembers what it cost, as the ``optscale`` model hands it out."""

    def __new__(cls, text, **costs):
        self = super().__new__(cls, text)
        self.__dict__ |= {"samples": 1, "tokens": 5, "score": 0.5, "hit": None, "stop_reason": "budget", "others": ()}
        self.__dict__ |= costs
        return self


class Replies(LM):
    """A model that says what it is given, document by document."""

    def __init__(self, replies):
        super().__init__()
        self.replies, self.prompts = replies, []

    def generate_until(self, requests, disable_tqdm=False):
        self.prompts = [request.args[0] for request in requests]
        return [self.replies[request.doc_id] for request in requests]

    def loglikelihood(self, requests):
        raise NotImplementedError

    def loglikelihood_rolling(self, requests):
        raise NotImplementedError


def evaluate(replies, task, metadata=None, **options):
    model = Replies(replies)
    found = simple_evaluate(
        model=model, tasks=[task], task_manager=task_manager(metadata=metadata), bootstrap_iters=1000, **options
    )
    return found, model.prompts
