"""The composition root: configuration, command line and daemon; the only place that wires the parts together."""

__version__ = "0.1.0"
