"""Trains a predictor: python train.py fit --config optscale_predictor/predictor/configs/arithmetic.yaml.

The same as ``optscale train``; ``python train.py fit --help`` lists every setting.
"""

import sys

from optscale_predictor.cli.main import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
