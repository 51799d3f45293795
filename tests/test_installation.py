"""What an installation gives.

The package from any folder, and a clear word where the lessons are missing.
"""

import os
import subprocess
import sys

import pytest

USE = "import minigen as mg; print(mg.data.digits().train.shape)"


def test_the_package_is_found_beside_a_folder_of_its_name(tmp_path):
    """A script in the folder that holds the clone, which is called minigen, too."""
    (tmp_path / "minigen" / "minigen").mkdir(parents=True)
    (tmp_path / "script.py").write_text(USE, encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    if run(["-c", "import minigen"], os.sep, environment).returncode:
        pytest.skip("minigen is not installed here: pip install -r requirements.txt")
    for arguments in (["script.py"], ["-c", USE], ["-m", "script"]):
        done = run(arguments, tmp_path, environment)
        assert done.stdout.strip() == "(1437, 8, 8)", done.stderr


def run(arguments, folder, environment):
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
