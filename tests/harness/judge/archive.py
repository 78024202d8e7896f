"""Debian's archive beyond this machine's suites: what packages there are, and the files that they hold.

apt does it, with lists, cache and sources of its own below folder(): nothing of another suite is installed, and this
machine's apt is not touched, but for its sources, which name the mirror and the keyring. What was fetched stays,
and is whole or not there."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ..build import locked
from . import JudgeError

SUITES = ("bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports", "sid")
SECURE = ("bullseye", "bookworm", "trixie")  # those that have a suite of security updates beside them
OLD = 7 * 24 * 3600  # seconds after which lists are fetched anew
RECENT = 3600  # and those in which what is not in them is not looked for again
SOURCES = Path(os.environ.get("PTERON_APT_SOURCES", "/etc/apt"))  # tests have others
_SUITE = re.compile(r"(?:bullseye|bookworm|trixie|forky|sid|(?:old)*stable|testing|unstable)(-security|/updates)?")


class ArchiveError(JudgeError):
    """What was asked for cannot be had; the text is one line that says why, and what can."""


@dataclass(frozen=True)
class Package:
    """One version of a package."""
    name: str
    version: str
    suite: str  # the first that has it


def folder() -> Path:
    """Where all of this is kept; every checkout of a user shares it, and `clean` leaves it alone."""
    if own := os.environ.get("PTERON_CACHE"):
        return Path(own).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pteron"


# --- this machine's sources ---

def _stanzas(text: str) -> Iterator[dict[str, str]]:
    """Of a file in the format of deb822 (sources.list(5)); a field may go on in lines that begin with a blank."""
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", plain):
        fields = re.findall(r"^([\w-]+):[ \t]*(.*(?:\n[ \t]+.*)*)", stanza, re.M)
        if fields:
            yield {name.lower(): value for name, value in fields}


def _one_line(text: str) -> Iterator[dict[str, str]]:
    """The same of a file of lines: deb [options] URI suite component..."""
    for line in text.splitlines():
        if m := re.match(r"deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s+(.*)", line):
            signed = re.search(r"signed-by=(\S+)", m[1] or "", re.I)
            yield {"types": "deb", "uris": m[2], "suites": m[3], "components": m[4], **({"signed-by": signed[1]} if signed else {})}


def _mirrors() -> dict[bool, dict[str, str]]:
    """This machine's first source of Debian's suites (False), and of their security updates (True)."""
    found: dict[bool, dict[str, str]] = {}
    for path in [SOURCES / "sources.list", *sorted((SOURCES / "sources.list.d").glob("*"))]:
        reader = {".list": _one_line, ".sources": _stanzas}.get(path.suffix)
        for source in reader(path.read_text(encoding="utf-8")) if reader and path.exists() else ():
            suites = source.get("suites", "").split()
            if "main" in source.get("components", "").split() and "deb" in source.get("types", "").split():
                for match in filter(None, map(_SUITE.fullmatch, suites)):
                    found.setdefault(bool(match[1]), source)
    if False not in found:
        raise ArchiveError(f"{SOURCES} names no mirror of Debian, so no other kernel can be fetched: give --kernel a FILE")
    return found


def _stanza(source: dict[str, str], suites: list[str]) -> str:
    signed = f"Signed-By: {source['signed-by']}\n" if "signed-by" in source else ""
    return (f"Types: deb\nURIs: {source['uris'].split()[0]}\nSuites: {' '.join(suites)}\nComponents: main\n"
            f"Architectures: amd64\n{signed}")


# --- an apt of our own ---

_CONFIGURATION = """\
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Architecture "amd64";
APT::Architectures "amd64";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::Check-Valid-Until "false";
Dir::State::Lists "{apt}/lists";
Dir::State::status "{apt}/status";
Dir::Cache "{apt}/cache";
Dir::Etc::SourceList "{apt}/debian.sources";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
"""


def _set_up() -> Path:
    """The configuration of our own apt."""
    apt = folder() / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    mirrors = _mirrors()
    stanzas = [_stanza(mirrors[False], list(SUITES))]
    if True in mirrors:
        stanzas.append(_stanza(mirrors[True], [f"{suite}-security" for suite in SECURE]))
    (apt / "debian.sources").write_text("\n".join(stanzas), encoding="utf-8")
    (apt / "apt.conf").write_text(_CONFIGURATION.format(apt=apt), encoding="utf-8")
    return apt


def _apt(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
    tool, *arguments = command
    return subprocess.run([tool, "-c", str(folder() / "apt/apt.conf"), *arguments], cwd=cwd, capture_output=True, text=True,
                          check=False, env={**os.environ, "LC_ALL": "C.UTF-8"})


def _complaint(done: subprocess.CompletedProcess) -> str:
    """The first thing that apt complains of, in one line."""
    said = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))]
    return re.sub(r"^[EW]:\s*", "", said[0] if said else done.stderr.strip() or f"status {done.returncode}").strip()


def _age(apt: Path) -> float:
    """Seconds since the lists were fetched."""
    stamp = apt / "fetched"
    return time.time() - stamp.stat().st_mtime if stamp.exists() else float("inf")


def _refresh(apt: Path, oldest: float) -> None:
    """Fetch the lists, unless they are younger than @oldest seconds. A suite that is gone is left out; with no network
    older lists serve."""
    if _age(apt) < oldest:
        return
    done = _apt("apt-get", "update", "-q")
    if not any((apt / "lists").glob("*Packages*")):
        raise ArchiveError(f"the lists of Debian's archive cannot be fetched, is there a network? apt says: {_complaint(done)}")
    if not done.returncode:
        (apt / "fetched").touch()


def _search(pattern: str) -> list[Package]:
    names = [name for name in _apt("apt-cache", "pkgnames").stdout.split() if re.fullmatch(pattern, name)]
    told = _apt("apt-cache", "madison", *names).stdout if names else ""
    found: dict[tuple[str, str], Package] = {}
    for line in told.splitlines():
        name, version, where = (part.strip() for part in line.split("|"))
        if where.endswith("Packages"):
            found.setdefault((name, version), Package(name, version, where.split()[1].partition("/")[0]))
    return list(found.values())


def packages(pattern: str, fresh: bool = False) -> list[Package]:
    """What the archive has whose name matches @pattern, each version once; @fresh: not by lists of days ago. apt takes
    seconds to answer, so the answer is kept for as long as the lists are."""
    with locked(folder() / "apt.lock"):
        apt = _set_up()
        _refresh(apt, RECENT if fresh else OLD)
        kept = apt / f"answer-{hashlib.sha256(pattern.encode()).hexdigest()[:16]}.json"
        if kept.exists() and kept.stat().st_mtime >= (apt / "lists").stat().st_mtime:
            return [Package(**package) for package in json.loads(kept.read_text(encoding="utf-8"))]
        found = _search(pattern)
        kept.write_text(json.dumps([asdict(package) for package in found]), encoding="utf-8")
        return found


# --- files of packages ---

def _unpack(deb: Path, target: Path, wanted: Callable[[str], bool]) -> None:
    """The files of @deb whose path is @wanted, by their last name."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as dpkg:
        with tarfile.open(fileobj=dpkg.stdout, mode="r|") as tar:
            for member in tar:
                if member.isfile() and wanted(member.name.removeprefix(".")):
                    with tar.extractfile(member) as source, (target / Path(member.name).name).open("wb") as file:
                        shutil.copyfileobj(source, file)


