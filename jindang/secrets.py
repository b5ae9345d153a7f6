"""Secrets, fetched from where the configuration says they are; they never stand in it."""

import os
import subprocess

from jindang.config_values import Secret
from repository.errors import ConfigError


def read_secret(secret: Secret) -> str:
    """Fetch a secret of one line: the first one of a file, or of what a program prints.

    Raises:
        ConfigError: it is not there.
    """
    text = read_whole_secret(secret)
    return text if secret.env is not None else text.splitlines()[0]


def read_whole_secret(secret: Secret) -> str:
    """Fetch a secret of several lines, as age-keygen writes it; never empty where it comes from a file or a program.

    Raises:
        ConfigError: it is not there.
    """
    if secret.env is not None:
        value = os.environ.get(secret.env)
        if value is None:
            raise ConfigError(f"The environment variable {secret.env} is not set; it should hold a secret")
        return value
    what = secret.file or " ".join(secret.command or ())
    try:
        if secret.file is not None:
            text = secret.file.read_text(encoding="utf-8")
        else:
            argv = list(secret.command or ())
            text = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout
    except (OSError, UnicodeDecodeError, subprocess.SubprocessError) as error:
        raise ConfigError("A secret cannot be read", where=what, problems=(str(error),)) from error
    if not text:
        raise ConfigError("A secret cannot be read", where=what, problems=("there is nothing in it",))
    return text
