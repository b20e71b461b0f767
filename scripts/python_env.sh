#!/bin/bash
# Makes (or brings up to date) a virtual environment with pinned packages.
#
#   scripts/python_env.sh FOLDER REQUIREMENTS...
set -euo pipefail

folder=$1
shift
stamp="$folder/requirements.sha256"
wanted=$(cat "$@" | sha256sum)
if [ -x "$folder/bin/python" ] && [ "$(cat "$stamp" 2> /dev/null)" = "$wanted" ]; then
    exit 0
fi
echo "python_env: installing $* into $folder" >&2
# An environment whose Python went away cannot be mended.
"$folder/bin/python" -c '' 2> /dev/null || rm -rf "$folder"
mkdir -p "${folder%/*}"
[ -x "$folder/bin/python" ] || python3 -m venv "$folder"
arguments=()
for file in "$@"; do arguments+=(-r "$file"); done
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "${arguments[@]}"
echo "$wanted" > "$stamp"
