"""Keeps `pytest .` out of the root links, which show the same files as orrl/ a second time."""

collect_ignore = ["problems", "solvers", "instances"]
