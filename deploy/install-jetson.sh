#!/bin/sh
# Installs hyperhive's worker and predict-cam on a Jetson Nano; docs/jetson.md has the whole recipe.
# The system's own torch, OpenCV and numpy stay unchanged, also by later `pip install`s there.
# Run it from a clone, as yourself, not root. Run it again at any time: it repairs an installation.
set -eu

usage() {
  cat <<'END'
usage: sh deploy/install-jetson.sh [--torch WHEEL] [--python PYTHON] [--venv FOLDER] [--package WHEEL] [--anyway]

  --torch WHEEL    a CUDA 10.2 build of torch 1.10 to 1.13, if the system has no torch: a file or a URL
  --python PYTHON  Python 3.8 or newer; by default python3.8, else python3
  --venv FOLDER    where to install; by default .venv in this clone, where the systemd unit expects it
  --package WHEEL  a wheel of hyperhive to install instead of this clone
  --anyway         install on a machine that is not a Jetson, without apt-get
END
}

say() { printf '== %s\n' "$*"; }
refuse() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

here=$(cd "$(dirname "$0")/.." && pwd)
venv=$here/.venv
package=$here
torch=
python=
anyway=

while [ $# -gt 0 ]; do
  case $1 in
    --anyway) anyway=yes ;;
    --help | -h)
      usage
      exit
      ;;
    --torch | --python | --venv | --package)
      [ $# -gt 1 ] || refuse "$1 needs a value (see --help)"
      case $1 in
        --torch) torch=$2 ;;
        --python) python=$2 ;;
        --venv) venv=$2 ;;
        --package) package=$2 ;;
      esac
      shift
      ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
  shift
done

