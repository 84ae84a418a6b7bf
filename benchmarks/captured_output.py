"""What demo, generate, train and eval show on the way: at a terminal, and into a file.

    python benchmarks/captured_output.py [--only generate,train] [--lines 12]

Each command runs twice on the embedded world, at a pseudo-terminal of 100 columns and with its output in a file.
Printed are the processor seconds until its first character and in all, and its first and last lines. A bar that is
drawn over and over is one line, as it was last seen. Processor seconds are the command's, and those of what it had
started that had ended by then.
"""

import argparse
import os
import pty
import re
import select
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
_COLUMNS = 100
_TICKS = os.sysconf("SC_CLK_TCK")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
#: Commands by name; those that come first make what others need. ``{}`` is the folder of all of them.
COMMANDS = {
    "generate": "generate {}/pool --questions embedded:train:60 --num_samples 4",
    "score": "score {}/pool --verifier embedded:verifier",
    "targets": "targets {}/pool --output {}/targets.parquet",
    "train": "train fit --config arithmetic --data.path {}/targets.parquet --model.output {}/predictor "
    "--trainer.max_epochs 2",
    "eval": "eval --tasks optscale_arithmetic --limit 6 --output_path {}/run --policies best_of_n:max_samples=2",
    "demo": "demo --output {}/demo --train_questions 24 --test_questions 8 --samples 4 --epochs 1 --live_questions 2",
}
_SHOWN = ("generate", "train", "eval", "demo")


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default=",".join(_SHOWN), help="commands to show, separated by commas")
    parser.add_argument("--lines", type=int, default=12, help="first and last lines to print of each")
    flags = parser.parse_args()
    wanted = flags.only.split(",")
    needed = {*wanted, *(("generate", "score", "targets") if "train" in wanted else ())}
    for place in ("a terminal", "a file"):
        with tempfile.TemporaryDirectory() as folder:
            for name, command in COMMANDS.items():
                if name not in needed:
                    continue
                arguments = command.replace("{}", folder).split()
                first, whole, text = at_terminal(arguments) if place == "a terminal" else into_file(arguments)
                if name in wanted:
                    print(f"\n== {command.replace('{}', '.')}, at {place}: ", end="")
                    print(f"first character after {first:.2f} processor seconds, {whole:.2f} in all")
                    print("\n".join(_ends(lines_of(text.replace(folder, ".")), flags.lines)), flush=True)


def at_terminal(arguments: list[str]) -> tuple[float, float, str]:
    """Runs ``optscale`` at a pseudo-terminal: processor seconds to the first character and in all, and what it said."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, _COLUMNS))
    with subprocess.Popen(_command(arguments), stdin=theirs, stdout=theirs, stderr=theirs, env=_environment()) as ran:
        os.close(theirs)
        found = _watched(ran, ours)
    os.close(ours)
    return found


def into_file(arguments: list[str]) -> tuple[float, float, str]:
    """The same with output and errors in a pipe, which a command takes for a file."""
    ours, theirs = os.pipe()
    with subprocess.Popen(
        _command(arguments), stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=_environment()
    ) as ran:
        os.close(theirs)
        found = _watched(ran, ours)
    os.close(ours)
    return found


def _watched(ran: "subprocess.Popen[bytes]", source: int) -> tuple[float, float, str]:
    said, first, last = b"", -1.0, 0.0
    while True:
        ready, _, _ = select.select([source], [], [], 0.05)
        last = max(last, processor_seconds(ran.pid))
        if not ready:
            if ran.poll() is not None:
                break
            continue
        try:
            part = os.read(source, 1 << 16)
        except OSError:  # the terminal of a command that has ended
            part = b""
        if not part:
            ran.wait()
            break
        first = last if first < 0 else first
        said += part
    return first, last, said.decode("utf-8", "replace")


def processor_seconds(pid: int) -> float:
    """Processor seconds of a process and of its ended children so far; 0 where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS


def lines_of(text: str) -> list[str]:
    """Lines as they were last seen: of what was written over one another, the last."""
    lines = (re.split(r"\r(?!\n)", line.rstrip("\r")) for line in _ESCAPES.sub("", text).split("\n"))
    seen = [next((part.rstrip() for part in reversed(parts) if part.strip()), "") for parts in lines]
    return [line for line in seen if line]


def _ends(lines: list[str], most: int) -> list[str]:
    if len(lines) <= 2 * most:
        return lines
    return [*lines[:most], f"[... {len(lines) - 2 * most} lines]", *lines[-most:]]


def _command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "optscale_predictor", *arguments]


def _environment() -> dict[str, str]:
    offline = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": str(_COLUMNS), "TERM": "xterm"}
    return {**os.environ, "PYTHONPATH": str(ROOT), **offline}


if __name__ == "__main__":
    start = time.monotonic()
    main()
    print(f"\n{time.monotonic() - start:.0f} s on the clock in all")
