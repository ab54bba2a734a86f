"""Make `.venv` from uv.lock with nothing but a Python and a package index.

It runs on the system's Python, and its grammar is old on purpose: an old Python must get as far as the refusal.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile

UV = "0.13.8"
OLDEST, NEWEST = (3, 11), (3, 13)
ROOM = 3000000000  # bytes; the environment takes 2 GB and its downloads pass through a cache
HERE = os.path.dirname(os.path.abspath(__file__))
ENVIRONMENT = os.path.join(HERE, ".venv")


def main():
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        continue_with_another_python()
    if not os.path.exists(ENVIRONMENT) and shutil.disk_usage(HERE).free < ROOM:
        refuse("the disk under %s has under %d MB free and the environment needs them: free some" % (HERE, ROOM / 1e6))
    folder = tempfile.mkdtemp()
    try:
        install(find_uv(folder))
    except subprocess.CalledProcessError:
        full = shutil.disk_usage(HERE).free < ROOM / 10
        refuse(
            "the disk is full: free some and start again"
            if full
            else "the environment could not be made, for the reason above; is the package index reachable?"
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    with open(os.path.join(ENVIRONMENT, ".installed"), "w"):
        pass


def refuse(sentence):
    sys.exit("santral: " + sentence)


def continue_with_another_python():
    """Replace this process by one of a Python we run on, if one is installed."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        for folder in os.environ.get("PATH", "").split(os.pathsep):
            python = os.path.join(folder, "python3.%d" % minor)
            # A version manager's stand-in may exist for a Python that does not: ask it.
            if os.access(python, os.X_OK) and subprocess.call([python, "-c", ""], stderr=subprocess.DEVNULL) == 0:
                os.execv(python, [python, os.path.abspath(__file__)])
    refuse(
        "this is Python %s; Santral needs 3.%d to 3.%d: install one (Debian, Ubuntu: apt-get install python3.11) "
        "and start again, or name it: make PYTHON=/path/to/python3.11 up"
        % (platform.python_version(), OLDEST[1], NEWEST[1])
    )


def find_uv(folder):
    """Return uv: our own from the last time, else fetched by pip, else (Debian without pip) straight from the index."""
    ours = os.path.join(ENVIRONMENT, "bin", "uv")
    if version_of(ours) == UV:
        return ours
    print("fetching uv %s" % UV)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    with open(os.devnull, "w") as nowhere:
        if subprocess.call(pip + ["--target", folder, "uv==" + UV], stdout=nowhere, stderr=nowhere) == 0:
            return os.path.join(folder, "bin", "uv")
    return download_uv(folder)


def version_of(uv):
    try:
        return subprocess.check_output([uv, "--version"]).decode().split()[1]
    except (OSError, subprocess.CalledProcessError):
        return None


def download_uv(folder):
    """Take uv's wheel from the index by its simple API, check its hash and unpack the program."""
    import hashlib
    import re
    import zipfile
    from urllib.parse import urljoin
    from urllib.request import urlopen

    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/uv/"
    wheel = r'href="([^"]*/uv-%s-[^"]*manylinux[^"]*%s[^"]*\.whl)#sha256=([0-9a-f]+)"' % (
        re.escape(UV),
        re.escape(platform.machine()),
    )
    try:
        found = re.search(wheel, urlopen(index, timeout=60).read().decode())
        if not found:
            refuse("the package index %s has no uv %s for %s" % (index, UV, platform.machine()))
        content = urlopen(urljoin(index, found.group(1)), timeout=300).read()
    except OSError as error:
        refuse("the package index %s does not answer (%s): check the network, or set PIP_INDEX_URL" % (index, error))
    if hashlib.sha256(content).hexdigest() != found.group(2):
        refuse("what the package index sent for uv is damaged: start again")
    path = os.path.join(folder, "uv.whl")
    with open(path, "wb") as file:
        file.write(content)
    with zipfile.ZipFile(path) as archive:
        member = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        uv = archive.extract(member, folder)
    os.chmod(uv, 0o755)
    return uv


def install(uv):
    """Bring `.venv` to exactly what uv.lock says, and keep uv in it for the next time."""
    environment = dict(os.environ, UV_PYTHON_DOWNLOADS="never", UV_SYSTEM_CERTS="1", UV_COMPILE_BYTECODE="1")
    for name in ("VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT"):
        environment.pop(name, None)
    if not os.access(os.path.expanduser("~"), os.W_OK):
        environment.setdefault("UV_CACHE_DIR", os.path.join(HERE, ".venv-cache"))
    command = [uv, "sync", "--frozen", "--quiet"]
    if not os.path.exists(ENVIRONMENT):
        print("making .venv from uv.lock: 2 GB, about a minute")
        command += ["--python", sys.executable]
    subprocess.check_call(command, cwd=HERE, env=environment)
    ours = os.path.join(ENVIRONMENT, "bin", "uv")
    if uv != ours:
        shutil.copy2(uv, ours)


if __name__ == "__main__":
    main()
