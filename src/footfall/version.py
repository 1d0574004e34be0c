"""The version of this package. It stands alone, so that what tells it need not import the package's face."""

__version__ = "0.1.0"
