"""Errors that a user can mend, told apart by type from errors of the library."""


class InputError(ValueError):
    """What was given cannot be used: the message says what was expected, what came, what to do.

    The command line prints it as one sentence and exits with 2; any other exception is a fault of
    the library and keeps its traceback.
    """


class InputTypeError(InputError, TypeError):
    """Something of the wrong type was given; it is a `TypeError` too."""


class InputFileError(InputError, OSError):
    """A file or folder cannot be read or written; it is an `OSError` too."""


class MissingPackageError(InputError, ImportError):
    """A package of an extra is not installed; it is an `ImportError` too."""
