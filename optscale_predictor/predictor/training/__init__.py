"""Training of a predictor: the command, the lightning module and what it trains on, the data module, the callbacks.

Imports everything else of the predictor; nothing outside of this folder imports it but the command line and the
assessment, which reads the same files of targets.
"""
