"""The errors nextclick raises on purpose, all under one root.

    NextclickError                  exit code 1
    ├── ConfigError                 exit code 2: an option or a configuration value is wrong
    │   └── UnreadableFile          exit code 2: a list that it names can't be used; `path` says which
    ├── BundleError                 a bundle can't be used; `reason` says why in one word
    ├── RegistryError               the registry can't do what was asked
    │   ├── RegistryMissing         there is no registry at that address
    │   └── VersionUnknown          exit code 2: the registry has no such version
    ├── BadItem                     an item is refused; `reason` says why in one word
    ├── ParityError                 the exported graph and PyTorch disagree
    └── ProviderUnavailable         exit code 2: the execution provider asked for can't run here

`model.errors` and `stream.errors` hang their own under the same root, so that a command needs one `except`.
"""

import pathlib  # as a module: each class in here is an error

__all__ = [
    "BadItem",
    "BundleError",
    "ConfigError",
    "NextclickError",
    "ParityError",
    "ProviderUnavailable",
    "RegistryError",
    "RegistryMissing",
    "UnreadableFile",
    "VersionUnknown",
]


class NextclickError(Exception):
    """Root of every error raised on purpose: the command prints the message and ends with `exit_code`."""

    exit_code: int = 1


class ConfigError(NextclickError):
    """An option or a configuration value is wrong: nothing was started, correct it and run again."""

    exit_code = 2


class UnreadableFile(ConfigError):
    """A list that a configuration names cannot be used as it is; `path` is the file whose change may mend that."""

    def __init__(self, message: str, path: pathlib.Path) -> None:
        super().__init__(message, path)  # both, as errors are pickled by their arguments
        self.path = path

    def __str__(self) -> str:
        return str(self.args[0])


class BundleError(NextclickError):
    """A bundle can't be used. No click is affected: a worker keeps the model it has, an operator publishes again.

    `reason` is a slug for logs and metrics: `missing_directory`, `missing_file`, `truncated`, `altered`,
    `bad_manifest`, `bad_vectors`, `bad_codes`, `format_version`, `bad_vocabulary`, `bad_features`, `bad_popularity`,
    `bad_model`, `write_failed`. `detail` is for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{detail} [{reason}]")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["BundleError"], tuple[str, str]]:
        """Rebuild from both arguments, so that the error survives a process pool."""
        return type(self), (self.reason, self.detail)


class RegistryError(NextclickError):
    """The registry can't do what was asked (storage failed, nothing to roll back to): it is left as it was."""


class RegistryMissing(RegistryError):
    """No registry at that address: a worker refuses to start; check the address, or train a first model into it."""


class VersionUnknown(RegistryError):
    """The registry holds no such version: nothing changes; `nextclick models list` shows what it holds."""

    exit_code = 2


class BadItem(NextclickError):
    """What was said of an item can't be used: it is counted under `reason`, and what was known of the item stays.

    `reason` is one of `export.items.rules.REASONS`; `detail` is for people.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["BadItem"], tuple[str, str]]:
        """Rebuild from both arguments, so that the error survives a process pool."""
        return type(self), (self.reason, self.detail)


class ParityError(NextclickError):
    """The exported graph ranks unlike PyTorch: the model is not published; the figures are in the message."""


class ProviderUnavailable(NextclickError):
    """The provider asked for can't run here: nothing falls back silently, the message says what to install."""

    exit_code = 2
