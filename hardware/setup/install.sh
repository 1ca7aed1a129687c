#!/usr/bin/env bash
# install.sh run|demo|test VENV: Debian packages that are missing, then (run) the virtual environment and what
# browsers get from the box that others wrote (pdf.js, players), by hardware/setup/browser/package-lock.json.
# Services that a package would start (nginx, sshd, avahi) are not started: teachpoint runs its own.
set -euo pipefail
part=$1 venv=$2
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
python=${PYTHON:-python3}

wanted() { sed 's/#.*//' "$here/packages-$part" | tr -s ' \n' ' '; }

have_venv() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }

missing() {
    local package
    for package in $(wanted); do
        if [ "$package" = python3-venv ] && have_venv; then continue; fi
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || echo "$package"
    done
    if [ "$part" = run ] && ! command -v npm >/dev/null; then echo npm; fi
}

install_debian() {
    local packages=$1 apt="" fence=""
    if [ -z "$packages" ]; then return; fi
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Missing Debian packages: $packages. Install them as root: apt-get install $packages" >&2
            exit 1
        fi
        apt=sudo
    fi
    if [ ! -e /usr/sbin/policy-rc.d ] && [ -z "$apt" ]; then
        fence=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' >"$fence" && chmod 755 "$fence"
        # shellcheck disable=SC2064 # the name is to be expanded now
        trap "rm -f $fence" EXIT
    fi
    # shellcheck disable=SC2086 # several words are meant
    { $apt apt-get update -q && $apt env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends $packages; } >&2
}

install_python() {
    cd "$top"
    if [ ! -x "$venv/bin/python" ]; then "$python" -m venv "$venv"; fi
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
    "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
}

# Below kiosk_ui/static/, so that pages, the executable and Python's package find it; never committed. Each put
# there whole or not at all: a box never serves half of it.
install_browser() {
    cd "$top"
    local made="$venv/browser" from="$venv/browser/node_modules"
    mkdir -p "$made" && cp "$here/browser/"package*.json "$made/"
    npm ci --prefix "$made" --ignore-scripts --no-audit --no-fund --loglevel error >&2
    shown pdfjs "$from/pdfjs-dist/LICENSE" "$from/pdfjs-dist/legacy/build/pdf.min.js" \
        "$from/pdfjs-dist/legacy/build/pdf.worker.min.js" "$from/pdfjs-dist/cmaps" "$from/pdfjs-dist/standard_fonts"
    shown h5p "$from/h5p-standalone/LICENSE" "$from/h5p-standalone/dist/"{main,frame}.bundle.js \
        "$from/h5p-standalone/dist/"{styles,fonts}
    shown scorm "$from/scorm-again/LICENSE" "$from/scorm-again/dist/"scorm{12,2004}.min.js
}

# shown NAME FILES...: these are kiosk_ui/static/NAME from now on.
shown() {
    local name=$1 made="$venv/browser/$1"
    shift
    rm -rf "kiosk_ui/static/$name" "$made" && mkdir "$made"
    cp -r "$@" "$made/"
    mv "$made" "kiosk_ui/static/$name"
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or newer is needed; this is $("$python" --version 2>&1)." >&2
    exit 1
}
install_debian "$(missing | tr '\n' ' ' | sed 's/ *$//')"
if [ "$part" = run ]; then install_python; install_browser; touch "$venv/.installed"; else touch "$venv/.$part-tools"; fi
