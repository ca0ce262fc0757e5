"""Homeport: build, publish and prove your own BuildKit helper images.

Nothing is imported here: every module is imported where it is used, so that
``homeport --version`` stays quick. The Python API's front door is ``homeport.app``.
"""

__version__ = "0.2.0"
