"""Secrets, fetched from where the configuration says they are; they never stand in it."""

import os
import subprocess

from jindang.config_values import Secret
from repository.errors import ConfigError


def read_secret(secret: Secret) -> str:
    """Fetch a secret.

    Raises:
        ConfigError: it is not there.
    """
    if secret.env is not None:
        value = os.environ.get(secret.env)
        if value is None:
            raise ConfigError(f"The environment variable {secret.env} is not set; it should hold a secret")
        return value
    try:
        if secret.file is not None:
            return secret.file.read_text(encoding="utf-8").splitlines()[0]
        done = subprocess.run(list(secret.command or ()), check=True, capture_output=True, text=True, timeout=60)
        return done.stdout.splitlines()[0]
    except (OSError, IndexError, UnicodeDecodeError, subprocess.SubprocessError) as error:
        what = secret.file or " ".join(secret.command or ())
        raise ConfigError("A secret cannot be read", where=what, problems=(str(error),)) from error
