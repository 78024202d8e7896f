"""./pteron operators: what its generator makes, what its list of equivalents refuses, and one that dies."""

from collections import Counter
from dataclasses import replace

import pytest

from harness import operators, operator_runs
from harness.catalogue import ROOT
from harness.operator_runs import UNIT, OperatorsError, choose, equivalents, examine, folder_of
from harness.operators import generate, of_file, targets
from harness.rooms import Rooms
from harness.tree import Tree

SAMPLE = """
/* if (in_a_comment) say("no"); */
static struct item *find(struct set *s, unsigned n)
{
	bool open = is_open(s), changed = false;
	unsigned i = first(s);

	ASSERT(i < n);
	for (; i < n && !s->stop; i++) {
		count(CNT_STEPS);
		lock(s);
		touch(&s->item[i],
		      "if (x < y) f();");
		unlock(s);
	}
	if (unlikely(s->n == SET_MAX))
		return NULL;
	s->last = n;
	s->first = i;
	s->n = s->first - 2;
	s->nth = 0;
	return s->stop ? NULL : &s->item[i];
}

static bool is_full(const struct set *s)
{
	return s->n >= 3 || s->stop;
}

#define DEFINE_EACH(x)                                  \\
	static void each_##x(struct set *s)             \\
	{                                               \\
		do {                                    \\
			visit(s);                       \\
		} while (step(s) > 0);                  \\
	}
DEFINE_EACH(one)

static void close_all(struct set *s)
{
	for_each_item(i, s)
	{
		close(i);
	}
	list_for_each_entry(e, &s->list, node) {
		switch (e->kind) {
		case OLD:
		case WORN:
			drop_item(e);
			break;
		default:
			list_init(&e->one);
			list_init(&e->two);
		}
	}
}

static void set_print(struct set *s)
{
	lock(s);
}
"""


def made(operator: str) -> list[str]:
    return [f"{m.function}: {m.text} => {' '.join(m.new.split())}"
            for m in generate("sample.c", SAMPLE) if m.operator == operator]


def test_negate():
    assert made("negate") == [
        "find: is_open(s) => !(is_open(s))",
        "find: i < n => !(i < n)",
        "find: !s->stop => !(!s->stop)",
        "find: s->n == SET_MAX => !(s->n == SET_MAX)",
        "find: s->stop => !(s->stop)",
        "is_full: s->n >= 3 => !(s->n >= 3)",
        "is_full: s->stop => !(s->stop)",
        "each_##x: step(s) > 0 => !(step(s) > 0)"]


def test_drop():
    assert made("drop") == [
        "find: lock(s); => { if (false) lock(s); }",
        'find: touch(&s->item[i], ); => { if (false) touch(&s->item[i], "if (x < y) f();"); }',
        "find: unlock(s); => { if (false) unlock(s); }",
        "each_##x: visit(s); => { if (false) visit(s); }",
        "close_all: close(i); => { if (false) close(i); }",
        "close_all: drop_item(e); => { if (false) drop_item(e); }",
        "close_all: list_init(&e->one); => { if (false) list_init(&e->one); }",
        "close_all: list_init(&e->two); => { if (false) list_init(&e->two); }"]


def test_swap():
    """Not of assignments that commute."""
    assert made("swap") == [
        "find: lock(s); touch(&s->item[i], ); => touch(&s->item[i], \"if (x < y) f();\"); lock(s);",
        "find: touch(&s->item[i], ); unlock(s); => unlock(s); touch(&s->item[i], \"if (x < y) f();\");",
        "find: s->first = i; s->n = s->first - 2; => s->n = s->first - 2; s->first = i;"]


def test_shift():
    assert made("shift") == [
        "find: i < n => i <= n",
        "find: s->n == SET_MAX => s->n == SET_MAX + 1",
        "is_full: s->n >= 3 => s->n > 3",
        "each_##x: step(s) > 0 => step(s) >= 0"]


