"""What is kept of one kind of Debian's packages, a directory for each version, and what of it the archive has besides.

The kinds are Xens and QEMUs: xens.py, qemus.py. Kernels, which are several packages each, have kernels.py."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import JudgeError, archive, versions

VERSION = r"(?:\d+:)?\d+\.\d[\w.+~:-]*"  # what may be one; Debian's epoch comes first


@dataclass(frozen=True)
class Release:
    """One version of a package of the archive."""
    package: archive.Package
    cached: bool

    @property
    def series(self) -> str:
        """4.17 of 4.17.7+13-g2445b30a44-0+deb12u1."""
        return ".".join(versions.upstream(self.package.version).split(".")[:2])


@dataclass(frozen=True)
class Shelf:
    """Of one kind."""
    what: str     # Xen, in refusals
    plural: str   # xens: the directory's name, and what ./pteron list takes
    pattern: str  # of the package's name
    error: type[JudgeError]

    @property
    def folder(self) -> Path:
        return archive.folder() / self.plural

    def place(self, release: Release) -> Path:
        """Where @release is kept: without the epoch, whose colon would part lists of paths."""
        return self.folder / release.package.version.rpartition(":")[2]

    def cached(self) -> list[Release]:
        return [Release(package, True) for _, package in archive.kept(self.folder)]

    def available(self, fresh: bool = False) -> list[Release]:
        """Those of the archive and those that were fetched, the oldest first."""
        here = {r.package.version: r for r in self.cached()}
        for package in archive.packages(self.pattern, fresh):
            here.setdefault(package.version, Release(package, False))
        return sorted(here.values(), key=lambda r: versions.key(r.package.version))

    def find(self, wanted: str) -> Release:
        """The newest that @wanted means: a series, a version, or a package's whole version. One that was fetched needs no network."""
        def fits(release: Release) -> bool:
            own = release.package.version
            return wanted in (own, own.rpartition(":")[2]) or versions.is_in(versions.upstream(own), wanted)
        exact = [r for r in self.cached() if wanted in (r.package.version, r.package.version.rpartition(":")[2])]
        for releases in (lambda: exact, self.available, lambda: self.available(True)):
            among = releases()
            if found := [r for r in among if fits(r)]:
                return found[-1]
        known = " ".join(sorted({r.series for r in among}, key=versions.key))
        raise self.error(f"there is no {self.what} {wanted} in Debian's archive; there are: {known} (./pteron list {self.plural} names all versions)")

    def table(self, option: str, here: Callable[[], str]) -> Iterator[str]:
        """What ./pteron list prints; @here says what is taken without @option."""
        yield f"{option:<8} {'version':<40} {'suite':<20} cached"
        releases, why = archive.listed(self.available, self.cached)
        yield from why
        for r in releases:
            yield f"{r.series:<8} {r.package.version:<40} {r.package.suite:<20} {'yes' if r.cached else ''}".rstrip()
        yield f"without {option}: {here()}"

    def is_version(self, name: str) -> bool:
        return re.fullmatch(VERSION, name) is not None
