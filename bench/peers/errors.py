"""What ends a comparison."""


class ComparisonError(Exception):
    """What is wrong, where, and what to do about it."""