def test_identities_outlive_lines():
    before, after = (generate("f.c", s) for s in (SAMPLE, "/*\n * More.\n */\n" + SAMPLE))
    assert [m.identity for m in before] == [m.identity for m in after]
    assert len({m.identity for m in before}) == len(before)


def test_applied_changes_one_place():
    for m in generate("sample.c", SAMPLE):
        changed = m.applied(SAMPLE)
        assert changed != SAMPLE and changed.startswith(SAMPLE[:m.start]) and changed.endswith(SAMPLE[m.end:])


def test_every_target_has_mutants():
    rooms = [room for room in Rooms((ROOT / "tests/rooms.txt").read_text()).order if not room.startswith(("tests", "drivers"))]
    assert {file.rsplit("/", 1)[0] for file in targets()} == set(rooms) - {"mm/types"}  # where nothing is done
    assert all(of_file(file) for file in targets())


def test_samples():
    """The same of each seed; of a folder without those below it; and both bounds together."""
    mutants = [m for file in targets() for m in of_file(file)]

    def sample(seed: int, files: list[str], n: int | None, per_folder: int | None) -> list[tuple[int, operators.Mutant]]:
        return choose(mutants, files, [], n, seed, per_folder)

    some = sample(1, [], None, 5)
    assert Counter(folder_of(m.file) for _, m in some) == {
        folder: min(5, n) for folder, n in Counter(folder_of(m.file) for m in mutants).items()}
    assert some == sample(1, [], None, 5) != sample(2, [], None, 5)
    assert all(mutants[n - 1] is m for n, m in some)
    assert Counter(m.file for _, m in sample(1, ["mm/range/zap.c", "mm/lazy/tlb.c"], 2, None)) == {"mm/range/zap.c": 2, "mm/lazy/tlb.c": 2}
    assert len(sample(1, ["mm/range/zap.c", "mm/range/fork.c"], 2, 3)) == 3


def test_equivalents():
    mutants = generate("sample.c", SAMPLE)
    known = "sample.c:find: negate: i < n"
    assert equivalents(f"# a comment\n{known} -- the reason\n", mutants) == {known: "the reason"}
    for text, says in ((f"{known} gone -- the reason", "no such mutant"), (known, "without a reason")):
        with pytest.raises(OperatorsError, match=says):
            equivalents(text, mutants)


def test_equivalents_of_the_core_are_not_stale():
    equivalents(operator_runs.EQUIVALENTS.read_text(),
                [m for file in targets() for m in of_file(file)])


def test_one_that_dies(tmp_path):
    """A context switch that forgets the queue, and one that the compiler refuses."""
    file = "mm/lazy/lazy_mmu.c"
    by_identity = {m.identity: m for m in generate(file, (ROOT / file).read_text())}
    mutant = by_identity[f"{file}:lazy_mmu_context_switch: drop: batch_flush();"]
    tree = Tree(tmp_path / "tree")
    row = examine(tree, 1, mutant, [UNIT])
    assert row.outcome == "killed" and row.by == "unit: preempt-everywhere", row
    unknown = operators.Mutant(file, mutant.function, "drop", mutant.text, 1, mutant.start, mutant.end, "what();")
    assert examine(tree, 1, unknown, [UNIT]).outcome == "refused"
    harmless = replace(unknown, new=f"{{ if (true) {mutant.text} }}")
    assert examine(tree, 1, harmless, [UNIT]).outcome == "same code"
    assert (tmp_path / "tree" / file).read_text() == (ROOT / file).read_text()


@pytest.mark.parametrize("file, backends", [("pv/xen/ptwr.c", {"ptwr"}), ("pv/xen/mmu.c", {"xen"}), ("pv/soft/shadow.c", {"shadow"}),
                                            ("mm/range/zap.c", {"deferred", "native", "shadow", "xen"})])
def test_a_file_is_judged_where_it_runs(file: str, backends: set[str]):
    assert {stage.backend for stage in operator_runs.plan(file)} == backends
