"""What has come of a request that was cut short, in the form of requests that were answered in full."""

from dataclasses import replace

from optscale_predictor.backends.generators.generator import Arrived, Request, Sample


def arrived_parts(request: Request, arrived: Arrived) -> list[tuple[Request, list[Sample]]]:
    """What has come of a request that was cut short, as requests that were answered in full: one a run of places.

    Args:
        request: The whole request.
        arrived: What has come of it.
    """
    parts: list[tuple[Request, list[Sample]]] = []
    for place in sorted(arrived):
        index = request.first_index + place
        if not parts or parts[-1][0].first_index + len(parts[-1][1]) != index:
            parts.append((replace(request, first_index=index), []))
        parts[-1][1].append(arrived[place])
    return [(replace(part, num_samples=len(samples)), samples) for part, samples in parts]
