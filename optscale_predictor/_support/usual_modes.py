"""File permissions as the user's umask says: safetensors writes files that only their owner can read.

A checkpoint lies in a shared folder more often than not, and its weights alone would open for nobody else
(``findings/safetensors-private-files.sh``).
"""

import os
from pathlib import Path

_WEIGHTS = "*.safetensors"


def give_weights_usual_modes(folder: Path) -> None:
    """Gives the safetensors files in a folder the permissions of any new file there.

    Args:
        folder: Holds them; what lies in folders within it stays as it is.

    Raises:
        OSError: Nothing can be written there.
    """
    mode = _mode_of_a_new_file(folder)
    for path in folder.glob(_WEIGHTS):
        path.chmod(mode)


def _mode_of_a_new_file(folder: Path) -> int:
    # The umask can be read only by setting it, which other threads would notice; a file shows it.
    probe = folder / f".mode-{os.getpid()}"
    descriptor = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        return os.fstat(descriptor).st_mode & 0o777
    finally:
        os.close(descriptor)
        probe.unlink()
