"""What can go wrong by a user's hand. A caller's mistake is a `ValueError`; a bug is a traceback."""


def first_line(error: Exception) -> str:
    """What another library's error says, as far as it fits into one of ours; its type where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class EdgeproofError(Exception):
    """The root of edgeproof's own errors: one line that says what, where, what was found, what to do."""


class ConfigError(EdgeproofError):
    """A setting or an option is unknown, of the wrong type or out of range."""


class DataError(EdgeproofError):
    """Images, labels or folders cannot be used as they are."""


class ModelError(EdgeproofError):
    """A model file cannot be read, or is not what it says it is."""


class VerificationError(EdgeproofError):
    """A gate failed: the exported file is not close enough to its reference."""


class Stopped(BaseException):
    """A signal asked for an end, and the work so far is saved; the message says how far it got and what goes on.

    No `Exception`, as `KeyboardInterrupt` is none; nor that, because frameworks of command lines swallow its message.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.signal = number

    @property
    def status(self) -> int:
        """The exit status of a process that a signal ends, as shells have it."""
        return 128 + self.signal
