# Sourced by scripts/quickstart and scripts/test: what the build needs, installed where we may, named where we may not.
missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
need cmake cmake
need c++ g++
need make make
need python3 python3
# What ingest does not read itself, and what its tests make files with.
need ffmpeg ffmpeg
need sox sox
sox --help 2>/dev/null | grep -q amr-nb || missing+=(libsox-fmt-base)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
if [[ ${#missing[@]} -gt 0 ]]; then
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    echo "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    echo "missing: ${missing[*]}. On Debian: sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
fi
if ! command -v cargo >/dev/null; then
  echo "missing: Rust 1.90 or newer. Install it with rustup, then run this again." >&2
  exit 1
fi
