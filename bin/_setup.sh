# Sourced by the scripts in bin/ and .ci/: the virtual environment and what is installed in it.
# Needs a shell, Python 3.11 or newer, and nothing else. Leaves the checkout as the working directory.

set -euo pipefail
# Without bytecode each of the many processes compiles all its modules anew.
unset PYTHONHOME PYTHONDONTWRITEBYTECODE
ROOT=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd -- "$ROOT"
VENV=$ROOT/.venv
PYTHON_IN_VENV=$VENV/bin/python

say() { printf '%s\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

# True when $1 runs and is new enough. A pyenv shim may be on PATH and still not run.
_python_fits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
  local name seen=
  for name in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python3.14; do
    command -v "$name" >/dev/null 2>&1 || continue
    if _python_fits "$name"; then
      # The interpreter itself: a shim would look up its version again in every folder.
      "$name" -c 'import sys; print(sys.executable)'
      return
    fi
    seen="$seen $name ($("$name" --version 2>&1 | head -n 1 || true))"
  done
  if [ -n "$seen" ]; then
    fail "CastComm needs Python 3.11 or newer. Found only:$seen. Name another with PYTHON=/path/to/python3."
  fi
  fail "CastComm needs Python 3.11 or newer, and no python3 is on PATH. Name one with PYTHON=/path/to/python3."
}

_make_venv() {
  local python version
  python=$(find_python)
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  rm -rf -- "$VENV"
  say "Making the virtual environment with $python ($version) …"
  if "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
    "$python" -m venv "$VENV"
  elif command -v uv >/dev/null 2>&1; then
    uv venv --quiet --seed --python "$python" "$VENV"
  elif command -v virtualenv >/dev/null 2>&1; then
    virtualenv --quiet --python "$python" "$VENV"
  elif "$python" -c 'import virtualenv' >/dev/null 2>&1; then
    "$python" -m virtualenv --quiet "$VENV"
  elif command -v apt-get >/dev/null 2>&1; then
    fail "This Python has no venv module. Install it, then start again:
  $([ "$(id -u)" = 0 ] || echo 'sudo ')apt-get install python$version-venv"
  else
    fail "This Python ($python) has no venv module, and neither uv nor virtualenv is there. Install one of them, then start again."
  fi
}

# uv is many times quicker, but reads none of pip's settings: where those name an index, pip it is.
_may_use_uv() {
  command -v uv >/dev/null 2>&1 || return 1
  [ -z "${PIP_INDEX_URL:-}${PIP_EXTRA_INDEX_URL:-}${PIP_NO_INDEX:-}${PIP_FIND_LINKS:-}" ] || return 1
  ! "$PYTHON_IN_VENV" -m pip config list 2>/dev/null | grep -Eq '(index-url|find-links|no-index)='
}

# _install FILE: install the pinned packages of FILE unless exactly these were installed before.
_install() {
  local file=$1 stamp=$VENV/installed-$1
  if [ -f "$stamp" ] && [ "$(<"$stamp")" = "$(<"$file")" ]; then
    return
  fi
  say "Installing the packages of $file (once, and after it changes; a minute or two) …"
  if ! { _may_use_uv && uv pip install --quiet --python "$PYTHON_IN_VENV" -r "$file"; }; then
    "$PYTHON_IN_VENV" -m pip install -qq --disable-pip-version-check --no-input -r "$file" ||
      fail "The packages of $file could not be installed; pip's message is above."
  fi
  cp -- "$file" "$stamp"
}

# prepare FILE…: a working virtual environment with the packages of each requirements file.
prepare() {
  local file
  mkdir -p var || fail "$ROOT cannot be written. CastComm keeps its environment and data there."
  # Two scripts started together must not install into each other.
  if command -v flock >/dev/null 2>&1 && exec 9>>var/setup.lock; then
    flock 9
  fi
  if ! _python_fits "$PYTHON_IN_VENV"; then
    _make_venv
  fi
  for file in "$@"; do
    _install "$file"
  done
  exec 9>&-
  export PATH="$VENV/bin:$PATH"
}
