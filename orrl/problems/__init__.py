"""The problems: one folder each, with the same file names inside."""

if __name__ == "problems":
    raise ImportError("import orrl.problems; the root folder is only a link to it")
