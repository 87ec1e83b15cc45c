"""Shipped instance data and its manifest; imports nothing."""

if __name__ == "instances":
    raise ImportError("import orrl.instances; the root folder is only a link to it")
