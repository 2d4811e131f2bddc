"""The errors that people see: one clear sentence each."""


class BitfrontError(Exception):
    """Base of every error that is shown to a person as it stands."""

    exit_code = 1


class InputError(BitfrontError, ValueError):
    """Something typed or uploaded is wrong: says what, what is allowed, what to do (exit code 2)."""

    exit_code = 2


class RunError(BitfrontError):
    """A run that started could not be finished, with the reason in words (exit code 1)."""
