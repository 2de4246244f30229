"""The command line. Help loads none of the libraries that the commands stand on."""

from plait._lazy import exports

NAMES = {"main": "plait.cli.app"}

__getattr__, __dir__ = exports(__name__, NAMES)
