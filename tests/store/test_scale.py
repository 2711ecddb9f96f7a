"""Searches examine no more in a large store than in a small one, as MongoDB's profiler tells."""

from benchmarks.scale import PLANTED, QUERIES, main


def test_a_search_examines_what_it_finds_however_many_there_are() -> None:
    figures = main(["--patients", "1500", "--small", "150", "--rounds", "1", "--times", "2"])
    assert figures.keys() == {query.name for query in QUERIES}
    for name, by_tenant in figures.items():
        small, large = by_tenant["small"], by_tenant["large"]
        assert 1 <= small.found == large.found <= PLANTED, name
        assert large.keys <= small.keys + 2, name
        assert large.documents <= 2 * large.found + 1, name
        assert large.keys <= 4 * large.found, name
