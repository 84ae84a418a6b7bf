"""The tasks: a YAML file each for lm-eval, and the class that they are made of."""
