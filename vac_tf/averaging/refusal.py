"""Why an average of networks is not written."""


class NoBetterError(ValueError):
    """The average is no better on the validation part than the best of its networks."""

    exit_code = 4