def kept(folder: Path) -> Iterator[tuple[Path, Package]]:
    """The directories of @folder that fetch() has left, and what each is of."""
    for about in sorted(folder.glob("[!.]*/package.json")):
        yield about.parent, Package(**json.loads(about.read_text(encoding="utf-8")))


def listed(available: Callable[[], list], cached: Callable[[], list]) -> tuple[list, list[str]]:
    """What there is, for a list that a person reads: without a network what was fetched, and a line that says why."""
    try:
        return available(), []
    except ArchiveError as error:
        return cached(), [f"({error})"]


def download(wanted: list[Package], target: Path) -> list[Path]:
    """Leave the packages, as they are, in the empty directory @target."""
    done = _apt("apt-get", "download", "-q", *(f"{p.name}={p.version}" for p in wanted), cwd=target)
    debs = list(target.glob("*.deb"))
    if done.returncode or len(debs) < len(wanted):
        raise ArchiveError(f"{wanted[0].name} {wanted[0].version} cannot be fetched, is there a network? apt says: {_complaint(done)}")
    return debs


def needed(package: Package, *beside: str) -> list[Package]:
    """@package, those of its suite named @beside, and all that they depend on, as apt would install them where nothing is."""
    suite = package.suite.removesuffix("-security")
    either = f"/^{suite}(-security)?$/"  # whichever is newer, as on a machine of that suite
    done = _apt("apt-get", "install", "-s", "-y", "-q", "--no-install-recommends", "-t", either,
                f"{package.name}={package.version}", *beside)
    found = re.findall(r"^Inst (\S+) \((\S+) ", done.stdout, re.M)
    if not found:
        raise ArchiveError(f"what {package.name} {package.version} depends on is not to be had; apt says: {_complaint(done)}")
    return [Package(name, version, suite) for name, version in found]


def fetch(package: Package, target: Path, wanted: Callable[[str], bool]) -> bool:
    """Leave the @wanted files of @package in the directory @target, with package.json beside them; False: it has none.
    The directory appears with all of it."""
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "deb").mkdir(parents=True)
    try:
        _unpack(download([package], part / "deb")[0], part, wanted)
        shutil.rmtree(part / "deb")
        if not any(part.iterdir()):
            return False
        (part / "package.json").write_text(json.dumps(asdict(package)), encoding="utf-8")
        part.rename(target)
        return True
    finally:
        shutil.rmtree(part, ignore_errors=True)
