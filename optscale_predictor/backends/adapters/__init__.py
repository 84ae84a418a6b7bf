"""Small trained updates of a large base model, and the folders that they travel in: for predictors and verifiers alike.

``lora`` puts updates on a model, ``adapter`` reads and writes them in PEFT's form, ``base_model`` ties them to the base
that they are for, ``merged_weights`` adds them into its weights, ``generator_folder`` makes a generator of a folder of
them, and ``checked_files`` reads files that anybody may have written. Model loading stands above this folder.
"""
