"""Software bills of materials: what an image is made of, in the forms that scanners read.

``model`` is the one description, which ``homeport.assemble.bill`` makes of what was built.
``spdx``, ``cyclonedx`` and ``listing`` write it. Not for finding out what is in an image.
"""
