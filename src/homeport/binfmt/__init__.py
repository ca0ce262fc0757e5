"""Emulators of other architectures that the kernel starts by itself (binfmt_misc).

Reads what is registered and, without root, registers in a user namespace. Registering for the
whole machine is the business of the recipe ``binfmt``.
"""
