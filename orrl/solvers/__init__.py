"""The solvers: one method per file, written for capabilities, never for a problem's class."""

if __name__ == "solvers":
    raise ImportError("import orrl.solvers; the root folder is only a link to it")
