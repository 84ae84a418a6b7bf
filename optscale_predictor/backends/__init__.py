"""Backends: the generators that draw samples, the verifiers that score them, and how both are reached.

``options`` says what to build, ``option_flags`` spells it as flags; ``http_client``, ``server_replies`` and
``served_model`` reach servers, ``model_loading`` loads what runs in this process. May import the questions, policies,
statistics and support; imports no pool and nothing above.
"""
