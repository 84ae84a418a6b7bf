"""``python -m optscale_predictor`` is ``optscale``."""

from optscale_predictor.cli.main import main

# Engines start worker processes that import this module again under another name; only the first may run.
if __name__ == "__main__":
    main()
