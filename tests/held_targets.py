"""``optscale`` whose targets tell when all rows are computed, and wait before the first byte is written.

SCORES_TO=DESCRIPTOR SCORES_HELD=FILE python tests/held_targets.py targets ...
"""

import os
import sys
import time

from optscale_predictor.cli.main import main
from optscale_predictor.targets import target_dataset


def held(write):
    def wait_and_write(*arguments):
        os.write(int(os.environ["SCORES_TO"]), b".")
        while os.path.exists(os.environ["SCORES_HELD"]):
            time.sleep(0.01)
        return write(*arguments)

    return wait_and_write


if __name__ == "__main__":
    target_dataset.write_targets = held(target_dataset.write_targets)
    main(sys.argv[1:])
