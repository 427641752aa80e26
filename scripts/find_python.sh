#!/bin/sh
# Prints a Python that the given line of Airflow runs on: find_python.sh 2.11
# PYTHON=3.10 asks for one version, PYTHON=/path/to/python for one program.
set -eu

airflow=$1
case $airflow in
    2.11 | 3.0) newest=12 ;;
    *) newest=13 ;;
esac

# By running it, as a shim of pyenv may exist that does not run; and Debian's Python may come without venv.
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
    echo "PYTHON=$PYTHON is not one, or is not there." >&2
else
    echo "None was found; PYTHON=/path/to/python names one." >&2
fi
exit 1
