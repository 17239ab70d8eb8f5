"""The version, here alone: read by the build, by `autotrace --version` and by what spans carry."""

__version__ = "0.1.0"
