"""``python -m orrl``."""

from orrl.cli import main

if __name__ == "__main__":
    main()
