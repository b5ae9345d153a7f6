"""The composition root: configuration, command line and daemon; the only place that wires the parts together."""

from importlib.metadata import version

__version__ = version("jindang")
