"""An environment that no kernel takes is known before the start, down to the byte."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pot_driver.plan import arguments
from pot_driver.plan.arguments import EVERYWHERE, RESERVE, Arguments

SIZES = st.lists(st.tuples(st.sampled_from("ABCDEFGH"), st.integers(3, 200_000)), unique_by=lambda pair: pair[0])


@given(command=st.integers(0, 300_000), sizes=SIZES, limit=st.sampled_from([EVERYWHERE, 2 * EVERYWHERE]))
def test_it_fits_or_its_largest_variables_are_named(command, sizes, limit):
    needed = Arguments(command=command, sizes=tuple(sizes))
    total = command + sum(size for _, size in sizes) + RESERVE

    misfit = needed.misfit("this host", limit)

    assert bool(misfit) == (total > limit)
    if misfit and sizes:
        name, size = max(sizes, key=lambda pair: pair[1])
        assert f"these are {total}" in misfit
        assert f"the largest: {name} ({size} bytes)" in misfit


def test_the_jobs_variables_and_the_images_count_once(job):
    job.task_with(env={"A": "é" * 10, "B": "1"}).config_with(command="/bin/web", args=["-v"])

    needed = arguments.of(job.spec(), "/ignored", ["A=overridden", "C='of the image'"])

    sizes = dict(needed.sizes)
    assert sizes["A"] == len("A=") + 20 + 1
    assert sizes["C"] >= len("C=of the image") + 1
    assert needed.command == len("/bin/web -v")
