"""The verbs, a module for each: `add` gives a parser its options, `run` does the work.

Heavy imports stay inside `run`, so that --help answers at once.
"""
