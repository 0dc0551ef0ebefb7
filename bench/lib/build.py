"""What a benchmark of the server needs before it measures: the binary, the load generator, a folder on the disk."""

import os
import subprocess
import sys
from pathlib import Path


class Built:
    def __init__(self, repo, target, binary, load, tmp):
        self.repo, self.target, self.binary, self.load, self.tmp = repo, target, binary, load, tmp

    def example(self, name, package="bedplate-runtime"):
        """Builds an example of a crate and returns its program."""
        command = ["cargo", "build", "--profile", self.profile, "--quiet", "--locked", "--package", package, "--example", name]
        subprocess.run(command, check=True, cwd=self.repo)
        return self.target / {"dev": "debug"}.get(self.profile, self.profile) / "examples" / name

    @property
    def profile(self):
        """Cargo's profile: the release; another for a rough figure of a build that takes less time."""
        return os.environ.get("BEDPLATE_BENCH_PROFILE", "release")


def build(repo):
    """Builds what is not named by `BEDPLATE_BIN`; the data goes to `BEDPLATE_BENCH_TMP`, else to the cache folder."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(os.environ.get("BEDPLATE_BENCH_CACHE") or home / "bedplate-bench")
    tmp = Path(os.environ.get("BEDPLATE_BENCH_TMP") or cache / "tmp")
    tmp.mkdir(parents=True, exist_ok=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR") or repo / "target").resolve()
    os.environ["CARGO_TARGET_DIR"] = str(target)
    binary = Path(os.environ.get("BEDPLATE_BIN") or target / "release" / "bedplate")
    if "BEDPLATE_BIN" not in os.environ:
        note("building the release binary")
        subprocess.run(["cargo", "build", "--release", "--quiet", "--locked", "--package", "bedplate"], check=True, cwd=repo)
    note("building the load generator")
    environment = os.environ | {"CARGO_TARGET_DIR": str(target / "bench-load")}
    subprocess.run(["cargo", "build", "--release", "--quiet", "--locked"], check=True, cwd=repo / "bench" / "load", env=environment)
    return Built(repo, target, binary, target / "bench-load" / "release" / "bedplate-bench-load", tmp)


def note(text):
    print(f"… {text}", file=sys.stderr, flush=True)
