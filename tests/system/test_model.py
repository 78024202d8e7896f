"""Each model holds in every state, and each of its bugs breaks it."""

import pytest

from harness import model

# The small models; those of the lazy section have millions.
LEAST_STATES = {"VMA": 400_000, "FUTEX": 1_000, "SLEEPER": 80_000, "HALT": 100_000}


def test_tables_agree():
    model.check_tables()


def test_a_name_that_the_kernel_does_not_know(monkeypatch):
    monkeypatch.setattr(model, "bugs", lambda: {"no-such-bug": "SECTION"})
    with pytest.raises(model.ModelError, match="not in tests/bugs: no-such-bug"):
        model.check_tables()


@pytest.mark.parametrize("configuration", model.configurations())
def test_holds(configuration):
    result = model.search(configuration)
    assert not result.broken
    assert result.states >= LEAST_STATES.get(configuration, 1_000_000), "the tasks have not met in all their ways"


@pytest.mark.parametrize("bug, configuration", model.bugs().items())
def test_bug_is_found(bug, configuration):
    result = model.search(configuration, bug)
    assert result.broken
    assert "trail ends after" in (result.directory / "counter-example").read_text()
