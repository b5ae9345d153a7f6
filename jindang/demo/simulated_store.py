"""An object store that lives as long as the demo: moto, a simulator, in this process and on this machine only."""

import contextlib
import logging
import urllib.request
from collections.abc import Iterator

from repository.errors import NotFoundError

BUCKET = "jindang-demo"


@contextlib.contextmanager
def simulated_store() -> Iterator[str]:
    """Run it, with an empty bucket; gives its address.

    Raises:
        NotFoundError: moto is not installed.
    """
    try:
        from moto.server import ThreadedMotoServer
    except ImportError as error:
        raise NotFoundError(
            "The demo's object store is not installed",
            why=str(error),
            next_step="install the extra `jindang[demo]`, as `make run` does",
        ) from error
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        _call(f"{endpoint}/{BUCKET}", "PUT")
        yield endpoint
        _call(f"{endpoint}/moto-api/reset", "POST")  # else the next store of this process would hold the same
    finally:
        server.stop()


def _call(url: str, method: str) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, method=method)):  # noqa: S310 - our own server
        pass
