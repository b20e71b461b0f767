"""Makes and reads images."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def packed(output: Path, *arguments: str) -> Path:
    """What `make image` writes, as `output`; builds meesh unless `--binary` is among the arguments."""
    script = ROOT / "scripts/make_image.py"
    result = subprocess.run([sys.executable, script, "--output", output, *arguments], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    print(result.stdout)
    return output


def settings(image: Path) -> dict:
    """The `config` of an image's configuration: user, entry point and so on."""
    with tarfile.open(image) as archive:
        (entry,) = json.load(archive.extractfile("manifest.json"))
        return json.load(archive.extractfile(entry["Config"]))["config"]
