# What the scripts share. Source it: it sets ROOT, changes to it, and defines the steps of set-up.
# Every step is skipped when what it was made from has not changed.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
[ -t 1 ] || export NO_COLOR=1

say() { printf '%s\n' "$*"; }
step() { printf '==> %s\n' "$*"; }
die() {
  printf '%s\n' "$@" >&2
  exit 1
}

# need_disk MEGABYTES FOLDER WHAT: ends with plain words when there is less.
need_disk() {
  local free
  free=$(($(df -Pk "$2" | awk 'NR == 2 {print $4}') / 1024))
  [ "$free" -ge "$1" ] || die \
    "Not enough disk for $3: it needs $1 MB, and $free MB are free in $2." \
    "Make room there, then run this again."
}

# fresh STAMP HASH: whether the step that leaves STAMP behind was done with these inputs.
fresh() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }

hash_of() { find "$@" -type f 2>/dev/null | LC_ALL=C sort | tr '\n' '\0' | xargs -0 cksum | cksum; }

# locked WHAT COMMAND…: one at a time, where two scripts set up the same. (macOS has no flock.)
locked() {
  local what=$1
  shift
  mkdir -p .cache
  (
    command -v flock >/dev/null && flock 9
    "$@"
  ) 9>".cache/lock-$what"
}

# Sets PYTHON to a Python of 3.11 or newer. PYTHON in the environment goes first.
find_python() {
  local found="" candidate
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python3.14 python; do
    [ -n "$candidate" ] && "$candidate" -c '' 2>/dev/null || continue
    found=$("$candidate" -c 'import sys; print(sys.version.split()[0])')
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      PYTHON=$candidate
      return
    fi
  done
  [ -z "$found" ] || die \
    "Python is too old here: the newest found is $found, and 3.11 or newer is needed." \
    "Install it (Debian, Ubuntu: apt install python3.11 python3.11-venv; macOS: brew install python)," \
    "or name one: PYTHON=/path/to/python3.12 $0"
  die "There is no Python here. Version 3.11 or newer is needed." \
    "Install it (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python)."
}

find_node() {
  local version
  version=$(node --version 2>/dev/null) || die \
    "There is no Node.js here. Version 20 or newer is needed to build the pages." \
    "Install it (Debian, Ubuntu: apt install nodejs npm; macOS: brew install node; or nodejs.org)."
  version=${version#v}
  [ "${version%%.*}" -ge 20 ] || die \
    "Node.js is too old here: this is $version, and 20 or newer is needed to build the pages."
  command -v npm >/dev/null || die "There is Node.js here and no npm. Install npm (apt install npm)."
}

# requirements_of NAME: a hash of that file and of those that it names.
requirements_of() {
  hash_of "requirements/$1.txt" $(sed -n 's|^-r |requirements/|p' "requirements/$1.txt")
}

# setup_python base|dev: .venv with what requirements/<name>.txt names.
setup_python() { locked python install_python "$1"; }
install_python() {
  local stamp=.venv/.installed-$1 hash size
  hash=$(requirements_of "$1")
  if [ -x .venv/bin/python ] && fresh "$stamp" "$hash"; then return; fi
  find_python
  if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    case $1 in dev) size=1500 ;; *) size=900 ;; esac
    need_disk "$size" . "the Python packages"
    step "Making .venv with $("$PYTHON" --version)"
    rm -rf .venv
    "$PYTHON" -m venv .venv || die \
      "Python could not make a virtual environment." \
      "On Debian and Ubuntu its module is a package of its own: apt install python3-venv"
  fi
  step "Installing the Python packages of requirements/$1.txt (up to 1 GB on disk)"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "requirements/$1.txt" || die \
    "The Python packages could not be installed: pip says why above." \
    "Without a network, point pip at a mirror (PIP_INDEX_URL) or a folder of wheels (PIP_FIND_LINKS)."
  printf '%s' "$hash" >"$stamp"
  requirements_of base >.venv/.installed-base
}

setup_node() { locked node install_node; }
install_node() {
  local hash
  hash=$(hash_of package.json package-lock.json)
  if fresh node_modules/.installed "$hash"; then return; fi
  find_node
  need_disk 500 . "the front end's packages"
  step "Installing the front end's packages (200 MB on disk)"
  npm ci --no-audit --no-fund --loglevel=error || die \
    "The front end's packages could not be installed: npm says why above."
  printf '%s' "$hash" >node_modules/.installed
}

setup_frontend() { locked node build_frontend; }
build_frontend() {
  local hash stamp=.cache/frontend
  hash=$(hash_of package-lock.json vite.config.ts $(find frontend -mindepth 1 -maxdepth 1 ! -name dist))
  if [ -f frontend/dist/manifest.json ] && fresh "$stamp" "$hash"; then return; fi
  install_node
  find_node
  step "Building the pages"
  node_modules/.bin/vite build --logLevel warn || die "The pages could not be built: see above."
  printf '%s' "$hash" >"$stamp"
}
