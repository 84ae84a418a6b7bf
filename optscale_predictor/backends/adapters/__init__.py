"""Small trained updates of a large base model, and the folders that they travel in: for predictors and verifiers alike.

``lora`` puts updates on a model, ``adapter`` reads and writes them in PEFT's form, ``base_model`` ties them to the base
that they are for, and ``checked_files`` reads files that anybody may have written. May import model loading and below.
"""