case $venv in
  /*) ;;
  *) venv=$PWD/$venv ;;
esac

# -- the machine -----------------------------------------------------------------------------------

model=$(cat /proc/device-tree/model 2>/dev/null | tr -d '\0')
if [ -e /etc/nv_tegra_release ] || [ "${model#*Jetson}" != "$model" ]; then
  say "machine: ${model:-a Jetson}, $(cut -d, -f1,2 /etc/nv_tegra_release 2>/dev/null || echo 'L4T unknown')"
elif [ -n "$anyway" ]; then
  say "machine: no Jetson, installing anyway"
else
  refuse "this is not a Jetson (it has no /etc/nv_tegra_release): on other machines run" \
    "pip install '.[torch]', or pass --anyway to continue"
fi
[ -n "$anyway" ] || [ "$(id -u)" -ne 0 ] ||
  refuse "run this as yourself, not as root: it uses sudo where it needs it"
# A Jetson has no clock battery, and in 1970 no certificate of a package index was valid.
[ "$(date +%Y)" -ge 2024 ] ||
  refuse "the clock says $(date +%F): connect to the network and wait until timedatectl shows the right time"

# Some images lack Python 3.8 with venv, or the libraries that CUDA builds of torch are linked to.
if [ -z "$anyway" ]; then
  missing=
  for name in python3.8 python3.8-venv libgomp1 libomp-dev libopenblas-dev libopenmpi-dev; do
    dpkg -s "$name" >/dev/null 2>&1 || missing="$missing $name"
  done
  if [ -n "$missing" ]; then
    say "system packages:$missing"
    sudo apt-get update
    # shellcheck disable=SC2086  # several names
    sudo apt-get install --yes --no-install-recommends $missing
  else
    say "system packages: all installed"
  fi
fi

# -- Python ----------------------------------------------------------------------------------------

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; }
if [ -n "$python" ]; then
  new_enough "$python" || refuse "$python is not Python 3.8 or newer"
else
  for each in python3.8 python3; do
    if [ -z "$python" ] && new_enough "$each"; then python=$each; fi
  done
  [ -n "$python" ] || refuse "no Python 3.8 or newer was found: pass one with --python"
fi

if [ -e "$venv" ] && ! grep -qs 'include-system-site-packages = true' "$venv/pyvenv.cfg"; then
  refuse "$venv exists and does not see the system's packages: move it away, or pass another folder with --venv"
fi
if [ -x "$venv/bin/python" ]; then
  say "virtual environment: $venv, which exists already"
else
  say "virtual environment: $venv, with $("$python" --version 2>&1), which sees the system's packages"
  "$python" -m venv --system-site-packages "$venv"
fi
python=$venv/bin/python
pip() { "$python" -m pip --disable-pip-version-check "$@"; }

# Ubuntu 18.04's pip is too old for today's wheels; pip 25.0 is the last for Python 3.8.
if ! "$python" -c 'import pip, sys; sys.exit(int(pip.__version__.split(".")[0]) < 21)'; then
  say "pip: a newer one"
  pip install --quiet --upgrade 'pip>=21,<25.1'
fi

# -- what every Python of this environment does first ------------------------------------------------

say "start-up file: $venv/.../hyperhive-jetson.pth"
"$python" - <<'END'
import ctypes, pathlib, sysconfig

# OpenBLAS before 0.3.14 (numpy 1.19.5 has one) dies of an illegal instruction while it detects this
# processor. With the variable it does not detect it.
line = "import ctypes, os; os.environ.setdefault('OPENBLAS_CORETYPE', 'ARMV8')"
try:
    # Loaded later, by torch or OpenCV, it may find no room in glibc's static TLS block.
    ctypes.CDLL("libgomp.so.1")
    line += "; ctypes.CDLL('libgomp.so.1')"
except OSError:
    print("   libgomp.so.1 is not installed, so it is not loaded first")
pathlib.Path(sysconfig.get_path("purelib"), "hyperhive-jetson.pth").write_text(line + "\n")
END

# -- PyTorch ---------------------------------------------------------------------------------------

if [ -n "$torch" ]; then
  say "torch: $torch"
  # --no-deps: its metadata may require packages that would replace the system's.
  pip install --quiet --no-deps "$torch"
fi

# -- hyperhive -------------------------------------------------------------------------------------

say "constraints: $venv/constraints.txt, for every pip install here"
"$python" - "$here/constraints-device.txt" "$venv" <<'END'
import importlib.metadata, importlib.util, pathlib, sys

tested, venv = map(pathlib.Path, sys.argv[1:])
OPENCV = (
    "opencv-python", "opencv-python-headless", "opencv-contrib-python",
    "opencv-contrib-python-headless",
)


def installed(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


pins = dict(
    line.strip().split("==") for line in tested.open() if "==" in line and line[0] != "#"
)
constraints = {"numpy": pins["numpy"]}  # the tested version, unless the system has one
for name in ("numpy", "torch", "torchvision") + OPENCV:
    pins.pop(name, None)
    version = installed(name)
    if version:
        constraints[name] = version
        print("   {} {} stays".format(name, version))
lines = ["{}=={}\n".format(*pin) for pin in sorted(constraints.items())]
if importlib.util.find_spec("cv2") and not any(name in constraints for name in OPENCV):
    # Built from source, like JetPack's: pip does not know that it is installed.
    print("   OpenCV (cv2) stays; pip will refuse to install another")
    lines += ["{}<0\n".format(name) for name in OPENCV]
(venv / "constraints.txt").write_text("".join(lines))
(venv / "pip.conf").write_text("[install]\nconstraint = {}\n".format(venv / "constraints.txt"))
(venv / "tested.txt").write_text("".join("{}=={}\n".format(*pin) for pin in pins.items()))
END

"$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)' ||
  refuse "$python finds no torch: pass a CUDA 10.2 build with --torch WHEEL; docs/jetson.md says where to get one"

say "hyperhive: $package"
# httpx is for network cameras, the other two are for predict-cam's page. The extra "camera" would
# bring an OpenCV too.
pip install --quiet --no-compile --constraint "$venv/constraints.txt" --constraint "$venv/tested.txt" \
  "$package" httpx starlette uvicorn

# -- check -----------------------------------------------------------------------------------------

say "check"
"$python" - <<'END' || refuse "the installed packages do not run: docs/jetson.md lists the usual reasons"
import importlib.util, re
import torch, numpy

release = tuple(map(int, re.findall(r"\d+", torch.__version__)[:2]))
assert release >= (1, 10), "torch {} is older than 1.10".format(torch.__version__)
print("   torch {} of {}".format(torch.__version__, torch.__file__))
print("   numpy {} of {}".format(numpy.__version__, numpy.__file__))
if importlib.util.find_spec("cv2"):
    import cv2

    print("   OpenCV {} of {}".format(cv2.__version__, cv2.__file__))
else:
    print("   no OpenCV: predict-cam has no camera, the worker needs none")
if torch.cuda.is_available():
    print("   CUDA: {}".format(torch.cuda.get_device_name(0)))
else:
    print("   CUDA: none that this torch sees; trials will run on the CPU, several times slower")
END

memory=$(awk '/^(MemTotal|SwapTotal):/ { kB += $2 } END { print int(kB / 1024) }' /proc/meminfo)
[ "$memory" -ge 5500 ] ||
  say "memory and swap together are $memory MB: add swap before you train (docs/jetson.md)"
say "done. Next: paste the line of 'hyperhive mongo invite NAME', with $venv/bin/hyperhive"
