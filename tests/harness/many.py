"""Many runs of ./pteron run: seed after seed, or the same again; side by side and on other hosts, if asked for.

On this machine a thread follows each run. The engine's workers, which go to other hosts, take a second more for each: a
front door, a Python, a look at the build. That is as much as a short run takes, so they are for hosts only."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from .judge.engine import Job, Place, run_jobs
from .judge.survey import identity_of_tree
from .machine import Config
from .runner import Result, run, stop_all


@dataclass
class Tally:
    """What became of them."""
    results: list[Result] = field(default_factory=list)

    def text(self) -> str:
        """How many went how, and each kind's first seed."""
        kinds = Counter(r.verdict for r in self.results)
        first = {verdict: next(r.config.seed for r in self.results if r.verdict == verdict) for verdict in kinds}
        parts = [f"{n} {verdict}" + ("" if verdict == "passed" else f" (first: seed {first[verdict]})")
                 for verdict, n in kinds.most_common()]
        return f"{len(self.results)} run{'s' if len(self.results) != 1 else ''}: {', '.join(parts) or 'none'}; {self._courses()}"

    def _courses(self) -> str:
        if not any(r.config.judged for r in self.results):
            return f"{len({r.output.lock_order for r in self.results} - {''})} distinct orders of lock acquisitions"
        caught = [r.output for r in self.results if r.output.signature()]
        if not caught:
            return "no kernel complained"
        mean = sum(o.suite_clock() for o in caught) / len(caught)
        return f"after {mean:.1f} virtual seconds of the suites on the average: {', '.join(sorted({o.signature() for o in caught}))}"

    @property
    def exit_code(self) -> int:
        return max((r.exit_code for r in self.results), default=0)


def configurations(config: Config, seeds: int, repeat: int) -> Iterator[Config]:
    """Each of @seeds seeds, from @config's on, @repeat times; without an end if @repeat is 0."""
    times = 0
    while not repeat or times < repeat:
        yield from (replace(config, seed=config.seed + i) for i in range(seeds))
        times += 1


@dataclass
class _Ways:
    """What is done of a result as it comes, in each second without one, and when enough have come."""
    take: Callable[[Result], None]
    quiet: Callable[[], None]
    enough: Callable[[], bool]


def _here(configs: Iterator[Config], jobs: int, ways: _Ways) -> None:
    """On this machine, @jobs at a time."""
    running = set[Future[Result]]()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while True:
                while len(running) < jobs and not ways.enough() and (config := next(configs, None)):
                    running.add(pool.submit(run, config))
                if not running:
                    return
                done, running = wait(running, timeout=1, return_when=FIRST_COMPLETED)
                if not done:
                    ways.quiet()
                for future in done:
                    ways.take(future.result())
        except KeyboardInterrupt:
            stop_all()
            raise


def _on_hosts(configs: Iterator[Config], place: Place, ways: _Ways) -> None:
    """By the engine."""
    given: dict[str, Config] = {}

    def jobs() -> Iterator[Job]:
        for number, config in enumerate(configs):
            given[str(number)] = config
            yield Job(str(number), tuple(config.arguments()), "run")
    run_jobs(jobs(), place, identity_of_tree(), lambda key, packed: ways.take(Result.unpacked(given.pop(key), packed)), ways.quiet, ways.enough)


def run_all(configs: Iterator[Config], place: Place, until_fail: bool, on_result: Callable[[Result], None],
            on_quiet: Callable[[Tally], None] = lambda tally: None) -> Tally:
    """Run @configs at @place, and tell each result as it comes, and each second in which none came what there is so
    far; @until_fail: none begins after one did not pass.
    An interrupt ends the machines, and what had ended counts."""
    tally = Tally()

    def take(result: Result) -> None:
        tally.results.append(result)
        on_result(result)
    ways = _Ways(take, lambda: on_quiet(tally), lambda: until_fail and tally.exit_code > 0)
    try:
        if place.hosts:
            _on_hosts(configs, place, ways)
        else:
            _here(configs, place.jobs, ways)
    except KeyboardInterrupt:
        raise Interrupted(tally) from None
    return tally


class Interrupted(KeyboardInterrupt):
    """With what had ended before."""

    def __init__(self, tally: Tally):
        super().__init__()
        self.tally = tally
