#!/bin/sh
# Prints a Python that the given Airflow version supports: find_python.sh 2.11
# PYTHON=3.10 selects a version, PYTHON=/path/to/python an executable.
set -eu

airflow=$1
case $airflow in
    2.11 | 3.0) newest=12 ;;
    *) newest=13 ;;
esac

# Try to run it: a pyenv shim may exist but not run, and Debian's Python may come without venv.
suits() {
    "$1" -c "import sys, venv, ensurepip, sqlite3; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, $newest))" \
        2>/dev/null
}

pyenv=${PYENV_ROOT:-$HOME/.pyenv}/versions
case ${PYTHON:-} in
    "") candidates="python3.13 python3.12 python3.11 python3.10 python3 $pyenv/3.1[0-3].*/bin/python" ;;
    3.*) candidates="python$PYTHON $pyenv/$PYTHON.*/bin/python" ;;
    *) candidates=$PYTHON ;;
esac

for python in $candidates; do
    if suits "$python"; then
        command -v "$python"
        exit
    fi
done

echo "Airflow $airflow needs Python 3.10 to 3.$newest, with its venv module (on Debian: apt install python3-venv)." >&2
if [ -n "${PYTHON:-}" ]; then
    echo "PYTHON=$PYTHON is not a suitable version or was not found." >&2
else
    echo "None was found; set PYTHON=/path/to/python." >&2
fi
exit 1
