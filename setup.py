"""Package layout. The metadata lives in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    # An explicit root makes editable installs a plain path entry instead of an import hook, which type checkers
    # and IDEs cannot follow.
    package_dir={"": "."},
    packages=find_packages(include=["orrl", "orrl.*"]),
    package_data={
        "orrl": ["py.typed"],
        "orrl.instances": ["**/*.json", "**/*.txt", "**/*.npz", "**/*.policy", "**/*.md"],
    },
)
