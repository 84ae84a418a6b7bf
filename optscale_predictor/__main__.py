"""``python -m optscale_predictor`` is ``optscale``."""

from optscale_predictor.cli import main

main()
