"""The packages whose scripts are looked at are a list without doubles, long enough."""

from __future__ import annotations

from benchmarks.scripts_read import server_packages


def test_the_list_names_two_hundred_packages_each_once() -> None:
    listed = server_packages()
    assert len(set(listed.names)) == len(listed.names) >= 200
    assert all(listed.left.values())
