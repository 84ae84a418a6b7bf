"""Trains a predictor: python train.py fit --config optscale_predictor/predictor/configs/arithmetic.yaml.

The same as ``optscale train``; ``python train.py fit --help`` lists every setting.
"""

from optscale_predictor.predictor.training.train_command import main

if __name__ == "__main__":
    main()
